"""Learn from how the partitions of a plan ended. Pure: outcomes and memory in, the next memory out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from dagster_sluice.backfills.attempts import AttemptRecord, RetryRules, after_failure
from dagster_sluice.backfills.circuit import Circuit, CircuitRules, after_outcome
from dagster_sluice.backfills.faults import Fault

__all__ = ["Learned", "Outcome", "learn"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one partition of a plan ended.

    What was never begun (a cancelled backfill, a code location that was away) has no outcome: it is a gap again.

    Attributes:
        table: The table.
        partition: The partition.
        at: When it ended, with a time zone.
        fault: What went wrong; ``None`` if it was published, or found unchanged.
        inputs: What the attempt was made of.
    """

    table: str
    partition: str
    at: dt.datetime
    fault: Fault | None
    inputs: str = ""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What changes in memory.

    Attributes:
        records: New records of partitions that failed.
        forgotten: Partitions whose record goes, because they succeeded.
        circuits: Tables whose circuit changed.
        parked: Partitions that were parked just now: to be told once.
        opened: Tables whose circuit opened just now: to be told once.
    """

    records: dict[tuple[str, str], AttemptRecord] = field(default_factory=dict)
    forgotten: set[tuple[str, str]] = field(default_factory=set)
    circuits: dict[str, Circuit] = field(default_factory=dict)
    parked: list[tuple[str, str]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)


def learn(
    outcomes: Iterable[Outcome],
    *,
    records: Mapping[tuple[str, str], AttemptRecord],
    circuits: Mapping[str, Circuit],
    retry: RetryRules,
    breaker: CircuitRules,
    chance: Callable[[], float],
) -> Learned:
    """Take outcomes into memory, in the order in which they happened.

    Args:
        outcomes: How partitions ended.
        records: Of the partitions that failed before.
        circuits: Of the tables.
        retry: When a partition is tried again.
        breaker: When a circuit opens.
        chance: Random numbers from 0 to 1, for the jitter.
    """
    learned = Learned()
    for outcome in sorted(outcomes, key=lambda one: (one.at, one.table, one.partition)):
        one = (outcome.table, outcome.partition)
        before = None if one in learned.forgotten else learned.records.get(one, records.get(one))
        if outcome.fault is None:
            learned.records.pop(one, None)
            if one in records:
                learned.forgotten.add(one)
        else:
            after = after_failure(
                before, outcome.fault, at=outcome.at, inputs=outcome.inputs, rules=retry, chance=chance()
            )
            learned.records[one] = after
            learned.forgotten.discard(one)
            if after.parked_at is not None and (before is None or before.parked_at != after.parked_at):
                learned.parked.append(one)
        circuit = learned.circuits.get(outcome.table, circuits.get(outcome.table, Circuit()))
        signature = outcome.fault.signature if outcome.fault else None
        turned = after_outcome(circuit, outcome.partition, signature, at=outcome.at, rules=breaker)
        if turned.open and not circuit.open:
            learned.opened.append(outcome.table)
        if turned != circuit or outcome.table in learned.circuits:
            learned.circuits[outcome.table] = turned
    return learned

"""How the partitions of a plan ended, by what stands and by what its runs said. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dagster_sluice.backfills.claims import Claim, OpenPlan
from dagster_sluice.backfills.faults import Fault, FaultClass, fault
from dagster_sluice.backfills.settlement import Outcome

__all__ = ["Attempt", "Ending", "Evidence", "Trouble", "endings"]

_LOST = "The run ended without a word: its process was killed, or the machine went away."


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What stands of one table after a plan.

    Attributes:
        numbers: The position of each partition among its table's.
        computed: When what stands was computed, in microseconds since 1970; absent where nothing stands.
        stopped: The partitions whose last batch was blocked or held: when, and why.
        isolates: Each partition of a range is tried whatever becomes of the others.
    """

    numbers: Mapping[str, int]
    computed: Mapping[str, int]
    stopped: Mapping[str, tuple[dt.datetime, Sequence[str]]] = field(default_factory=dict)
    isolates: bool = False


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why a step failed.

    Attributes:
        names: The class names of the error, outermost first.
        message: What it said.
        each: Every partition that is not there was tried, and failed by itself.
    """

    names: tuple[str, ...]
    message: str
    each: bool = False


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A run of a plan.

    Attributes:
        tables: What it was to make.
        first: Its first partition; empty for a run without partitions.
        last: Its last partition.
        ended_at: When it ended.
        canceled: A person ended it.
        begun: The tables whose step began.
        troubles: The tables whose step failed.
        died: What was said of the run as a whole, if it failed without a failing step.
    """

    tables: frozenset[str]
    first: str
    last: str
    ended_at: dt.datetime
    canceled: bool = False
    begun: frozenset[str] = frozenset()
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    died: str | None = None


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How the claims of a plan ended.

    Attributes:
        states: Of each ``done``, ``failed`` or ``undone``.
        outcomes: What is to be learned of those that were tried.
    """

    states: Mapping[tuple[str, str], str]
    outcomes: Sequence[Outcome]


def endings(plan: OpenPlan, evidence: Mapping[str, Evidence], attempts: Sequence[Attempt]) -> Ending:
    """How each claim of a plan ended.

    What stands decides first, what the gate said comes second, the failures of the runs third. Of a range whose process
    died, the first partition that is not there was being made; those after it were not begun.
    """
    states: dict[tuple[str, str], str] = {}
    outcomes: list[Outcome] = []
    by_table: dict[str, list[Claim]] = {}
    for claim in plan.claims:
        by_table.setdefault(claim.table, []).append(claim)
    for table, claims in by_table.items():
        known = evidence.get(table)
        if known is None:
            states |= {(table, claim.partition): "undone" for claim in claims}
            continue
        left = []
        for claim in sorted(claims, key=lambda one: known.numbers.get(one.partition, -1)):
            ended = _stands(plan, claim, known) or _stopped(plan, claim, known)
            if ended is None:
                left.append(claim)
            else:
                outcomes.append(ended)
        for attempt in attempts:
            if table in attempt.tables:
                tried = [claim for claim in left if _covers(attempt, claim.partition, known)]
                found = _tried(attempt, tried, known)
                outcomes += found
                settled = {outcome.partition for outcome in found}
                left = [claim for claim in left if claim.partition not in settled]
        states |= {(table, claim.partition): "undone" for claim in left}
    states |= {(one.table, one.partition): "failed" if one.fault else "done" for one in outcomes}
    return Ending(states=states, outcomes=outcomes)


def _stands(plan: OpenPlan, claim: Claim, known: Evidence) -> Outcome | None:
    moment = known.computed.get(claim.partition, 0)
    if moment < plan.made_at.timestamp() * 1_000_000:
        return None
    at = dt.datetime.fromtimestamp(moment / 1_000_000, dt.timezone.utc)
    return Outcome(table=claim.table, partition=claim.partition, at=at, fault=None, inputs=claim.inputs)


def _stopped(plan: OpenPlan, claim: Claim, known: Evidence) -> Outcome | None:
    found = known.stopped.get(claim.partition)
    if found is None or found[0] < plan.made_at:
        return None
    wrong = fault(["Blocked"], " ".join(found[1]), kind=FaultClass.DATA)
    return Outcome(table=claim.table, partition=claim.partition, at=found[0], fault=wrong, inputs=claim.inputs)


def _tried(attempt: Attempt, claims: Sequence[Claim], known: Evidence) -> list[Outcome]:
    """The failures of one run among the partitions that it did not make."""
    if not claims:
        return []
    table = claims[0].table
    trouble = attempt.troubles.get(table)
    # A step that gave up in a run that was canceled was interrupted: its partition has not failed.
    if trouble is not None and (trouble.each or not attempt.canceled):
        # A step that gave up at one partition says nothing of those after it.
        tried = claims if trouble.each or not known.isolates else claims[:1]
        return [_failed(attempt, claim, _of_partition(trouble, claim)) for claim in tried]
    if attempt.died is not None and not attempt.canceled and table in attempt.begun:
        lost = fault([], attempt.died or _LOST)
        return [_failed(attempt, claim, lost) for claim in claims[:1]]
    return []


def _failed(attempt: Attempt, claim: Claim, wrong: Fault) -> Outcome:
    return Outcome(table=claim.table, partition=claim.partition, at=attempt.ended_at, fault=wrong, inputs=claim.inputs)


def _of_partition(trouble: Trouble, claim: Claim) -> Fault:
    """The line of the failure that is about this partition, where there is one."""
    label = f"{claim.table} [{claim.partition}]: "
    for line in trouble.message.splitlines():
        if line.startswith(label):
            said = line[len(label) :]
            named = re.match(r"([A-Za-z_][\w.]*): ", said)
            return fault([*trouble.names, *([named[1]] if named else [])], said)
    return fault(trouble.names, trouble.message)


def _covers(attempt: Attempt, partition: str, known: Evidence) -> bool:
    if partition == "":
        return True
    number = known.numbers.get(partition)
    first, last = known.numbers.get(attempt.first), known.numbers.get(attempt.last)
    if number is None or first is None or last is None:
        return False
    return first <= number <= last

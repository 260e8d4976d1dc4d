"""Both engines on one frame, expectation by expectation: whether they agree, and what only one of them can judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_sluice.contracts import Contract, Reference
from dagster_sluice.contracts.own import HISTORICAL, IN_SQL
from dagster_sluice.gates.agreement import disagreements
from dagster_sluice.gates.gate import resolve
from dagster_sluice.gates.mask import RowMask

__all__ = ["Compared", "verify"]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What the engines say of one expectation.

    Attributes:
        name: The expectation's name.
        type: Its type.
        alone: Why only one engine judges it; empty where both do.
        judge: That one; ``"both"`` where both do.
        differences: What they differ in, one sentence each.
    """

    name: str
    type: str
    alone: str = ""
    judge: str = "both"
    differences: tuple[str, ...] = ()


def verify(
    frame: Any, gate: Contract, *, references: Mapping[Reference, Sequence[Any]] | None = None
) -> tuple[Compared, ...]:
    """Judge a frame by both engines and compare all they say.

    Args:
        frame: As for ``audit``.
        gate: A contract.
        references: As for ``audit``.

    Returns:
        One for each expectation, in declared order.

    Raises:
        ExpectationError: An expectation is unknown, has wrong arguments, or names a set that was not given.
        FrameError: The frame cannot be judged at all.
    """
    from dagster_sluice.gates import duckdb, gx

    resolved = resolve(gate.expectations, references or {})
    found: dict[int, Compared] = {}
    for index, (item, _) in enumerate(resolved):
        if item.type in IN_SQL:
            reason = "Great Expectations has no SQL on pandas"
            found[index] = Compared(name=item.name, type=item.type, judge="duckdb", alone=reason)
        elif item.type in HISTORICAL:
            found[index] = Compared(name=item.name, type=item.type, judge="sluice", alone="it is about past audits")
    asked = [index for index in range(len(resolved)) if index not in found]
    fast = duckdb.judge(frame, [resolved[index] for index in asked])
    both = []
    for position, index in enumerate(asked):
        item = resolved[index][0]
        if position in fast.left:
            found[index] = Compared(name=item.name, type=item.type, judge="gx", alone=fast.left[position])
        else:
            both.append((position, index))
    if both:
        theirs, their_mask, _ = gx.judge(frame, [resolved[index] for _, index in both])
        failing = {place: fast.failing[at] for place, (at, _) in enumerate(both) if at in fast.failing}
        ours = [fast.results[at] for at, _ in both]
        apart: dict[int, list[str]] = {}
        for place, problem in disagreements(ours, RowMask(fast.row_count, failing), theirs, their_mask):
            apart.setdefault(place, []).append(problem)
        for place, (_, index) in enumerate(both):
            item = resolved[index][0]
            found[index] = Compared(name=item.name, type=item.type, differences=tuple(apart.get(place, ())))
    return tuple(found[index] for index in range(len(resolved)))

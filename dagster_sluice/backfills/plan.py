"""A plan: the gaps that one backfill will fill, and why the others wait. Values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from dagster_sluice.backfills.gaps import Ints, Reason

__all__ = ["Decision", "Plan", "Range", "Row", "TablePlan"]


class Decision(IntEnum):
    """What a plan does with a gap."""

    NONE = 0
    """It is no gap."""
    PLANNED = 1
    OVER_BUDGET = 2
    """The night is too short for it; another night."""
    PARKED = 3
    """It failed too often: it waits for a person, or for other code or data."""
    WAITING = 4
    """It failed, and its pause is not over."""
    CIRCUIT_OPEN = 5
    """Its table fails for one reason; only a probe runs."""
    UPSTREAM = 6
    """What it is made of is not published, or is just being made."""
    RUNNING = 7
    """A run or another plan has it."""
    UNFILLABLE = 8
    """It can never be filled."""

    @property
    def words(self) -> str:
        """As a person reads it."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, kw_only=True)
class Range:
    """Neighbouring partitions that one run takes: ``first`` to ``last``, both included."""

    table: str
    first: str
    last: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a plan's explanation."""

    table: str
    partition: str
    reasons: Reason
    decision: Decision
    note: str = ""


_WORTH_A_RUN = 30
"""Partitions in a piece, at least: a run of its own costs seconds before it begins."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TablePlan:
    """What a plan does with one table.

    Attributes:
        table: The table.
        keys: All its partition keys, in order.
        reasons: Per partition its `Reason`.
        decisions: Per partition its `Decision`.
        notes: Further words on single partitions, by position.
        ranges: Neighbours go into one run.
        longest_range: So many at most.
    """

    table: str
    keys: Sequence[str]
    reasons: Ints
    decisions: Ints
    notes: Mapping[int, str] = field(default_factory=dict)
    ranges: bool = True
    longest_range: int = 400

    @property
    def planned(self) -> Ints:
        """The positions that will be filled."""
        return np.flatnonzero(self.decisions == Decision.PLANNED)

    @property
    def partitions(self) -> list[str]:
        """The partitions that will be filled, in their order."""
        return [self.keys[position] for position in self.planned]

    def runs(self, only: Collection[str] | None = None, *, at_once: int = 1) -> Iterator[Range]:
        """The partitions that will be filled, as runs take them; of these ``only``, if others have the rest.

        Where a stretch is long enough for it, it is cut in so many pieces as there may be runs ``at_once``.
        """
        planned = self.planned
        if only is not None:
            mine = set(only)
            planned = planned[[self.keys[int(position)] in mine for position in planned]]
        breaks = np.flatnonzero(np.diff(planned) > 1) + 1 if self.ranges else np.arange(1, len(planned))
        for stretch in np.split(planned, breaks):
            length = min(self.longest_range, max(_WORTH_A_RUN, -(-len(stretch) // at_once)))
            for begin in range(0, len(stretch), length):
                part = stretch[begin : begin + length]
                yield Range(table=self.table, first=self.keys[part[0]], last=self.keys[part[-1]], count=len(part))

    def rows(self) -> Iterator[Row]:
        """Each gap, with the reason and the decision."""
        for position in np.flatnonzero(self.decisions):
            yield Row(
                table=self.table,
                partition=self.keys[int(position)],
                reasons=Reason(int(self.reasons[position])),
                decision=Decision(int(self.decisions[position])),
                note=self.notes.get(int(position), ""),
            )

    def counts(self) -> dict[Decision, int]:
        """How many gaps met each decision."""
        kinds, counts = np.unique(self.decisions[self.decisions > 0], return_counts=True)
        return {Decision(int(kind)): int(count) for kind, count in zip(kinds, counts, strict=True)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """The gaps that one backfill will fill, in order and within its budget, and why the others wait.

    Attributes:
        made_at: When it was made.
        tables: Upstream tables before those made of them.
        seconds: How long the planned work took before, added up; divide by the runs in flight.
    """

    made_at: dt.datetime
    tables: tuple[TablePlan, ...]
    seconds: float = 0.0

    @property
    def count(self) -> int:
        """How many partitions will be filled, counted per table."""
        return sum(len(table.planned) for table in self.tables)

    def partitions(self) -> dict[str, list[str]]:
        """The partitions that will be filled, by table; tables with nothing to do are left out."""
        return {table.table: table.partitions for table in self.tables if len(table.planned)}

    def rows(self) -> Iterator[Row]:
        """Each gap of each table, with the reason and the decision."""
        for table in self.tables:
            yield from table.rows()

    def counts(self) -> dict[Decision, int]:
        """How many gaps met each decision."""
        total: dict[Decision, int] = {}
        for table in self.tables:
            for decision, count in table.counts().items():
                total[decision] = total.get(decision, 0) + count
        return dict(sorted(total.items()))

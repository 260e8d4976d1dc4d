"""Which runs fill what was claimed: tables that go together share one, in order. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagster_sluice.backfills.plan import TablePlan
from dagster_sluice.backfills.tables import Fillable

__all__ = ["RunGroup", "group_runs"]

_Span = tuple[str, str]


@dataclass(kw_only=True)
class RunGroup:
    """Tables that are made together, over the same ranges of partitions: one run for each range.

    Attributes:
        tables: Upstream first.
        ranges: First and last partition of each run; one pair of empty keys for tables without partitions.
        in_turn: One run after the other, because a table reads partitions of its own.
    """

    tables: list[Fillable]
    ranges: tuple[_Span, ...]
    definition: Any = field(repr=False)
    in_turn: bool = False


def group_runs(
    tables: Sequence[Fillable],
    planned: Mapping[str, TablePlan],
    claimed: Mapping[str, Sequence[str]],
    *,
    at_once: int = 1,
) -> list[RunGroup]:
    """The runs that fill what was claimed, those of one group before those of the next.

    A table joins the first group that comes after everything it is made of (or has that in it) and has its partitions
    and ranges; one without partitions joins any group of a single range. What reads other partitions than its own waits
    for all runs of what it reads.

    Args:
        tables: Upstream first.
        planned: The plan of each table.
        claimed: The partitions of each table.
        at_once: So many runs work side by side; a long stretch is cut for them.
    """
    groups: list[RunGroup] = []
    place: dict[Any, int] = {}
    for table in tables:
        if table.name not in claimed:
            continue
        in_turn = table.key in table.elsewhere
        runs = planned[table.name].runs(claimed[table.name], at_once=1 if in_turn else at_once)
        spans = tuple((one.first, one.last) for one in runs)
        earliest = max(
            (
                place[parent] + (parent in table.elsewhere and len(spans) > 1)
                for parent in table.parents
                if parent in place
            ),
            default=0,
        )
        chosen = next(
            (number for number in range(earliest, len(groups)) if _fits(groups[number], table, spans)), len(groups)
        )
        if chosen == len(groups):
            groups.append(RunGroup(tables=[], ranges=spans, definition=table.definition))
        group = groups[chosen]
        if group.definition is None and table.definition is not None:
            group.definition, group.ranges = table.definition, spans
        group.tables.append(table)
        group.in_turn |= in_turn
        place[table.key] = chosen
    return groups


def _fits(group: RunGroup, table: Fillable, spans: tuple[_Span, ...]) -> bool:
    if table.definition is None:
        return len(group.ranges) == 1
    if group.definition is None:
        return len(spans) == 1
    return bool(group.definition == table.definition and group.ranges == spans)

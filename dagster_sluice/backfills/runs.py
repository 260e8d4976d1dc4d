"""Which runs fill what was claimed: tables that go together share one, in order. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagster_sluice.backfills.plan import Range, TablePlan
from dagster_sluice.backfills.tables import Fillable

__all__ = ["RunGroup", "group_runs"]

_Span = tuple[str, str]


@dataclass(kw_only=True)
class RunGroup:
    """Tables that are made together, over the same ranges of partitions: one run for each range.

    Attributes:
        tables: Upstream first.
        ranges: First and last partition of each run; one pair of empty keys for tables without partitions.
    """

    tables: list[Fillable]
    ranges: tuple[_Span, ...]
    definition: Any = field(repr=False)


def group_runs(
    tables: Sequence[Fillable], planned: Mapping[str, TablePlan], claimed: Mapping[str, Sequence[str]]
) -> list[RunGroup]:
    """The runs that fill what was claimed, those of one group before those of the next.

    A table joins the first group that comes after everything it is made of (or has that in it) and has its partitions
    and ranges; one without partitions joins any group of a single range.

    Args:
        tables: Upstream first.
        planned: The plan of each table.
        claimed: The partitions of each table.
    """
    groups: list[RunGroup] = []
    place: dict[Any, int] = {}
    for table in tables:
        if table.name not in claimed:
            continue
        spans = _spans(planned[table.name], claimed[table.name])
        earliest = max((place[parent] for parent in table.parents if parent in place), default=0)
        chosen = next(
            (number for number in range(earliest, len(groups)) if _fits(groups[number], table, spans)), len(groups)
        )
        if chosen == len(groups):
            groups.append(RunGroup(tables=[], ranges=spans, definition=table.definition))
        group = groups[chosen]
        if group.definition is None and table.definition is not None:
            group.definition, group.ranges = table.definition, spans
        group.tables.append(table)
        place[table.key] = chosen
    return groups


def _spans(plan: TablePlan, claimed: Sequence[str]) -> tuple[_Span, ...]:
    wanted = set(claimed)
    if len(wanted) == len(plan.planned):
        return tuple((one.first, one.last) for one in plan.runs())
    # Others were faster with a part of it.
    return tuple((one.first, one.last) for one in _pieces(plan, wanted))


def _pieces(plan: TablePlan, wanted: set[str]) -> list[Range]:
    pieces: list[Range] = []
    before = -2
    for position in plan.planned:
        key = plan.keys[int(position)]
        if key not in wanted:
            continue
        last = pieces[-1] if pieces else None
        if last is not None and plan.ranges and position == before + 1 and last.count < plan.longest_range:
            pieces[-1] = Range(table=plan.table, first=last.first, last=key, count=last.count + 1)
        else:
            pieces.append(Range(table=plan.table, first=key, last=key, count=1))
        before = int(position)
    return pieces


def _fits(group: RunGroup, table: Fillable, spans: tuple[_Span, ...]) -> bool:
    if table.definition is None:
        return len(group.ranges) == 1
    if group.definition is None:
        return len(spans) == 1
    return bool(group.definition == table.definition and group.ranges == spans)

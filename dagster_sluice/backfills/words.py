"""Plans and what became of them, in words and rows for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from dagster_sluice.backfills.night import Settled
from dagster_sluice.backfills.plan import Plan, Row

__all__ = ["duration_words", "partition_words", "plan_rows", "plan_words", "settled_words"]


def plan_words(plan: Plan) -> str:
    """A plan in one line."""
    counts = plan.counts()
    if not counts:
        return "There is no gap."
    told = [f"{count:,} {decision.words}" for decision, count in counts.items()]
    tables = sum(1 for table in plan.tables if len(table.planned))
    where = f" of {tables} {'table' if tables == 1 else 'tables'}" if tables else ""
    return f"{', '.join(told)}{where}."


def plan_rows(plan: Plan) -> Iterator[dict[str, str]]:
    """A plan as rows: neighbouring partitions of one table with one reason and one decision are one row."""
    for table in plan.tables:
        order = {key: number for number, key in enumerate(table.keys)}

        def alike(numbered: tuple[int, Row], order: dict[str, int] = order) -> tuple[object, ...]:
            number, row = numbered
            return row.reasons, row.decision, row.note, order[row.partition] - number

        for _, rows in groupby(enumerate(table.rows()), key=alike):
            stretch = [row for _, row in rows]
            first, last = stretch[0], stretch[-1]
            yield {
                "table": table.table,
                "partitions": partition_words(first.partition, last.partition),
                "count": f"{len(stretch):,}",
                "reasons": ", ".join(first.reasons.words).replace("_", " "),
                "decision": first.decision.words,
                "note": first.note,
            }


def partition_words(first: str, last: str) -> str:
    """Neighbouring partitions by their ends."""
    if first == "":
        return "whole"
    return first if first == last else f"{first} … {last}"


def settled_words(settled: Settled) -> list[str]:
    """What became of an earlier plan, line by line; what was parked is told here, and only once."""
    counts = settled.counts()
    told = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count) or "nothing"
    lines = [f"Plan {settled.plan.id} of {settled.plan.planner} is over: {told}."]
    faults = {(one.table, one.partition): one.fault for one in settled.ending.outcomes if one.fault}
    for table, partition in settled.parked:
        why = faults.get((table, partition))
        lines.append(
            f"{table}{f' [{partition}]' if partition else ''} is parked, it failed too often"
            f"{f' ({why.kind.value}): {why.message}' if why else '.'}"
        )
    lines.extend(
        f"The circuit of {table} is open: its last partitions failed for one reason. One a night probes it."
        for table in settled.opened
    )
    return lines


def duration_words(seconds: float) -> str:
    """A duration as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h"

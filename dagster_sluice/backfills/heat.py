"""A plan as strips of partitions: what stands, what is filled next, what waits and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dagster_sluice.backfills.attempts import AttemptRecord
from dagster_sluice.backfills.gaps import Reason, TableFacts
from dagster_sluice.backfills.plan import Decision, Plan, TablePlan
from dagster_sluice.reports.strips import Cell, Strip

__all__ = ["LEGEND", "strips"]

LEGEND = (
    ("good", "published"),
    ("wait", "filled next, or under way"),
    ("warn", "waits"),
    ("bad", "parked, or its table's circuit is open"),
    ("none", "not looked at, or can never be filled"),
)

_MOST = 400
_TONES = {
    Decision.PLANNED: "wait",
    Decision.RUNNING: "wait",
    Decision.OVER_BUDGET: "warn",
    Decision.WAITING: "warn",
    Decision.UPSTREAM: "warn",
    Decision.PARKED: "bad",
    Decision.CIRCUIT_OPEN: "bad",
    Decision.UNFILLABLE: "none",
}
_GRAVITY = ("bad", "warn", "wait", "good")


def strips(plan: Plan, facts: Sequence[TableFacts], records: Mapping[tuple[str, str], AttemptRecord]) -> list[Strip]:
    """One strip for each table of a plan.

    Args:
        plan: The plan.
        facts: What it was made from, in the same order.
        records: Of the partitions that failed before.
    """
    return [_strip(table, known, records) for table, known in zip(plan.tables, facts, strict=True)]


def _strip(table: TablePlan, facts: TableFacts, records: Mapping[tuple[str, str], AttemptRecord]) -> Strip:
    looked = np.flatnonzero(facts.wanted | (table.decisions > 0))
    shown = looked[-_MOST:]
    cells = [_cell(table, facts, int(position), records) for position in shown]
    tones = {cell.tone for cell in cells}
    return Strip(
        table=table.table,
        cells=cells,
        left_out=len(looked) - len(shown),
        sentence=_sentence(table, facts),
        tone=next((tone for tone in _GRAVITY if tone in tones), "none"),
    )


def _cell(table: TablePlan, facts: TableFacts, position: int, records: Mapping[tuple[str, str], AttemptRecord]) -> Cell:
    partition = table.keys[position]
    decision = Decision(int(table.decisions[position]))
    name = partition or "whole"
    if decision is Decision.NONE:
        stands = bool(facts.published[position])
        return Cell(partition=name, state="published" if stands else "not there", tone="good" if stands else "none")
    reasons = ", ".join(Reason(int(table.reasons[position])).words).replace("_", " ")
    record = records.get((table.table, partition))
    told = [reasons, table.notes.get(position, ""), f"{record.kind.value}: {record.message}" if record else ""]
    return Cell(
        partition=name, state=decision.words, tone=_TONES[decision], why="; ".join(part for part in told if part)[:300]
    )


def _sentence(table: TablePlan, facts: TableFacts) -> str:
    total = int(np.count_nonzero(facts.wanted))
    stands = int(np.count_nonzero(facts.wanted & (facts.published > 0)))
    told = [f"{stands:,} of {total:,} published"]
    told += [f"{count:,} {decision.words}" for decision, count in sorted(table.counts().items())]
    return ", ".join(told) + "."

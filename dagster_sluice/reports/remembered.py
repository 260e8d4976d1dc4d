"""Sample rows of a past audit, from what the quarantine has kept of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dagster_sluice.reports.samples import ROWS, misfit_text
from dagster_sluice.reports.sentences import CONFORMS
from dagster_sluice.warehouse import QuarantinedRow

__all__ = ["remembered"]

_VALUES = 20


def remembered(
    rows: Sequence[QuarantinedRow], run_id: str, masked: Collection[str]
) -> tuple[dict[str, list[Any]], dict[str, list[dict[str, Any]]]]:
    """Some values and some rows that break each promise, by its name; as `compose` takes them.

    Args:
        rows: Of the quarantine.
        run_id: Only what this run kept out is told.
        masked: The columns whose values may not be shown.
    """
    examples: dict[str, list[Any]] = {}
    samples: dict[str, list[dict[str, Any]]] = {}
    for row in sorted((row for row in rows if row.run_id == run_id), key=lambda row: row.id):
        told = set()
        for reason in row.reasons:
            name = str(reason.get("expectation"))
            values = examples.setdefault(name, [])
            if "column" in reason and len(values) < _VALUES:
                values.append(_misfit(reason, masked) if name == CONFORMS else reason.get("value"))
            kept = samples.setdefault(name, [])
            if name not in told and len(kept) < ROWS:
                kept.append(dict(row.payload))
            told.add(name)
    return examples, samples


def _misfit(reason: Mapping[str, Any], masked: Collection[str]) -> str:
    return misfit_text(str(reason["column"]), reason.get("value"), str(reason.get("why") or ""), masked)

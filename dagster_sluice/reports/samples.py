"""Sample rows: masked, in a readable order, cut to what fits a page. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dagster_sluice.reports.text import clean, count, number, visible
from dagster_sluice.reports.values import Cell, Sample

__all__ = ["ROWS", "misfit_text", "sample_of"]

ROWS = 10
COLUMNS = 40
MASK = Cell("•••", "masked")


def sample_of(
    rows: Sequence[Mapping[str, Any]], named: Sequence[str], masked: Collection[str], failing: int | None
) -> Sample:
    """Some failing rows as they may be shown.

    Args:
        rows: Whole rows, column → value in JSON's types.
        named: The columns that the promise is about; they come first.
        masked: The columns whose values may not be shown.
        failing: How many rows fail in all, if that is known.
    """
    every = list(dict.fromkeys(name for row in rows for name in row))
    first = [name for name in named if name in every]
    columns = [*first, *(name for name in every if name not in first)]
    shown, kept = columns[:COLUMNS], rows[:ROWS]
    notes = []
    if failing is not None and failing > len(kept):
        notes.append(f"{len(kept)} of {count(failing, 'row')}")
    if len(columns) > len(shown):
        notes.append(f"{len(shown)} of {count(len(columns), 'column')}")
    return Sample(
        columns=tuple(clean(name, 80) for name in shown),
        named=min(len(first), len(shown)),
        rows=tuple(tuple(MASK if name in masked else _cell(row.get(name)) for name in shown) for row in kept),
        note=", ".join(notes),
    )


def misfit_text(column: str, value: Any, why: str, masked: Collection[str]) -> str:
    """A value that is not of its column's type, in a few words."""
    if column in masked:
        return f"{column}={MASK.text}"
    # What a parser says of it stands behind, in parentheses.
    return f"{column}={value!r} {why.partition(' (')[0]}".strip()


def _cell(value: Any) -> Cell:
    if value is None:
        return Cell("null", "null")
    if isinstance(value, bool):
        return Cell("true" if value else "false", "text")
    if isinstance(value, (int, float)):
        return Cell(number(value, grouped=False), "number")
    if isinstance(value, str):
        # What looks like nothing is told as text between quotes.
        return Cell(clean(value) if value.strip() else f"“{visible(value)}”", "text")
    return Cell(clean(json.dumps(value, ensure_ascii=False, default=str)), "text")

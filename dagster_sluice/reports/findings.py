"""What an audit found of one expectation, in words, and how it moved. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_sluice.reports.text import count, number, percent, spelled
from dagster_sluice.reports.values import Point, Shape, Trend

__all__ = ["Found", "found_in_words", "trend_of"]

_PRESENT = "expect_column_values_to_not_be_null"
# They look at every row: a missing value is what they judge.
_JUDGE_MISSING = frozenset({_PRESENT, "expect_column_values_to_be_null"})
_NAMED_VALUES = 8


@dataclass(frozen=True, kw_only=True)
class Found:
    """One of the ``results`` of an `AuditRecord`; what an older record lacks is ``None``."""

    name: str
    type: str
    success: bool
    policy: str
    rows: int | None = None
    missing: int | None = None
    failing: int | None = None
    observed: Any = None
    error: str | None = None

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Found:
        """Read one from the ledger."""
        return cls(
            name=str(result.get("name", "")),
            type=str(result.get("type", "")),
            success=result.get("success") is True,
            policy=str(result.get("policy", "")),
            rows=_whole(result.get("element_count")),
            missing=_whole(result.get("missing_count")),
            failing=_whole(result.get("unexpected_count")),
            observed=result.get("observed_value"),
            error=result.get("error"),
        )

    @property
    def judged(self) -> int | None:
        """Rows that were judged; ``None`` for a promise about the table or an aggregate."""
        if self.rows is None:
            return None
        return self.rows if self.type in _JUDGE_MISSING else self.rows - (self.missing or 0)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def found_in_words(found: Found, examples: Sequence[Any], *, shown: bool) -> str:
    """What was found, in one or two sentences.

    Args:
        found: What was found.
        examples: Some of the values that break the promise.
        shown: Whether values may be told.
    """
    if found.error is not None:
        return f"It could not be judged{f': {spelled(found.error)}' if shown else ''}."
    judged = found.judged
    if judged is None or found.failing is None:
        return _measured(found, shown=shown)
    missing = ""
    if found.rows is not None and judged < found.rows:
        without = found.rows - judged
        missing = f" {count(without, 'row has', 'rows have')} no value there and {'is' if without == 1 else 'are'} not judged."
    if not judged:
        return f"There was no row to judge.{missing}"
    if not found.failing:
        return f"{'The one row keeps' if judged == 1 else f'All {judged:,} rows keep'} it.{missing}"
    some = f"{found.failing:,} of {count(judged, 'row')} ({percent(found.failing / judged)})"
    verb = "breaks it" if found.failing == 1 else "break it"
    values = _named(examples, found.failing) if shown and found.type != _PRESENT else ""
    allowed = ", which is within what is allowed" if found.success else ""
    return f"{some} {verb}{allowed}{f': {values}' if values else '.'}{missing}"


def _measured(found: Found, *, shown: bool) -> str:
    if found.observed is None or not shown:
        return "It holds." if found.success else "It does not hold."
    if isinstance(found.observed, (list, tuple)):
        several = [spelled(value) for value in found.observed]
        more = f" and {len(several) - _NAMED_VALUES:,} more" if len(several) > _NAMED_VALUES else ""
        return f"Found {', '.join(several[:_NAMED_VALUES])}{more}." if several else "Found none."
    return f"Found {spelled(found.observed, grouped=True)}."


def _named(examples: Sequence[Any], failing: int) -> str:
    """Some failing values, each once, with how often it was seen."""
    seen = Counter(spelled(value, limit=80) for value in examples)
    named = [f"{value} ({times}×)" if times > 1 else value for value, times in seen.most_common(_NAMED_VALUES)]
    more = len(seen) > _NAMED_VALUES or len(examples) < failing
    return f"{', '.join(named)}{', …' if more else '.'}" if named else ""


def _point(result: Mapping[str, Any] | None, shape: Shape) -> Point:
    """One audit's result, as the ledger has it, in a trend. A page may have tens of thousands of them."""
    if result is None:
        return _GAP
    held = result.get("success") is True
    if shape is Shape.HELD or result.get("error") is not None:
        return Point(held)
    if shape is Shape.VALUE:
        return Point(held, _size(result.get("observed_value")))
    failing = result.get("unexpected_count")
    if not failing or not isinstance(failing, int):
        return _CLEAN if held else Point(held, 0.0)
    judged = Found.of(result).judged
    return Point(held, failing / judged if judged else 0.0)


_GAP = Point(None)
_CLEAN = Point(True, 0.0)


def _size(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        size = float(value)
    except OverflowError:
        return None
    return size if math.isfinite(size) else None


def shape_of(found: Found) -> Shape:
    """How the trend of an expectation is best drawn."""
    if found.rows is not None:
        return Shape.SHARE
    return Shape.VALUE if _size(found.observed) is not None else Shape.HELD


def trend_of(
    found: Found,
    result: Mapping[str, Any],
    before: Sequence[Mapping[str, Mapping[str, Any]]],
    labels: Sequence[str],
    kwargs: Mapping[str, Any],
    *,
    shown: bool,
) -> Trend | None:
    """How an expectation moved: over the audits before, and this one.

    Args:
        found: What this audit found.
        result: The same as the ledger has it.
        before: What each earlier one found, as the ledger has it, by name of the expectation.
        labels: Names of all audits, this one's last.
        kwargs: The expectation's arguments, for its bounds.
        shown: Whether values may be told.
    """
    if not any(found.name in earlier for earlier in before):
        return None
    shape = shape_of(found)
    if shape is Shape.VALUE and not shown:
        shape = Shape.HELD
    points = tuple([_point(past, shape) for past in (*(earlier.get(found.name) for earlier in before), result)])
    return Trend(
        shape=shape,
        points=points,
        labels=labels,
        text=_moved(points, shape),
        low=_size(kwargs.get("min_value")) if shape is Shape.VALUE else None,
        high=_size(kwargs.get("max_value")) if shape is Shape.VALUE else None,
    )


def _moved(points: Sequence[Point], shape: Shape) -> str:
    judged = [point for point in points if point.held is not None]
    broken = sum(not point.held for point in judged)
    said = f"Broken in {broken} of the last {len(judged)}" if broken else f"Kept in all of the last {len(judged)}"
    sizes = [point.size for point in judged[:-1] if point.size is not None]
    now = points[-1].size
    if shape is Shape.HELD or not sizes or now is None:
        return f"{said}."
    low, high = min(sizes), max(sizes)
    if shape is Shape.SHARE and not now:
        return f"{said}, with {'at most ' if low != high else ''}{percent(high)} of the rows." if high else f"{said}."
    spell = percent if shape is Shape.SHARE else _rounded
    return f"{said}. Now {spell(now)}, before {_range(spell(low), spell(high))}."


def _rounded(value: float) -> str:
    return number(value, digits=4)


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"

"""Results in the shape Great Expectations gives them.

A port of ``_format_map_output`` and ``_validate_metric_value_between`` of Great Expectations 1.24
(``expectations/expectation.py``), reduced to the result format ``COMPLETE`` on pandas.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from dagster_sluice.contracts import Expectation
from dagster_sluice.gates.gx import plain
from dagster_sluice.gates.verdict import ExpectationResult

__all__ = ["LISTED", "between", "mapped", "mostly_holds", "result"]

LISTED = 200
"""Great Expectations keeps at most this many unexpected values (``MAX_RESULT_RECORDS``)."""
_PARTIAL = 20


def mostly_holds(judged: int, unexpected: int, mostly: float) -> bool:
    """Whether enough of the judged rows keep the promise; none judged is enough."""
    return judged == 0 or (float(judged) - float(unexpected)) / float(judged) >= mostly


def mapped(*, rows: int, judged: int | None, unexpected: int, values: list[Any]) -> dict[str, Any]:
    """The ``result`` of an expectation on rows.

    Args:
        rows: All rows.
        judged: Those that were not NULL; ``None`` where NULL itself is judged.
        unexpected: Those that break the promise.
        values: Up to `LISTED` values that break it, in the order of the rows.
    """
    found: dict[str, Any] = {"element_count": rows, "unexpected_count": unexpected}
    total = unexpected / rows * 100 if rows > 0 else None
    of_judged = total
    if judged is not None and rows > 0:
        of_judged = unexpected / judged * 100 if judged > 0 else None
    found["unexpected_percent"] = of_judged
    found["partial_unexpected_list"] = values[:_PARTIAL]
    if judged is not None:
        found["missing_count"] = rows - judged
        found["missing_percent"] = (rows - judged) / rows * 100 if rows > 0 else None
        found["unexpected_percent_total"] = total
        found["unexpected_percent_nonmissing"] = of_judged
    hashable = [tuple(value.values()) for value in values] if values and isinstance(values[0], dict) else values
    try:
        common = sorted(Counter(hashable).most_common(_PARTIAL), key=lambda pair: (-pair[1], pair[0]))
    except TypeError:
        return found
    found["partial_unexpected_counts"] = [{"value": value, "count": count} for value, count in common]
    return found


def between(observed: Any, low: Any, high: Any, *, strict_low: bool, strict_high: bool) -> tuple[bool, dict[str, Any]]:
    """Whether a number lies between bounds, and the ``result`` that says so. NaN lies nowhere."""
    import datetime as dt

    import pandas as pd

    if observed is None or (not isinstance(observed, dt.datetime) and pd.isna(observed)):
        return False, {"observed_value": None}
    above = low is None or (observed > low if strict_low else observed >= low)
    below = high is None or (observed < high if strict_high else observed <= high)
    return bool(above and below), {"observed_value": observed}


def result(
    expectation: Expectation, kwargs: Mapping[str, Any], *, success: bool, found: Mapping[str, Any], seconds: float
) -> ExpectationResult:
    """A result as plain values."""
    details = {key: plain(value) for key, value in found.items()}
    return ExpectationResult.of(expectation, kwargs, details, success=bool(success), engine="duckdb", seconds=seconds)

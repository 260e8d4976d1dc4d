"""Promises about what was seen before: row counts, shares of NULL and columns against those of past audits. Pure.

A distance is allowed if one of the two measures given allows it:

- ``within``: a share of the median for row counts, so many points (0 to 1) for shares of NULL;
- ``deviations``: so many times 1.4826 × the median absolute deviation, which for normally spread values is the standard
  deviation, and which single wild days hardly move.

With fewer than ``minimum`` past values nothing is judged: it passes, and its ``note`` says so.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_sluice.contracts import Expectation
from dagster_sluice.contracts.own import HISTORICAL, LAST, MINIMUM, historical_problem
from dagster_sluice.errors import Culprit, ExpectationError
from dagster_sluice.gates.verdict import ExpectationResult

__all__ = ["Batch", "PastAudit", "batch_of", "judge", "near_median", "needed", "read", "schema_changes"]

_NORMAL = 1.4826


@dataclass(frozen=True, kw_only=True)
class PastAudit:
    """What an earlier audit of the same table found.

    Attributes:
        rows: Rows that came to the gate.
        results: One mapping per expectation, with ``name``, ``type`` and ``observed_value``.
        partition: The partition's key, if the table has any.
    """

    rows: int
    results: Sequence[Mapping[str, Any]] = ()
    partition: str | None = None

    def observed(self, expectation: Expectation) -> Any:
        """What the same expectation observed then; ``None`` if it did not."""
        return next(
            (
                result.get("observed_value")
                for result in self.results
                if result.get("name") == expectation.name and result.get("type") == expectation.type
            ),
            None,
        )


def needed(expectations: Sequence[Expectation]) -> int:
    """How many past audits the expectations look at; 0 if none does."""
    asked = [int(item.kwargs.get("last") or LAST) for item in expectations if item.type in HISTORICAL]
    return max(asked, default=0)


def read(resolved: Sequence[tuple[Expectation, Mapping[str, Any]]]) -> list[int]:
    """The indices of the expectations that are about the past.

    Raises:
        ExpectationError: Some have wrong arguments; all of them are named.
    """
    found: list[int] = []
    culprits: list[Culprit] = []
    for index, (expectation, kwargs) in enumerate(resolved):
        if expectation.type not in HISTORICAL:
            continue
        found.append(index)
        if (problem := historical_problem(expectation.type, kwargs)) is not None:
            culprits.append(
                Culprit(
                    where=expectation.name,
                    file=expectation.file,
                    line=expectation.line,
                    problem=f"{expectation.type}: {problem}",
                )
            )
    if culprits:
        raise ExpectationError("An expectation has wrong arguments.", culprits=culprits)
    return found


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What is known of the batch that is judged.

    Attributes:
        rows: How many rows it has.
        nulls: How many of them are NULL in a column.
        types: The type of each column, in order.
    """

    rows: int
    nulls: Callable[[str], int]
    types: Callable[[], Mapping[str, str]]


def judge(
    batch: Batch, expectation: Expectation, kwargs: Mapping[str, Any], history: Sequence[PastAudit] | None
) -> ExpectationResult:
    """Hold a batch against the past.

    Args:
        batch: What is known of it.
        expectation: One that `read` has found good.
        kwargs: Its arguments.
        history: Past audits, oldest first; ``None`` if nobody knows them.
    """
    started = time.perf_counter()
    error = None
    try:
        success, details = _JUDGES[expectation.type](batch, expectation, kwargs, list(history or ()))
    except KeyError as failure:
        success, details, error = False, {}, f"there is no column {failure.args[0]!r}"
    if history is None and "note" in details:
        details["note"] = "No history was given, so nothing was judged."
    return ExpectationResult.of(
        expectation,
        kwargs,
        details,
        success=success,
        engine="sluice",
        error=error,
        seconds=time.perf_counter() - started,
    )


Found = tuple[bool, dict[str, Any]]


def _row_count(
    batch: Batch, expectation: Expectation, kwargs: Mapping[str, Any], history: Sequence[PastAudit]
) -> Found:
    del expectation
    return near_median(batch.rows, [past.rows for past in history], kwargs, relative=True)


def _null_share(
    batch: Batch, expectation: Expectation, kwargs: Mapping[str, Any], history: Sequence[PastAudit]
) -> Found:
    missing = batch.nulls(kwargs["column"])
    if not batch.rows:
        return True, {"observed_value": None, "note": "Without rows there is no share of NULL."}
    seen = [past.observed(expectation) for past in history]
    shares = [float(share) for share in seen if isinstance(share, (int, float)) and not isinstance(share, bool)]
    return near_median(missing / batch.rows, shares, kwargs, relative=False)


def near_median(
    observed: float, past: Sequence[float], kwargs: Mapping[str, Any], *, relative: bool
) -> tuple[bool, dict[str, Any]]:
    """Whether a number is near the median of the last ones, and what that was measured by.

    Args:
        observed: The number.
        past: Those before, oldest first.
        kwargs: ``within``, ``deviations``, ``last``, ``minimum``.
        relative: Whether ``within`` is a share of the median rather than a distance.
    """
    last = int(kwargs.get("last") or LAST)
    minimum = min(int(kwargs.get("minimum") or MINIMUM), last)
    seen = list(past)[-last:]
    details: dict[str, Any] = {"observed_value": observed, "past_values": len(seen)}
    if len(seen) < minimum:
        details["note"] = f"There is not enough history: {len(seen)} of {minimum} past values."
        return True, details
    median = statistics.median(seen)
    distances = []
    if kwargs.get("within") is not None:
        distances.append(kwargs["within"] * median if relative else kwargs["within"])
    if kwargs.get("deviations") is not None:
        spread = statistics.median(abs(value - median) for value in seen)
        distances.append(kwargs["deviations"] * _NORMAL * spread)
    allowed = max(distances)
    details |= {"median": median, "allowed_from": max(median - allowed, 0), "allowed_to": median + allowed}
    return abs(observed - median) <= allowed, details


def _schema(batch: Batch, expectation: Expectation, kwargs: Mapping[str, Any], history: Sequence[PastAudit]) -> Found:
    types = dict(batch.types())
    # A mapping in the ledger is JSON, which keeps no order; a list does.
    listed = [[name, kind] for name, kind in types.items()]
    details: dict[str, Any] = {"observed_value": listed}
    before = next((seen for past in reversed(history) if isinstance(seen := past.observed(expectation), list)), None)
    if before is None:
        details["note"] = "There is not enough history: the columns are seen for the first time."
        return True, details
    changes = schema_changes({str(name): str(kind) for name, kind in before}, types)
    allowed = set(kwargs.get("allow") or ())
    details["details"] = {kind: names for kind, names in changes.items() if names}
    return not any(names and kind not in allowed for kind, names in changes.items()), details


def schema_changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, list[str]]:
    """What became of the columns: ``added``, ``dropped``, ``retyped``, ``reordered``, each with names."""
    kept = [name for name in before if name in after]
    order = [name for name in after if name in before]
    return {
        "added": [f"{name} {after[name]}" for name in after if name not in before],
        "dropped": [f"{name} {before[name]}" for name in before if name not in after],
        "retyped": [f"{name} {before[name]} → {after[name]}" for name in kept if before[name] != after[name]],
        "reordered": [name for name, other in zip(order, kept, strict=True) if name != other],
    }


_JUDGES: Mapping[str, Callable[..., Found]] = {
    "expect_column_null_share_to_be_near_median": _null_share,
    "expect_table_row_count_to_be_near_median": _row_count,
    "expect_table_schema_to_be_unchanged": _schema,
}


def batch_of(frame: Any) -> Batch:
    """What is known of a frame of any make; its types in its own words."""
    from dagster_sluice.gates.duckdb.columns import PandasSource, open_source
    from dagster_sluice.gates.frames import as_arrow

    source = open_source(frame)

    def nulls(column: str) -> int:
        if column not in source.names:
            raise KeyError(column)
        return source.column(column).nulls

    def types() -> Mapping[str, str]:
        if isinstance(source, PandasSource):
            return {str(name): str(kind) for name, kind in source.frame().dtypes.items()}
        return {field.name: str(field.type) for field in as_arrow(frame).schema}

    return Batch(rows=source.rows, nulls=nulls, types=types)

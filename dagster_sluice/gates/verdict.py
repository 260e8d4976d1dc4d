"""The outcome of a gate on one batch, as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dagster_sluice.contracts import Expectation, Policy, Severity
from dagster_sluice.gates.mask import RowMask

__all__ = ["ExpectationResult", "Verdict"]


@dataclass(frozen=True, kw_only=True)
class ExpectationResult:
    """What one expectation found in one batch.

    Attributes:
        name: The expectation's name, unique in its gate.
        type: Its GX type.
        kwargs: Its arguments as they were judged (sets from other tables filled in by count, see ``details``).
        success: Whether the promise held.
        element_count: Rows judged; ``None`` for expectations on the table or an aggregate.
        missing_count: Rows that were NULL and so not judged; ``None`` as above.
        unexpected_count: Rows that break the promise; ``None`` as above.
        unexpected_percent: Of the rows that were not NULL, 0 to 100; ``None`` as above.
        partial_unexpected_list: Up to 20 of the values that break the promise.
        observed_value: What was measured, for expectations on the table or an aggregate.
        severity: How grave a failure is.
        policy: What a failure does.
        engine: ``"gx"`` or ``"duckdb"``.
        error: Why it could not be judged, if it could not; then ``success`` is false.
        seconds: Wall-clock time, where the engine can tell it for one expectation.
        meta: The expectation's own.
        details: Further keys of GX's ``result``, as GX gives them.
    """

    name: str
    type: str
    kwargs: Mapping[str, Any]
    success: bool
    element_count: int | None = None
    missing_count: int | None = None
    unexpected_count: int | None = None
    unexpected_percent: float | None = None
    partial_unexpected_list: tuple[Any, ...] = ()
    observed_value: Any = None
    severity: Severity = Severity.CRITICAL
    policy: Policy = Policy.BLOCK
    engine: str = "gx"
    error: str | None = None
    seconds: float | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        expectation: Expectation,
        kwargs: Mapping[str, Any],
        details: Mapping[str, Any],
        *,
        success: bool,
        engine: str,
        error: str | None = None,
        seconds: float | None = None,
    ) -> ExpectationResult:
        """The result of an engine, from the keys that GX gives in ``result``.

        Args:
            expectation: What was promised.
            kwargs: The arguments it was judged by; a set from another table is told by its reference instead.
            details: GX's ``result``, in plain Python.
            success: Whether the promise held.
            engine: Which engine judged.
            error: Why it could not be judged, if it could not.
            seconds: Wall-clock time, if known.
        """
        return cls(
            name=expectation.name,
            type=expectation.type,
            kwargs=dict(expectation.kwargs if expectation.references() else kwargs),
            success=success,
            element_count=details.get("element_count"),
            missing_count=details.get("missing_count"),
            unexpected_count=details.get("unexpected_count"),
            unexpected_percent=details.get("unexpected_percent"),
            partial_unexpected_list=tuple(details.get("partial_unexpected_list") or ()),
            observed_value=details.get("observed_value"),
            severity=expectation.severity,
            policy=expectation.policy,
            engine=engine,
            error=error,
            seconds=seconds,
            meta=dict(expectation.meta),
            details=details,
        )

    def to_gx(self) -> dict[str, Any]:
        """The result in the JSON shape of a GX ``ExpectationValidationResult``."""
        if self.error is not None:
            raised = {"raised_exception": True, "exception_message": self.error, "exception_traceback": None}
        else:
            raised = {"raised_exception": False, "exception_message": None, "exception_traceback": None}
        return {
            "success": self.success,
            "expectation_config": {
                "type": self.type,
                "kwargs": _json(self.kwargs),
                "meta": _json(self.meta),
                "severity": self.severity.value,
            },
            "result": _json(self.details),
            "exception_info": raised,
            "meta": {},
        }


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of a gate on one batch.

    Attributes:
        results: One per expectation, in declared order.
        mask: Per row, the indices (into ``results``) of the expectations it fails; complete.
        row_count: Rows in the batch.
        seconds: Wall-clock time of the whole audit.
    """

    results: tuple[ExpectationResult, ...]
    mask: RowMask
    row_count: int
    seconds: float = 0.0

    @property
    def success(self) -> bool:
        """Whether every expectation held."""
        return all(result.success for result in self.results)

    @property
    def failed(self) -> tuple[ExpectationResult, ...]:
        """The results of the expectations that did not hold, in declared order."""
        return tuple(result for result in self.results if not result.success)

    def preceded_by(self, result: ExpectationResult, rows: Sequence[int]) -> Verdict:
        """The same verdict with one more result in front, which these rows fail."""
        return replace(self, results=(result, *self.results), mask=self.mask.preceded_by(rows))

    def to_gx(self) -> dict[str, Any]:
        """The verdict in the JSON shape of a GX ``ExpectationSuiteValidationResult``."""
        successful = sum(result.success for result in self.results)
        evaluated = len(self.results)
        return {
            "success": self.success,
            "results": [result.to_gx() for result in self.results],
            "statistics": {
                "evaluated_expectations": evaluated,
                "successful_expectations": successful,
                "unsuccessful_expectations": evaluated - successful,
                "success_percent": successful / evaluated * 100 if evaluated else None,
            },
            "meta": {},
        }


def _json(value: Any) -> Any:
    """A value in JSON's types as GX writes it: NaN is null, moments are ISO 8601. Infinity, which GX leaves, is text."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(_json(key)): _json(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(_json, value), key=str)
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)

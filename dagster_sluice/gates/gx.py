"""The engine that defines the meaning: Great Expectations 1.x on pandas.

Rests on facts pinned in ``tests/upstream/test_gx.py``: an ephemeral context per audit (one shared between threads gave
wrong verdicts), results that come back in no order and are told apart by ``meta``, unknown types that are dropped
silently, and an index list that, on pandas, is complete where the value list is not.
"""

from __future__ import annotations

import datetime as dt
import gc
import logging
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagster_sluice.contracts import Expectation
from dagster_sluice.errors import Culprit, ExpectationError
from dagster_sluice.gates.classes import import_class
from dagster_sluice.gates.frames import as_arrow, as_pandas
from dagster_sluice.gates.mask import RowMask
from dagster_sluice.gates.twins import own_names, renaming, translated, twins
from dagster_sluice.gates.verdict import ExpectationResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["bounds_of", "check_arguments", "judge", "plain"]

_TAG = "sluice/index"
# GX builds reference cycles that keep whole frames alive; below this size that does not matter before the next
# collection, above it the memory is wanted back at once.
_COLLECT_ABOVE_BYTES = 32 * 1024 * 1024


def judge(
    frame: Any, resolved: Sequence[tuple[Expectation, Mapping[str, Any]]]
) -> tuple[tuple[ExpectationResult, ...], RowMask, int]:
    """Judge a frame by expectations whose sets from other tables are filled in.

    Args:
        frame: As for ``audit``.
        resolved: Each expectation with the arguments to judge by.

    Returns:
        The results in the order given, the row mask, and the number of rows.
    """
    batch_frame = _frame(frame)
    raw = _validate(batch_frame, resolved)
    results = []
    failing: dict[int, list[int]] = {}
    for index, (expectation, kwargs) in enumerate(resolved):
        result, rows = _translate(expectation, kwargs, raw[index])
        results.append(result)
        if rows:
            failing[index] = rows
    row_count = len(batch_frame)
    if batch_frame.memory_usage(index=False).sum() > _COLLECT_ABOVE_BYTES:
        del raw
        gc.collect()
    return tuple(results), RowMask(row_count, failing), row_count


def _frame(frame: Any) -> pd.DataFrame:
    import pandas as pd

    if isinstance(frame, pd.DataFrame):
        as_arrow(frame.iloc[:0])
        return frame.reset_index(drop=True)
    return as_pandas(as_arrow(frame))


def _validate(
    frame: pd.DataFrame, resolved: Sequence[tuple[Expectation, Mapping[str, Any]]]
) -> dict[int, Mapping[str, Any]]:
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    # This module sets a level of its own and tells of a directory for each context.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("batch")
    groups = twins(frame.columns)
    alike: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for index, (item, kwargs) in enumerate(resolved):
        renamed = renaming(item.type, kwargs, groups, list(frame.columns)) if groups else {}
        alike.setdefault(tuple(renamed.items()), []).append(index)
    found: dict[int, Mapping[str, Any]] = {}
    for number, (pairs, indices) in enumerate(alike.items()):
        renamed = dict(pairs)
        judged = frame.rename(columns=renamed) if renamed else frame
        configured = [
            _configured(index, resolved[index][0], translated(resolved[index][1], renamed), judged) for index in indices
        ]
        definition = source.add_dataframe_asset(f"frame {number}").add_batch_definition_whole_dataframe("whole")
        for tag, told in _told(definition.get_batch({"dataframe": judged}), configured).items():
            found[tag] = {key: own_names(value, renamed) for key, value in told.items()}
    if len(found) != len(resolved):
        lost = [item.name for index, (item, _) in enumerate(resolved) if index not in found]
        raise ExpectationError(
            "Great Expectations gave no result for some expectations.",
            culprits=[Culprit(where=name, problem="was dropped.") for name in lost],
        )
    return found


def _told(batch: Any, configured: Sequence[Any]) -> dict[int, dict[str, Any]]:
    """What each expectation says of a batch, by its tag.

    Some raise through all of them, such as one on a column's type under a condition on rows that cannot be read; then
    they are asked one by one.
    """
    import great_expectations as gx

    suite = gx.ExpectationSuite(name="gate", expectations=list(configured))
    try:
        validated = batch.validate(suite, result_format={"result_format": "COMPLETE"})
    except Exception as failure:  # noqa: BLE001 (whatever it is, it is of one expectation)
        if len(configured) > 1:
            return {tag: told for item in configured for tag, told in _told(batch, [item]).items()}
        info = {"raised_exception": True, "exception_message": f"{failure}"}
        return {int(configured[0].meta[_TAG]): {"success": False, "result": {}, "exception_info": info}}
    return {
        int(item.expectation_config.meta[_TAG]): {
            "success": bool(item.success),
            "result": item.result,
            "exception_info": item.exception_info,
        }
        for item in validated.results
    }


def _configured(index: int, expectation: Expectation, kwargs: Mapping[str, Any], frame: pd.DataFrame) -> Any:
    import pydantic.v1
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import get_expectation_impl

    culprit = Culprit(where=expectation.name, file=expectation.file, line=expectation.line, problem="")
    try:
        if expectation.import_path is not None:
            import_class(expectation)
        kind: Any = get_expectation_impl(expectation.type)
    except ExpectationNotFoundError:
        raise ExpectationError(
            "An expectation is unknown to Great Expectations.",
            culprits=[
                replace(
                    culprit,
                    problem=f"there is no {expectation.type!r}.",
                    mend="Where it is your own, say where its class is, or import it before.",
                )
            ],
        ) from None
    try:
        bounds = bounds_of(kwargs, frame)
    except (ValueError, OverflowError) as failure:
        raise ExpectationError(
            "An expectation has wrong arguments.",
            culprits=[replace(culprit, problem=f"{expectation.type}: {failure}.")],
        ) from None
    try:
        return kind(**bounds, severity=expectation.severity.value, meta={_TAG: index})
    except pydantic.v1.ValidationError as failure:
        faults = "; ".join(f"{'.'.join(str(at) for at in error['loc'])}: {error['msg']}" for error in failure.errors())
        raise ExpectationError(
            "An expectation has wrong arguments.",
            culprits=[replace(culprit, problem=f"{expectation.type}: {faults.rstrip('.')}.")],
        ) from None


def check_arguments(expectation: Expectation, frame: pd.DataFrame) -> None:
    """Make the expectation as a frame would be judged by it.

    Raises:
        ExpectationError: There is no such type or class, or its arguments are wrong.
    """
    _configured(0, expectation, expectation.kwargs, frame)


def bounds_of(kwargs: Mapping[str, Any], frame: pd.DataFrame) -> dict[str, Any]:
    """Bounds in the type of a datetime column: GX compares a datetime with text by raising."""
    import pandas as pd

    column = kwargs.get("column")
    bounds = dict(kwargs)
    if not isinstance(column, Hashable) or column not in frame.columns:
        return bounds
    if not pd.api.types.is_datetime64_any_dtype(frame[column].dtype):
        return bounds
    zone = getattr(frame[column].dtype, "tz", None)
    for argument in ("min_value", "max_value"):
        value = bounds.get(argument)
        if isinstance(value, (str, dt.date)):
            moment = pd.Timestamp(value)
            if zone is not None:
                moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment
                moment = moment.tz_convert(zone)
            elif moment.tzinfo is not None:
                moment = moment.tz_convert("UTC").tz_localize(None)
            bounds[argument] = moment.to_pydatetime()
    return bounds


def _translate(
    expectation: Expectation, kwargs: Mapping[str, Any], raw: Mapping[str, Any]
) -> tuple[ExpectationResult, list[int]]:
    found = dict(raw["result"] or {})
    error = _error(raw["exception_info"])
    rows = list(found.pop("unexpected_index_list", None) or ())
    found.pop("unexpected_index_query", None)
    found.pop("partial_unexpected_index_list", None)
    found.pop("unexpected_list", None)
    details = {key: plain(value) for key, value in found.items()}
    unexpected = details.get("unexpected_count")
    if rows and len(set(rows)) != unexpected:
        error = f"Great Expectations counted {unexpected} failing rows but named {len(set(rows))}"
        rows = []
    success = raw["success"] and error is None
    return ExpectationResult.of(expectation, kwargs, details, success=success, engine="gx", error=error), rows


def _error(info: Mapping[str, Any] | None) -> str | None:
    """The messages of GX's exception info, which is one mapping, or one per metric."""
    if not info:
        return None
    entries = [info] if "raised_exception" in info else list(info.values())
    messages = dict.fromkeys(
        str(entry.get("exception_message")).removeprefix("Error: ").strip().rstrip(".")
        for entry in entries
        if entry.get("raised_exception")
    )
    return "; ".join(messages) or None


def plain(value: Any) -> Any:
    """A value of GX, numpy or pandas as plain Python: numbers, text, dates, lists, mappings.

    A NaN stays a float NaN; pandas' NaT and NA become ``None``.
    """
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value) if type(value) in (list, tuple) else list(map(plain, value))
    if isinstance(value, (set, frozenset)):
        return sorted(map(plain, value), key=str)
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime(warn=False) if type(value).__name__ == "Timestamp" else value.to_pydatetime()
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return value.item()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and math.isnan(value):
        return math.nan
    return value

"""Expectations on an aggregate of a column, or on the table.

An aggregate is computed by the very pandas call that Great Expectations makes on the column, because the order in
which floats are added, or values hashed, shows in the result.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd

from dagster_sluice.gates.duckdb.arguments import Arguments, is_number
from dagster_sluice.gates.duckdb.columns import Column, Kind, NotEligible
from dagster_sluice.gates.duckdb.results import between
from dagster_sluice.gates.duckdb.rows import day_bounds
from dagster_sluice.gates.duckdb.rules import TableRule
from dagster_sluice.gates.gx import bounds_of

__all__ = ["TABLE_RULES"]

Found = tuple[bool, dict[str, Any]]

_NUMBERS = (Kind.INTEGER, Kind.FLOAT)
_DISTINCT = 20
"""Great Expectations lists at most this many distinct values (``MAX_DISTINCT_VALUES``)."""


def _statistic(compute: Callable[[pd.Series[Any]], Any], *, moments: bool = False) -> Callable[[Arguments], TableRule]:
    def rule(arguments: Arguments) -> TableRule:
        column = arguments.judged(*_NUMBERS, *([Kind.TIMESTAMP, Kind.DATE] if moments else []))
        if column.kind is Kind.TIMESTAMP:
            low, high = _moments(arguments, column)
        elif column.kind is Kind.DATE:
            low, high = day_bounds(arguments)
        else:
            low, high = arguments.bounds(needed=False)
        strict_low, strict_high = arguments.strict()
        return TableRule(
            compute=lambda: between(
                compute(arguments.source.series(column.name)),
                low,
                high,
                strict_low=strict_low,
                strict_high=strict_high,
            )
        )

    return rule


def _moments(arguments: Arguments, column: Column) -> tuple[Any, Any]:
    zone = getattr(column.dtype, "tz", None)
    try:
        bounds = bounds_of(arguments.kwargs, pd.DataFrame({column.name: pd.Series([], dtype=column.dtype)}))
    except (ValueError, OverflowError) as failure:
        raise NotEligible(f"a bound is no moment: {failure}") from None
    low, high = bounds.get("min_value"), bounds.get("max_value")
    for bound in (low, high):
        if bound is not None and (type(bound) is not dt.datetime or (bound.tzinfo is None) != (zone is None)):
            raise NotEligible("a bound is no moment like those of the column")
    if low is not None and high is not None and low > high:
        raise NotEligible("the lower bound is above the upper one")
    return low, high


def _median(series: pd.Series[Any]) -> Any:
    return series[~series.isna()].median()


def _counted(compute: Callable[[Arguments, Column], Any], *, whole: bool) -> Callable[[Arguments], TableRule]:
    def rule(arguments: Arguments) -> TableRule:
        column = arguments.judged(*_NUMBERS, Kind.STRING, Kind.BOOLEAN, Kind.DATE, Kind.TIMESTAMP)
        low, high = arguments.counts(needed=False) if whole else arguments.bounds(needed=False)
        strict_low, strict_high = arguments.strict()
        return TableRule(
            compute=lambda: between(
                compute(arguments, column), low, high, strict_low=strict_low, strict_high=strict_high
            )
        )

    return rule


def _distinct_count(arguments: Arguments, column: Column) -> int:
    return int(arguments.source.series(column.name).nunique())


def _unique_share(arguments: Arguments, column: Column) -> float:
    judged = arguments.source.rows - column.nulls
    return _distinct_count(arguments, column) / judged if judged > 0 else 0


def _filled_share(arguments: Arguments, column: Column) -> float:
    rows = arguments.source.rows
    return (rows - column.nulls) / rows if rows > 0 else 0


def _set_and_column(arguments: Arguments) -> tuple[Column, set[Any]]:
    column = arguments.judged(*_NUMBERS, Kind.STRING)
    values = arguments.values("value_set")
    fits = all(type(value) is str if column.kind is Kind.STRING else is_number(value) for value in values)
    if not fits:
        raise NotEligible(f"the set holds values that are not plainly of the kind of column {column.name!r}")
    return column, set(values)


def _distinct_rule(*, unexpected: bool, missing: bool) -> Callable[[Arguments], TableRule]:
    def rule(arguments: Arguments) -> TableRule:
        column, values = _set_and_column(arguments)
        if not values:
            raise NotEligible("the set is empty")

        def compute() -> Found:
            there = set(arguments.source.series(column.name).dropna().unique())
            wanted = set(arguments.values("value_set"))
            beyond, lacking = there - wanted, wanted - there
            found: dict[str, Any] = {"observed_value": None}
            if unexpected:
                found["unexpected_count"] = len(beyond)
            if missing:
                found["missing_count"] = len(lacking)
            if unexpected:
                found["partial_unexpected_list"] = sorted(beyond)[:_DISTINCT]
            if missing:
                found["partial_missing_list"] = list(lacking)[:_DISTINCT]
            return not (unexpected and beyond) and not (missing and lacking), found

        return TableRule(compute=compute)

    return rule


def _most_common(arguments: Arguments) -> TableRule:
    column, wanted = _set_and_column(arguments)
    ties = arguments.flag("ties_okay")

    def compute() -> Found:
        common = list(arguments.source.series(column.name).mode().values)
        hits = len(wanted.intersection(common))
        success = hits > 0 if ties else len(common) == 1 and hits == 1
        return success, {"observed_value": common}

    return TableRule(compute=compute)


def _quantiles(arguments: Arguments) -> TableRule:
    column = arguments.judged(*_NUMBERS)
    ranges = arguments.kwargs["quantile_ranges"]
    if not isinstance(ranges, dict) or set(ranges) != {"quantiles", "value_ranges"}:
        raise NotEligible("`quantile_ranges` is no mapping of `quantiles` and `value_ranges`")
    quantiles, wanted = ranges["quantiles"], ranges["value_ranges"]
    lists = isinstance(quantiles, list) and isinstance(wanted, list) and len(quantiles) == len(wanted)
    if not lists or not all(type(quantile) is float and 0 <= quantile <= 1 for quantile in quantiles):
        raise NotEligible("the quantiles are no list of floats from 0 to 1, each with a range")
    if not all(isinstance(item, list) and len(item) == 2 for item in wanted):
        raise NotEligible("a range of values is no list of two")
    if not all(bound is None or is_number(bound) for item in wanted for bound in item):
        raise NotEligible("a range of values has bounds that are no plain numbers")
    relative = arguments.kwargs.get("allow_relative_error", False)
    methods = ("linear", "lower", "higher", "midpoint", "nearest")
    if relative is not False and relative not in methods:
        raise NotEligible(f"`allow_relative_error` is none of {list(methods)}")

    def compute() -> Found:
        series: Any = arguments.source.series(column.name)
        values = series.quantile(quantiles, interpolation=relative or "nearest").tolist()
        inside = [_in_range(value, *item) for value, item in zip(values, wanted, strict=True)]
        return bool(np.all(inside)), {
            "observed_value": {"quantiles": quantiles, "values": values},
            "details": {"success_details": inside},
        }

    return TableRule(compute=compute)


def _in_range(value: Any, low: float | None, high: float | None) -> Any:
    """As Great Expectations has it: within the range, or close to one of its ends."""
    bottom = -np.inf if low is None else float(low)
    top = np.inf if high is None else float(high)
    close = any(
        np.isclose(np.float64(value), np.float64(end), rtol=1.0e-4, atol=1.0e-8, equal_nan=False)
        for end in (bottom, top)
    )
    return close or bottom <= value <= top


def _row_count_between(arguments: Arguments) -> TableRule:
    low, high = arguments.counts(needed=False)
    strict_low, strict_high = arguments.strict()
    rows = arguments.source.rows
    return TableRule(compute=lambda: between(rows, low, high, strict_low=strict_low, strict_high=strict_high))


def _column_count_between(arguments: Arguments) -> TableRule:
    low, high = arguments.bounds(needed=False)
    columns = len(arguments.source.names)
    return TableRule(compute=lambda: between(columns, low, high, strict_low=False, strict_high=False))


def _equal_to(count: Callable[[Arguments], int]) -> Callable[[Arguments], TableRule]:
    def rule(arguments: Arguments) -> TableRule:
        value = arguments.kwargs["value"]
        if type(value) is not int:
            raise NotEligible("`value` is no whole number")
        observed = count(arguments)
        return TableRule(compute=lambda: (observed == value, {"observed_value": observed}))

    return rule


def _column_exists(arguments: Arguments) -> TableRule:
    name = arguments.text("column")
    index = arguments.kwargs.get("column_index")
    names = arguments.source.names
    if not name or (index is not None and (type(index) is not int or index < 0)):
        raise NotEligible("`column` or `column_index` is not plain")
    if index:
        return TableRule(compute=lambda: (index < len(names) and names[index] == name, {}))
    return TableRule(compute=lambda: (name in names, {}))


def _names(arguments: Arguments, argument: str) -> list[str]:
    wanted = arguments.values(argument)
    if not all(type(name) is str for name in wanted):
        raise NotEligible(f"`{argument}` holds something that is no text")
    if not all(type(name) is str for name in arguments.source.names):
        raise NotEligible("the frame has columns whose names are no texts")
    return wanted


def _columns_match_set(arguments: Arguments) -> TableRule:
    wanted = set(_names(arguments, "column_set"))
    exact = arguments.flag("exact_match", default=True)

    def compute() -> Found:
        there = set(arguments.source.names)
        found: dict[str, Any] = {"observed_value": sorted(there)}
        beyond, lacking = sorted(there - wanted), sorted(wanted - there)
        if not beyond and not lacking:
            return True, found
        mismatched = {key: names for key, names in (("unexpected", beyond), ("missing", lacking)) if names}
        found["details"] = {"mismatched": mismatched}
        return not exact and not lacking, found

    return TableRule(compute=compute)


def _columns_match_list(arguments: Arguments) -> TableRule:
    wanted = _names(arguments, "column_list")

    def compute() -> Found:
        there = list(arguments.source.names)
        found: dict[str, Any] = {"observed_value": there}
        if there == wanted:
            return True, found
        found["details"] = {
            "mismatched": [
                {"Expected Column Position": position, "Expected": expected, "Found": name}
                for position, (expected, name) in enumerate(zip_longest(wanted, there))
                if expected != name
            ]
        }
        return False, found

    return TableRule(compute=compute)


TABLE_RULES: dict[str, Callable[[Arguments], TableRule]] = {
    "expect_column_distinct_values_to_be_in_set": _distinct_rule(unexpected=True, missing=False),
    "expect_column_distinct_values_to_contain_set": _distinct_rule(unexpected=False, missing=True),
    "expect_column_distinct_values_to_equal_set": _distinct_rule(unexpected=True, missing=True),
    "expect_column_max_to_be_between": _statistic(lambda series: series.max(), moments=True),
    "expect_column_mean_to_be_between": _statistic(lambda series: series.mean()),
    "expect_column_median_to_be_between": _statistic(_median),
    "expect_column_min_to_be_between": _statistic(lambda series: series.min(), moments=True),
    "expect_column_most_common_value_to_be_in_set": _most_common,
    "expect_column_proportion_of_non_null_values_to_be_between": _counted(_filled_share, whole=False),
    "expect_column_proportion_of_unique_values_to_be_between": _counted(_unique_share, whole=False),
    "expect_column_quantile_values_to_be_between": _quantiles,
    "expect_column_stdev_to_be_between": _statistic(lambda series: series.std()),
    "expect_column_sum_to_be_between": _statistic(lambda series: series.sum()),
    "expect_column_to_exist": _column_exists,
    "expect_column_unique_value_count_to_be_between": _counted(_distinct_count, whole=True),
    "expect_table_column_count_to_be_between": _column_count_between,
    "expect_table_column_count_to_equal": _equal_to(lambda arguments: len(arguments.source.names)),
    "expect_table_columns_to_match_ordered_list": _columns_match_list,
    "expect_table_columns_to_match_set": _columns_match_set,
    "expect_table_row_count_to_be_between": _row_count_between,
    "expect_table_row_count_to_equal": _equal_to(lambda arguments: arguments.source.rows),
}
"""How each expectation on an aggregate or on the table is compiled."""

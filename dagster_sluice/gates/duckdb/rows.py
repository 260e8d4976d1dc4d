"""Expectations on the rows of one column, as conditions in SQL.

Semantics from ``expectations/metrics/column_map_metrics`` of Great Expectations 1.24: NULLs are taken away first, each
remaining value is judged. Hence ``unexpected`` may be NULL where the column is.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dagster_sluice.gates.duckdb.arguments import Arguments, is_exact, is_number
from dagster_sluice.gates.duckdb.columns import Column, Kind, NotEligible
from dagster_sluice.gates.duckdb.regexes import check_regex
from dagster_sluice.gates.duckdb.rules import Flags, Hashes, RowRule, Sql
from dagster_sluice.gates.gx import bounds_of

__all__ = ["COLUMN_RULES", "day_bounds"]

_NUMBERS = (Kind.INTEGER, Kind.FLOAT)
_LISTED_IN_SQL = 64
_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_WIDEST = 2**63


def _rule(arguments: Arguments, column: Column, unexpected: Sql | Callable[[Hashes], Flags]) -> RowRule:
    return RowRule(
        columns=(column.name,),
        mostly=arguments.mostly(),
        unexpected=unexpected,
        judged=arguments.source.rows - column.nulls,
    )


def _sql(column: Column, text: str, *parameters: Any) -> Sql:
    return Sql(text=text, columns=(column.name,), parameters=parameters)


def _not_be_null(arguments: Arguments) -> RowRule:
    name = arguments.column().name
    return RowRule(
        columns=(name,), mostly=arguments.mostly(), judged=None, unexpected=lambda _: arguments.source.nulls(name)
    )


def _be_null(arguments: Arguments) -> RowRule:
    name = arguments.column().name
    return RowRule(
        columns=(name,), mostly=arguments.mostly(), judged=None, unexpected=lambda _: ~arguments.source.nulls(name)
    )


def _be_between(arguments: Arguments) -> RowRule:
    column = arguments.judged(*_NUMBERS, Kind.TIMESTAMP, Kind.DATE)
    strict_low, strict_high = arguments.strict()
    if column.kind in _NUMBERS:
        low, high = arguments.bounds()
        whole = column.kind is Kind.INTEGER
        if whole and not all(bound is None or is_exact(bound) for bound in (low, high)):
            raise NotEligible("bounds from 2**53 on are compared with whole numbers in float64")
        return _rule(arguments, column, _outside(column, low, high, strict_low, strict_high, whole=whole))
    early, late = _days(arguments) if column.kind is Kind.DATE else _moment_bounds(arguments, column)
    if early is None and late is None:
        raise NotEligible("no bound is given")
    if early is not None and late is not None and early > late:
        raise NotEligible("the lower bound is above the upper one")
    return _rule(arguments, column, _outside(column, early, late, strict_low, strict_high, whole=True))


def _outside(
    column: Column, low: float | None, high: float | None, strict_low: bool, strict_high: bool, *, whole: bool
) -> Sql:
    """The condition of lying outside; of a whole number, in whole numbers, so that nothing is rounded."""
    parts: list[str] = []
    parameters: list[Any] = []
    if low is not None:
        parts.append("{0} <= ?" if strict_low else "{0} < ?")
        parameters.append((math.floor(low) if strict_low else math.ceil(low)) if whole else low)
    if high is not None:
        parts.append("{0} >= ?" if strict_high else "{0} > ?")
        parameters.append((math.ceil(high) if strict_high else math.floor(high)) if whole else high)
    if whole and any(not -_WIDEST <= parameter < _WIDEST for parameter in parameters):
        raise NotEligible("a bound lies beyond what 64 bits hold")
    return _sql(column, " OR ".join(parts), *parameters)


def _moment_bounds(arguments: Arguments, column: Column) -> tuple[Any, Any]:
    """Bounds of a timestamp column in its own unit since 1970; fractions where it is coarser than they are."""
    from fractions import Fraction

    zone = getattr(column.dtype, "tz", None)
    empty = pd.DataFrame({column.name: pd.Series([], dtype=column.dtype)})
    try:
        bounds = bounds_of(arguments.kwargs, empty)
    except (ValueError, OverflowError) as failure:
        raise NotEligible(f"a bound is no moment: {failure}") from None
    unit = _NANOSECONDS[np.datetime_data(column.dtype)[0] if zone is None else column.dtype.unit]
    found: list[Any] = []
    for argument in ("min_value", "max_value"):
        value = bounds.get(argument)
        if value is None:
            found.append(None)
            continue
        if type(value) is not dt.datetime or (value.tzinfo is None) != (zone is None):
            raise NotEligible(f"`{argument}` is no moment like those of the column")
        epoch = dt.datetime(1970, 1, 1, tzinfo=None if zone is None else dt.timezone.utc)
        microseconds = (value - epoch) // dt.timedelta(microseconds=1)
        exact = Fraction(microseconds * 1_000, unit)
        found.append(int(exact) if exact.denominator == 1 else exact)
    return found[0], found[1]


def _days(arguments: Arguments) -> tuple[int | None, int | None]:
    first = dt.date(1970, 1, 1)
    early, late = day_bounds(arguments)
    return None if early is None else (early - first).days, None if late is None else (late - first).days


def day_bounds(arguments: Arguments) -> tuple[dt.date | None, dt.date | None]:
    """Both bounds as dates; a text is one if it is written as ISO 8601 has it, as Great Expectations reads it."""
    found: list[dt.date | None] = []
    for argument in ("min_value", "max_value"):
        value = arguments.kwargs.get(argument)
        if type(value) is str and _ISO_DATE.fullmatch(value):
            try:
                value = dt.date.fromisoformat(value)
            except ValueError:
                raise NotEligible(f"`{argument}` is no date") from None
        if value is not None and type(value) is not dt.date:
            raise NotEligible(f"`{argument}` is no date")
        found.append(value)
    return found[0], found[1]


def _be_in_set(arguments: Arguments) -> RowRule:
    return _set_rule(arguments, inside=True)


def _not_be_in_set(arguments: Arguments) -> RowRule:
    return _set_rule(arguments, inside=False)


def _set_rule(arguments: Arguments, *, inside: bool) -> RowRule:
    column = arguments.judged(Kind.INTEGER, Kind.FLOAT, Kind.STRING, Kind.BOOLEAN, Kind.DATE)
    values = arguments.values("value_set")
    fitting = {Kind.STRING: str, Kind.BOOLEAN: bool, Kind.DATE: dt.date}.get(column.kind)
    numeric = is_exact if column.kind is Kind.INTEGER else is_number
    if not all(numeric(value) if fitting is None else type(value) is fitting for value in values):
        raise NotEligible(f"the set holds values that are not plainly of the kind of column {column.name!r}")
    if not values:
        return _rule(arguments, column, _sql(column, "{0} IS NOT NULL" if inside else "FALSE"))
    if len(values) > _LISTED_IN_SQL:
        return _rule(arguments, column, lambda _: _by_membership(arguments, column, values, inside=inside))
    comparable = [_in_scan(value, column.kind) for value in values]
    comparable = [value for value in comparable if value is not None]
    marks = ", ".join("?" for _ in comparable)
    if not comparable:
        return _rule(arguments, column, _sql(column, "{0} IS NOT NULL" if inside else "FALSE"))
    return _rule(arguments, column, _sql(column, f"{{0}} {'NOT IN' if inside else 'IN'} ({marks})", *comparable))


def _in_scan(value: Any, kind: Kind) -> Any:
    """A value of a set as it stands in the scanned column; ``None`` if no such value can stand there."""
    if kind is Kind.DATE:
        return (value - dt.date(1970, 1, 1)).days
    if kind is Kind.FLOAT:
        return float(value)
    if kind is Kind.INTEGER and type(value) is float:
        return int(value) if value.is_integer() else None
    return value


def _by_membership(arguments: Arguments, column: Column, values: list[Any], *, inside: bool) -> Flags:
    if column.kind is Kind.STRING:
        # pandas would turn each value of the set into a scalar of Arrow's, one by one.
        strings = arguments.source.scanned(column.name)
        found = np.asarray(pc.is_in(strings, value_set=pa.array(values, strings.type)), dtype=bool)
    else:
        found = arguments.source.series(column.name).isin(values).to_numpy(dtype=bool)
    flags: Flags = (~found if inside else found) & ~arguments.source.nulls(column.name)
    return flags


def _lengths_between(arguments: Arguments) -> RowRule:
    column = arguments.judged(Kind.STRING)
    low, high = arguments.counts()
    strict_low, strict_high = arguments.strict()
    bounds = _outside(column, low, high, strict_low, strict_high, whole=True)
    return _rule(arguments, column, _sql(column, bounds.text.replace("{0}", "length({0})"), *bounds.parameters))


def _lengths_equal(arguments: Arguments) -> RowRule:
    column = arguments.judged(Kind.STRING)
    length = arguments.number("value")
    if not length.is_integer():
        return _rule(arguments, column, _sql(column, "{0} IS NOT NULL"))
    return _rule(arguments, column, _sql(column, "length({0}) <> ?", int(length)))


def _unique(arguments: Arguments) -> RowRule:
    column = arguments.judged(*_NUMBERS, Kind.STRING, Kind.TIMESTAMP, Kind.DATE)
    return _rule(arguments, column, lambda hashes: _repeated(arguments, column, hashes))


def _repeated(arguments: Arguments, column: Column, hashes: Hashes) -> Flags:
    source = arguments.source
    flags = np.zeros(source.rows, dtype=bool)
    rows = np.flatnonzero(~source.nulls(column.name)) if column.nulls else None
    if column.kind in (Kind.STRING, Kind.DATE):
        # Equal values have equal hashes, so only rows whose hash repeats need to be compared themselves.
        found = hashes.hashes([column.name])
        repeats = pd.Series(found if rows is None else found[rows]).duplicated(keep=False).to_numpy()
        rows = np.flatnonzero(repeats) if rows is None else rows[repeats]
        values = source.take([column.name], rows)[column.name]
    else:
        values = source.series(column.name)
        values = values if rows is None else values.iloc[rows]
    repeats = values.duplicated(keep=False).to_numpy()
    flags[repeats if rows is None else rows[repeats]] = True
    return flags


def _match_regex(arguments: Arguments) -> RowRule:
    return _regex_rule(arguments, [arguments.text("regex")], "NOT regexp_matches({0}, ?)", " OR ")


def _not_match_regex(arguments: Arguments) -> RowRule:
    return _regex_rule(arguments, [arguments.text("regex")], "regexp_matches({0}, ?)", " OR ")


def _match_regex_list(arguments: Arguments) -> RowRule:
    joint = " AND " if arguments.choice("match_on", "any", "all") == "any" else " OR "
    return _regex_rule(arguments, arguments.values("regex_list"), "NOT regexp_matches({0}, ?)", joint)


def _not_match_regex_list(arguments: Arguments) -> RowRule:
    return _regex_rule(arguments, arguments.values("regex_list"), "regexp_matches({0}, ?)", " OR ")


def _regex_rule(arguments: Arguments, patterns: list[Any], condition: str, joint: str) -> RowRule:
    column = arguments.judged(Kind.STRING)
    if not patterns or not all(type(pattern) is str for pattern in patterns):
        raise NotEligible("the patterns are no texts")
    text = arguments.source.text(column.name)
    checked = [check_regex(pattern, text) for pattern in patterns]
    return _rule(arguments, column, _sql(column, joint.join([condition] * len(checked)), *checked))


def _increasing(arguments: Arguments) -> RowRule:
    return _ordered(arguments, rising=True)


def _decreasing(arguments: Arguments) -> RowRule:
    return _ordered(arguments, rising=False)


def _ordered(arguments: Arguments, *, rising: bool) -> RowRule:
    column = arguments.judged(*_NUMBERS, Kind.TIMESTAMP)
    strictly = arguments.flag("strictly")

    def unexpected(_: Hashes) -> Flags:
        def in_order(values: pd.Series[Any]) -> Any:
            steps = values.diff()
            zero: Any = pd.Timedelta(0) if steps.dtype.kind == "m" else 0
            if strictly:
                kept = steps > zero if rising else steps < zero
            else:
                kept = steps >= zero if rising else steps <= zero
            return kept | steps.isna()

        return _computed(arguments, column, in_order)

    return _rule(arguments, column, unexpected)


def _z_scores(arguments: Arguments) -> RowRule:
    column = arguments.judged(*_NUMBERS)
    threshold = arguments.number("threshold")
    both = arguments.flag("double_sided", default=True)

    def unexpected(_: Hashes) -> Flags:
        whole = arguments.source.series(column.name)
        mean, deviation = whole.mean(), whole.std()

        def near(values: pd.Series[Any]) -> Any:
            scores = pd.Series(np.nan, index=values.index) if deviation == 0 else (values - mean) / deviation
            under = scores.abs() < abs(threshold) if both else scores < threshold
            return under | scores.isna()

        return _computed(arguments, column, near)

    return _rule(arguments, column, unexpected)


def _strftime(arguments: Arguments) -> RowRule:
    pattern = arguments.text("strftime_format")

    def parseable(value: str) -> bool:
        try:
            dt.datetime.strptime(value, pattern)  # noqa: DTZ007 (the zone is of no interest)
        except ValueError:
            return False
        return True

    return _by_value(arguments, parseable)


def _json(arguments: Arguments) -> RowRule:
    def parseable(value: str) -> bool:
        try:
            json.loads(value)
        except Exception:  # noqa: BLE001 (as Great Expectations has it)
            return False
        return True

    return _by_value(arguments, parseable)


def _dateutil(arguments: Arguments) -> RowRule:
    from dateutil.parser import parse  # type: ignore[import-untyped]

    def parseable(value: str) -> bool:
        try:
            parse(value)
        except (ValueError, OverflowError):
            return False
        return True

    return _by_value(arguments, parseable)


def _by_value(arguments: Arguments, holds: Callable[[str], bool]) -> RowRule:
    """A rule that only Python can judge: it is asked once for each distinct value."""
    column = arguments.judged(Kind.STRING)

    def unexpected(_: Hashes) -> Flags:
        codes, values = pd.factorize(arguments.source.series(column.name))
        if not all(type(value) is str for value in values):
            raise TypeError("some texts are of a type of their own")
        broken = np.fromiter((not holds(value) for value in values), dtype=bool, count=len(values))
        return np.append(broken, [False])[codes]

    return _rule(arguments, column, unexpected)


def _computed(arguments: Arguments, column: Column, kept: Callable[[pd.Series[Any]], Any]) -> Flags:
    """Rows that are not NULL and for which the very expression of Great Expectations does not hold."""
    series = arguments.source.series(column.name)
    if not column.nulls:
        broken: Flags = ~kept(series).to_numpy(dtype=bool)
        return broken
    rows = np.flatnonzero(~arguments.source.nulls(column.name))
    flags = np.zeros(arguments.source.rows, dtype=bool)
    flags[rows] = ~kept(series.iloc[rows]).to_numpy(dtype=bool)
    return flags


COLUMN_RULES: dict[str, Callable[[Arguments], RowRule]] = {
    "expect_column_value_lengths_to_be_between": _lengths_between,
    "expect_column_value_lengths_to_equal": _lengths_equal,
    "expect_column_value_z_scores_to_be_less_than": _z_scores,
    "expect_column_values_to_be_between": _be_between,
    "expect_column_values_to_be_dateutil_parseable": _dateutil,
    "expect_column_values_to_be_decreasing": _decreasing,
    "expect_column_values_to_be_in_set": _be_in_set,
    "expect_column_values_to_be_increasing": _increasing,
    "expect_column_values_to_be_json_parseable": _json,
    "expect_column_values_to_be_null": _be_null,
    "expect_column_values_to_be_unique": _unique,
    "expect_column_values_to_match_regex": _match_regex,
    "expect_column_values_to_match_regex_list": _match_regex_list,
    "expect_column_values_to_match_strftime_format": _strftime,
    "expect_column_values_to_not_be_in_set": _not_be_in_set,
    "expect_column_values_to_not_be_null": _not_be_null,
    "expect_column_values_to_not_match_regex": _not_match_regex,
    "expect_column_values_to_not_match_regex_list": _not_match_regex_list,
}
"""How each expectation on the rows of one column is compiled."""

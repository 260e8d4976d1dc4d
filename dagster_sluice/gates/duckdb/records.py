"""Expectations on each row by several of its columns.

Semantics from ``expectations/metrics/column_pair_map_metrics`` and ``multicolumn_map_metrics`` of Great Expectations
1.24: rows are ignored as ``ignore_row_if`` says, and what pandas' comparison says of a NULL counts: nothing is greater
than NULL and nothing equals it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from dagster_sluice.gates.duckdb.arguments import Arguments, is_exact
from dagster_sluice.gates.duckdb.columns import Column, Kind, NotEligible
from dagster_sluice.gates.duckdb.rules import Flags, Hashes, RowRule, Shape, Sql

__all__ = ["RECORD_RULES"]

_NUMBERS = {Kind.INTEGER, Kind.FLOAT}
_PAIRS_IN_SQL = 64
_COLUMNS_SUMMED_IN_ORDER = 7


def _domain(columns: Sequence[Column], ignored: str) -> str | None:
    """Which rows are judged, in SQL; ``None`` for all of them."""
    marks = [f"{{{position}}} IS NOT NULL" for position in range(len(columns))]
    if ignored in ("both_values_are_missing", "all_values_are_missing") and all(column.nulls for column in columns):
        return " OR ".join(marks)
    if ignored in ("either_value_is_missing", "any_value_is_missing") and any(column.nulls for column in columns):
        return " AND ".join(marks)
    return None


def _record_rule(
    arguments: Arguments, columns: Sequence[Column], kept: str, ignored: str, *parameters: Any, shape: Shape
) -> RowRule:
    """A rule for a condition that may be NULL where a column is; that breaks the promise."""
    names = tuple(column.name for column in columns)
    domain = _domain(columns, ignored)
    broken = f"NOT coalesce({kept}, FALSE)" if any(column.nulls for column in columns) else f"NOT ({kept})"
    text = broken if domain is None else f"({domain}) AND {broken}"
    return RowRule(
        columns=names,
        shape=shape,
        mostly=arguments.mostly(),
        unexpected=Sql(text=text, columns=names, parameters=parameters),
        judged=arguments.source.rows if domain is None else Sql(text=domain, columns=names),
    )


def _comparable(columns: Sequence[Column]) -> list[str]:
    """The columns in SQL, so that they compare as in pandas."""
    kinds = {column.kind for column in columns}
    marks = [f"{{{position}}}" for position in range(len(columns))]
    if kinds <= _NUMBERS:
        if len({_wide_unsigned(column) for column in columns}) > 1:
            raise NotEligible("signed and unsigned whole numbers are compared in float64 by some versions")
        if any(column.dtype.kind == "f" for column in columns):
            return [f"CAST({mark} AS DOUBLE)" for mark in marks]
        return marks
    if len(kinds) > 1:
        raise NotEligible("the columns are of different kinds")
    if kinds == {Kind.TIMESTAMP} and len({str(column.dtype) for column in columns}) > 1:
        raise NotEligible("the columns count time in different units or zones")
    return marks


def _wide_unsigned(column: Column) -> bool:
    return bool(column.dtype == np.dtype("u8"))


def _ordinary(columns: Sequence[Column]) -> None:
    """Refuses object columns with NULLs, in which None and NaN may be told apart, or cannot be compared."""
    for column in columns:
        if column.nulls and column.dtype == np.dtype("O"):
            raise NotEligible(f"column {column.name!r} is of type object and has NULLs")


def _pair(arguments: Arguments) -> list[Column]:
    kinds = (Kind.INTEGER, Kind.FLOAT, Kind.STRING, Kind.TIMESTAMP, Kind.DATE, Kind.BOOLEAN)
    pair = [arguments.judged(*kinds, argument=argument) for argument in ("column_A", "column_B")]
    if pair[0].name == pair[1].name:
        raise NotEligible("both columns are the same")
    return pair


def _ignored_of_pair(arguments: Arguments) -> str:
    return arguments.choice("ignore_row_if", "both_values_are_missing", "either_value_is_missing", "neither")


def _ignored_of_record(arguments: Arguments) -> str:
    return arguments.choice("ignore_row_if", "all_values_are_missing", "any_value_is_missing", "never")


def _greater(arguments: Arguments) -> RowRule:
    pair = _pair(arguments)
    left, right = _comparable(pair)
    _ordinary(pair)
    if pair[0].kind is Kind.BOOLEAN:
        raise NotEligible("the order of true and false is left to Great Expectations")
    sign = ">=" if arguments.flag("or_equal") else ">"
    return _record_rule(arguments, pair, f"{left} {sign} {right}", _ignored_of_pair(arguments), shape=Shape.PAIR)


def _equal(arguments: Arguments) -> RowRule:
    pair = _pair(arguments)
    left, right = _comparable(pair)
    _ordinary(pair)
    return _record_rule(arguments, pair, f"{left} = {right}", _ignored_of_pair(arguments), shape=Shape.PAIR)


def _pair_in_set(arguments: Arguments) -> RowRule:
    if arguments.kwargs.get("row_condition"):
        # Great Expectations judges all rows, whatever the condition says, and counts only those of the condition.
        raise NotEligible("conditions on rows are overlooked here by Great Expectations")
    pair = _pair(arguments)
    if len({column.dtype.kind for column in pair if column.kind in _NUMBERS}) > 1:
        raise NotEligible("a row of whole and fractional numbers is one of float64")
    wanted = arguments.values("value_pairs_set")
    if len(wanted) > _PAIRS_IN_SQL or not wanted:
        raise NotEligible(f"sets of none or more than {_PAIRS_IN_SQL} pairs are left to Great Expectations")
    parameters: list[Any] = []
    alternatives: list[str] = []
    for item in wanted:
        if not isinstance(item, (list, tuple)) or len(item) != 2:
            raise NotEligible("the set holds something that is no pair")
        for column, value in zip(pair, item, strict=True):
            fits = type(value) is str if column.kind is Kind.STRING else column.kind in _NUMBERS and is_exact(value)
            if value is not None and not fits:
                raise NotEligible("the set holds values that are not plainly of the columns' kinds")
            parameters.append(float(value) if column.kind in _NUMBERS and value is not None else value)
        casts = ["CAST({0} AS DOUBLE)" if pair[0].kind in _NUMBERS else "{0}"]
        casts.append("CAST({1} AS DOUBLE)" if pair[1].kind in _NUMBERS else "{1}")
        alternatives.append(f"({casts[0]} IS NOT DISTINCT FROM ? AND {casts[1]} IS NOT DISTINCT FROM ?)")
    kept = " OR ".join(alternatives)
    return _record_rule(arguments, pair, kept, _ignored_of_pair(arguments), *parameters, shape=Shape.PAIR)


def _values_equal(arguments: Arguments) -> RowRule:
    columns = arguments.columns(Kind.INTEGER, Kind.FLOAT, Kind.STRING, Kind.TIMESTAMP, Kind.DATE)
    first, *others = _comparable(columns)
    kept = " AND ".join(f"({other} IS NOT DISTINCT FROM {first})" for other in others)
    return _record_rule(arguments, columns, kept, _ignored_of_record(arguments), shape=Shape.RECORD)


def _unique_within_record(arguments: Arguments) -> RowRule:
    columns = arguments.columns(Kind.INTEGER, Kind.FLOAT, Kind.STRING, Kind.TIMESTAMP)
    marks = _comparable(columns)
    _ordinary(columns)
    if len({str(column.dtype) for column in columns}) > 1 and columns[0].kind not in _NUMBERS:
        raise NotEligible("the columns are of different types")
    kept = " AND ".join(f"({left} IS DISTINCT FROM {right})" for left, right in combinations(marks, 2))
    return _record_rule(arguments, columns, kept, _ignored_of_record(arguments), shape=Shape.RECORD)


def _compound_unique(arguments: Arguments) -> RowRule:
    columns = arguments.columns(Kind.INTEGER, Kind.FLOAT, Kind.STRING, Kind.TIMESTAMP, Kind.DATE, Kind.BOOLEAN)
    names = [column.name for column in columns]
    ignored = _ignored_of_record(arguments)

    def unexpected(hashes: Hashes) -> Flags:
        rows = _rows_judged(arguments, columns, ignored)
        found = hashes.hashes(names)
        # Equal rows have equal hashes, so only rows whose hash repeats need to be compared themselves.
        repeats = pd.Series(found if rows is None else found[rows]).duplicated(keep=False).to_numpy()
        rows = np.flatnonzero(repeats) if rows is None else rows[repeats]
        flags = np.zeros(arguments.source.rows, dtype=bool)
        if len(rows):
            flags[rows[arguments.source.take(names, rows).duplicated(keep=False).to_numpy()]] = True
        return flags

    return _computed_rule(arguments, columns, unexpected, ignored)


def _sum_equal(arguments: Arguments) -> RowRule:
    columns = arguments.columns(*_NUMBERS)
    total = arguments.number("sum_total")
    ignored = _ignored_of_record(arguments)
    floats = any(column.dtype.kind == "f" for column in columns)
    if len(columns) > _COLUMNS_SUMMED_IN_ORDER and floats:
        raise NotEligible(f"numpy adds more than {_COLUMNS_SUMMED_IN_ORDER} numbers in an order of its own")

    def unexpected(_: Hashes) -> Flags:
        whole = pd.DataFrame({column.name: arguments.source.series(column.name) for column in columns})
        rows = _rows_judged(arguments, columns, ignored)
        judged = whole if rows is None else whole.iloc[rows]
        broken = ~(judged.sum(axis=1, skipna=False) == total).to_numpy(dtype=bool)
        flags = np.zeros(len(whole), dtype=bool)
        flags[slice(None) if rows is None else rows] = broken
        return flags

    return _computed_rule(arguments, columns, unexpected, ignored)


def _rows_judged(arguments: Arguments, columns: Sequence[Column], ignored: str) -> Any:
    if _domain(columns, ignored) is None:
        return None
    missing = [arguments.source.nulls(column.name) for column in columns]
    away = np.logical_and.reduce(missing) if ignored.startswith("all") else np.logical_or.reduce(missing)
    return np.flatnonzero(~away)


def _computed_rule(
    arguments: Arguments, columns: Sequence[Column], unexpected: Callable[[Hashes], Flags], ignored: str
) -> RowRule:
    rows = _rows_judged(arguments, columns, ignored)
    return RowRule(
        columns=tuple(column.name for column in columns),
        shape=Shape.RECORD,
        mostly=arguments.mostly(),
        unexpected=unexpected,
        judged=arguments.source.rows if rows is None else len(rows),
    )


RECORD_RULES: dict[str, Callable[[Arguments], RowRule]] = {
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
    "expect_column_pair_values_to_be_equal": _equal,
    "expect_column_pair_values_to_be_in_set": _pair_in_set,
    "expect_compound_columns_to_be_unique": _compound_unique,
    "expect_multicolumn_sum_to_equal": _sum_equal,
    "expect_multicolumn_values_to_be_equal": _values_equal,
    "expect_select_column_values_to_be_unique_within_record": _unique_within_record,
}
"""How each expectation on several columns of a row is compiled."""

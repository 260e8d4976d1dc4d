"""Checks the arguments of one expectation when it is declared, and gives them the types that it judges with.

Pure: what is wrong comes back as `Problem` values; the caller knows where each argument was written.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagster_sluice.contracts.catalogue import CONDITION_ARGUMENTS, Argument, ExpectationType
from dagster_sluice.contracts.contract import Column, LogicalType
from dagster_sluice.contracts.document import did_you_mean
from dagster_sluice.contracts.own import HISTORICAL, historical_problem
from dagster_sluice.contracts.sql_arguments import check_sql
from dagster_sluice.contracts.values import conform_value

__all__ = ["Columns", "Problem", "conform_arguments"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something wrong with an argument.

    Attributes:
        steps: The way from the arguments to it: ``("value_set", 2)``.
        problem: What is wrong, one sentence.
        mend: What to do, one sentence.
        key: Whether the name of the argument is wrong rather than its value.
    """

    steps: tuple[str | int, ...]
    problem: str
    mend: str = ""
    key: bool = False


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns an expectation may name.

    Attributes:
        table: The table's name, for messages.
        by_name: Columns by the name they have in the warehouse.
        aliases: Other names a contract may call them by (ODCS ``name`` where there is a ``physicalName``).
        timezone: The zone of bounds that name none, for columns whose values carry one.
    """

    table: str
    by_name: Mapping[str, Column]
    aliases: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "UTC"

    def find(self, name: str) -> Column | None:
        """The column called ``name``, by either of its names."""
        return self.by_name.get(name) or self.by_name.get(self.aliases.get(name, name))

    def unknown(self, name: str) -> tuple[str, str]:
        """Problem and mend for a name that no column has."""
        return f"`{self.table}` has no column `{name}`.", did_you_mean(name, [*self.by_name, *self.aliases])


_ORDERED = frozenset({LogicalType.INTEGER, LogicalType.NUMBER, LogicalType.DATE, LogicalType.TIMESTAMP})
_CHOICES: Mapping[Argument, tuple[str, ...]] = {
    Argument.ANY_ALL: ("any", "all"),
    Argument.METHOD: ("iqr", "std"),
    Argument.IGNORE_PAIR: ("both_values_are_missing", "either_value_is_missing", "neither"),
    Argument.IGNORE_ROW: ("all_values_are_missing", "any_value_is_missing", "never"),
}
_PAIR = 2


def conform_arguments(
    kind: ExpectationType, kwargs: Mapping[str, Any], columns: Columns
) -> tuple[dict[str, Any], list[Problem]]:
    """Check the arguments of an expectation against its type and the table's columns.

    Args:
        kind: The expectation's type.
        kwargs: Its arguments as written.
        columns: The columns of its table.

    Returns:
        The arguments with column names resolved and dates made dates, and all that is wrong with them.
    """
    problems = list(_names(kind, kwargs))
    named = kwargs.get("column")
    column = columns.find(named) if isinstance(named, str) else None
    conformed: dict[str, Any] = {}
    for name, value in kwargs.items():
        if name in kind.arguments:
            conformed[name] = _conform(kind.arguments[name], name, value, column, columns, problems)
        elif kind.open or (name in CONDITION_ARGUMENTS and kind.conditional):
            conformed[name] = value
    problems.extend(_condition(conformed, columns))
    if not problems:
        problems.extend(_together(kind, conformed))
    return conformed, problems


def _names(kind: ExpectationType, kwargs: Mapping[str, Any]) -> Iterable[Problem]:
    known = [*kind.arguments, *(sorted(CONDITION_ARGUMENTS) if kind.conditional else ())]
    meant = ""
    for name in kwargs:
        if name in known or kind.open:
            continue
        snake = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()
        mend = f"Great Expectations calls it `{snake}`." if snake in known else did_you_mean(name, known)
        meant += "" if mend.startswith("It is one of") else mend
        yield Problem(steps=(name,), problem=f"`{kind.name}` takes no `{name}`.", mend=mend, key=True)
    for name in sorted(kind.required - set(kwargs)):
        if f"`{name}`" in meant:
            continue
        yield Problem(steps=(), problem=f"`{kind.name}` needs `{name}`.", mend=f"Add it: {kind.arguments[name].value}.")
    nothing = all(kwargs.get(name) is None and f"`{name}`" not in meant for name in kind.one_of)
    if kind.one_of and nothing:
        names = " or ".join(f"`{name}`" for name in kind.one_of)
        yield Problem(steps=(), problem=f"`{kind.name}` promises nothing without {names}.", mend=f"Give {names}.")


def _conform(
    argument: Argument, name: str, value: Any, column: Column | None, columns: Columns, problems: list[Problem]
) -> Any:
    def blame(problem: str, mend: str = "", *steps: str | int) -> None:
        problems.append(Problem(steps=(name, *steps), problem=problem, mend=mend))

    if isinstance(value, Mapping) and "$PARAMETER" in value:
        blame("A gate has no suite parameters to put in here.", "Write the value.")
        return value
    if argument is Argument.COLUMN:
        if not isinstance(value, str):
            blame(f"`{name}` must be {argument.value}.")
            return value
        found = columns.find(value)
        if found is None:
            blame(*columns.unknown(value))
        return found.name if found else value
    if argument is Argument.COLUMNS:
        return _column_list(name, value, columns, blame)
    if argument in (Argument.CONDITION, Argument.QUERY):
        if isinstance(value, str):
            check_sql(argument, name, value, columns.by_name, blame)
        else:
            blame(f"`{name}` must be {argument.value}.")
        return value
    if value is None and argument not in {Argument.VALUES, Argument.PAIRS, Argument.REGEXES, Argument.TEXTS}:
        return value
    if argument is Argument.BOUND:
        return _bound(name, value, column, columns, blame)
    if argument is Argument.VALUES:
        return _value_set(name, value, column, columns, blame)
    _check(argument, name, value, blame)
    return value


def _column_list(name: str, value: Any, columns: Columns, blame: Callable[..., None]) -> Any:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        blame(f"`{name}` must be {Argument.COLUMNS.value}.")
        return value
    names = []
    for place, item in enumerate(value):
        found = columns.find(item)
        if found is None:
            blame(*columns.unknown(item), place)
        elif found.name in names:
            blame(f"Column `{item}` is named twice.", "Name it once.", place)
        names.append(found.name if found else item)
    return names


def _bound(name: str, value: Any, column: Column | None, columns: Columns, blame: Callable[..., None]) -> Any:
    if column is None:
        if isinstance(value, str | bool | list | dict):
            blame(f"`{name}` must be {Argument.BOUND.value}.")
        return value
    if column.type not in _ORDERED:
        blame(
            f"`{column.name}` is a {column.type.value}; Great Expectations has no bounds for that.",
            "Use a regular expression, a length or a set of values." if column.type is LogicalType.STRING else "",
        )
        return value
    conformed, wrong = conform_value(value, column, columns.timezone, bound=True)
    if wrong is not None:
        blame(*wrong)
    return conformed


def _value_set(name: str, value: Any, column: Column | None, columns: Columns, blame: Callable[..., None]) -> Any:
    if isinstance(value, Mapping):
        table, _, other = str(value.get("from", "")).rpartition(".")
        if set(value) != {"from"} or not table or not other:
            blame("A set that lives elsewhere is written `{from: table.column}`.")
        return dict(value)
    if not isinstance(value, list):
        blame(f"`{name}` must be {Argument.VALUES.value}, or `{{from: table.column}}`.")
        return value
    if not [item for item in value if item is not None]:
        blame(f"`{name}` is empty, so no value can be right.", "List the values.")
    conformed = []
    for place, item in enumerate(value):
        if item is None:
            continue
        if column is None:
            if isinstance(item, list | dict):
                blame("A list or mapping is not a value of a set.", "", place)
            conformed.append(item)
            continue
        fitting, wrong = conform_value(item, column, columns.timezone)
        if wrong is not None:
            blame(*wrong, place)
        conformed.append(fitting)
    return conformed


def _check(argument: Argument, name: str, value: Any, blame: Callable[..., None]) -> None:
    texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = isinstance(value, int) and not isinstance(value, bool)
    good = {
        Argument.NUMBER: number and math.isfinite(value),
        Argument.COUNT: whole and value >= 0,
        Argument.POSITIVE: number and math.isfinite(value) and value > 0,
        Argument.SHARE: number and 0 <= value <= 1,
        Argument.FLAG: isinstance(value, bool),
        Argument.TEXT: isinstance(value, str),
        Argument.CHARACTER: isinstance(value, str) and len(value) == 1,
        Argument.REGEX: isinstance(value, str),
        Argument.FORMAT: isinstance(value, str),
        Argument.TEXTS: texts and bool(value),
        Argument.REGEXES: texts and bool(value),
        Argument.PAIRS: isinstance(value, list) and all(isinstance(p, list | tuple) and len(p) == _PAIR for p in value),
        Argument.MAPPING: isinstance(value, dict),
        Argument.QUANTILES: isinstance(value, dict),
        Argument.ERROR: isinstance(value, bool | str),
    }
    if argument in _CHOICES:
        if value not in _CHOICES[argument]:
            blame(f"`{name}` must be {argument.value}.", did_you_mean(str(value), _CHOICES[argument]))
        return
    if not good[argument]:
        shown = f", not `{value}`" if isinstance(value, str | int | float) else ""
        mend = "A percentage is written as a share: 95% is 0.95." if argument is Argument.SHARE and number else ""
        blame(f"`{name}` must be {argument.value}{shown}.", mend)
    elif argument is Argument.REGEX:
        _regex(value, blame)
    elif argument is Argument.REGEXES:
        for place, item in enumerate(value):
            _regex(item, blame, place)
    elif argument is Argument.FORMAT:
        moment = dt.datetime(2024, 2, 29, 13, 14, 15, tzinfo=dt.timezone.utc)
        try:
            dt.datetime.strptime(moment.strftime(value), value)  # noqa: DTZ007
        except (ValueError, re.error) as error:
            blame(f"`{value}` cannot be read back as a date format: {error}.")
    elif argument is Argument.QUANTILES:
        _quantiles(name, value, blame)


def _regex(pattern: str, blame: Callable[..., None], *steps: int) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        blame(f"`{pattern}` is not a regular expression: {error}.", "", *steps)


def _quantiles(name: str, value: Mapping[str, Any], blame: Callable[..., None]) -> None:
    for key in value:
        if key not in {"quantiles", "value_ranges"}:
            blame(f"`{name}` takes no `{key}`.", did_you_mean(str(key), ["quantiles", "value_ranges"]), str(key))
    quantiles, ranges = value.get("quantiles"), value.get("value_ranges")
    if not isinstance(quantiles, list) or not isinstance(ranges, list) or not quantiles:
        blame(f"`{name}` must be {Argument.QUANTILES.value}, both lists.")
        return
    if len(quantiles) != len(ranges):
        blame(f"There are {len(quantiles)} quantiles but {len(ranges)} ranges.", "Give one range for each quantile.")
    for place, item in enumerate(quantiles):
        if isinstance(item, bool) or not isinstance(item, int | float) or not 0 <= item <= 1:
            blame("A quantile is a number from 0 to 1.", "", "quantiles", place)
    for place, pair in enumerate(ranges):
        if not isinstance(pair, list) or len(pair) != _PAIR or not all(_number_or_none(item) for item in pair):
            blame("A range is a list of two numbers.", "", "value_ranges", place)
        elif None not in pair and pair[0] > pair[1]:
            blame(f"The range begins at {pair[0]} and ends at {pair[1]}.", "Swap them.", "value_ranges", place)


def _number_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))


def _condition(kwargs: Mapping[str, Any], columns: Columns) -> Iterable[Problem]:
    condition = kwargs.get("row_condition")
    if condition is not None and not isinstance(condition, str | dict):
        yield Problem(steps=("row_condition",), problem="`row_condition` must be a text or a mapping.")
    if isinstance(condition, str) and kwargs.get("condition_parser") is None:
        yield Problem(
            steps=("row_condition",),
            problem="A `row_condition` written as text needs to say who reads it.",
            mend="Add `condition_parser: great_expectations`.",
        )
    parser = kwargs.get("condition_parser")
    parsers = ("great_expectations", "great_expectations__experimental__", "pandas", "spark")
    if parser is not None and parser not in parsers:
        yield Problem(
            steps=("condition_parser",),
            problem=f"There is no condition parser `{parser}`.",
            mend=did_you_mean(str(parser), parsers),
        )
    for name in _condition_columns(condition):
        if columns.find(name) is None:
            problem, mend = columns.unknown(name)
            yield Problem(steps=("row_condition",), problem=problem, mend=mend)


def _condition_columns(condition: Any) -> Iterable[str]:
    if not isinstance(condition, dict):
        return
    column = condition.get("column")
    if isinstance(column, dict) and isinstance(column.get("name"), str):
        yield column["name"]
    inner = condition.get("conditions")
    for part in inner if isinstance(inner, Sequence) else ():
        yield from _condition_columns(part)


def _together(kind: ExpectationType, kwargs: Mapping[str, Any]) -> Iterable[Problem]:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is not None and high is not None:
        try:
            empty = low > high or (low == high and bool(kwargs.get("strict_min") or kwargs.get("strict_max")))
        except TypeError:
            yield Problem(steps=("max_value",), problem=f"`{low}` and `{high}` cannot be compared with each other.")
        else:
            if empty:
                problem = f"No value lies between {low} and {high}."
                yield Problem(steps=("min_value",), problem=problem, mend="Swap or widen the bounds.")
    if kind.name in HISTORICAL and (wrong := historical_problem(kind.name, kwargs)) is not None:
        yield Problem(steps=(), problem=f"`{kind.name}`: {wrong}")
    names = kwargs.get("column_list")
    if isinstance(names, list) and kind.kind.value == "multicolumn" and len(names) < _PAIR:
        yield Problem(steps=("column_list",), problem="`column_list` needs two columns or more.")
    first, second = kwargs.get("column_A"), kwargs.get("column_B")
    if first is not None and first == second:
        yield Problem(steps=("column_B",), problem=f"`column_A` and `column_B` are both `{first}`.")

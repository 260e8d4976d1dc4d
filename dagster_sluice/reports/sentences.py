"""What an expectation promises, as an English sentence for people who never heard of Great Expectations. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dagster_sluice.contracts.own import LAST
from dagster_sluice.reports.text import clean, code, joined, listed, number, percent, spelled

__all__ = ["CONFORMS", "columns_named", "promise", "scope"]

_Kwargs = Mapping[str, Any]

CONFORMS = "conforms"
"""The promise that every table makes of its types; see ``tables/naming.py``."""


def promise(type_name: str, kwargs: _Kwargs | None) -> str:
    """The promise in one sentence without its full stop; names in it are marked by `dagster_sluice.reports.text.code`.

    Args:
        type_name: Type of the expectation.
        kwargs: Its arguments, ``None`` if they are not known; a set from another table is ``{"from": "table.column"}``.

    Returns:
        For a type nobody has put into words, the words of its name, and its arguments.
    """
    if type_name == CONFORMS:
        return "each value is of the type that its column promises"
    say = _SAYINGS.get(type_name)
    if say is None or kwargs is None:
        return _unknown(type_name, kwargs or {})
    try:
        said = say(kwargs)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        # Arguments that nobody foresaw are told as they are.
        return _unknown(type_name, kwargs)
    mostly = kwargs.get("mostly")
    if isinstance(mostly, (int, float)) and mostly < 1:
        said += f", in at least {percent(mostly)} of the rows"
    return said


def scope(kwargs: _Kwargs) -> str:
    """Which rows are judged, where it is not every row; else an empty text."""
    said = []
    condition = kwargs.get("row_condition")
    if condition:
        said.append(f"Only rows for which {code(_text(condition))} holds are judged.")
    said.extend(filter(None, [_IGNORED.get(str(kwargs.get("ignore_row_if")), "")]))
    return " ".join(said)


def columns_named(kwargs: _Kwargs) -> list[str]:
    """The columns that the arguments name, each once."""
    named = [kwargs.get(argument) for argument in ("column", "column_A", "column_B")]
    for argument in ("column_list", "column_set"):
        several = kwargs.get(argument)
        named += list(several) if isinstance(several, (list, tuple, set)) else []
    return list(dict.fromkeys(name for name in named if isinstance(name, str)))


_IGNORED = {
    "both_values_are_missing": "Rows in which both are missing are not judged.",
    "either_value_is_missing": "Rows in which one is missing are not judged.",
    "all_values_are_missing": "Rows in which all are missing are not judged.",
    "any_value_is_missing": "Rows in which one is missing are not judged.",
}


def _unknown(type_name: str, kwargs: _Kwargs) -> str:
    words = clean(type_name.removeprefix("expect_").replace("_", " "))
    told = [
        f"{clean(str(name), 40).replace('_', ' ')} {_text(value)}"
        for name, value in kwargs.items()
        if value is not None
    ]
    return f"{words}{': ' if told else ''}{', '.join(told)}"


def _text(value: Any) -> str:
    if isinstance(value, Mapping) and isinstance(value.get("condition"), str):
        return spelled(value["condition"])
    return spelled(value, grouped=True)


def _column(kwargs: _Kwargs, argument: str = "column") -> str:
    return code(kwargs[argument])


def _columns(kwargs: _Kwargs, last: str = "and") -> str:
    return joined([code(name) for name in kwargs["column_list"]], last)


def _bounds(
    kwargs: _Kwargs,
    spell: Callable[[Any], str],
    *,
    verb: str = "is",
    between: str = "lies between",
) -> str:
    """``lies between 1 and 5``, ``is at least 1``, ``is more than 1 and at most 5``."""
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    above = f"{'more than' if kwargs.get('strict_min') else 'at least'} {spell(low)}" if low is not None else ""
    below = f"{'less than' if kwargs.get('strict_max') else 'at most'} {spell(high)}" if high is not None else ""
    if above and below and not kwargs.get("strict_min") and not kwargs.get("strict_max"):
        return f"is {spell(low)}" if low == high else f"{between} {spell(low)} and {spell(high)}"
    if not above and not below:
        return "can be anything"
    return f"{verb} {joined([part for part in (above, below) if part])}"


def _value(kwargs: _Kwargs) -> Callable[[Any], str]:
    # A year is a number that nobody groups.
    grouped = "year" not in str(kwargs.get("column", "")).lower()
    return lambda value: spelled(value, grouped=grouped)


def _number(value: Any) -> str:
    return number(value) if isinstance(value, (int, float)) else spelled(value)


def _share(value: Any) -> str:
    return percent(value) if isinstance(value, (int, float)) else spelled(value)


def _between(kwargs: _Kwargs) -> str:
    return f"{_column(kwargs)} {_bounds(kwargs, _value(kwargs))}"


def _aggregate(what: str, spell: Callable[[Any], str] | None = None) -> Callable[[_Kwargs], str]:
    def say(kwargs: _Kwargs) -> str:
        return f"{what} {_column(kwargs)} {_bounds(kwargs, spell or _value(kwargs))}"

    return say


def _set(kwargs: _Kwargs, last: str = "or") -> str:
    values = kwargs["value_set"]
    if isinstance(values, Mapping):
        table, _, column = str(values["from"]).rpartition(".")
        return f"the values of {code(column)} in {code(table)}"
    return listed(values, last=last)


def _in_set(kwargs: _Kwargs) -> str:
    values = kwargs["value_set"]
    if isinstance(values, Mapping):
        return f"{_column(kwargs)} is one of {_set(kwargs)}"
    return f"{_column(kwargs)} is {'one of ' if len(list(values)) > 1 else ''}{_set(kwargs)}"


def _not_in_set(kwargs: _Kwargs) -> str:
    several = isinstance(kwargs["value_set"], Mapping) or len(list(kwargs["value_set"])) > 1
    return f"{_column(kwargs)} is {'none of' if several else 'never'} {_set(kwargs)}"


def _pattern(kwargs: _Kwargs, argument: str = "regex") -> str:
    return code(kwargs[argument])


def _patterns(kwargs: _Kwargs, argument: str, word: str) -> str:
    given = [code(item) for item in kwargs[argument]]
    shown = given[:5] + ([f"{len(given) - 5} more"] if len(given) > 5 else [])
    return f"{word} {joined(shown, 'and' if word.startswith('all') else 'or')}"


def _matching(kwargs: _Kwargs) -> str:
    return "all of" if kwargs.get("match_on") == "all" else "one of"


def _lengths(kwargs: _Kwargs) -> str:
    return f"{_column(kwargs)} {_bounds(kwargs, _number, between='is between')} characters long"


def _unique(kwargs: _Kwargs) -> str:
    return f"no value of {_column(kwargs)} occurs twice"


def _present(kwargs: _Kwargs) -> str:
    mostly = kwargs.get("mostly")
    allowed = isinstance(mostly, (int, float)) and mostly < 1
    return f"{_column(kwargs)} has a value" if allowed else f"{_column(kwargs)} is never missing"


def _moving(word: str, strictly: str) -> Callable[[_Kwargs], str]:
    return lambda kwargs: f"{_column(kwargs)} {strictly if kwargs.get('strictly') else word} from row to row"


def _pair_greater(kwargs: _Kwargs) -> str:
    than = "is never less than" if kwargs.get("or_equal") else "is greater than"
    return f"{_column(kwargs, 'column_A')} {than} {_column(kwargs, 'column_B')}"


def _pair_in_set(kwargs: _Kwargs) -> str:
    return (
        f"{_column(kwargs, 'column_A')} and {_column(kwargs, 'column_B')} together are one of"
        f" {listed(kwargs['value_pairs_set'], 4)}"
    )


def _z_score(kwargs: _Kwargs) -> str:
    side = "away from" if kwargs.get("double_sided") else "above"
    return f"{_column(kwargs)} is less than {_number(kwargs['threshold'])} standard deviations {side} its mean"


def _outliers(kwargs: _Kwargs) -> str:
    by = "standard deviations" if kwargs.get("method") == "std" else "interquartile ranges"
    return f"{_column(kwargs)} has no outliers (more than {_number(kwargs.get('multiplier') or 1.5)} {by} away)"


def _quantiles(kwargs: _Kwargs) -> str:
    asked = kwargs["quantile_ranges"]
    said = [
        f"{percent(quantile)} of the values are at most a number that"
        f" {_bounds({'min_value': low, 'max_value': high}, _value(kwargs))}"
        for quantile, (low, high) in zip(asked["quantiles"], asked["value_ranges"], strict=True)
    ]
    return f"of {_column(kwargs)}, {joined(said[:4])}"


def _column_there(kwargs: _Kwargs) -> str:
    place = kwargs.get("column_index")
    return f"there is a column {_column(kwargs)}" + (f", the {place + 1}. from the left" if place is not None else "")


def _all_columns(kwargs: _Kwargs) -> str:
    given = [code(name) for name in kwargs.get("column_list") or kwargs.get("column_set") or ()]
    shown = given[:12] + ([f"{len(given) - 12} more"] if len(given) > 12 else [])
    if "column_set" in kwargs and kwargs.get("exact_match") is False:
        return f"there are at least the columns {joined(shown)}"
    return f"the columns are {joined(shown)}{', in this order' if 'column_list' in kwargs else ''}"


def _row_count(kwargs: _Kwargs) -> str:
    return f"the number of rows {_bounds(kwargs, _number)}"


def _query_value(kwargs: _Kwargs) -> str:
    where = "outside of what" if kwargs.get("outside") else "that"
    return f"{code(kwargs['query'])} gives a number {where} {_bounds(kwargs, _number)}"


def _near_median(kwargs: _Kwargs, *, share: bool) -> str:
    limits = []
    if kwargs.get("within") is not None:
        points = "" if share else " points"
        limits.append(f"{percent(kwargs['within'])}{points}")
    if kwargs.get("deviations") is not None:
        limits.append(f"{_number(kwargs['deviations'])} deviations")
    return f"is within {joined(limits, 'or')} of the median of the last {_number(kwargs.get('last') or LAST)}"


def _unchanged(kwargs: _Kwargs) -> str:
    allowed = [clean(str(word), 40) for word in kwargs.get("allow") or ()]
    but = f" (they may be {joined(allowed, 'or')})" if allowed else ""
    return f"the columns are those of last time{but}"


_SAYINGS: Mapping[str, Callable[[_Kwargs], str]] = {
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_not_be_in_set": _not_in_set,
    "expect_column_values_to_be_null": lambda k: f"{_column(k)} is always empty",
    "expect_column_values_to_not_be_null": _present,
    "expect_column_values_to_be_unique": _unique,
    "expect_column_values_to_be_increasing": _moving("never falls", "rises"),
    "expect_column_values_to_be_decreasing": _moving("never rises", "falls"),
    "expect_column_values_to_be_of_type": lambda k: f"{_column(k)} is of the type {code(k['type_'])}",
    "expect_column_values_to_be_in_type_list": lambda k: (
        f"{_column(k)} is of one of the types {joined([code(name) for name in k['type_list']], 'or')}"
    ),
    "expect_column_values_to_be_dateutil_parseable": lambda k: f"{_column(k)} can be read as a date",
    "expect_column_values_to_match_strftime_format": lambda k: (
        f"{_column(k)} is a date or time written as {code(k['strftime_format'])}"
    ),
    "expect_column_values_to_be_json_parseable": lambda k: f"{_column(k)} is valid JSON",
    "expect_column_values_to_match_json_schema": lambda k: f"{_column(k)} is JSON of the promised shape",
    "expect_column_values_to_match_regex": lambda k: f"{_column(k)} matches the pattern {_pattern(k)}",
    "expect_column_values_to_not_match_regex": lambda k: f"{_column(k)} never matches the pattern {_pattern(k)}",
    "expect_column_values_to_match_regex_list": lambda k: (
        f"{_column(k)} matches {_patterns(k, 'regex_list', _matching(k) + ' the patterns')}"
    ),
    "expect_column_values_to_not_match_regex_list": lambda k: (
        f"{_column(k)} matches {_patterns(k, 'regex_list', 'none of the patterns')}"
    ),
    "expect_column_values_to_match_like_pattern": lambda k: (
        f"{_column(k)} matches the pattern {_pattern(k, 'like_pattern')}"
    ),
    "expect_column_values_to_not_match_like_pattern": lambda k: (
        f"{_column(k)} never matches the pattern {_pattern(k, 'like_pattern')}"
    ),
    "expect_column_values_to_match_like_pattern_list": lambda k: (
        f"{_column(k)} matches {_patterns(k, 'like_pattern_list', _matching(k) + ' the patterns')}"
    ),
    "expect_column_values_to_not_match_like_pattern_list": lambda k: (
        f"{_column(k)} matches {_patterns(k, 'like_pattern_list', 'none of the patterns')}"
    ),
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_value_lengths_to_equal": lambda k: f"{_column(k)} is {_number(k['value'])} characters long",
    "expect_column_value_z_scores_to_be_less_than": _z_score,
    "expect_column_values_to_not_be_outliers": _outliers,
    "expect_column_pair_values_a_to_be_greater_than_b": _pair_greater,
    "expect_column_pair_values_to_be_equal": lambda k: (
        f"{_column(k, 'column_A')} and {_column(k, 'column_B')} are equal"
    ),
    "expect_column_pair_values_to_be_in_set": _pair_in_set,
    "expect_compound_columns_to_be_unique": lambda k: f"no two rows have the same {_columns(k)}",
    "expect_multicolumn_sum_to_equal": lambda k: f"{_columns(k)} add up to {_number(k['sum_total'])}",
    "expect_multicolumn_values_to_be_equal": lambda k: f"{_columns(k)} are equal",
    "expect_select_column_values_to_be_unique_within_record": lambda k: f"{_columns(k)} differ from each other",
    "expect_column_max_to_be_between": _aggregate("the largest"),
    "expect_column_min_to_be_between": _aggregate("the smallest"),
    "expect_column_mean_to_be_between": _aggregate("the mean of"),
    "expect_column_median_to_be_between": _aggregate("the median of"),
    "expect_column_sum_to_be_between": _aggregate("the sum of"),
    "expect_column_stdev_to_be_between": _aggregate("the standard deviation of", _number),
    "expect_column_unique_value_count_to_be_between": _aggregate("the number of different values of", _number),
    "expect_column_proportion_of_unique_values_to_be_between": _aggregate("the share of different values in", _share),
    "expect_column_proportion_of_non_null_values_to_be_between": _aggregate(
        "the share of rows that have a value in", _share
    ),
    "expect_column_quantile_values_to_be_between": _quantiles,
    "expect_column_most_common_value_to_be_in_set": lambda k: f"the most common {_column(k)} is one of {_set(k)}",
    "expect_column_distinct_values_to_be_in_set": lambda k: f"only these occur in {_column(k)}: {_set(k, 'and')}",
    "expect_column_distinct_values_to_contain_set": lambda k: f"each of these occurs in {_column(k)}: {_set(k, 'and')}",
    "expect_column_distinct_values_to_equal_set": lambda k: (
        f"exactly these occur in {_column(k)}, each at least once: {_set(k, 'and')}"
    ),
    "expect_column_kl_divergence_to_be_less_than": lambda k: (
        f"the values of {_column(k)} are distributed as expected (a divergence below {_number(k['threshold'])})"
    ),
    "expect_column_to_exist": _column_there,
    "expect_column_type_to_be": lambda k: f"{_column(k)} is of the type {code(k['type_'])}",
    "expect_query_results_to_match_comparison": lambda k: (
        f"{code(k['base_query'])} gives the same as {code(k['comparison_query'])}"
        f" in {code(k['comparison_data_source_name'])}"
    ),
    "expect_table_column_count_to_be_between": lambda k: f"the number of columns {_bounds(k, _number)}",
    "expect_table_column_count_to_equal": lambda k: f"there are {_number(k['value'])} columns",
    "expect_table_columns_to_match_ordered_list": _all_columns,
    "expect_table_columns_to_match_set": _all_columns,
    "expect_table_row_count_to_be_between": _row_count,
    "expect_table_row_count_to_equal": lambda k: f"there are {_number(k['value'])} rows",
    "expect_table_row_count_to_equal_other_table": lambda k: (
        f"there are as many rows as in {code(k['other_table_name'])}"
    ),
    "expect_rows_to_satisfy": lambda k: f"each row satisfies {code(k['condition'])}",
    "expect_query_value_to_be_between": _query_value,
    "expect_table_row_count_to_be_near_median": lambda k: f"the number of rows {_near_median(k, share=True)}",
    "expect_column_null_share_to_be_near_median": lambda k: (
        f"the share of rows without a value in {_column(k)} {_near_median(k, share=False)}"
    ),
    "expect_table_schema_to_be_unchanged": _unchanged,
    "unexpected_rows_expectation": lambda k: f"no row is found by {code(k['unexpected_rows_query'])}",
}

"""Which expectations exist, as plain data.

Importing Great Expectations takes 4 to 8 seconds, far too long for reading a contract, so what is needed to check a
declaration stands here: every core expectation of Great Expectations 1.24, its arguments, and what it judges.
``tests/upstream/test_gx_catalogue.py`` proves that this page equals what the installed version really has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["CATALOGUE", "CONDITION_ARGUMENTS", "Argument", "ExpectationType", "Kind", "short_name"]


class Kind(str, Enum):
    """What an expectation judges, after the base class it has in Great Expectations."""

    ROW = "row"
    """Each value of one column."""
    PAIR = "pair"
    """Each row, by two of its columns."""
    MULTICOLUMN = "multicolumn"
    """Each row, by several of its columns."""
    AGGREGATE = "aggregate"
    """One number, or one set, taken from a column."""
    TABLE = "table"
    """The table as a whole."""


class Argument(str, Enum):
    """What an argument takes."""

    COLUMN = "a column name"
    COLUMNS = "a list of column names"
    BOUND = "a number, a date or a timestamp"
    NUMBER = "a number"
    COUNT = "a whole number, 0 or more"
    POSITIVE = "a number above 0"
    SHARE = "a number from 0 to 1"
    FLAG = "true or false"
    TEXT = "a text"
    CHARACTER = "a single character"
    REGEX = "a regular expression"
    FORMAT = "a strftime format"
    TEXTS = "a list of texts"
    REGEXES = "a list of regular expressions"
    VALUES = "a list of values"
    PAIRS = "a list of pairs of values"
    MAPPING = "a mapping"
    CONDITION = "a condition in SQL, as behind WHERE"
    QUERY = "a SELECT on `{batch}`"
    QUANTILES = "a mapping with `quantiles` and `value_ranges`"
    ERROR = "true, false or a text"
    ANY_ALL = "`any` or `all`"
    METHOD = "`iqr` or `std`"
    IGNORE_PAIR = "`both_values_are_missing`, `either_value_is_missing` or `neither`"
    IGNORE_ROW = "`all_values_are_missing`, `any_value_is_missing` or `never`"


@dataclass(frozen=True, kw_only=True)
class ExpectationType:
    """One type of expectation: what may be said of it in a contract.

    Attributes:
        name: As Great Expectations registers it, ``"expect_column_values_to_be_in_set"``.
        kind: What it judges.
        arguments: What it takes, beside the two condition arguments.
        required: Arguments it cannot do without.
        one_of: Arguments of which at least one must be given, or the expectation promises nothing.
        conditional: Whether it takes `CONDITION_ARGUMENTS`.
        marks_rows: Whether a failure points at rows, so that they can be quarantined.
        open: Whether it takes arguments that are not known here.
    """

    name: str
    kind: Kind
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    one_of: tuple[str, ...] = ()
    conditional: bool = True
    marks_rows: bool = False
    open: bool = False


CONDITION_ARGUMENTS = frozenset({"row_condition", "condition_parser"})
"""Taken by every conditional expectation: it then judges only the rows for which the condition holds."""

_ARGUMENTS = {
    "allow_relative_error": Argument.ERROR,
    "base_query": Argument.TEXT,
    "bucketize_data": Argument.FLAG,
    "column": Argument.COLUMN,
    "column_A": Argument.COLUMN,
    "column_B": Argument.COLUMN,
    "column_index": Argument.COUNT,
    "column_list": Argument.COLUMNS,
    "column_set": Argument.COLUMNS,
    "comparison_data_source_name": Argument.TEXT,
    "comparison_query": Argument.TEXT,
    "double_sided": Argument.FLAG,
    "escape": Argument.CHARACTER,
    "exact_match": Argument.FLAG,
    "internal_weight_holdout": Argument.SHARE,
    "json_schema": Argument.MAPPING,
    "like_pattern": Argument.TEXT,
    "like_pattern_list": Argument.TEXTS,
    "match_on": Argument.ANY_ALL,
    "max_value": Argument.BOUND,
    "method": Argument.METHOD,
    "min_value": Argument.BOUND,
    "mostly": Argument.SHARE,
    "multiplier": Argument.POSITIVE,
    "or_equal": Argument.FLAG,
    "other_table_name": Argument.TEXT,
    "partition_object": Argument.MAPPING,
    "quantile_ranges": Argument.QUANTILES,
    "regex": Argument.REGEX,
    "regex_list": Argument.REGEXES,
    "strftime_format": Argument.FORMAT,
    "strict_max": Argument.FLAG,
    "strict_min": Argument.FLAG,
    "strictly": Argument.FLAG,
    "sum_total": Argument.NUMBER,
    "tail_weight_holdout": Argument.SHARE,
    "threshold": Argument.NUMBER,
    "ties_okay": Argument.FLAG,
    "type_": Argument.TEXT,
    "type_list": Argument.TEXTS,
    "unexpected_rows_query": Argument.QUERY,
    "value_pairs_set": Argument.PAIRS,
    "value_set": Argument.VALUES,
}
_BOUNDS = "min_value max_value"
_STRICT_BOUNDS = "min_value max_value strict_min strict_max"
_UNMARKED = frozenset({"expect_column_values_to_be_in_type_list", "expect_column_values_to_be_of_type"})
"""Column map expectations by class, yet on typed data they judge the column's type, not its rows."""


def _types(
    kind: Kind,
    table: Mapping[str, str],
    *,
    always: str = "",
    number: Argument = Argument.BOUND,
    conditional: bool = True,
) -> dict[str, ExpectationType]:
    """Expectation types of one kind, from lines such as ``"value_set! ties_okay"``.

    ``!`` marks what is required; ``|`` marks that one of those so marked must be given; ``number`` is what bounds and
    ``value`` take.
    """
    types = {}
    for name, line in table.items():
        words = [*always.split(), *line.split()]
        bare = [word.rstrip("!|") for word in words]
        own = {**_ARGUMENTS, "min_value": number, "max_value": number, "value": number}
        arguments = {argument: own[argument] for argument in bare}
        if kind is Kind.PAIR:
            arguments["ignore_row_if"] = Argument.IGNORE_PAIR
        elif kind is Kind.MULTICOLUMN:
            arguments["ignore_row_if"] = Argument.IGNORE_ROW
        one_of = tuple(word[:-1] for word in words if word.endswith("|"))
        if "min_value" in bare and not one_of:
            one_of = ("min_value", "max_value")
        types[name] = ExpectationType(
            name=name,
            kind=kind,
            arguments=arguments,
            required=frozenset(word[:-1] for word in words if word.endswith("!")),
            one_of=one_of,
            conditional=conditional,
            marks_rows=kind in {Kind.ROW, Kind.PAIR, Kind.MULTICOLUMN} and name not in _UNMARKED,
        )
    return types


CATALOGUE: Mapping[str, ExpectationType] = {
    **_types(
        Kind.ROW,
        {
            "expect_column_value_z_scores_to_be_less_than": "threshold! double_sided!",
            "expect_column_values_to_be_between": _STRICT_BOUNDS,
            "expect_column_values_to_be_dateutil_parseable": "",
            "expect_column_values_to_be_decreasing": "strictly",
            "expect_column_values_to_be_in_set": "value_set!",
            "expect_column_values_to_be_in_type_list": "type_list|",
            "expect_column_values_to_be_increasing": "strictly",
            "expect_column_values_to_be_json_parseable": "",
            "expect_column_values_to_be_null": "",
            "expect_column_values_to_be_of_type": "type_!",
            "expect_column_values_to_be_unique": "",
            "expect_column_values_to_match_json_schema": "json_schema!",
            "expect_column_values_to_match_like_pattern": "like_pattern! escape",
            "expect_column_values_to_match_like_pattern_list": "like_pattern_list! match_on escape",
            "expect_column_values_to_match_regex": "regex|",
            "expect_column_values_to_match_regex_list": "regex_list! match_on",
            "expect_column_values_to_match_strftime_format": "strftime_format!",
            "expect_column_values_to_not_be_in_set": "value_set!",
            "expect_column_values_to_not_be_null": "",
            "expect_column_values_to_not_be_outliers": "method multiplier",
            "expect_column_values_to_not_match_like_pattern": "like_pattern! escape",
            "expect_column_values_to_not_match_like_pattern_list": "like_pattern_list! escape",
            "expect_column_values_to_not_match_regex": "regex!",
            "expect_column_values_to_not_match_regex_list": "regex_list!",
        },
        always="column! mostly",
    ),
    **_types(
        Kind.ROW,
        {
            "expect_column_value_lengths_to_be_between": _STRICT_BOUNDS,
            "expect_column_value_lengths_to_equal": "value!",
        },
        always="column! mostly",
        number=Argument.COUNT,
    ),
    **_types(
        Kind.PAIR,
        {
            "expect_column_pair_values_a_to_be_greater_than_b": "or_equal",
            "expect_column_pair_values_to_be_equal": "",
            "expect_column_pair_values_to_be_in_set": "value_pairs_set!",
        },
        always="column_A! column_B! mostly",
    ),
    **_types(
        Kind.MULTICOLUMN,
        {
            "expect_compound_columns_to_be_unique": "",
            "expect_multicolumn_sum_to_equal": "sum_total!",
            "expect_multicolumn_values_to_be_equal": "",
            "expect_select_column_values_to_be_unique_within_record": "",
        },
        always="column_list! mostly",
    ),
    **_types(
        Kind.AGGREGATE,
        {
            "expect_column_distinct_values_to_be_in_set": "value_set!",
            "expect_column_distinct_values_to_contain_set": "value_set!",
            "expect_column_distinct_values_to_equal_set": "value_set!",
            "expect_column_kl_divergence_to_be_less_than": (
                "partition_object threshold| internal_weight_holdout tail_weight_holdout bucketize_data " + _BOUNDS
            ),
            "expect_column_max_to_be_between": _STRICT_BOUNDS,
            "expect_column_mean_to_be_between": _STRICT_BOUNDS,
            "expect_column_median_to_be_between": _STRICT_BOUNDS,
            "expect_column_min_to_be_between": _STRICT_BOUNDS,
            "expect_column_most_common_value_to_be_in_set": "value_set! ties_okay",
            "expect_column_quantile_values_to_be_between": "quantile_ranges! allow_relative_error",
            "expect_column_sum_to_be_between": _STRICT_BOUNDS,
        },
        always="column!",
    ),
    **_types(
        Kind.AGGREGATE,
        {"expect_column_stdev_to_be_between": _STRICT_BOUNDS},
        always="column!",
        number=Argument.NUMBER,
    ),
    **_types(
        Kind.AGGREGATE,
        {
            "expect_column_proportion_of_non_null_values_to_be_between": _STRICT_BOUNDS,
            "expect_column_proportion_of_unique_values_to_be_between": _STRICT_BOUNDS,
        },
        always="column!",
        number=Argument.SHARE,
    ),
    **_types(
        Kind.AGGREGATE,
        {"expect_column_unique_value_count_to_be_between": _STRICT_BOUNDS},
        always="column!",
        number=Argument.COUNT,
    ),
    **_types(
        Kind.TABLE,
        {
            "expect_column_to_exist": "column! column_index",
            "expect_column_type_to_be": "column! type_!",
            "expect_query_results_to_match_comparison": (
                "base_query! comparison_data_source_name! comparison_query! mostly"
            ),
            "expect_table_column_count_to_be_between": _BOUNDS,
            "expect_table_column_count_to_equal": "value!",
            "expect_table_columns_to_match_ordered_list": "column_list|",
            "expect_table_columns_to_match_set": "column_set| exact_match",
            "unexpected_rows_expectation": "unexpected_rows_query!",
        },
        number=Argument.COUNT,
        conditional=False,
    ),
    **_types(
        Kind.TABLE,
        {
            "expect_table_row_count_to_be_between": _STRICT_BOUNDS,
            "expect_table_row_count_to_equal": "value!",
            "expect_table_row_count_to_equal_other_table": "other_table_name!",
        },
        number=Argument.COUNT,
    ),
}
"""Every core expectation of Great Expectations 1.24, by name."""

_SHORT = {
    "expect_column_value_lengths_to_be_between": "length",
    "expect_column_value_lengths_to_equal": "length",
    "expect_compound_columns_to_be_unique": "unique",
    "expect_table_row_count_to_be_between": "row_count",
    "expect_table_row_count_to_equal": "row_count",
}


def short_name(type_name: str) -> str:
    """A few words for an expectation type, for use in names: ``not_null``, ``in_set``, ``mean_between``."""
    if type_name in _SHORT:
        return _SHORT[type_name]
    short = re.sub(r"^expect_(table_|column_values_|column_)?", "", type_name)
    return re.sub(r"(^|_)to_(be_)?|(^|_)be_", r"\1\3", short).removesuffix("_expectation") or type_name

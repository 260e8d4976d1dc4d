"""Every promise in words that a person understands."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_sluice.contracts.catalogue import Argument
from dagster_sluice.contracts.own import TYPES
from dagster_sluice.reports.sentences import columns_named, promise, scope
from dagster_sluice.reports.text import prose_parts


def plain(sentence):
    return "".join(text for _, text in prose_parts(sentence))


def said(short, **kwargs):
    name = short if short in TYPES else f"expect_{short}"
    assert name in TYPES
    return plain(promise(name, kwargs))


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"min_value": -60, "max_value": 1500}, "delay lies between -60 and 1,500"),
        ({"min_value": 0}, "delay is at least 0"),
        ({"max_value": 0.5, "strict_max": True}, "delay is less than 0.5"),
        ({"min_value": 1, "max_value": 9, "strict_min": True}, "delay is more than 1 and at most 9"),
        ({"min_value": 5, "max_value": 5}, "delay is 5"),
        ({"min_value": 0, "mostly": 0.95}, "delay is at least 0, in at least 95% of the rows"),
        ({"min_value": "2026-01-01"}, "delay is at least 2026-01-01"),
    ],
)
def test_bounds(kwargs, words):
    assert said("column_values_to_be_between", column="delay", **kwargs) == words


@pytest.mark.parametrize(
    ("short", "kwargs", "words"),
    [
        ("column_values_to_not_be_null", {"column": "id"}, "id is never missing"),
        (
            "column_values_to_not_be_null",
            {"column": "id", "mostly": 0.9},
            "id has a value, in at least 90% of the rows",
        ),
        ("column_values_to_be_unique", {"column": "id"}, "no value of id occurs twice"),
        ("column_values_to_be_in_set", {"column": "c", "value_set": ["DE", "FR", "IT"]}, "c is one of DE, FR or IT"),
        ("column_values_to_be_in_set", {"column": "c", "value_set": ["DE"]}, "c is DE"),
        (
            "column_values_to_be_in_set",
            {"column": "dest", "value_set": {"from": "airports.faa"}},
            "dest is one of the values of faa in airports",
        ),
        (
            "column_values_to_be_in_set",
            {"column": "n", "value_set": list(range(20))},
            "n is one of 0, 1, 2, 3, 4, 5, 6, 7 or 12 more",
        ),
        ("column_values_to_not_be_in_set", {"column": "c", "value_set": ["x", ""]}, "c is none of x or “”"),
        ("column_value_lengths_to_be_between", {"column": "c", "max_value": 3}, "c is at most 3 characters long"),
        (
            "column_pair_values_a_to_be_greater_than_b",
            {"column_A": "end", "column_B": "start", "or_equal": True},
            "end is never less than start",
        ),
        ("compound_columns_to_be_unique", {"column_list": ["a", "b", "c"]}, "no two rows have the same a, b and c"),
        ("column_mean_to_be_between", {"column": "x", "max_value": 2.5}, "the mean of x is at most 2.5"),
        (
            "column_proportion_of_non_null_values_to_be_between",
            {"column": "x", "min_value": 0.985},
            "the share of rows that have a value in x is at least 98.5%",
        ),
        (
            "table_row_count_to_be_between",
            {"min_value": 300, "max_value": 2000},
            "the number of rows lies between 300 and 2,000",
        ),
        (
            "rows_to_satisfy",
            {"condition": "a < b", "mostly": 0.5},
            "each row satisfies a < b, in at least 50% of the rows",
        ),
        (
            "table_row_count_to_be_near_median",
            {"within": 0.2, "deviations": 3},
            "the number of rows is within 20% or 3 deviations of the median of the last 30",
        ),
        (
            "query_value_to_be_between",
            {"query": "SELECT 1", "min_value": 2},
            "SELECT 1 gives a number that is at least 2",
        ),
        (
            "table_schema_to_be_unchanged",
            {"allow": ["added"]},
            "the columns are those of last time (they may be added)",
        ),
        (
            "column_quantile_values_to_be_between",
            {"column": "x", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[1, None]]}},
            "of x, 50% of the values are at most a number that is at least 1",
        ),
        (
            "column_distinct_values_to_contain_set",
            {"column": "x", "value_set": [1, 2]},
            "each of these occurs in x: 1 and 2",
        ),
    ],
)
def test_words(short, kwargs, words):
    assert said(short, **kwargs) == words


def test_a_year_is_not_grouped():
    assert said("column_values_to_be_between", column="plane_year", min_value=1940) == "plane_year is at least 1940"


def test_a_name_is_told_apart_and_cannot_pretend_to_be_another():
    sentence = promise("expect_column_values_to_not_be_null", {"column": "a\x02b\x03c"})
    assert [text for is_name, text in prose_parts(sentence) if is_name] == ["a\\x02b\\x03c"]


def test_which_rows_are_judged():
    assert scope({"column": "x"}) == ""
    assert plain(scope({"row_condition": "col('a') > 3"})) == "Only rows for which col('a') > 3 holds are judged."
    assert "both are missing" in scope({"ignore_row_if": "both_values_are_missing"})


def test_what_nobody_put_into_words_is_told_by_its_name():
    told = plain(promise("expect_stars_to_align", {"column": "sky", "min_value": 12000, "x": None}))
    assert told == "stars to align: column sky, min value 12,000"
    assert plain(promise("expect_column_values_to_be_between", None)) == "column values to be between"
    assert "column" in plain(promise("expect_column_values_to_be_in_set", {"column": "x"}))


_GIVEN = {
    Argument.COLUMN: "a_column",
    Argument.COLUMNS: ["one", "two"],
    Argument.BOUND: 3,
    Argument.NUMBER: 2.5,
    Argument.COUNT: 4,
    Argument.POSITIVE: 2,
    Argument.SHARE: 0.5,
    Argument.FLAG: True,
    Argument.TEXT: "text",
    Argument.CONDITION: "a < b",
    Argument.QUERY: "SELECT 1",
    Argument.TEXTS: ["text", "another"],
    Argument.REGEX: "^a+$",
    Argument.REGEXES: ["^a+$", "b"],
    Argument.FORMAT: "%Y",
    Argument.VALUES: [1, 2],
    Argument.PAIRS: [(1, 2)],
    Argument.MAPPING: {"type": "object"},
    Argument.QUANTILES: {"quantiles": [0.5], "value_ranges": [[1, 2]]},
    Argument.ANY_ALL: "any",
    Argument.METHOD: "iqr",
    Argument.IGNORE_PAIR: "neither",
    Argument.IGNORE_ROW: "never",
}


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_expectation_of_the_catalogue_has_words(name):
    kind = TYPES[name]
    wanted = kind.required | set(kind.one_of)
    kwargs = {argument: _GIVEN.get(takes, "text") for argument, takes in kind.arguments.items() if argument in wanted}
    told = plain(promise(name, kwargs))
    assert told != plain(promise(name, None))
    assert "expect_" not in told
    assert "{" not in told
    for column in columns_named(kwargs):
        assert column in told


@settings(deadline=None)
@given(
    st.sampled_from(sorted(TYPES)),
    st.dictionaries(
        st.sampled_from(sorted({argument for kind in TYPES.values() for argument in kind.arguments})),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
            max_leaves=5,
        ),
    ),
)
def test_no_arguments_are_too_strange(name, kwargs):
    assert promise(name, kwargs)
    scope(kwargs)
    columns_named(kwargs)

"""The catalogue is a copy of what Great Expectations has; here it is held against the original.

Decision that rests on it: contracts are checked without importing Great Expectations, which takes 4 to 8 seconds.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from dagster_sluice.contracts.catalogue import CATALOGUE, CONDITION_ARGUMENTS, Argument, Kind

pytestmark = pytest.mark.filterwarnings("default")

_KINDS = {
    "ColumnMapExpectation": Kind.ROW,
    "ColumnPairMapExpectation": Kind.PAIR,
    "MulticolumnMapExpectation": Kind.MULTICOLUMN,
    "ColumnAggregateExpectation": Kind.AGGREGATE,
    "BatchExpectation": Kind.TABLE,
}
_NOT_ARGUMENTS = {"batch_id", "library_metadata"}


@pytest.fixture(scope="module")
def core() -> dict[str, Any]:
    import great_expectations.expectations.core  # noqa: F401
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    classes = {name: get_expectation_impl(name) for name in list_registered_expectation_implementations()}
    return {name: cls for name, cls in classes.items() if cls.__module__.startswith("great_expectations.")}


def _kind(cls: Any) -> Kind:
    return next(_KINDS[base.__name__] for base in cls.__mro__[1:] if base.__name__ in _KINDS)


def _fields(cls: Any) -> dict[str, Any]:
    from great_expectations.expectations.expectation import Expectation

    return {
        name: field
        for name, field in cls.__fields__.items()
        if name not in Expectation.__fields__ and name not in _NOT_ARGUMENTS
    }


def test_the_same_expectations_exist(core: dict[str, Any]) -> None:
    assert set(CATALOGUE) == set(core)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_each_has_the_same_kind_arguments_and_required_arguments(name: str, core: dict[str, Any]) -> None:
    ours, cls = CATALOGUE[name], core[name]
    fields = _fields(cls)
    assert ours.kind is _kind(cls)
    assert set(ours.arguments) == set(fields) - CONDITION_ARGUMENTS
    assert ours.conditional == (set(fields) >= CONDITION_ARGUMENTS)
    assert ours.required == {argument for argument, field in fields.items() if field.required}
    assert set(ours.one_of) <= set(ours.arguments)


_SAMPLES: dict[Argument, Any] = {
    Argument.COLUMN: "c",
    Argument.COLUMNS: ["a", "b"],
    Argument.BOUND: 1.5,
    Argument.NUMBER: 1.5,
    Argument.COUNT: 2,
    Argument.POSITIVE: 2.5,
    Argument.SHARE: 0.5,
    Argument.FLAG: True,
    Argument.TEXT: "text",
    Argument.CHARACTER: "!",
    Argument.REGEX: "^a",
    Argument.FORMAT: "%Y-%m-%d",
    Argument.TEXTS: ["a", "b"],
    Argument.REGEXES: ["^a"],
    Argument.VALUES: ["a"],
    Argument.PAIRS: [["a", "b"]],
    Argument.MAPPING: {"type": "object"},
    Argument.QUERY: "SELECT * FROM {batch}",
    Argument.QUANTILES: {"quantiles": [0.5], "value_ranges": [[0, 1]]},
    Argument.ERROR: False,
    Argument.ANY_ALL: "any",
    Argument.METHOD: "iqr",
    Argument.IGNORE_PAIR: "neither",
    Argument.IGNORE_ROW: "never",
}


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_what_the_catalogue_calls_fitting_is_taken(name: str, core: dict[str, Any]) -> None:
    arguments = {argument: _SAMPLES[takes] for argument, takes in CATALOGUE[name].arguments.items()}
    core[name](**arguments)


@pytest.mark.parametrize("name", sorted(name for name, kind in CATALOGUE.items() if "value_set" in kind.arguments))
def test_a_set_elsewhere_can_be_written_as_a_mapping(name: str, core: dict[str, Any]) -> None:
    expectation = core[name](column="c", value_set={"from": "airports.faa"})
    assert expectation.value_set == {"from": "airports.faa"}


def test_a_timestamp_bound_keeps_its_time_and_its_zone(core: dict[str, Any]) -> None:
    noon = dt.datetime(2024, 1, 1, 12, tzinfo=dt.timezone.utc)
    expectation = core["expect_column_values_to_be_between"](column="c", min_value=noon)
    assert expectation.min_value == noon


def test_a_row_condition_given_as_a_mapping_counts_the_rows_it_holds_for(core: dict[str, Any]) -> None:
    """The decision: so many NULL, missing or invalid values are a row count under a condition."""
    import great_expectations as gx
    import pandas as pd

    context = gx.get_context(mode="ephemeral")
    frame = pd.DataFrame({"x": ["a", None, "N/A", "", None, "b"]})
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("asset")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    null = {"type": "nullity", "column": {"name": "x"}, "is_null": True}
    present = {**null, "is_null": False}

    def among(operator: str, *values: str) -> dict[str, Any]:
        return {"type": "comparison", "column": {"name": "x"}, "operator": operator, "parameter": list(values)}

    for condition, count in (
        (null, 2),
        ({"type": "or", "conditions": [null, among("IN", "", "N/A")]}, 4),
        ({"type": "and", "conditions": [present, among("NOT_IN", "a", "b")]}, 2),
    ):
        expectation = core["expect_table_row_count_to_be_between"](max_value=1, row_condition=condition)
        assert batch.validate(expectation).result["observed_value"] == count


def test_mostly_is_compared_in_doubles_so_that_the_next_double_is_strict(core: dict[str, Any]) -> None:
    import math

    import great_expectations as gx
    import pandas as pd

    context = gx.get_context(mode="ephemeral")
    frame = pd.DataFrame({"x": [None] + ["a"] * 99})
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("asset")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    not_null = core["expect_column_values_to_not_be_null"]
    assert batch.validate(not_null(column="x", mostly=0.99)).success
    assert not batch.validate(not_null(column="x", mostly=math.nextafter(0.99, 1))).success

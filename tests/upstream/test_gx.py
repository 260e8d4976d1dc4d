"""Great Expectations as we found it. What rests on it: ``dagster_sluice/gates/gx.py`` and decision 0003.

Each of these behaviours is surprising, and the engine is written around it. When one of them changes, the engine may
become simpler, or wrong.
"""

import datetime as dt
import logging

import great_expectations as gx
import numpy as np
import pandas as pd
import pytest
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.registry import get_expectation_impl


@pytest.fixture(autouse=True)
def _quiet():
    before = logging.getLogger("great_expectations").level
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("great_expectations").setLevel(before)


def validated(frame, expectations):
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("batch").add_dataframe_asset("frame")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="s", expectations=expectations)
    return batch.validate(suite, result_format={"result_format": "COMPLETE"})


def made(kind, **arguments):
    return get_expectation_impl(f"expect_{kind}")(**arguments)


def test_results_come_out_of_order_and_meta_tells_them_apart():
    """Why each expectation carries its index in ``meta``."""
    suite = [
        made("column_values_to_be_unique", column="b", meta={"at": 0}),
        made("column_values_to_be_unique", column="a", meta={"at": 1}),
        made("table_row_count_to_equal", value=2, meta={"at": 2}),
        made("column_values_to_be_between", column="b", min_value=0, meta={"at": 3}),
        made("column_values_to_be_unique", column="a", meta={"at": 4}),
    ]
    results = validated(pd.DataFrame({"a": [1, 2], "b": [1, 1]}), suite).results
    order = [result.expectation_config.meta["at"] for result in results]
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert order != [0, 1, 2, 3, 4]
    for result in results:
        given = suite[result.expectation_config.meta["at"]]
        assert result.expectation_config.type == given.expectation_type


def test_the_index_list_is_complete_and_the_value_list_is_not():
    """Why quarantine takes the positions, and only on pandas; and why values in a result are a sample."""
    frame = pd.DataFrame({"a": np.zeros(5000, dtype=int)})
    (result,) = validated(frame, [made("column_values_to_be_in_set", column="a", value_set=[1])]).results
    assert result.result["unexpected_count"] == 5000
    assert result.result["unexpected_index_list"] == list(range(5000))
    assert len(result.result["unexpected_list"]) == 200
    assert len(result.result["partial_unexpected_list"]) == 20


def test_an_unknown_type_is_dropped_without_an_error():
    """Why each expectation is made by its class, and the results are counted."""
    suite = gx.ExpectationSuite(
        name="s",
        expectations=[
            {"type": "expect_nothing_like_it", "kwargs": {"column": "a"}},
            {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 1}},
        ],
    )
    assert [expectation.expectation_type for expectation in suite.expectations] == ["expect_table_row_count_to_equal"]


def test_wrong_arguments_do_raise_pydantics_own_error():
    """Why ``pydantic.v1.ValidationError`` is caught."""
    import pydantic.v1

    with pytest.raises(pydantic.v1.ValidationError):
        made("column_values_to_be_between", column="a", minimum=1)


def test_a_moment_is_not_compared_with_text():
    """Why bounds on moments are converted before they are given to it."""
    frame = pd.DataFrame({"t": pd.to_datetime(["2024-01-01", "2024-01-03"])})
    text, moment = (
        validated(frame, [made("column_values_to_be_between", column="t", max_value=bound)]).results[0]
        for bound in ("2024-01-02", dt.datetime.fromisoformat("2024-01-02"))
    )
    assert not text.success
    assert "Timestamp" in str(text.exception_info) or "datetime" in str(text.exception_info)
    assert text.result == {}
    assert moment.result["unexpected_count"] == 1


def test_a_moment_with_a_zone_is_not_compared_with_one_without():
    frame = pd.DataFrame({"t": pd.to_datetime(["2024-01-01", "2024-01-03"]).tz_localize("UTC")})
    naive = dt.datetime.fromisoformat("2024-01-02")
    (result,) = validated(frame, [made("column_values_to_be_between", column="t", max_value=naive)]).results
    assert not result.success
    assert result.result == {}


def test_bounds_become_doubles():
    """Why a contract's bound that no double can hold is refused when it is read."""
    assert made("column_values_to_be_between", column="a", min_value=2**53 + 1).min_value == float(2**53)


def test_exception_info_is_one_mapping_or_one_per_metric():
    """Why ``_error`` reads both."""
    frame = pd.DataFrame({"a": ["x"]})
    fine, broken = (
        validated(frame, [made("column_values_to_match_regex", column="a", regex=regex)]).results[0]
        for regex in ("x", "[")
    )
    assert fine.exception_info == {"raised_exception": False, "exception_traceback": None, "exception_message": None}
    assert "raised_exception" not in broken.exception_info
    assert all(entry["raised_exception"] for entry in broken.exception_info.values())


def test_one_module_sets_a_log_level_of_its_own():
    """Why it is silenced by its name, beside the root of all."""
    assert logging.getLogger("great_expectations.data_context.types.base").level != logging.NOTSET


@pytest.mark.parametrize("severity", ["info", "warning", "critical"])
def test_severity_survives_into_the_result(severity):
    suite = [made("table_row_count_to_equal", value=1, severity=severity)]
    (result,) = validated(pd.DataFrame({"a": [1]}), suite).results
    assert result.expectation_config.severity == severity


def test_nothing_is_expected_of_what_is_not_there():
    """Empty and all-null columns: map expectations hold, aggregates fail. We keep to it."""
    frame = pd.DataFrame({"a": pd.Series([None, None], dtype="float64")})
    results = validated(
        frame,
        [
            made("column_values_to_be_between", column="a", min_value=0, meta={"at": 0}),
            made("column_mean_to_be_between", column="a", min_value=0, meta={"at": 1}),
        ],
    ).results
    assert {result.expectation_config.meta["at"]: result.success for result in results} == {0: True, 1: False}


@pytest.mark.parametrize("other", ["A", "`a`"])
def test_of_columns_that_differ_in_case_the_first_is_judged(other):
    """Why ``gates/twins.py`` gives the others another name."""
    frame = pd.DataFrame({other: [9], "a": [1]})
    (result,) = validated(frame, [made("column_max_to_be_between", column="a", max_value=5)]).results
    assert result.result["observed_value"] == 9


def test_a_type_asked_under_a_condition_that_cannot_be_read_raises_through_the_whole_suite():
    """Why the expectations are then asked one by one."""
    among = {"type": "comparison", "column": {"name": "gone"}, "operator": "<", "parameter": 3}
    suite = [
        made("column_values_to_be_of_type", column="a", type_="int", row_condition=among),
        made("column_values_to_not_be_null", column="a"),
    ]
    with pytest.raises(gx.exceptions.MetricResolutionError, match="'gone' is not defined"):
        validated(pd.DataFrame({"a": [1]}), suite)


def test_sql_has_no_meaning_on_pandas():
    """Why expectations in SQL are judged by DuckDB alone."""
    query = get_expectation_impl("unexpected_rows_expectation")(unexpected_rows_query="SELECT * FROM {batch}")
    (result,) = validated(pd.DataFrame({"a": [1]}), [query]).results
    assert result.exception_info
    assert not result.success

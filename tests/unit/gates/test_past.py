"""Promises about what was seen before: row counts, shares of NULL, columns."""

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_sluice.errors import ExpectationError
from dagster_sluice.gates import PastAudit, audit
from dagster_sluice.gates.past import near_median, schema_changes


def near(**kwargs):
    return {"type": "expect_table_row_count_to_be_near_median", "kwargs": kwargs}


def nulls(**kwargs):
    return {"type": "expect_column_null_share_to_be_near_median", "kwargs": kwargs, "name": "nulls"}


def schema(**kwargs):
    return {"type": "expect_table_schema_to_be_unchanged", "kwargs": kwargs, "name": "schema"}


def rows(number):
    return pa.table({"a": pa.array(range(number), pa.int64())})


def days(*counts):
    return [PastAudit(rows=count, partition=f"day {number}") for number, count in enumerate(counts)]


def only(frame, expectation, history):
    (result,) = audit(frame, expectations=[expectation], history=history).results
    return result


WEEK = (100, 98, 103, 100, 101, 99, 100)


@pytest.mark.parametrize(
    ("count", "kwargs", "held"),
    [
        (100, {"within": 0.1}, True),
        (110, {"within": 0.1}, True),
        (111, {"within": 0.1}, False),
        (89, {"within": 0.1}, False),
        (0, {"within": 0.1}, False),
        (104, {"deviations": 3}, True),
        (105, {"deviations": 3}, False),
        (105, {"deviations": 3, "within": 0.1}, True),
        (111, {"deviations": 3, "within": 0.1}, False),
    ],
)
def test_a_row_count_is_held_against_the_trailing_median(count, kwargs, held):
    result = only(rows(count), near(**kwargs), days(*WEEK))

    assert (result.success, result.observed_value, result.error, result.engine) == (held, count, None, "sluice")
    assert (result.details["median"], result.details["past_values"]) == (100, 7)


def test_one_wild_day_does_not_move_what_is_allowed():
    assert only(rows(100), near(within=0.1), days(*WEEK, 10_000)).success
    assert not only(rows(10_000), near(within=0.1), days(*WEEK, 10_000)).success


def test_only_the_last_days_count():
    history = days(*[10] * 20, *[100] * 7)
    assert only(rows(100), near(within=0.1, last=7), history).success
    assert not only(rows(100), near(within=0.1), history).success


@pytest.mark.parametrize(("seen", "held"), [(6, True), (7, False)])
def test_too_little_history_judges_nothing_and_says_so(seen, held):
    result = only(rows(1), near(within=0.1), days(*WEEK[:seen]))

    assert result.success is held
    assert result.details.get("note") == (f"There is not enough history: {seen} of 7 past values." if held else None)


def test_without_any_history_nothing_is_judged():
    for given_, note in ((None, "No history was given, so nothing was judged."), ([], "There is not enough history")):
        result = only(rows(1), near(within=0.1), given_)
        assert result.success
        assert result.details["note"].startswith(note)


def test_last_may_be_less_than_the_usual_minimum():
    assert not only(rows(1), near(within=0.1, last=3), days(100, 100, 100)).success


def test_a_share_of_nulls_is_held_against_what_the_same_expectation_saw():
    gate = [nulls(column="a", within=0.1, minimum=3)]
    frames = [pd.DataFrame({"a": [1.0] * (10 - empty) + [None] * empty}) for empty in (1, 0, 2, 1, 5)]
    history, held = [], []
    for frame in frames:
        verdict = audit(frame, expectations=gate, history=history)
        told = [{"name": r.name, "type": r.type, "observed_value": r.observed_value} for r in verdict.results]
        history.append(PastAudit(rows=len(frame), results=told))
        held.append((verdict.results[0].success, verdict.results[0].observed_value))

    assert held == [(True, 0.1), (True, 0.0), (True, 0.2), (True, 0.1), (False, 0.5)]


@pytest.mark.parametrize("make", [pd.DataFrame, pa.table])
def test_a_batch_without_rows_has_no_share_of_nulls(make):
    result = only(make({"a": pd.Series([], dtype="float64")}), nulls(column="a", within=0.1), days(1, 2, 3))
    assert (result.success, result.observed_value) == (True, None)


def test_a_column_that_is_not_there_is_an_error():
    result = only(rows(3), nulls(column="gone", within=0.1), [])
    assert (result.success, result.error) == (False, "there is no column 'gone'")


def past_schema(frame):
    (result,) = audit(frame, expectations=[schema()], history=[]).results
    return [
        PastAudit(rows=1, results=[{"name": "schema", "type": result.type, "observed_value": result.observed_value}])
    ]


BEFORE = pa.table({"a": pa.array([1]), "b": pa.array(["x"]), "c": pa.array([1.5])})


@pytest.mark.parametrize(
    ("frame", "kind", "names"),
    [
        (BEFORE.append_column("d", pa.array([True])), "added", ["d bool"]),
        (BEFORE.drop_columns(["b"]), "dropped", ["b string"]),
        (BEFORE.set_column(0, "a", pa.array(["1"])), "retyped", ["a int64 → string"]),
        (BEFORE.select(["b", "a", "c"]), "reordered", ["b", "a"]),
    ],
)
def test_a_change_of_the_columns_is_told_and_may_be_allowed(frame, kind, names):
    result = only(frame, schema(), past_schema(BEFORE))
    assert (result.success, result.details["details"]) == (False, {kind: names})
    assert only(frame, schema(allow=[kind]), past_schema(BEFORE)).success
    assert not only(frame, schema(allow=[{"added": "dropped"}.get(kind, "added")]), past_schema(BEFORE)).success


def test_columns_seen_for_the_first_time_or_again_pass():
    assert "first time" in only(BEFORE, schema(), []).details["note"]
    assert only(BEFORE, schema(), past_schema(BEFORE)).success
    frame = pd.DataFrame({"a": [1], "b": ["x"]})
    assert only(frame, schema(), past_schema(frame)).success
    assert not only(frame.astype({"a": "float64"}), schema(), past_schema(frame)).success


@pytest.mark.parametrize(
    "expectation",
    [
        near(),
        near(within=0),
        near(within="10%"),
        near(within=0.1, last=0),
        near(within=0.1, last=3, minimum=4),
        near(within=0.1, lst=3),
        nulls(within=0.1),
        schema(allow=["everything"]),
        schema(allow="added"),
    ],
)
def test_wrong_arguments_are_one_error(expectation):
    with pytest.raises(ExpectationError, match="wrong arguments"):
        audit(rows(1), expectations=[expectation])


def test_great_expectations_knows_no_past():
    with pytest.raises(ExpectationError, match="is about past audits"):
        audit(rows(1), expectations=[near(within=0.1)], engine="gx")
    gate = [near(within=0.1), {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 1}}]
    for engine in ("auto", "duckdb", "both"):
        assert [r.engine for r in audit(rows(1), expectations=gate, engine=engine).results] == ["sluice", "duckdb"]


@given(
    st.lists(st.integers(0, 10**9), min_size=7, max_size=40),
    st.floats(0.01, 2),
    st.integers(0, 10**9),
)
def test_what_equals_the_median_is_near_and_a_wider_measure_allows_no_less(past, within, observed):
    import statistics

    middle = statistics.median(past[-30:])
    assert near_median(middle, past, {"within": within}, relative=True)[0]
    held = near_median(observed, past, {"within": within}, relative=True)[0]
    assert not held or near_median(observed, past, {"within": within * 2}, relative=True)[0]
    assert not held or near_median(observed, past, {"within": within, "deviations": 1}, relative=True)[0]


@given(st.permutations(["a", "b", "c", "d"]), st.permutations(["a", "b", "c", "d"]))
def test_the_same_columns_in_any_order_are_neither_added_nor_dropped(before, after):
    changes = schema_changes(dict.fromkeys(before, "int64"), dict.fromkeys(after, "int64"))
    assert (changes["added"], changes["dropped"], changes["retyped"]) == ([], [], [])
    assert bool(changes["reordered"]) == (before != after)

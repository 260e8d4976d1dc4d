"""Promises in SQL: a condition on each row, a query for rows that should not be, a query for a number."""

import datetime as dt
import json
import math
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy
from dagster_sluice.errors import ExpectationError
from dagster_sluice.gates import audit, decide
from dagster_sluice.gates.decision import Outcome, describe

FLIGHTS = pd.DataFrame(
    {
        "dep": [1.0, 5, None, 3],
        "arr": [2.0, 4, 1, math.nan],
        "cancelled": [False, False, True, None],
        "tail": ["x", "y", "x", "z"],
    }
)


def satisfy(condition, **more):
    return {"type": "expect_rows_to_satisfy", "kwargs": {"condition": condition, **more}}


def unexpected(query):
    return {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": query}}


def value(query, **bounds):
    return {"type": "expect_query_value_to_be_between", "kwargs": {"query": query, **bounds}}


def only(frame, expectation, **options):
    verdict = audit(frame, expectations=[expectation], **options)
    return verdict.results[0], verdict.mask.rows([0]).tolist()


def test_a_condition_marks_the_rows_that_break_it_and_what_is_unknown_breaks_nothing():
    result, rows = only(FLIGHTS, satisfy("dep < arr OR cancelled"))

    assert (result.success, rows) == (False, [1])
    assert (result.element_count, result.missing_count, result.unexpected_count) == (4, 1, 1)
    assert result.partial_unexpected_list == ({"dep": 5.0, "arr": 4.0, "cancelled": False},)
    assert result.engine == "duckdb"


def test_a_share_of_the_rows_may_break_a_condition():
    for mostly, held in ((0.66, True), (0.67, False)):
        result, rows = only(FLIGHTS, satisfy("dep < arr OR cancelled", mostly=mostly))
        assert (result.success, rows) == (held, [1])


def test_nan_is_null_in_sql_as_everywhere_in_a_gate():
    for frame in (pa.table({"x": [1.0, math.nan, -1.0]}), pd.DataFrame({"x": [1.0, math.nan, -1.0]})):
        assert only(frame, satisfy("x > 0"))[1] == [2]


@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(-3, 3)), st.one_of(st.none(), st.integers(-3, 3))), max_size=30)
)
@settings(deadline=None)
def test_a_condition_and_the_query_for_its_opposite_find_the_same_rows(pairs):
    frame = pa.table(
        {"a": pa.array([a for a, _ in pairs], pa.int64()), "b": pa.array([b for _, b in pairs], pa.int64())}
    )

    verdict = audit(
        frame, expectations=[satisfy("a < b"), unexpected("SELECT * FROM {batch} WHERE NOT (a < b) ORDER BY a DESC")]
    )

    wanted = [i for i, (a, b) in enumerate(pairs) if a is not None and b is not None and not a < b]
    assert [verdict.mask.rows([index]).tolist() for index in (0, 1)] == [wanted, wanted]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT * FROM {batch} WHERE dep > arr;", [1]),
        ("FROM {batch} WHERE dep > arr", [1]),
        (
            "SELECT f.* FROM {batch} AS f JOIN (SELECT tail FROM {batch} GROUP BY 1 HAVING count(*) > 1) USING (tail)",
            [0, 2],
        ),
        ("SELECT a.* FROM {batch} a JOIN {batch} b ON a.tail = b.tail AND a.arr < b.arr", [2]),
        (
            "WITH late AS (SELECT max(dep) AS d FROM {batch}) SELECT * FROM {batch} WHERE dep = (SELECT d FROM late)",
            [1],
        ),
        ("SELECT * FROM {batch} QUALIFY count(*) OVER (PARTITION BY tail) > 1", [0, 2]),
        ("SELECT * FROM {batch} WHERE EXISTS (SELECT * FROM {batch} o WHERE o.tail = batch.tail AND o.dep > 4)", [1]),
    ],
)
def test_a_query_for_whole_rows_marks_them(query, rows):
    result, found = only(FLIGHTS, unexpected(query))

    assert (result.success, found, result.unexpected_count) == (False, rows, len(rows))
    assert set(result.partial_unexpected_list[0]) == set(FLIGHTS.columns)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("SELECT tail, count(*) AS n FROM {batch} GROUP BY tail HAVING count(*) > 1", 1),
        ("SELECT DISTINCT * FROM {batch} WHERE dep IS NOT NULL", 3),
        ("SELECT * FROM {batch} ORDER BY dep LIMIT 2", 2),
        ("SELECT * EXCLUDE (dep) FROM {batch}", 4),
        ("SELECT * FROM {batch} a, {batch} b", 16),
        ("SELECT * FROM {batch} UNION ALL SELECT * FROM {batch}", 8),
        ("SELECT dep FROM {batch} WHERE dep > 100", 0),
        ("SELECT b.* FROM {batch} b RIGHT JOIN (SELECT 9 AS dep) r USING (dep)", 1),
    ],
)
def test_a_query_for_anything_else_judges_the_table(query, count):
    result, rows = only(FLIGHTS, unexpected(query))

    assert (result.success, rows, result.observed_value, result.unexpected_count) == (count == 0, [], count, None)
    assert len(result.details["details"]["unexpected_rows"]) == count


@pytest.mark.parametrize(
    ("bounds", "held"),
    [
        ({"min_value": 3, "max_value": 3}, True),
        ({"max_value": 3, "strict_max": True}, False),
        ({"min_value": 3, "max_value": 3, "outside": True}, False),
        ({"min_value": 4, "max_value": 9, "outside": True}, True),
    ],
)
def test_a_query_for_a_number_is_held_against_bounds(bounds, held):
    result, rows = only(FLIGHTS, value("SELECT avg(dep) FROM {batch}", **bounds))

    assert (result.success, result.observed_value, rows) == (held, 3.0, [])


def test_what_great_expectations_takes_of_all_its_own_is_passed_over():
    given = unexpected("SELECT * FROM {batch} WHERE dep > arr")
    given["kwargs"]["result_format"] = "BASIC"

    assert only(FLIGHTS, given)[1] == [1]


def test_a_number_that_is_null_keeps_no_promise():
    for outside in (False, True):
        result, _ = only(FLIGHTS, value("SELECT max(dep) FROM {batch} WHERE dep > 9", max_value=1, outside=outside))
        assert (result.success, result.observed_value, result.error) == (False, None, None)


@pytest.mark.parametrize(
    ("expectation", "error"),
    [
        (satisfy("nope > 1"), 'Referenced column "nope" not found'),
        (satisfy("CAST(tail AS INTEGER) > 1"), "Could not convert string"),
        (satisfy("sum(dep) > 1"), "write it as a window"),
        (value("SELECT dep FROM {batch}", max_value=1), "more than one row"),
        (value("SELECT dep FROM {batch} WHERE dep > 99", max_value=1), "no row"),
        (value("SELECT min(tail) FROM {batch}", max_value=1), "gives a str, not a number"),
    ],
)
def test_what_fails_on_this_frame_is_an_error_of_its_own_and_costs_no_other(expectation, error):
    other = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "arr"}}

    verdict = audit(FLIGHTS, expectations=[expectation, other])

    assert not verdict.results[0].success
    assert error in verdict.results[0].error
    assert verdict.mask.rows([0]).tolist() == []
    assert verdict.mask.rows([1]).tolist() == [3]


@pytest.mark.parametrize(
    "expectation",
    [
        satisfy("dep <"),
        satisfy("dep > 1; DROP TABLE batch"),
        satisfy("dep > 1, arr > 2"),
        satisfy("COLUMNS(*) IS NOT NULL"),
        satisfy("unnest([true, false])"),
        satisfy("row_number_of_the_batch_ > 1"),
        satisfy("1) FROM {batch} --"),
        satisfy("dep > ?"),
        satisfy("dep > (SELECT max(x) FROM other)"),
        satisfy("EXISTS (SELECT * FROM read_csv('/etc/passwd'))"),
        satisfy("dep > 1", mostly=2),
        satisfy("dep > 1", moslty=1),
        satisfy("\0"),
        satisfy("\ud800"),
        satisfy(""),
        unexpected("SELECT * FROM flights"),
        unexpected("SELECT * FROM '/etc/passwd'"),
        unexpected("SELECT * FROM information_schema.tables, {batch}"),
        unexpected("SELECT * FROM duckdb_settings(), {batch}"),
        unexpected("WITH batch AS (SELECT 1) SELECT * FROM {batch}"),
        unexpected("SELECT * FROM {other}"),
        unexpected("COPY {batch} TO '/tmp/x.csv'"),
        unexpected("ATTACH 'x.db'"),
        unexpected("SELECT 1"),
        unexpected("SELECT * FROM {batch}; SELECT * FROM {batch}"),
        value("SELECT 1 FROM {batch}"),
        value(None, max_value=1),
    ],
)
def test_bad_sql_is_one_error_that_names_the_place(expectation, tmp_path):
    given = Expectation(name="mine", file=tmp_path / "c.yaml", line=7, **expectation)

    with pytest.raises(ExpectationError, match=r"c\.yaml:7 \(mine\)"):
        audit(FLIGHTS, expectations=[given])


def test_sql_may_touch_nothing_but_the_batch(tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for text in (f"'{tmp_path}/secret.csv' = (SELECT 1)", "current_setting('enable_external_access') = 'x'"):
        result, _ = only(FLIGHTS, satisfy(text))
        assert result.success is False

    from dagster_sluice.contracts.sql import sandbox

    for statement in (
        f"SELECT * FROM read_csv('{tmp_path}/secret.csv')",
        "SET enable_external_access = true",
        f"ATTACH '{tmp_path}/x.db'",
        "INSTALL httpfs",
        "SELECT * FROM FLIGHTS",
    ):
        with pytest.raises(Exception, match="Error"):
            sandbox().execute(statement)


def test_only_duckdb_judges_sql_and_every_engine_says_so():
    gate = [satisfy("dep < arr"), {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "dep"}}]

    with pytest.raises(ExpectationError, match="is in SQL, which it has not on pandas"):
        audit(FLIGHTS, expectations=gate, engine="gx")
    for engine in ("auto", "duckdb", "both"):
        verdict = audit(FLIGHTS, expectations=gate, engine=engine)
        assert [result.engine for result in verdict.results] == ["duckdb", "duckdb"]
        assert [verdict.mask.rows([index]).tolist() for index in (0, 1)] == [[1], [2]]


def test_a_date_begins_in_the_time_zone_of_the_contract():
    late = dt.datetime(2024, 1, 1, 23, 30, tzinfo=dt.timezone.utc)
    gate = Contract(
        table="t",
        columns=(Column(name="moment", type=LogicalType.TIMESTAMP),),
        expectations=(
            Expectation(
                name="day",
                type="expect_rows_to_satisfy",
                kwargs={"condition": "CAST(moment AS DATE) = DATE '2024-01-02'"},
                policy=Policy.QUARANTINE,
            ),
        ),
        timezone="Europe/Vienna",
    )
    rows = pa.table({"moment": pa.array([late], pa.timestamp("us", "UTC"))})

    assert audit(rows, gate).success
    assert not audit(rows, expectations=gate.expectations).success


def test_rows_found_by_sql_are_quarantined_and_rows_it_cannot_name_block():
    verdict = audit(FLIGHTS, expectations=[{**satisfy("dep < arr OR cancelled"), "policy": "quarantine"}])
    assert decide(verdict, quarantine_limit=0.5).quarantined.tolist() == [1]

    verdict = audit(
        FLIGHTS, expectations=[{**unexpected("SELECT tail FROM {batch} WHERE dep > arr"), "policy": "quarantine"}]
    )
    assert decide(verdict, quarantine_limit=0.5).outcome is Outcome.BLOCK


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"x": pd.Series([], dtype="int64")}),
        pa.table({"x": pa.array([], pa.int64())}),
        pd.DataFrame({"x": [1, 2], "mixed": [1, "a"]}),
        pa.table({"x": [1, 2], "half": pa.array([1, 2], pa.float16())}),
        pd.DataFrame({"x": [1, 2], "y": pd.Series(["\ud800", "b"], dtype=object)}),
    ],
)
def test_awkward_frames(frame):
    verdict = audit(frame, expectations=[satisfy("x > 0"), unexpected("SELECT * FROM {batch} WHERE x < 0")])

    assert verdict.success
    assert verdict.row_count == len(frame)


@pytest.mark.parametrize("frame", [pd.DataFrame(), pa.table({}), pd.DataFrame(index=[1, 2])])
def test_a_frame_without_columns(frame):
    verdict = audit(frame, expectations=[satisfy("1 = 1"), satisfy("x > 1")])
    assert (verdict.results[0].success, "not found" in verdict.results[1].error) == (True, True)


def test_threads_judge_each_their_own():
    def judged(number):
        frame = pa.table({"x": list(range(number))})
        return len(audit(frame, expectations=[satisfy("x < 5")]).mask.rows([0]))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(judged, range(5, 45))) == list(range(40))


def test_a_column_that_sql_cannot_hold_is_named_by_who_needs_it():
    result, _ = only(pd.DataFrame({"x": [1, 2], "mixed": [1, "a"]}), satisfy("mixed > 0"))
    assert "'mixed' cannot be told in SQL's types" in result.error

    result, _ = only(pd.DataFrame({"x": [1], "X": [2]}), satisfy("x > 0"))
    assert result.error == "SQL cannot tell these columns apart: 'x' and 'X'"


def test_the_result_is_json_in_the_shape_of_great_expectations():
    verdict = audit(
        FLIGHTS,
        expectations=[
            satisfy("dep < arr"),
            unexpected("SELECT * FROM {batch}"),
            value("SELECT sum(dep) FROM {batch}", max_value=9),
        ],
    )
    told = json.loads(json.dumps(verdict.to_gx()))
    assert told["results"][1]["result"]["observed_value"] == 4
    assert told["results"][2]["result"]["observed_value"] == 9


def test_what_sql_found_is_not_told_where_a_column_is_masked():
    number, _ = only(FLIGHTS, value("SELECT max(dep) FROM {batch}", max_value=1))
    wrong, _ = only(FLIGHTS, satisfy("CAST(tail AS INTEGER) > 1"))

    assert "observed 5.0" in describe(number)
    assert "5.0" not in describe(number, {"tail"})
    assert "'x'" in describe(wrong)
    assert "'x'" not in describe(wrong, {"tail"})

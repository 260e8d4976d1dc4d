"""The fast engine: what it takes, what it leaves and why, and that one expectation never costs another."""

import datetime as dt
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from dagster_sluice.contracts.catalogue import CATALOGUE
from dagster_sluice.errors import EngineDisagreement, ExpectationError, FrameError
from dagster_sluice.gates import audit
from dagster_sluice.gates.duckdb import engine, rows
from dagster_sluice.gates.duckdb.rules import Sql

FRAME = pd.DataFrame(
    {
        "number": [3, 1, 2, 2, 9],
        "share": [0.5, None, 1.5, float("inf"), -0.0],
        "name": ["a", "b", None, "a", "ü"],
        "day": [dt.date(2024, 1, day) for day in (1, 2, 3, 4, 5)],
        "at": pd.to_datetime(["2024-01-01", None, "2024-01-03", "2024-01-04", "2024-01-05"]),
        "kind": pd.Series(["x", "y", "x", "y", "x"], dtype="category"),
    }
)


def expect(kind, **kwargs):
    return {"type": f"expect_{kind}", "kwargs": kwargs}


def reasons(frame, *expectations):
    """Why the fast engine refuses these."""
    with pytest.raises(ExpectationError) as failure:
        audit(frame, expectations=list(expectations), engine="duckdb")
    return [culprit.problem for culprit in failure.value.culprits]


def test_it_judges_what_it_knows_and_says_so():
    verdict = audit(FRAME, expectations=[expect("column_values_to_be_between", column="number", max_value=5)])

    assert [result.engine for result in verdict.results] == ["duckdb"]
    assert verdict.results[0].partial_unexpected_list == (9,)
    assert verdict.mask.rows([0]).tolist() == [4]
    assert verdict.results[0].seconds > 0


def test_what_it_leaves_is_judged_by_great_expectations_in_declared_order():
    verdict = audit(
        FRAME,
        expectations=[
            expect("column_values_to_be_in_set", column="kind", value_set=["x"]),
            expect("column_values_to_be_unique", column="number"),
            expect("column_values_to_match_regex", column="name", regex="(?=a)"),
            expect("table_row_count_to_equal", value=5),
        ],
    )

    assert [result.engine for result in verdict.results] == ["gx", "duckdb", "gx", "duckdb"]
    assert [verdict.mask.rows([index]).tolist() for index in range(4)] == [[1, 3], [2, 3], [1, 4], []]


@pytest.mark.parametrize(
    ("expectation", "reason"),
    [
        (expect("column_values_to_be_in_set", column="kind", value_set=["x"]), "columns of type category"),
        (expect("column_values_to_match_regex", column="name", regex=r"\d"), "depends on Unicode"),
        (expect("column_values_to_be_between", column="number", min_value=2**53), "below 2**53"),
        (expect("column_values_to_be_between", column="number", min_value=2.0**60), "from 2**53 on"),
        (expect("column_values_to_be_between", column="number", min_value=True), "no plain number"),
        (expect("column_values_to_be_between", column="number", min_value=3, max_value=1), "above the upper"),
        (expect("column_values_to_be_between", column="number"), "no bound"),
        (expect("column_values_to_be_between", column="name", min_value=1), "kind string"),
        (expect("column_values_to_be_between", column="at", min_value=5), "no moment"),
        (expect("column_values_to_be_in_set", column="number", value_set=[1, "1"]), "not plainly of the kind"),
        (expect("column_values_to_be_in_set", column="Number", value_set=[1]), "no column 'Number'"),
        (expect("column_values_to_be_in_set", column="number", value_set=[1], mostly="0.5"), "`mostly`"),
        (expect("column_values_to_match_like_pattern", column="name", like_pattern="a%"), "no proof"),
        (expect("column_values_to_be_unique", column="number", surprise=1), "['surprise'] are unknown"),
        (expect("column_values_to_be_in_set", column="number"), "['value_set'] are missing"),
    ],
)
def test_whatever_is_doubtful_is_left_with_a_reason(expectation, reason):
    (said,) = reasons(FRAME, expectation)

    assert reason in said


def test_every_expectation_that_is_left_is_named():
    said = reasons(
        FRAME,
        expect("column_values_to_match_like_pattern", column="name", like_pattern="a%"),
        expect("table_row_count_to_equal", value=5),
        expect("column_values_to_be_unique", column="nowhere"),
    )

    assert len(said) == 2


def test_every_kind_it_knows_is_one_of_great_expectations():
    assert set(engine.RULES) <= set(CATALOGUE)


def test_one_expression_that_fails_does_not_cost_the_others(monkeypatch):
    poison = Sql(text="error('no') OR {0} = ?", columns=("number",), parameters=(1,))
    real = rows.COLUMN_RULES["expect_column_values_to_be_between"]

    def poisoned(arguments):
        found = real(arguments)
        return type(found)(columns=found.columns, mostly=1.0, unexpected=poison, judged=found.judged)

    monkeypatch.setitem(engine.RULES, "expect_column_values_to_be_between", poisoned)
    verdict = audit(
        FRAME,
        expectations=[
            expect("column_values_to_be_in_set", column="number", value_set=[1, 2, 3]),
            expect("column_values_to_be_between", column="number", max_value=5),
        ],
    )

    assert [result.engine for result in verdict.results] == ["duckdb", "gx"]
    assert [verdict.mask.rows([index]).tolist() for index in range(2)] == [[4], [4]]


@pytest.mark.parametrize("fault", ["{0} >= ?", "{0} > ? OR {0} = 1", "FALSE AND {0} > ?"])
def test_both_engines_are_compared_and_every_difference_is_told(monkeypatch, fault):
    wrong = Sql(text=fault, columns=("number",), parameters=(3,))
    real = rows.COLUMN_RULES["expect_column_values_to_be_between"]

    def faulty(arguments):
        found = real(arguments)
        return type(found)(columns=found.columns, mostly=1.0, unexpected=wrong, judged=found.judged)

    monkeypatch.setitem(engine.RULES, "expect_column_values_to_be_between", faulty)

    with pytest.raises(EngineDisagreement) as failure:
        audit(
            FRAME,
            expectations=[expect("column_values_to_be_between", column="number", max_value=3)],
            engine="both",
        )

    assert any("unexpected_count" in culprit.problem for culprit in failure.value.culprits)
    assert any("rows are failing by one engine only" in culprit.problem for culprit in failure.value.culprits)


def test_an_arrow_table_is_judged_as_the_pandas_frame_it_converts_to():
    table = pa.table({"n": pa.array([1, None, 3], pa.int64()), "f": pa.array([1.0, float("nan"), None])})
    verdict = audit(
        table,
        expectations=[
            expect("column_values_to_be_between", column="n", max_value=2),
            expect("column_values_to_not_be_null", column="f"),
        ],
        engine="both",
    )

    assert verdict.results[0].partial_unexpected_list == (3.0,)
    assert isinstance(verdict.results[0].partial_unexpected_list[0], float)
    assert verdict.mask.rows([1]).tolist() == [1, 2]


@pytest.mark.parametrize("engine", ["duckdb", "gx", "both"])
@pytest.mark.parametrize("names", [["a", "A", "`a`", "b"], ["b", "`a`", "A", "a"]])
def test_columns_that_great_expectations_takes_for_one_are_told_apart(names, engine):
    frame = pd.DataFrame({"a": [1, 2], "A": [5, 6], "`a`": [9, 9], "b": ["x", "A"]})[names]
    over = {"type": "comparison", "column": {"name": "A"}, "operator": ">", "parameter": 5}

    verdict = audit(
        frame,
        expectations=[
            expect("column_values_to_be_between", column="A", min_value=6),
            expect("column_values_to_be_between", column="a", max_value=1),
            expect("column_values_to_be_between", column="`a`", max_value=8),
            expect("column_pair_values_a_to_be_greater_than_b", column_A="A", column_B="a"),
            expect("multicolumn_sum_to_equal", column_list=["A", "a"], sum_total=6),
            expect("column_values_to_be_between", column="a", max_value=1, row_condition=over),
            expect("column_max_to_be_between", column="A", max_value=1),
            expect("table_columns_to_match_ordered_list", column_list=names),
        ],
        engine=engine,
    )

    assert [verdict.mask.rows([index]).tolist() for index in range(6)] == [[0], [1], [0, 1], [], [1], [1]]
    assert verdict.results[4].partial_unexpected_list == ({"A": 6, "a": 2},)
    assert verdict.results[6].observed_value == 6
    assert verdict.results[7].success


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_condition_in_words_may_name_columns_that_great_expectations_takes_for_one():
    frame = pd.DataFrame({"a": [1, 2, 3], "A": [5, 6, 7], "b": ["x", "A", "y"]})
    shared = {"column": "A", "min_value": 9}

    verdict = audit(
        frame,
        expectations=[
            expect(
                "column_values_to_be_between",
                **shared,
                row_condition="a > 1 and b != 'A' or `A` == 5",
                condition_parser="pandas",
            ),
            expect(
                "column_values_to_be_between",
                **shared,
                row_condition='col("a") >= 2',
                condition_parser="great_expectations",
            ),
        ],
        engine="both",
    )

    assert [verdict.mask.rows([index]).tolist() for index in range(2)] == [[0, 2], [1, 2]]


def test_names_and_values_never_become_sql():
    name = 'a"; DROP TABLE judged_frame; -- {0} ?'
    frame = pd.DataFrame({name: ["x'); DROP TABLE judged_frame; --", "y"]})

    verdict = audit(
        frame,
        expectations=[
            expect("column_values_to_be_in_set", column=name, value_set=["x'); DROP TABLE judged_frame; --"]),
            expect("column_values_to_match_regex", column=name, regex="^[xy]"),
        ],
        engine="duckdb",
    )

    assert verdict.mask.rows([0]).tolist() == [1]
    assert verdict.results[1].success


def test_the_mask_is_complete_where_great_expectations_caps_its_list():
    count = 100_000
    frame = pd.DataFrame({"n": np.arange(count), "s": np.arange(count).astype(str)})
    verdict = audit(
        frame,
        expectations=[
            expect("column_values_to_be_in_set", column="n", value_set=[5]),
            expect("column_values_to_be_in_set", column="n", value_set=list(range(0, 50_000, 7))),
            expect("column_values_to_be_unique", column="s"),
        ],
        engine="duckdb",
    )

    assert len(verdict.mask.rows([0])) == count - 1
    assert verdict.mask.rows([1]).tolist() == sorted(set(range(count)) - set(range(0, 50_000, 7)))
    assert verdict.results[2].success


def test_threads_do_not_see_each_other_s_frames():
    def judged(limit):
        frame = pd.DataFrame({"n": np.arange(2_000)})
        verdict = audit(
            frame, expectations=[expect("column_values_to_be_between", column="n", max_value=limit)], engine="duckdb"
        )
        return len(verdict.mask.rows([0])) == 2_000 - 1 - limit

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(judged, range(0, 1_600, 10)))


def test_great_expectations_is_not_imported_where_it_is_not_needed():
    code = (
        "import sys, pandas as pd\n"
        "from dagster_sluice.gates import audit\n"
        "frame = pd.DataFrame({'n': [1, 2]})\n"
        "verdict = audit(frame, expectations=[{'type': 'expect_column_values_to_be_unique', 'kwargs': {'column': 'n'}}])\n"
        "assert verdict.success\n"
        "assert 'great_expectations' not in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_conditions_on_rows_choose_the_rows():
    condition = {"type": "comparison", "column": {"name": "name"}, "operator": "==", "parameter": "a"}
    verdict = audit(
        FRAME,
        expectations=[
            expect("column_values_to_be_between", column="number", max_value=2, row_condition=condition),
            expect("table_row_count_to_equal", value=2, row_condition=condition),
        ],
        engine="both",
    )

    assert [result.engine for result in verdict.results] == ["duckdb", "duckdb"]
    assert verdict.mask.rows([0]).tolist() == [0]
    assert verdict.results[1].success


def test_two_columns_of_one_name_are_refused_by_every_engine():
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])

    for chosen in ("auto", "duckdb", "gx", "both"):
        with pytest.raises(FrameError):
            audit(frame, expectations=[expect("table_row_count_to_equal", value=1)], engine=chosen)


def test_a_parquet_file_is_judged_by_its_path(tmp_path):
    file = tmp_path / "day=1" / "orders.parquet"
    file.parent.mkdir()
    pa.parquet.write_table(pa.table({"n": [1, 2, 2]}), file)

    verdict = audit(file, expectations=[expect("column_values_to_be_unique", column="n")], engine="both")

    assert verdict.mask.rows([0]).tolist() == [1, 2]


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text("a,b\n1,2\n", encoding="utf-8")

    with pytest.raises(FrameError, match=r"orders\.csv"):
        audit(file, expectations=[expect("table_row_count_to_equal", value=1)])


def test_a_condition_on_an_arrow_table_converts_only_the_columns_it_names():
    """A column that pandas cannot hold is no hindrance where neither condition nor expectation looks at it."""
    ages = pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31), None], pa.date32())
    frame = pa.table(
        {"a": [1, None, 3], "b": [1.5, float("nan"), -1.0], "far": ages.cast(pa.date64()).cast(pa.timestamp("ms"))}
    )
    over = {"type": "comparison", "column": {"name": "a"}, "operator": ">=", "parameter": 1}

    verdict = audit(
        frame,
        expectations=[
            expect("column_values_to_be_between", column="b", min_value=0, row_condition=over),
            expect("column_max_to_be_between", column="a", max_value=2, row_condition=over),
            expect("table_row_count_to_equal", value=2, row_condition=over),
        ],
        engine="duckdb",
    )

    assert verdict.mask.rows([0]).tolist() == [2]
    assert [result.observed_value for result in verdict.results[1:]] == [3.0, 2]
    assert isinstance(verdict.results[1].observed_value, float)

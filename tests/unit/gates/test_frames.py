"""Frames of any make, told in Arrow without losing a row or a value."""

import datetime as dt

import pandas as pd
import pyarrow as pa
import pytest
import scenario

from dagster_sluice.errors import FrameError
from dagster_sluice.gates.frames import as_arrow, as_pandas


def test_whatever_makes_a_frame():
    import duckdb

    table = pa.table({"a": [1, 2, None]})
    for frame in (
        table,
        table.to_batches()[0],
        table.to_reader(),
        pd.DataFrame({"a": pd.array([1, 2, None], "Int64")}),
    ):
        assert as_arrow(frame).column("a").to_pylist() == [1, 2, None]
    with duckdb.connect() as session:
        session.register("t", table)
        assert as_arrow(session.sql("SELECT a FROM t")).column("a").to_pylist() == [1, 2, None]


def test_an_index_is_not_a_column():
    frame = pd.DataFrame({"a": [1]}, index=pd.Index(["x"], name="b"))
    assert as_arrow(frame).column_names == ["a"]


def test_repeated_names_are_refused_wherever_they_come_from():
    arrays = [pa.array([1]), pa.array([2])]
    for frame in (
        pa.Table.from_arrays(arrays, names=["a", "a"]),
        pa.RecordBatch.from_arrays(arrays, names=["a", "a"]),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
    ):
        with pytest.raises(FrameError, match=r"'a'.*2 times"):
            as_arrow(frame)


def test_values_of_several_kinds_in_one_column_are_refused_with_the_column():
    frame = pd.DataFrame({"fine": [1, 2], "mixed": pd.Series([1, "x"], dtype=object)})
    with pytest.raises(FrameError, match="mixed"):
        as_arrow(frame)


def test_to_pandas_and_back_keeps_every_value():
    table = scenario.rows()
    frame = as_pandas(table)
    assert len(frame) == table.num_rows
    assert list(frame.columns) == table.column_names
    assert list(frame.index) == list(range(table.num_rows))
    for name in ("big", "key", "flag", "day", "clock"):
        assert [None if pd.isna(value) else value for value in frame[name]] == table.column(name).to_pylist()


def test_integers_with_nulls_are_exact():
    small = as_pandas(pa.table({"a": pa.array([2**53, None])}))
    assert small["a"].dtype == "float64"
    for wide in (2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)):
        frame = as_pandas(pa.table({"a": pa.array([wide, None])}))
        assert frame["a"][0] == wide
        assert str(frame["a"].dtype) == "Int64"
    unsigned = as_pandas(pa.table({"a": pa.array([2**63 + 1, None], pa.uint64())}))
    assert int(unsigned["a"][0]) == 2**63 + 1


def test_moments_keep_their_zone():
    first, second = scenario.doubled_hour()
    frame = as_pandas(pa.table({"t": pa.array([first, second], pa.timestamp("us", tz="America/New_York"))}))
    assert frame["t"][1] - frame["t"][0] == dt.timedelta(hours=1)
    assert frame["t"][0].hour == frame["t"][1].hour == 1

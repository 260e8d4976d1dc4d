"""What Arrow makes of Python's objects: why ``dagster_sluice.tables.frames`` looks at pandas columns of objects itself."""

import datetime as dt

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

MOMENT = dt.datetime.fromisoformat("2024-01-01T05:00:00")


def column(*values):
    return pa.Table.from_pandas(pd.DataFrame({"c": pd.Series(list(values), dtype=object)})).column("c")


def test_a_time_of_day_beside_a_date_is_dropped():
    assert column(MOMENT.date(), MOMENT).to_pylist() == [MOMENT.date(), MOMENT.date()]


def test_a_moment_without_a_zone_is_taken_for_utc_beside_one_with():
    found = column(MOMENT, MOMENT.replace(tzinfo=dt.timezone.utc))
    assert len(set(found.to_pylist())) == 1


def test_one_text_among_numbers_is_refused_with_the_whole_frame():
    with pytest.raises(pa.ArrowException):
        column(1, "x")


def test_an_integer_of_more_than_64_bits_is_no_error_of_arrow():
    with pytest.raises(OverflowError):
        column(2**64)


def test_polars_gives_objects_as_their_addresses():
    found = pa.table(pl.DataFrame({"c": pl.Series([object()], dtype=pl.Object)})).column("c")
    assert pa.types.is_fixed_size_binary(found.type)

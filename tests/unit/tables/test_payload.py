"""Rows and values in JSON's types, for Postgres and for Dagster."""

import datetime as dt
import decimal
import json
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scenario
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_sluice.tables.payload import jsonable, row_payloads

UTC = dt.timezone.utc
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.timedeltas(),
    st.decimals(),
    st.uuids(),
    st.floats(width=32).map(np.float32),
    st.integers(0, 255).map(np.uint8),
    st.lists(st.floats()).map(np.array),
    st.sampled_from([pd.NaT, pd.NA, pd.Timestamp("2024-01-01T00:00:00.000000001Z"), np.datetime64("2024-01-01")]),
)
VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.dates(), inner) | st.tuples(inner),
    max_leaves=6,
)


@given(VALUES)
def test_it_is_strict_json_that_can_be_encoded(value):
    text = json.dumps(jsonable(value), allow_nan=False, ensure_ascii=False)
    assert text.encode()
    assert json.loads(text) == jsonable(value)


def test_postgres_takes_it(database_url):
    import psycopg

    with psycopg.connect(database_url) as session:

        @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(VALUES)
        def takes(value):
            sent = json.dumps({"v": jsonable(value)}, ensure_ascii=True)
            session.execute("SELECT %s::text::jsonb", [sent])

        takes()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**63, 2**63),
        (0.1, 0.1),
        (True, True),
        (decimal.Decimal("1.10"), "1.10"),
        (dt.date(2024, 2, 29), "2024-02-29"),
        (dt.datetime(2024, 2, 29, 1, tzinfo=UTC), "2024-02-29T01:00:00+00:00"),
        (dt.time(23, 59, 59, 999_999), "23:59:59.999999"),
        (b"\x00\xff", "AP8="),
        (scenario.WITH_NUL, r"a\x00b"),
        (scenario.LONE_SURROGATE, r"a\ud800b"),
        ("🦆", "🦆"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (np.array([1, 2]), [1, 2]),
        ({"a": (1, {2})}, {"a": [1, [2]]}),
        ({scenario.WITH_NUL: 1}, {r"a\x00b": 1}),
    ],
    ids=repr,
)
def test_what_json_lacks_is_told_in_text(value, told):
    assert jsonable(value) == told
    assert type(jsonable(value)) is type(told)


def test_a_row_is_told_column_by_column():
    row, key = row_payloads(scenario.rows(), [11, 2])
    assert list(row) == [column.name for column in scenario.COLUMNS]
    assert row["number"] == 2.0
    assert row[scenario.QUOTED] == "'\"; --"
    assert set(key.values()) == {None} | {key["text"]}


def test_huge_integers_are_exact():
    assert [row["big"] for row in row_payloads(scenario.rows(), [6, 7])] == [2**63 - 1, -(2**63)]


def test_no_rows():
    assert row_payloads(scenario.rows(), []) == []
    assert row_payloads(scenario.empty(), []) == []


@pytest.mark.parametrize("kind", [pa.timestamp("us", tz="UTC"), pa.timestamp("us"), pa.timestamp("s")])
def test_a_moment_beyond_pythons_calendar_is_told(kind):
    (row,) = row_payloads(pa.table({"t": pa.array([2**55], pa.int64()).cast(kind)}), [0])
    assert isinstance(row["t"], str)
    assert row["t"]

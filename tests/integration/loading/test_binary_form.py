"""The binary form that we write is the one that Postgres reads."""

import datetime as dt

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_sluice.warehouse import postgres_binary
from dagster_sluice.warehouse.postgres_sessions import Cursor, send

UTC = dt.timezone.utc
DATES = st.dates(min_value=dt.date(1, 1, 1), max_value=dt.date(9999, 12, 30))
MOMENTS = st.datetimes(min_value=dt.datetime(1, 1, 2), max_value=dt.datetime(9999, 12, 30))  # noqa: DTZ001
VALUES = {
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.bool_(): st.booleans(),
    pa.date32(): DATES,
    pa.time64("us"): st.times(),
    pa.timestamp("us"): MOMENTS,
    pa.timestamp("us", tz="UTC"): MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC)),
    pa.string(): st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    pa.large_string(): st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
}


@st.composite
def tables(draw):
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=6))
    rows = draw(st.integers(0, 8))
    columns = []
    for kind in kinds:
        present = VALUES[kind] if draw(st.booleans()) else st.none() | VALUES[kind]
        columns.append(pa.array(draw(st.lists(present, min_size=rows, max_size=rows)), kind))
    table = pa.table(columns, [f"c{place}" for place in range(len(columns))])
    return table.slice(draw(st.integers(0, rows)))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables(), limits=st.sampled_from([(16_384, 2**29), (3, 2**29), (16_384, 0)]))
def test_what_is_sent_is_there(database_url, monkeypatch, table, limits):
    """Whatever the columns, however they are cut into batches, and with offsets of either width."""
    monkeypatch.setattr(postgres_binary, "_ROWS", limits[0])
    monkeypatch.setattr(postgres_binary, "_WIDE", limits[1])
    with psycopg.connect(database_url) as connection:
        connection.execute("SET timezone = 'UTC'")
        send(Cursor(connection, 1), "sent", table)
        found = connection.execute("SELECT * FROM sent").fetchall()
        connection.rollback()
    assert found == list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def test_json_goes_into_jsonb(database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TEMPORARY TABLE sent (a jsonb, b jsonb)")
        rows = pa.table({"a": ['{"a": [1, "🦆"]}', None], "b": pa.array(["[]", "[null]"], pa.large_string())})
        Cursor(connection, 1).copy("sent", rows, jsonb=frozenset({"a", "b"}))
        assert connection.execute("SELECT * FROM sent").fetchall() == [({"a": [1, "🦆"]}, []), (None, [None])]


def test_a_thousand_columns(database_url):
    rows = pa.table({f"c{place}": pa.array([place, None], pa.int64()) for place in range(1_000)})
    with psycopg.connect(database_url) as connection:
        send(Cursor(connection, 1), "sent", rows)
        first, second = connection.execute("SELECT * FROM sent").fetchall()
    assert first == tuple(range(1_000))
    assert second == (None,) * 1_000


@pytest.mark.parametrize("kind", [pa.timestamp("ns"), pa.decimal128(10, 2), pa.list_(pa.int64()), pa.binary()])
def test_a_type_without_a_form_is_refused(kind):
    with pytest.raises(TypeError, match="cannot be sent"):
        postgres_binary.postgres_name(kind)

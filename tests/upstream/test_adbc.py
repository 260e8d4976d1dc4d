"""The ADBC driver as we found it. What rests on it: reading, in ``dagster_sluice/warehouse/postgres.py``."""

import contextlib
import datetime as dt

import pyarrow as pa
import pytest


@pytest.fixture
def connection(database_url):
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(database_url) as opened:
        yield opened


def one(cursor, query):
    cursor.execute(query)
    return cursor.fetchone()[0]


def test_a_list_is_bound_as_an_array(connection):
    """Why the keys of partitions are bound: the planner knows them, and leaves the other partitions out."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE days (day text, n bigint) PARTITION BY LIST (day)")
        for day in ("a", "b"):
            cursor.execute(f"CREATE TEMPORARY TABLE day_{day} PARTITION OF days FOR VALUES IN ('{day}')")
        keys = pa.record_batch({"keys": pa.array([["b", "it's"]], pa.list_(pa.string()))})
        cursor.execute("EXPLAIN SELECT * FROM days WHERE day = ANY ($1::text[])", keys)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "day_b" in plan
    assert "day_a" not in plan


def test_moments_and_days_are_bound_as_what_they_are(connection):
    """Why the bounds of a slice need no cast, so that an index serves them."""
    values = {
        "moment": pa.array([dt.datetime(2024, 3, 10, tzinfo=dt.timezone.utc)], pa.timestamp("us", tz="UTC")),
        "naive": pa.array([dt.datetime(2024, 3, 10)], pa.timestamp("us")),  # noqa: DTZ001
        "day": pa.array([dt.date(2024, 3, 10)]),
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT concat_ws(' ', pg_typeof($1), pg_typeof($2), pg_typeof($3))", pa.record_batch(values))
        assert cursor.fetchone()[0] == "timestamp with time zone timestamp without time zone date"


def test_errors_carry_the_sqlstate(connection):
    """Why errors are told apart by it, and not by their words."""
    from adbc_driver_manager import dbapi

    with connection.cursor() as cursor, pytest.raises(dbapi.Error) as caught:
        one(cursor, "SELECT 1 / 0")
    assert caught.value.sqlstate == "22012"


def test_json_comes_back_as_an_extension_type_of_text(connection):
    """Why ``conform`` unwraps extension types before it looks at values."""
    with connection.cursor() as cursor:
        cursor.execute("""SELECT '{"a": 1}'::jsonb AS doc, 1.50::numeric AS amount""")
        table = cursor.fetch_arrow_table()
    assert isinstance(table.schema.field("doc").type, pa.BaseExtensionType)
    assert table.column("doc").to_pylist() == ['{"a": 1}']
    assert table.column("amount").to_pylist() == ["1.50"]


def test_after_a_commit_the_connection_is_idle(connection, database_url):
    """Why a warehouse may keep its connection: it holds no transaction open while a step computes."""
    import psycopg

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()
    connection.commit()
    with psycopg.connect(database_url) as other, contextlib.closing(other.cursor()) as asking:
        asking.execute(
            "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        assert asking.fetchall() == [("idle",)]

"""The ADBC driver as we found it. What rests on it: ``dagster_sluice/warehouse/postgres.py`` and its ``publish.sql``."""

import contextlib

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


def test_text_is_not_taken_for_jsonb_and_a_cast_helps(connection):
    """Why rows go through a temporary table, and each column is cast on its way into the real one."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE target (doc jsonb)")
        connection.commit()
        rows = pa.table({"doc": ['{"a": 1}']})
        with pytest.raises(Exception, match=r"jsonb|unsupported|type"):
            cursor.adbc_ingest("target", rows, mode="append")
        connection.rollback()
        cursor.adbc_ingest("arrived", rows, mode="create", temporary=True)
        cursor.execute("INSERT INTO target SELECT doc::jsonb FROM arrived")
        assert one(cursor, "SELECT doc ->> 'a' FROM target") == "1"


def test_a_temporary_table_and_the_rest_are_one_transaction(connection, database_url):
    """Why a publish that fails leaves nothing behind."""
    import psycopg

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE target (a bigint)")
        connection.commit()
        cursor.adbc_ingest("arrived", pa.table({"a": [1, 2]}), mode="create", temporary=True)
        cursor.execute("INSERT INTO target SELECT a FROM arrived")
        with psycopg.connect(database_url) as other:
            assert other.execute("SELECT count(*) FROM target").fetchone() == (0,)
        connection.rollback()
        assert one(cursor, "SELECT count(*) FROM target") == 0


def test_an_empty_table_is_created_with_its_columns(connection):
    """Why the rows to quarantine are sent even when there are none."""
    with connection.cursor() as cursor:
        cursor.adbc_ingest("arrived", pa.table({"a": pa.array([], pa.string())}), mode="create", temporary=True)
        assert one(cursor, "SELECT count(a) FROM arrived") == 0


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

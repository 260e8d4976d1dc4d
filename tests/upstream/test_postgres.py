"""Postgres as we found it. What rests on it: ``dagster_sluice/warehouse/postgres_partitions.py`` and decision 9."""

import psycopg
import pytest


@pytest.fixture
def sessions(database_url):
    """Two sessions, the first of which has made a table with the partition ``a``."""
    with psycopg.connect(database_url, autocommit=True) as one, psycopg.connect(database_url, autocommit=True) as other:
        one.execute("CREATE TABLE days (n int, day text NOT NULL) PARTITION BY LIST (day)")
        one.execute("CREATE TABLE day_a PARTITION OF days FOR VALUES IN ('a')")
        one.execute("INSERT INTO days VALUES (1, 'a')")
        one.execute("CREATE TABLE elsewhere ()")
        for session in (one, other):
            session.execute("SET lock_timeout = '100ms'")
        yield one, other


def swap(session):
    session.execute("CREATE TABLE next (LIKE day_a)")
    session.execute("INSERT INTO next VALUES (2, 'a')")
    session.execute("DROP TABLE day_a")
    session.execute("ALTER TABLE days ATTACH PARTITION next FOR VALUES IN ('a')")


@pytest.mark.parametrize("key", ["a'b", "a\\b", "E'x'", 'q"q', "a''b", "%L", ""])
def test_a_bound_is_printed_with_its_quotes_doubled_and_nothing_else(sessions, key):
    """Why the leaf of a key can be found by how its bound is printed."""
    session, _ = sessions
    (text,) = session.execute(
        "SELECT format('CREATE TABLE found PARTITION OF days FOR VALUES IN (%%L)', %s::text)", [key]
    ).fetchone()
    session.execute(text)
    (printed,) = session.execute(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'found'"
    ).fetchone()
    assert printed == "FOR VALUES IN ('" + key.replace("'", "''") + "')"


def test_readers_do_not_wait_for_a_partition_that_is_attached(sessions):
    """Why a new partition comes in whole."""
    writer, reader = sessions
    with writer.transaction():
        writer.execute("CREATE TABLE day_b (LIKE days)")
        writer.execute("ALTER TABLE days ATTACH PARTITION day_b FOR VALUES IN ('b')")
        assert reader.execute("SELECT n FROM days").fetchall() == [(1,)]
    with reader.transaction():
        reader.execute("SELECT FROM days")
        writer.execute("CREATE TABLE day_c (LIKE days)")
        writer.execute("ALTER TABLE days ATTACH PARTITION day_c FOR VALUES IN ('c')")


def test_a_lock_that_is_not_waited_for_hinders_no_reader(sessions, database_url):
    """Why the lock for a swap is asked for again and again: readers would queue up behind one that waits."""
    writer, reader = sessions
    with psycopg.connect(database_url, autocommit=True) as first, first.transaction():
        first.execute("SELECT FROM days")
        with pytest.raises(psycopg.errors.LockNotAvailable), writer.transaction():
            writer.execute("LOCK TABLE ONLY days IN ACCESS EXCLUSIVE MODE NOWAIT")
        assert reader.execute("SELECT n FROM days").fetchall() == [(1,)]


def test_a_snapshot_from_before_a_swap_finds_the_partition_empty(sessions):
    """Why partitions are swapped only where that is asked for."""
    writer, reader = sessions
    reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    reader.execute("SELECT FROM elsewhere")
    with writer.transaction():
        swap(writer)
    assert reader.execute("SELECT n FROM days").fetchall() == []
    reader.execute("COMMIT")
    assert reader.execute("SELECT n FROM days").fetchall() == [(2,)]


def test_a_snapshot_from_before_a_delete_finds_what_stood_there(sessions):
    """Why they are otherwise replaced row by row."""
    writer, reader = sessions
    reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    reader.execute("SELECT FROM elsewhere")
    with writer.transaction():
        writer.execute("DELETE FROM day_a")
        writer.execute("INSERT INTO day_a VALUES (2, 'a')")
    assert reader.execute("SELECT n FROM days").fetchall() == [(1,)]
    reader.execute("COMMIT")

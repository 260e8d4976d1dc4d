"""What the DuckDB warehouse leans on in DuckDB; see decision 11."""

import os
import subprocess
import sys

import duckdb
import pyarrow as pa
import pytest

OPEN = "import sys, duckdb; duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'True').close()"


@pytest.fixture
def file(tmp_path):
    path = str(tmp_path / "a.duckdb")
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS i")
    return path


def elsewhere(file, *, read_only):
    """What another process reads when it opens the file."""
    told = subprocess.run(
        [sys.executable, "-c", OPEN, file, str(read_only)], capture_output=True, text=True, check=False
    )
    return told.stderr


@pytest.mark.parametrize("read_only", [False, True])
def test_a_writer_keeps_everybody_out_and_is_named(file, read_only):
    with duckdb.connect(file):
        told = elsewhere(file, read_only=read_only)
    assert "Could not set lock on file" in told
    assert "Conflicting lock is held in " in told
    assert f"(PID {os.getpid()})" in told
    assert elsewhere(file, read_only=read_only) == ""


def test_readers_share_a_file(file):
    with duckdb.connect(file, read_only=True):
        assert elsewhere(file, read_only=True) == ""
        assert "Could not set lock on file" in elsewhere(file, read_only=False)


def test_one_process_has_a_file_in_one_way_only(file):
    with duckdb.connect(file), pytest.raises(duckdb.ConnectionException, match="with a different configuration"):
        duckdb.connect(file, read_only=True)


def test_to_be_refused_costs_no_lock(file):
    with duckdb.connect(file):
        with pytest.raises(duckdb.ConnectionException):
            duckdb.connect(file, read_only=True)
        assert "Could not set lock on file" in elsewhere(file, read_only=False)


def test_a_lock_is_lost_if_the_process_opens_and_closes_the_file_otherwise(file):
    """So nothing of ours may."""
    with duckdb.connect(file):
        with open(file, "rb"):  # noqa: PTH123 (the plainest way)
            pass
        assert elsewhere(file, read_only=False) == ""


def test_what_is_not_committed_is_gone_when_the_connection_is_closed(file):
    with duckdb.connect(file) as connection:
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE u AS SELECT 2 AS i")
        connection.execute("ALTER TABLE t ADD COLUMN j INTEGER")
        connection.execute("INSERT INTO t VALUES (2, 2)")
    with duckdb.connect(file, read_only=True) as connection:
        assert connection.execute("SELECT * FROM t").fetchall() == [(1,)]
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(1,)]


def test_names_are_folded_by_ascii_letters_only(file):
    with duckdb.connect(file) as connection:
        connection.execute('CREATE TABLE "É" AS SELECT 1 AS "\u017f", 2 AS s')
        connection.execute('CREATE TABLE "é" AS SELECT 1 AS i')
        with pytest.raises(duckdb.CatalogException, match="already exists"):
            connection.execute('CREATE TABLE "T" (i INTEGER)')


def test_a_length_is_read_and_forgotten(file):
    """So it is kept in the column's comment, and held by us."""
    with duckdb.connect(file) as connection:
        connection.execute("CREATE TABLE u (c VARCHAR(2))")
        connection.execute("INSERT INTO u VALUES ('long')")
        connection.execute("COMMENT ON COLUMN u.c IS 'kept'")
    with duckdb.connect(file, read_only=True) as connection:
        told = connection.execute("SELECT data_type, comment FROM duckdb_columns() WHERE table_name = 'u'").fetchall()
    assert told == [("VARCHAR", "kept")]


def test_a_parquet_file_is_opened_as_a_database_in_memory(tmp_path):
    from pyarrow import parquet

    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"i": [1]}), path)
    with duckdb.connect(str(path)) as connection:
        assert connection.execute(
            "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"
        ).fetchall() == [(None,)]

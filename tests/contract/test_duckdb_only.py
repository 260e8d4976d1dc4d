"""What only a file can do to a warehouse: be taken, be missing, be called in several ways, take two names for one."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE, Popen

import duckdb
import pyarrow as pa
import pytest
from adapters import DuckDBPlace
from test_warehouse import COLUMNS, FLIGHTS, batch, flights, ids, publish, row, typed

from dagster_sluice.contracts import Column, LogicalType
from dagster_sluice.errors import DatabaseUnreachable, PublishError, SettingError, TableError
from dagster_sluice.warehouse import Address, Result
from dagster_sluice.warehouse.duckdb import DuckDBWarehouse
from dagster_sluice.warehouse.duckdb_file import DuckDBFile

HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reader")
print("open", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def place(file):
    return DuckDBPlace(f"duckdb:///{file}")


@pytest.fixture
def hurried(file):
    """The same file, for somebody who does not wait."""
    return DuckDBWarehouse(f"duckdb:///{file}?lock_timeout=0")


@pytest.fixture
def holder(file):
    """A function that has another process open the file; returns what lets go of it, and the process."""
    processes = []

    def start(kind):
        process = Popen([sys.executable, "-c", HOLDER, str(file), kind], stdin=PIPE, stdout=PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "open\n"

        def let_go():
            process.communicate("\n")
            assert process.returncode == 0

        return let_go, process.pid

    yield start
    for process in processes:
        process.kill()
        process.communicate()


# Where the file is


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("duckdb:////data/flights.duckdb", "/data/flights.duckdb"),
        ("DuckDB:////data/flights.duckdb?lock_timeout=2.5", "/data/flights.duckdb"),
        ("duckdb:////data/a%20b%3F.duckdb", "/data/a b?.duckdb"),
        ("duckdb:///flights.duckdb", "{here}/flights.duckdb"),
        ("duckdb:///data/../flights.duckdb", "{here}/flights.duckdb"),
    ],
)
def test_where_a_url_leads(url, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = DuckDBFile(url)
    assert str(found.path) == path.format(here=os.path.realpath(tmp_path))
    assert found.lock_timeout == (2.5 if "2.5" in url else 60.0)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("duckdb:///:memory:", "in memory"),
        ("duckdb://:memory:", "in memory"),
        ("duckdb://", "in memory"),
        ("duckdb:///", "in memory"),
        ("duckdb://flights.duckdb", "two slashes"),
        ("duckdb:////data/", "no file"),
        ("duckdb:///a%00b", "no file"),
        ("duckdb:flights.duckdb", "does not begin"),
        ("duckdb:///a.duckdb?read_only=1", "'read_only'"),
        ("duckdb:///a.duckdb?lock_timeout=soon", "'soon'"),
        ("duckdb:///a.duckdb?lock_timeout=-1", "'-1'"),
    ],
)
def test_a_url_that_names_no_file_is_refused(url, words):
    with pytest.raises(SettingError, match=words):
        DuckDBWarehouse(url)


def test_what_is_wrong_with_a_file_is_said(tmp_path):
    urls = DuckDBPlace.unreachable(tmp_path)
    for name, words in {
        "folder": "is a directory",
        "foreign": "not a DuckDB file",
        "empty": "not a DuckDB file",
        "rows.parquet": "not a DuckDB file",
        "older": "an older DuckDB",
        "newer": "a newer DuckDB",
        "missing/file": "no directory",
    }.items():
        with pytest.raises(DatabaseUnreachable, match=words):
            DuckDBWarehouse(urls[name]).tables()


def test_a_question_makes_no_file(warehouse, file):
    assert (warehouse.tables(), warehouse.columns(FLIGHTS), warehouse.current(FLIGHTS)) == ([], {}, {})
    assert warehouse.prune(keep=0, dry_run=True) == []
    with pytest.raises(TableError):
        warehouse.read(FLIGHTS)
    assert list(file.parent.iterdir()) == []


def test_a_question_makes_no_records_in_a_file_of_others(warehouse, place, file):
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA raw; CREATE TABLE raw.flights AS SELECT 1 AS id")
    assert warehouse.tables() == []
    assert ids(warehouse) == [1]
    assert place.snapshot("SELECT count(*) FROM duckdb_schemas() WHERE schema_name = 'sluice'") == [(0,)]


@pytest.mark.parametrize("stem", ["raw", "sluice", "temp", "main", "a b", "x.y", "größe"])
def test_a_file_may_be_called_like_a_schema(tmp_path, stem):
    warehouse = DuckDBWarehouse(f"duckdb:///{tmp_path}/{stem}.duckdb")
    publish(warehouse, flights(1, 2), partition="day", rejected=[row(7)])
    publish(warehouse, flights(3), partition="day", rejected=[row(7)])
    assert ids(warehouse) == [3]
    assert [status.rows_quarantined for status in warehouse.tables()] == [1]


def test_a_link_leads_to_the_same_file(warehouse, file):
    link = file.with_name("link")
    link.symlink_to(file)
    other = DuckDBWarehouse(f"duckdb:///{link}")
    publish(other, flights(1))
    assert ids(warehouse) == [1]
    assert link.is_symlink()


# Who has the file


@pytest.mark.parametrize("kind", ["writer", "reader"])
def test_a_file_that_another_process_has_is_waited_for(opened, file, holder, kind):
    publish(opened(), flights(1))
    let_go, _ = holder(kind)
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(ids, opened())
        writing = pool.submit(publish, opened(), flights(1, 2))
        if kind == "reader":
            assert reading.result() in ([1], [1, 2])
        let_go()
        assert reading.result() in ([1], [1, 2])
        assert writing.result().result is Result.PUBLISHED
    assert ids(opened()) == [1, 2]


def test_who_has_the_file_for_too_long_is_named(opened, hurried, holder):
    publish(opened(), flights(1))
    let_go, pid = holder("writer")
    for call in (hurried.tables, lambda: hurried.read(FLIGHTS), lambda: hurried.publish(batch(flights(2)))):
        with pytest.raises(DatabaseUnreachable, match=rf"not free within 0 seconds: process {pid} \(.*\) has it open"):
            call()
    let_go()
    assert ids(hurried) == [1]


def test_several_processes_read_at_once(opened, hurried, holder):
    publish(opened(), flights(1))
    let_go, pid = holder("reader")
    assert ids(hurried) == [1]
    with pytest.raises(DatabaseUnreachable, match=str(pid)):
        hurried.publish(batch(flights(2)))
    let_go()


def test_a_connection_that_a_user_has_open_in_this_process(opened, hurried, file):
    publish(opened(), flights(1))
    with duckdb.connect(str(file)) as own:
        assert ids(hurried) == [1]
        publish(hurried, flights(1, 2))
        assert own.execute("SELECT count(*) FROM raw.flights").fetchall() == [(2,)]
        assert own.execute("SELECT current_schema(), current_setting('TimeZone') = 'UTC'").fetchall()[0][0] == "main"
    with duckdb.connect(str(file), read_only=True):
        assert ids(hurried) == [1, 2]
        with pytest.raises(DatabaseUnreachable, match="this process itself"):
            publish(hurried, flights(3))
    assert publish(hurried, flights(3)).result is Result.PUBLISHED


def _add_one(warehouse, number):
    for _ in range(3):
        publish(warehouse, flights(number), partition=str(number))
        assert warehouse.read(FLIGHTS, partitions=[str(number)]).num_rows == 1
        warehouse.tables()
    return number


def test_many_processes_and_threads_lose_nothing(opened, elsewhere):
    started = [elsewhere(_add_one, number) for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        threads = [pool.submit(_add_one, opened(), number) for number in range(3, 6)]
        assert [thread.result() for thread in threads] == [3, 4, 5]
    assert [results.get() for _, results in started] == [0, 1, 2]
    for process, _ in started:
        process.join()
    assert ids(opened()) == list(range(6))


def _on_a_full_disk(warehouse, rows):
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    return publish(warehouse, flights(*range(rows)), partition="day", rejected=[row(8)])


@pytest.mark.parametrize("rows", [3, 300_000])
def test_a_full_disk_changes_nothing(warehouse, elsewhere, rows):
    """A few rows do not get into the log, many not into the file."""
    publish(warehouse, flights(1, 2), partition="day", rejected=[row(7)])
    before = warehouse.current(FLIGHTS)
    process, results = elsewhere(_on_a_full_disk, rows)
    told = results.get()
    process.join()
    assert isinstance(told, DatabaseUnreachable), told
    assert "File too large" in str(told)
    assert (warehouse.current(FLIGHTS), ids(warehouse)) == (before, [1, 2])
    assert [found.payload["id"] for found in warehouse.quarantined()] == [7]
    assert publish(warehouse, flights(3), partition="day").result is Result.PUBLISHED


# Names


@pytest.mark.parametrize(("schema", "table"), [("raw", "Flights"), ("RAW", "flights"), ("RAW", "other")])
def test_tables_whose_names_differ_in_case_only_are_refused(warehouse, schema, table):
    publish(warehouse, flights(1))
    twin = Address(schema=schema, table=table)
    with pytest.raises(PublishError, match="takes both for one"):
        publish(warehouse, flights(2), address=twin)
    with pytest.raises(TableError, match="no table"):
        warehouse.read(twin)
    assert warehouse.columns(twin) == {}
    assert ids(warehouse) == [1]


def test_columns_whose_names_differ_in_case_only_are_refused(warehouse):
    columns = (Column(name="id", type=LogicalType.INTEGER), Column(name="ID", type=LogicalType.INTEGER))
    with pytest.raises(PublishError) as caught:
        publish(warehouse, pa.table([[1], [2]], names=["id", "ID"]), columns=columns)
    assert [culprit.where for culprit in caught.value.culprits] == ["column 'id'", "column 'ID'"]
    publish(warehouse, flights(1))
    columns = (Column(name="Id", type=LogicalType.INTEGER), COLUMNS[1])
    with pytest.raises(PublishError, match="in case only"):
        publish(warehouse, flights(2).rename_columns(["Id", "who"]), columns=columns)
    with pytest.raises(TableError, match="'ID'"):
        warehouse.read(FLIGHTS, columns=["ID"])
    assert ids(warehouse) == [1]


def test_letters_beyond_ascii_are_told_apart(warehouse):
    columns = tuple(Column(name=name, type=LogicalType.INTEGER) for name in ("É", "é"))
    publish(warehouse, pa.table([[1], [2]], names=["É", "é"]), columns=columns)
    assert warehouse.read(FLIGHTS).to_pylist() == [{"É": 1, "é": 2}]


@pytest.mark.parametrize("schema", ["Sluice", "SLUICE_staging"])
def test_the_records_are_nobodys_table_however_they_are_spelled(warehouse, schema):
    with pytest.raises(PublishError, match="own records"):
        publish(warehouse, flights(1), address=Address(schema=schema, table="quarantine"))


# Types


def test_the_types_of_columns_are_told_in_words_that_both_databases_read(warehouse):
    columns = tuple(Column(name=kind.value, type=kind) for kind in LogicalType)
    rows = pa.table(
        {
            name: typed(kind, [None])[1].column("c")
            for name, kind in zip((c.name for c in columns), LogicalType, strict=True)
        }
    )
    publish(warehouse, rows, columns=columns)
    assert warehouse.columns(FLIGHTS) == {
        "string": "text",
        "integer": "bigint",
        "number": "double precision",
        "boolean": "boolean",
        "date": "date",
        "timestamp": "timestamp with time zone",
        "time": "time without time zone",
        "object": "json",
        "array": "json",
    }


@pytest.mark.parametrize(
    ("physical", "told"),
    [
        ("varchar(5)", "character varying(5)"),
        ("CHARACTER (5)", "character varying(5)"),
        ("numeric(12,2)", "numeric(12,2)"),
        ("jsonb", "json"),
        ("timestamptz(3)", "timestamp with time zone"),
        ("timestamp (0) with time zone", "timestamp with time zone"),
        ("time(3)", "time without time zone"),
        ("int4", "integer"),
        ("hugeint", "hugeint"),
        ("integer[]", "integer[]"),
    ],
)
def test_physical_types_as_postgres_and_duckdb_write_them(opened, physical, told):
    columns = (Column(name="c", type=LogicalType.STRING, physical_type=physical),)
    rows = pa.table({"c": pa.array([None], pa.string())})
    publish(opened(), rows, columns=columns, partition="a")
    publish(opened(), rows, columns=columns, partition="b")
    assert opened().columns(FLIGHTS)["c"] == told


@pytest.mark.parametrize("physical", ["numeric", "decimal", "inet"])
def test_a_physical_type_that_would_lose_or_fetch_something_is_refused(warehouse, physical):
    columns, rows = typed(LogicalType.STRING, ["1"], physical_type=physical)
    with pytest.raises((PublishError, TableError)):
        publish(warehouse, rows, columns=columns)


def test_values_of_types_of_duckdbs_own_are_read_as_numbers_or_text(warehouse, place):
    place.by_hand(
        "CREATE SCHEMA raw",
        "CREATE TABLE raw.flights AS SELECT 1.25::DECIMAL(12,2) AS d, 5::HUGEINT AS h, [1, 2] AS l, {'a': 1} AS s,"
        " INTERVAL 1 DAY AS i, 'x'::ENUM('x', 'y') AS e, '12:00:00+01'::TIMETZ AS t, 'ab'::BLOB AS b, 7::UTINYINT AS u",
    )
    assert warehouse.read(FLIGHTS).to_pylist() == [
        {
            "d": 1.25,
            "h": 5,
            "l": "[1,2]",
            "s": '{"a":1}',
            "i": "1 day",
            "e": "x",
            "t": "12:00:00+01",
            "b": b"ab",
            "u": 7,
        }
    ]
    assert [warehouse.values(FLIGHTS, name) for name in "dlu"] == [[1.25], ["[1,2]"], [7]]


@pytest.mark.parametrize(("physical", "good", "bad"), [("interval", "1 day", "24 hours"), ("bit", "0110", "none")])
def test_a_type_that_would_change_a_value_is_refused(warehouse, physical, good, bad):
    columns, rows = typed(LogicalType.STRING, [good, None], physical_type=physical)
    publish(warehouse, rows, columns=columns)
    with pytest.raises(PublishError):
        publish(warehouse, typed(LogicalType.STRING, [good, bad])[1], columns=columns)
    assert warehouse.read(FLIGHTS).equals(rows)


def test_a_fraction_keeps_its_digits_in_a_numeric(warehouse, place):
    columns, rows = typed(LogicalType.NUMBER, [0.1, 1e-7, None], physical_type="numeric(38,20)")
    publish(warehouse, rows, columns=columns)
    assert warehouse.read(FLIGHTS).equals(rows)
    assert place.snapshot("SELECT max(c)::TEXT FROM raw.flights") == [("0.10000000000000000000",)]


def test_a_length_that_came_later_is_held_too(opened):
    publish(opened(), flights(1), partition="a")
    wider = (*COLUMNS, Column(name="code", type=LogicalType.STRING, physical_type="varchar(3)"))
    rows = flights(2).append_column("code", pa.array(["too long"]))
    with pytest.raises(PublishError, match="too long"):
        publish(opened(), rows, columns=wider, partition="b")
    assert list(opened().columns(FLIGHTS)) == ["id", "who", "_partition"]
    publish(opened(), flights(2).append_column("code", pa.array(["abc"])), columns=wider, partition="b")
    assert opened().columns(FLIGHTS)["code"] == "character varying(3)"


# Records


def test_records_of_a_later_version_are_left_alone(warehouse, place):
    publish(warehouse, flights(1))
    place.by_hand("INSERT INTO sluice.ledger_version (version) VALUES (999)")
    for call in (warehouse.tables, lambda: warehouse.publish(batch(flights(2)))):
        with pytest.raises(PublishError, match="version 999"):
            call()
    assert ids(warehouse) == [1]


def test_numbers_are_not_given_twice(warehouse):
    publish(warehouse, flights(1), rejected=[row(7)])
    (before,) = warehouse.quarantined()
    warehouse.prune(keep=0, include_open=True)
    publish(warehouse, flights(1), rejected=[row(7)])
    (after,) = warehouse.quarantined()
    assert after.id > before.id

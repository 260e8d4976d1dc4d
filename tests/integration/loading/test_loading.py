"""How rows get into Postgres: by which way, into which layout, and who waits for whom meanwhile."""

import datetime as dt
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pyarrow as pa
import pytest
import scenario

from dagster_sluice.contracts import Column, LogicalType
from dagster_sluice.errors import PublishError
from dagster_sluice.tables.content import content_hash
from dagster_sluice.warehouse import Address, AuditRecord, Batch, Result
from dagster_sluice.warehouse.postgres import PostgresWarehouse
from dagster_sluice.warehouse.types import arrow_type

FLIGHTS = Address(schema="raw", table="flights")
COLUMNS = (Column(name="id", type=LogicalType.INTEGER), Column(name="who", type=LogicalType.STRING))
RECORD = AuditRecord(
    run_id="run",
    correlation_id="cause",
    contract_version="1.0.0",
    contract_fingerprint="print",
    code_version="code",
    rows_in=3,
    passed=2,
    warned=0,
    failed=0,
    seconds=0.5,
)


@pytest.fixture
def opened(database_url):
    """A function that opens the same empty database again, with other settings."""
    made = []

    def open_one(**settings):
        made.append(PostgresWarehouse(database_url, **settings))
        return made[-1]

    yield open_one
    for warehouse in made:
        warehouse.close()


@pytest.fixture
def person(database_url):
    """Somebody who works in the database by hand."""
    with psycopg.connect(database_url, autocommit=True) as session:
        yield session


def publish(warehouse, rows, *, partition="day", columns=COLUMNS):
    standing = warehouse.current(FLIGHTS).get(partition)
    return warehouse.publish(
        Batch(
            address=FLIGHTS,
            columns=columns,
            partition=partition,
            rows=rows,
            rejected=(),
            content_hash=content_hash(rows),
            base=standing.id if standing else None,
            audit=RECORD,
        )
    )


def flights(*ids):
    return pa.table({"id": pa.array(ids, pa.int64()), "who": pa.array(["x"] * len(ids), pa.string())})


def ids(warehouse, **settings):
    return sorted(warehouse.read(FLIGHTS, **settings).column("id").to_pylist())


def leaves(person):
    """The tables that hold the partitions, by number."""
    found = person.execute("SELECT inhrelid FROM pg_inherits WHERE inhparent = 'raw.flights'::regclass").fetchall()
    return {row[0] for row in found}


def kind(person):
    return person.execute("SELECT relkind FROM pg_class WHERE oid = 'raw.flights'::regclass").fetchone()[0]


# Layouts


@pytest.mark.parametrize(("rows", "found"), [(2, "r"), (3, "p"), (4, "p")])
def test_the_first_batch_decides_on_the_layout(opened, person, rows, found):
    warehouse = opened(native_rows=3)
    publish(warehouse, flights(*range(rows)))
    publish(warehouse, flights(1), partition="small")
    publish(warehouse, flights(*range(5)), partition="large")
    assert kind(person) == found
    assert len(leaves(person)) == (3 if found == "p" else 0)
    assert ids(warehouse, partitions=["large"]) == [0, 1, 2, 3, 4]


def test_native_partitions_can_be_declined(opened, person):
    publish(opened(native_rows=None), flights(1, 2, 3))
    assert kind(person) == "r"


def test_a_table_without_partitions_is_plain(opened, person):
    publish(opened(native_rows=0), flights(1, 2, 3), partition=None)
    assert kind(person) == "r"


def test_a_plain_table_of_an_earlier_version_goes_on(opened, person):
    person.execute("CREATE SCHEMA raw")
    person.execute("CREATE TABLE raw.flights (id bigint, who text, _partition text)")
    person.execute("CREATE INDEX ON raw.flights (_partition)")
    warehouse = opened(native_rows=0, swap=True)
    publish(warehouse, flights(1))
    publish(warehouse, flights(2))
    assert kind(person) == "r"
    assert ids(warehouse) == [2]


@pytest.mark.parametrize("swap", [False, True])
def test_what_a_person_made_for_the_table_holds_for_its_partitions(opened, person, swap):
    warehouse = opened(native_rows=0, swap=swap)
    publish(warehouse, flights(1), partition="a")
    person.execute("CREATE INDEX found ON raw.flights (id)")
    person.execute("ALTER TABLE raw.flights ADD CHECK (id < 100)")
    for key in ("a", "b"):
        publish(warehouse, flights(2), partition=key)
    indexes = person.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'raw.found'::regclass").fetchone()
    assert indexes == (2,)
    with pytest.raises(PublishError, match="check constraint"):
        publish(warehouse, flights(100), partition="a")
    assert ids(warehouse) == [2, 2]


# Readers


def test_a_swap_puts_another_table_in_the_place_of_the_old_one(opened, person):
    warehouse = opened(native_rows=0, swap=True)
    publish(warehouse, flights(1))
    publish(warehouse, flights(5), partition="other")
    before = leaves(person)
    assert publish(warehouse, flights(2, 3)).result is Result.PUBLISHED
    assert len(before & leaves(person)) == 1
    assert len(leaves(person)) == 2
    assert ids(warehouse) == [2, 3, 5]
    assert person.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'sluice_partitions'::regnamespace"
                          " AND relkind = 'r'").fetchone() == (2,)  # fmt: skip


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_a_reader_makes_the_swap_give_way(opened, person, isolation):
    """The publisher falls back to replacing the rows; the reader keeps what its isolation promises."""
    warehouse = opened(native_rows=0, swap=True, lock_timeout=0)
    publish(warehouse, flights(1))
    before = leaves(person)
    person.execute(f"BEGIN ISOLATION LEVEL {isolation}")
    assert person.execute("SELECT id FROM raw.flights").fetchall() == [(1,)]
    assert publish(warehouse, flights(2)).result is Result.PUBLISHED
    assert person.execute("SELECT id FROM raw.flights").fetchall() == [(2 if isolation == "READ COMMITTED" else 1,)]
    person.execute("COMMIT")
    assert leaves(person) == before
    assert ids(warehouse) == [2]


def test_a_reader_never_waits_for_a_publisher_that_waits(opened, person, database_url):
    """A reader holds the table, a publisher asks for it, and a second reader comes: it is served at once."""
    publish(opened(native_rows=0), flights(1))
    before = leaves(person)
    person.execute("BEGIN")
    person.execute("SELECT FROM raw.flights")
    patient = opened(swap=True, lock_timeout=3600)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url, autocommit=True) as other:
        publishing = pool.submit(publish, patient, flights(2))
        try:
            _await(
                other, "SELECT 1 FROM pg_stat_activity WHERE application_name = 'sluice' AND query LIKE 'LOCK TABLE%'"
            )
            other.execute("SET lock_timeout = '1s'")
            for _ in range(20):
                assert other.execute("SELECT id FROM raw.flights").fetchall() == [(1,)]
            assert not publishing.done()
        finally:
            person.execute("COMMIT")
        publishing.result()
        assert other.execute("SELECT id FROM raw.flights").fetchall() == [(2,)]
    assert not before & leaves(person)


@pytest.mark.parametrize("native_rows", [0, None])
@pytest.mark.parametrize("partition", ["day", "another day"])
def test_a_reader_is_no_hindrance_to_a_publish_and_sees_what_it_saw(opened, person, native_rows, partition):
    warehouse = opened(native_rows=native_rows, lock_timeout=0)
    publish(warehouse, flights(1))
    person.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    assert person.execute("SELECT id FROM raw.flights").fetchall() == [(1,)]
    publish(warehouse, flights(2), partition=partition)
    assert person.execute("SELECT id FROM raw.flights").fetchall() == [(1,)]
    person.execute("COMMIT")
    assert ids(warehouse, partitions=[partition]) == [2]


def test_a_new_partition_gives_up_where_somebody_alters_the_table(opened, person):
    warehouse = opened(native_rows=0, lock_timeout=0.01)
    publish(warehouse, flights(1))
    person.execute("BEGIN")
    person.execute("LOCK TABLE raw.flights IN SHARE UPDATE EXCLUSIVE MODE")
    with pytest.raises(PublishError, match="stood in the way"):
        publish(warehouse, flights(2), partition="another")
    person.execute("COMMIT")
    assert set(warehouse.current(FLIGHTS)) == {"day"}
    assert ids(warehouse) == [1]
    publish(warehouse, flights(2), partition="another")
    assert ids(warehouse) == [1, 2]


@pytest.mark.parametrize("native_rows", [0, None])
def test_a_column_is_added_only_when_nobody_reads(opened, person, native_rows):
    warehouse = opened(native_rows=native_rows, lock_timeout=0)
    publish(warehouse, flights(1))
    more = (*COLUMNS, Column(name="late", type=LogicalType.BOOLEAN))
    rows = flights(2).append_column("late", pa.array([True]))
    person.execute("BEGIN")
    person.execute("SELECT FROM raw.flights")
    with pytest.raises(PublishError, match="stood in the way"):
        publish(warehouse, rows, columns=more)
    person.execute("COMMIT")
    publish(warehouse, rows, columns=more)
    assert warehouse.read(FLIGHTS).to_pylist() == [{"id": 2, "who": "x", "late": True}]


# Tables that are changed by hand


@pytest.mark.parametrize("native_rows", [0, None])
def test_a_dropped_table_has_no_publications(opened, person, native_rows):
    warehouse = opened(native_rows=native_rows)
    publish(warehouse, flights(1), partition="a")
    publish(warehouse, flights(2), partition="b")
    person.execute("DROP TABLE raw.flights")
    assert warehouse.current(FLIGHTS) == {}
    assert warehouse.tables() == []
    after = opened(native_rows=native_rows)
    publish(after, flights(2), partition="b")
    assert set(after.current(FLIGHTS)) == {"b"}
    assert ids(after) == [2]


def test_a_table_that_is_dropped_under_an_open_warehouse_is_made_anew_the_next_time(opened, person):
    warehouse = opened()
    publish(warehouse, flights(1))
    person.execute("DROP TABLE raw.flights")
    with pytest.raises(PublishError, match="dropped meanwhile"):
        publish(warehouse, flights(2))
    publish(warehouse, flights(2))
    assert ids(warehouse) == [2]


def test_a_view_in_the_place_of_the_table_is_written_through(opened, person):
    publish(opened(), flights(1))
    person.execute("ALTER TABLE raw.flights RENAME TO moved")
    person.execute("CREATE VIEW raw.flights AS SELECT * FROM raw.moved")
    publish(opened(), flights(2))
    assert person.execute("SELECT id FROM raw.moved").fetchall() == [(2,)]


# Values


PHYSICAL = {
    "varchar(5)": (LogicalType.STRING, ["abcde", "", None]),
    "char(3)": (LogicalType.STRING, ["abc", "a", None]),
    "json": (LogicalType.OBJECT, ['{"a": 1}', None]),
    "jsonb": (LogicalType.ARRAY, ["[]", None, '["🦆"]']),
    "smallint": (LogicalType.INTEGER, [-32768, 32767, None]),
    "integer": (LogicalType.INTEGER, [-(2**31), 2**31 - 1, None]),
    "numeric(12,2)": (LogicalType.NUMBER, [0.25, None, -1.5]),
    "real": (LogicalType.NUMBER, [0.25, None]),
    "uuid": (LogicalType.STRING, ["6f1c1b0c-0000-4000-8000-000000000000", None]),
    "timestamp(0) with time zone": (LogicalType.TIMESTAMP, [dt.datetime(1, 1, 1, tzinfo=dt.timezone.utc), None]),
}


@pytest.mark.parametrize("physical", PHYSICAL)
@pytest.mark.parametrize("also", [None, "inet"])
def test_physical_types_come_back_as_they_went(opened, person, physical, also):
    """Alone they go straight in; beside a type of which nothing is known they go by way of a cast."""
    logical, values = PHYSICAL[physical]
    columns = [Column(name="c", type=logical, physical_type=physical)]
    arrays = {"c": pa.array(values, arrow_type(columns[0]))}
    if also:
        columns.append(Column(name="also", type=LogicalType.STRING, physical_type=also))
        arrays["also"] = pa.array(["10.0.0.1"] * len(values))
    warehouse = opened()
    for partition in ("a", "b"):
        publish(warehouse, pa.table(arrays), partition=partition, columns=tuple(columns))
    found = warehouse.read(FLIGHTS, columns=["c"], partitions=["b"]).column("c").to_pylist()
    assert [_plain(value) for value in found] == values


@pytest.mark.parametrize(
    ("physical", "logical", "value"),
    [
        ("varchar(5)", LogicalType.STRING, "abcdef"),
        ("smallint", LogicalType.INTEGER, 32768),
        ("integer", LogicalType.INTEGER, -(2**31) - 1),
        ("jsonb", LogicalType.OBJECT, "{"),
        (None, LogicalType.STRING, scenario.WITH_NUL),
        (None, LogicalType.TIMESTAMP, -(2**63)),
        (None, LogicalType.TIMESTAMP, -(2**63) + 946_684_800_000_000),
        (None, LogicalType.DATE, -(2**31)),
        (None, LogicalType.DATE, -(2**31) + 10_957),
        (None, LogicalType.DATE, 2**31 - 1),
    ],
)
def test_a_value_that_the_table_cannot_hold_is_refused_as_such(opened, physical, logical, value):
    column = Column(name="c", type=logical, physical_type=physical)
    kind = arrow_type(column)
    if isinstance(value, int) and logical is not LogicalType.INTEGER:
        width = pa.int32() if logical is LogicalType.DATE else pa.int64()
        values = pa.array([value, 0], width).cast(kind)
    else:
        values = pa.array([value], kind)
    warehouse = opened()
    with pytest.raises(PublishError):
        publish(warehouse, pa.table({"c": values}), columns=(column,))
    assert warehouse.current(FLIGHTS) == {}
    publish(warehouse, pa.table({"c": pa.array([None], kind)}), columns=(column,))


def test_a_moment_before_all_moments_names_its_column(opened):
    column = Column(name="c", type=LogicalType.TIMESTAMP)
    rows = pa.table({"c": pa.array([-(2**63)], pa.int64()).cast(arrow_type(column))})
    with pytest.raises(PublishError, match=r"column 'c'.*-9223372036854775808 microseconds"):
        publish(opened(), rows, columns=(column,))


@pytest.mark.parametrize("key", [scenario.WITH_NUL, scenario.LONE_SURROGATE])
def test_a_key_that_no_database_takes_is_refused(opened, key):
    warehouse = opened()
    publish(warehouse, flights(1))
    with pytest.raises(PublishError, match="cannot have"):
        publish(warehouse, flights(1), partition=key)
    with pytest.raises(PublishError, match="cannot have"):
        warehouse.record_block(FLIGHTS, key, RECORD)
    assert warehouse.current(FLIGHTS, [key]) == {}
    assert ids(warehouse, partitions=[key, "day"]) == [1]


def _plain(value):
    """A number or a UUID, which the driver gives as types of their own, as it was sent."""
    if isinstance(value, uuid.UUID):
        return str(value)
    return float(value) if isinstance(value, str) and value.lstrip("-").replace(".", "").isdigit() else value


def _await(session, query):
    """Ask until there is an answer; there will be one."""
    while not session.execute(query).fetchall():
        time.sleep(0.01)

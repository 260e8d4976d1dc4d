"""What a warehouse must do, whatever the database: one suite over all adapters."""

import dataclasses
import datetime as dt
import itertools
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
import scenario
from adapters import ADAPTERS, SECRET

from dagster_sluice.contracts import Column, LogicalType
from dagster_sluice.errors import DatabaseUnreachable, PublishError, TableError
from dagster_sluice.tables.content import content_hash
from dagster_sluice.warehouse import Address, AuditRecord, Batch, RejectedRow, Result
from dagster_sluice.warehouse.types import arrow_type

FLIGHTS = Address(schema="raw", table="flights")
COLUMNS = (Column(name="id", type=LogicalType.INTEGER), Column(name="who", type=LogicalType.STRING))


def audit_record(**changes):
    return AuditRecord(
        **{
            "run_id": "run",
            "correlation_id": "cause",
            "contract_version": "1.0.0",
            "contract_fingerprint": "print",
            "code_version": "code",
            "rows_in": 3,
            "passed": 2,
            "warned": 1,
            "failed": 0,
            "seconds": 0.5,
            "results": ({"name": "x", "success": True},),
            **changes,
        }
    )


def batch(rows, *, partition=None, base=None, rejected=(), address=FLIGHTS, columns=COLUMNS, **audit):
    return Batch(
        address=address,
        columns=columns,
        partition=partition,
        rows=rows,
        rejected=rejected,
        content_hash=content_hash(rows),
        base=base,
        audit=audit_record(**audit),
    )


def flights(*ids, who="x"):
    return pa.table({"id": pa.array(ids, pa.int64()), "who": pa.array([who] * len(ids), pa.string())})


def publish(warehouse, rows, **settings):
    """Publish on top of whatever stands there."""
    address, partition = settings.get("address", FLIGHTS), settings.get("partition")
    standing = warehouse.current(address).get(partition)
    return warehouse.publish(batch(rows, base=standing.id if standing else None, **settings))


def ids(warehouse, **settings):
    return sorted(warehouse.read(settings.pop("address", FLIGHTS), **settings).column("id").to_pylist())


# Preparing


def test_prepare_twice_changes_nothing(opened):
    first = opened()
    first.prepare()
    publish(first, flights(1))
    first.prepare()
    second = opened()
    second.prepare()
    assert ids(second) == [1]


def test_first_users_take_turns(opened):
    warehouses = [opened() for _ in range(8)]
    barrier = threading.Barrier(8)

    def prepare(warehouse):
        barrier.wait()
        warehouse.prepare()
        return warehouse.tables()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(prepare, warehouses)) == [[]] * 8


def _first_publish(warehouse, partition):
    return publish(warehouse, flights(1, 2), partition=partition).id


def test_first_publishers_in_several_processes(warehouse, elsewhere):
    """The schema, the records and the table are all made at the same time."""
    started = [elsewhere(_first_publish, f"day {number}") for number in range(3)]
    numbers = [results.get() for _, results in started]
    for process, _ in started:
        process.join()
    assert all(isinstance(number, int) for number in numbers), numbers
    assert len(set(numbers)) == 3
    assert len(warehouse.current(FLIGHTS)) == 3
    assert ids(warehouse) == [1, 1, 1, 2, 2, 2]


# Publishing


@pytest.mark.parametrize("partition", [None, "2024-03-10"])
def test_new_same_changed_and_empty(warehouse, partition):
    first = publish(warehouse, flights(1, 2), partition=partition)
    assert (first.result, first.rows_published) == (Result.PUBLISHED, 2)
    assert warehouse.current(FLIGHTS) == {partition: first}

    same = publish(warehouse, flights(2, 1), partition=partition, code_version="newer")
    assert (same.result, same.id, same.published_at) == (Result.UNCHANGED, first.id, first.published_at)
    assert warehouse.current(FLIGHTS)[partition].code_version == "newer"

    changed = publish(warehouse, flights(1, 2, 2), partition=partition)
    assert changed.result is Result.PUBLISHED
    assert changed.id > first.id
    assert ids(warehouse) == [1, 2, 2]

    emptied = publish(warehouse, flights(), partition=partition)
    assert (emptied.result, emptied.rows_published) == (Result.PUBLISHED, 0)
    assert ids(warehouse) == []
    assert publish(warehouse, flights(), partition=partition).result is Result.UNCHANGED
    assert list(warehouse.current(FLIGHTS)) == [partition]


def test_a_publish_touches_its_own_partition_alone(warehouse):
    publish(warehouse, flights(1), partition="a")
    publish(warehouse, flights(2), partition="b")
    publish(warehouse, flights(3), partition="a")
    assert ids(warehouse) == [2, 3]
    assert ids(warehouse, partitions=["a"]) == [3]
    assert ids(warehouse, partitions=["b"]) == [2]
    assert ids(warehouse, partitions=["b", "a", "gone"]) == [2, 3]
    assert ids(warehouse, partitions=[]) == []
    assert set(warehouse.current(FLIGHTS)) == {"a", "b"}
    assert set(warehouse.current(FLIGHTS, ["b", "gone"])) == {"b"}


def test_two_tables_of_one_name_in_two_schemas(warehouse):
    other = Address(schema="staging", table="flights")
    publish(warehouse, flights(1))
    publish(warehouse, flights(2), address=other)
    assert ids(warehouse) == [1]
    assert ids(warehouse, address=other) == [2]
    assert [status.address for status in warehouse.tables()] == [FLIGHTS, other]


@pytest.mark.parametrize("made_by", ["drop", "delete"])
@pytest.mark.parametrize("partition", [None, "day"])
def test_a_table_that_was_emptied_by_hand_is_not_unchanged(opened, place, partition, made_by):
    before = opened()
    publish(before, flights(1, 2), partition=partition)
    place.by_hand("DROP TABLE raw.flights" if made_by == "drop" else "DELETE FROM raw.flights WHERE id = 1")
    after = opened()
    assert publish(after, flights(1, 2), partition=partition).result is Result.PUBLISHED
    assert ids(after) == [1, 2]


@pytest.mark.parametrize("stale", [None, 10**9])
def test_a_publish_on_a_stale_base_is_refused_and_changes_nothing(warehouse, stale):
    publish(warehouse, flights(1), partition="day")
    before = warehouse.current(FLIGHTS)
    late = batch(flights(2), partition="day", base=stale, rejected=[RejectedRow(payload={"id": 9}, reasons=[])])
    with pytest.raises(PublishError, match="somebody else"):
        warehouse.publish(late)
    assert warehouse.current(FLIGHTS) == before
    assert ids(warehouse) == [1]
    assert warehouse.quarantined() == []


def test_the_same_content_is_welcome_on_a_stale_base(warehouse):
    """A run that is repeated, or a second one with the same rows, is not an accident."""
    first = publish(warehouse, flights(1), partition="day")
    again = warehouse.publish(batch(flights(1), partition="day", base=None))
    assert (again.result, again.id) == (Result.UNCHANGED, first.id)


def _race(warehouse, number, start_at):
    rows = flights(*[number] * 500, who=str(number))
    standing = warehouse.current(FLIGHTS).get("day")
    request = batch(rows, partition="day", base=standing.id if standing else None, run_id=str(number))
    time.sleep(max(0.0, start_at - time.time()))
    return warehouse.publish(request).rows_published


def test_two_processes_that_publish_one_partition_at_once(warehouse, elsewhere):
    """Wholly the one or wholly the other; one publication is current; the other is refused."""
    publish(warehouse, flights(0), partition="day")
    for _ in range(2):
        start_at = time.time() + 2.0
        started = [elsewhere(_race, number, start_at) for number in (1, 2)]
        outcomes = [results.get() for _, results in started]
        for process, _ in started:
            process.join()
        won = [outcome for outcome in outcomes if outcome == 500]
        refused = [outcome for outcome in outcomes if isinstance(outcome, PublishError)]
        assert len(won) + len(refused) == 2, outcomes
        assert won
        rows = warehouse.read(FLIGHTS)
        assert rows.num_rows == 500
        assert len(set(rows.column("id").to_pylist())) == 1
        current = warehouse.current(FLIGHTS)
        assert len(current) == 1
        assert current["day"].run_id == rows.column("who")[0].as_py()


def test_threads_that_publish_one_partition_at_once(opened):
    warehouses = [opened() for _ in range(6)]
    barrier = threading.Barrier(6)

    def race(numbered):
        number, warehouse = numbered
        barrier.wait()
        try:
            return warehouse.publish(batch(flights(*[number] * 50), partition="day")).id
        except PublishError:
            return None

    with ThreadPoolExecutor(6) as pool:
        numbers = list(pool.map(race, enumerate(warehouses)))
    assert len([number for number in numbers if number is not None]) == 1
    assert len(set(ids(warehouses[0]))) == 1
    assert len(ids(warehouses[0])) == 50


def test_partitions_published_at_once_do_not_disturb_each_other(opened):
    warehouses = [opened() for _ in range(6)]

    def fill(numbered):
        number, warehouse = numbered
        for again in range(3):
            publish(warehouse, flights(*range(again + 1)), partition=str(number))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(fill, enumerate(warehouses)))
    assert ids(warehouses[0]) == sorted([0, 1, 2] * 6)


def test_a_reader_sees_the_old_or_the_new_and_never_a_mix(opened, place):
    """Count, content and publication agree at every moment, while another thread publishes."""
    writer = opened()
    publish(writer, flights(*[0] * 10), partition="day")
    stop = threading.Event()
    seen = []

    def read():
        reader = opened()
        while not stop.is_set():
            counted, (promised,) = place.snapshot(
                "SELECT count(*), min(id), max(id) FROM raw.flights",
                "SELECT rows_published FROM sluice.publications WHERE superseded_at IS NULL",
            )
            seen.append((counted, promised))
            rows = reader.read(FLIGHTS, partitions=["day"]).column("id").to_pylist()
            seen.append(((len(rows), min(rows), max(rows)), None))

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for number in itertools.count(1):
            publish(writer, flights(*[number] * (10 + number)), partition="day")
            # However slow the reader is, it has come by in between.
            if number >= 24 and (reading.done() or len(set(seen)) > 2):
                break
        stop.set()
        reading.result()
    assert len({counted for counted, _ in seen}) > 1
    for (count, lowest, highest), promised in seen:
        assert lowest == highest
        assert count == 10 + lowest
        assert promised in (None, count)


# Partitions and names


def test_partition_keys_of_any_make(warehouse):
    for number, key in enumerate(scenario.AWKWARD_KEYS):
        publish(warehouse, flights(number), partition=key)
    for number, key in enumerate(scenario.AWKWARD_KEYS):
        assert ids(warehouse, partitions=[key]) == [number]
        assert list(warehouse.current(FLIGHTS, [key])) == [key]
    assert set(warehouse.current(FLIGHTS)) == set(scenario.AWKWARD_KEYS)
    assert ids(warehouse) == list(range(len(scenario.AWKWARD_KEYS)))


def test_a_partition_key_that_no_database_takes_is_refused(warehouse):
    with pytest.raises(PublishError):
        publish(warehouse, flights(1), partition=scenario.WITH_NUL)
    assert warehouse.current(FLIGHTS) == {}


@pytest.mark.parametrize(("before", "after"), [(None, "day"), ("day", None)])
def test_a_table_does_not_become_partitioned_by_accident(opened, before, after):
    publish(opened(), flights(1), partition=before)
    with pytest.raises(PublishError, match="partitioned in the warehouse"):
        publish(opened(), flights(2), partition=after)
    assert ids(opened()) == [1]


@pytest.mark.parametrize("name", scenario.AWKWARD_NAMES)
def test_names_that_look_like_sql_are_names(opened, name):
    address = Address(schema=name, table=name)
    columns = (Column(name=name, type=LogicalType.STRING),)
    rows = pa.table({name: list(scenario.AWKWARD_TEXTS)})
    for partition in ("a", "b"):
        publish(opened(), rows, address=address, columns=columns, partition=partition)
    warehouse = opened()
    assert warehouse.read(address, columns=[name], partitions=["b"]).column(name).to_pylist() == list(
        scenario.AWKWARD_TEXTS
    )
    assert set(warehouse.values(address, name)) == set(scenario.AWKWARD_TEXTS)
    assert [status.address for status in warehouse.tables()] == [address]


@pytest.mark.parametrize("name", ["", "x" * 64, "é" * 32, "nul\0", "_partition"])
def test_a_column_name_that_cannot_be_had_is_refused(warehouse, name):
    columns = (Column(name=name, type=LogicalType.INTEGER),)
    with pytest.raises(PublishError) as caught:
        publish(warehouse, pa.table({name: [1]}), columns=columns, partition="day")
    assert len(caught.value.culprits) == 1
    assert warehouse.current(FLIGHTS) == {}


def test_a_column_name_that_the_database_needs_is_refused(warehouse, place):
    for name in place.reserved:
        with pytest.raises(PublishError, match="for itself"):
            publish(warehouse, pa.table({name: [1]}), columns=(Column(name=name, type=LogicalType.INTEGER),))
    assert warehouse.current(FLIGHTS) == {}


def test_the_warehouses_own_records_are_nobodys_table():
    with pytest.raises(TableError, match="own records"):
        Address(schema="sluice", table="quarantine")


# Types


def typed(kind, values, **column):
    described = Column(name="c", type=kind, **column)
    return (described,), pa.table({"c": pa.array(values, arrow_type(described))})


UTC = dt.timezone.utc
ROUNDTRIPS = {
    LogicalType.STRING: list(scenario.AWKWARD_TEXTS),
    LogicalType.INTEGER: list(scenario.AWKWARD_INTEGERS),
    LogicalType.NUMBER: list(scenario.AWKWARD_NUMBERS),
    LogicalType.BOOLEAN: [True, False],
    LogicalType.DATE: [dt.date(1, 1, 1), dt.date(2024, 2, 29), dt.date(9999, 12, 31)],
    LogicalType.TIMESTAMP: [
        *scenario.doubled_hour(),
        dt.datetime(1, 1, 1, tzinfo=UTC),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
    LogicalType.TIME: [dt.time(0), dt.time(23, 59, 59, 999_999)],
    LogicalType.OBJECT: ["{}", '{"a": [1, null, "🦆"], "b\'": {"c": 0.1}}'],
    LogicalType.ARRAY: ["[]", "[1, [2], {}]"],
}


def test_every_logical_type_has_a_roundtrip():
    assert set(ROUNDTRIPS) == set(LogicalType)


@pytest.mark.parametrize("kind", LogicalType)
def test_values_come_back_as_they_went(warehouse, kind):
    columns, rows = typed(kind, [*ROUNDTRIPS[kind], None])
    publish(warehouse, rows, columns=columns)
    back = warehouse.read(FLIGHTS)
    assert list(map(repr, back.column("c").to_pylist())) == list(map(repr, rows.column("c").to_pylist()))
    assert None not in warehouse.values(FLIGHTS, "c")
    assert len(warehouse.values(FLIGHTS, "c")) == len({repr(value).lstrip("-") if value == 0 else repr(value)
                                                       for value in ROUNDTRIPS[kind]})  # fmt: skip


def test_moments_without_a_zone_come_back_without_one(warehouse):
    columns, rows = typed(LogicalType.TIMESTAMP, [scenario.naive("2024-11-03T01:30"), None], timezone=False)
    publish(warehouse, rows, columns=columns)
    assert warehouse.read(FLIGHTS).equals(rows)


def test_the_awkward_batch_goes_there_and_back(warehouse):
    publish(warehouse, scenario.rows(), columns=scenario.COLUMNS)
    back = warehouse.read(FLIGHTS)
    assert back.column_names == scenario.rows().column_names
    assert list(map(repr, back.to_pylist())) == list(map(repr, scenario.rows().to_pylist()))


@pytest.mark.parametrize(
    ("physical", "kind", "value"),
    [
        ("numeric(12,2)", LogicalType.NUMBER, 1.25),
        ("NUMERIC(12, 2)", LogicalType.NUMBER, 1.25),
        ("varchar(10)", LogicalType.STRING, "x"),
        ("timestamp(3) with time zone", LogicalType.TIMESTAMP, dt.datetime(2024, 1, 1, tzinfo=UTC)),
        ("smallint", LogicalType.INTEGER, 7),
        ("real", LogicalType.NUMBER, 0.5),
        ("uuid", LogicalType.STRING, str(uuid.UUID(int=1))),
        ("text", LogicalType.STRING, "x"),
    ],
)
def test_a_physical_type_is_used_and_fits_again(opened, physical, kind, value):
    columns, rows = typed(kind, [value, None], physical_type=physical)
    publish(opened(), rows, columns=columns, partition="a")
    publish(opened(), rows, columns=columns, partition="b")
    found = opened().read(FLIGHTS).column("c").to_pylist()
    assert [None if item is None else str(item) for item in found] == [str(value), None] * 2


@pytest.mark.parametrize(
    "physical", ["text); DROP TABLE raw.flights; --", "text DEFAULT 'x'", "int; SELECT 1", "nonsense"]
)
def test_a_physical_type_that_is_none_is_refused(opened, physical):
    publish(opened(), flights(1))
    columns, rows = typed(LogicalType.STRING, ["x"], physical_type=physical)
    with pytest.raises((PublishError, TableError)):
        publish(opened(), rows, columns=columns, address=Address(schema="raw", table="other"))
    assert ids(opened()) == [1]


def test_a_value_that_the_physical_type_refuses_changes_nothing(warehouse):
    columns, rows = typed(LogicalType.STRING, ["short"], physical_type="varchar(5)")
    publish(warehouse, rows, columns=columns)
    with pytest.raises(PublishError, match="too long"):
        publish(warehouse, pa.table({"c": ["much too long"]}), columns=columns)
    assert warehouse.read(FLIGHTS).equals(rows)
    assert len(warehouse.current(FLIGHTS)) == 1


# The shape of a table over time


def test_a_column_added_to_the_contract(opened):
    publish(opened(), flights(1), partition="old")
    wider = (*COLUMNS, Column(name="extra", type=LogicalType.NUMBER))
    rows = flights(2).append_column("extra", pa.array([0.5]))
    publish(opened(), rows, columns=wider, partition="new")
    warehouse = opened()
    assert warehouse.read(FLIGHTS, partitions=["old"]).column("extra").to_pylist() == [None]
    assert warehouse.read(FLIGHTS, partitions=["new"]).column("extra").to_pylist() == [0.5]
    publish(opened(), rows, columns=wider, partition="old")
    assert opened().read(FLIGHTS).column("extra").to_pylist() == [0.5, 0.5]


def test_a_column_taken_from_the_contract_stays_in_the_table(opened):
    publish(opened(), flights(1), partition="old")
    publish(opened(), flights(2).select(["id"]), columns=COLUMNS[:1], partition="new")
    warehouse = opened()
    assert ids(warehouse) == [1, 2]
    assert warehouse.read(FLIGHTS, partitions=["new"]).column("who").to_pylist() == [None]


@pytest.mark.parametrize(
    "changed",
    [
        dataclasses.replace(COLUMNS[1], type=LogicalType.NUMBER),
        dataclasses.replace(COLUMNS[1], physical_type="varchar(10)"),
    ],
)
def test_a_changed_type_is_refused_and_nothing_is_changed(opened, changed):
    publish(opened(), flights(1, 2), partition="day")
    columns = (dataclasses.replace(COLUMNS[0], type=LogicalType.STRING), changed)
    rows = pa.table({"id": ["x"], "who": pa.array([1.5 if changed.physical_type is None else "x"])})
    warehouse = opened()
    with pytest.raises(PublishError) as caught:
        publish(warehouse, rows, columns=(*columns, Column(name="new", type=LogicalType.DATE)), partition="day")
    assert [culprit.where for culprit in caught.value.culprits] == ["column 'id'", "column 'who'"]
    assert ids(warehouse) == [1, 2]
    assert warehouse.read(FLIGHTS).column_names == ["id", "who"]


@pytest.mark.parametrize(("before", "after"), [("numeric(12,2)", "numeric(14,4)"), ("varchar(5)", "varchar(9)")])
def test_another_length_or_precision_is_another_type(opened, before, after):
    kind, value = (LogicalType.NUMBER, 1.5) if "numeric" in before else (LogicalType.STRING, "x")
    columns, rows = typed(kind, [value], physical_type=before)
    publish(opened(), rows, columns=columns)
    columns, rows = typed(kind, [value], physical_type=after)
    with pytest.raises(PublishError, match="other column types"):
        publish(opened(), rows, columns=columns)


# Quarantine


def row(number, *reasons):
    return RejectedRow(
        payload={"id": number, "text": scenario.AWKWARD_TEXTS[4], "nothing": None},
        reasons=[{"expectation": reason, "value": number} for reason in reasons or ("unique",)],
    )


def open_rows(warehouse, **settings):
    return sorted((found.payload["id"], found.status) for found in warehouse.quarantined(FLIGHTS, **settings))


def test_rejected_rows_are_kept_with_their_reasons(warehouse):
    published = publish(
        warehouse, flights(1), partition="day", rejected=[row(7, "unique", "between")], run_id="r", correlation_id="c"
    )
    assert published.rows_quarantined == 1
    (found,) = warehouse.quarantined()
    assert found.address == FLIGHTS
    assert (found.partition, found.status, found.run_id, found.correlation_id) == ("day", "open", "r", "c")
    assert found.payload == row(7).payload
    assert [reason["expectation"] for reason in found.reasons] == ["unique", "between"]
    assert warehouse.tables()[0].rows_quarantined == 1


@pytest.mark.parametrize("partition", [None, "day"])
def test_a_rerun_doubles_nothing(warehouse, partition):
    for _ in range(3):
        publish(warehouse, flights(1), partition=partition, rejected=[row(7), row(8)])
    assert open_rows(warehouse) == [(7, "open"), (8, "open")]


def test_a_row_seen_again_is_the_same_row_with_todays_reasons(warehouse):
    publish(warehouse, flights(1), partition="day", rejected=[row(7, "old")], run_id="first")
    (before,) = warehouse.quarantined()
    publish(warehouse, flights(2), partition="day", rejected=[row(7, "new")], run_id="second")
    (after,) = warehouse.quarantined()
    assert (after.id, after.first_seen) == (before.id, before.first_seen)
    assert after.last_seen > before.last_seen
    assert after.run_id == "second"
    assert after.reasons[0]["expectation"] == "new"


def test_equal_rows_are_kept_apart(warehouse):
    publish(warehouse, flights(1), partition="day", rejected=[row(7), row(7), row(7)])
    assert open_rows(warehouse) == [(7, "open")] * 3
    publish(warehouse, flights(1), partition="day", rejected=[row(7)])
    assert open_rows(warehouse) == [(7, "open")]
    assert open_rows(warehouse, status="passed") == [(7, "passed")] * 2


@pytest.mark.parametrize("changed", [False, True])
def test_a_row_that_is_no_longer_rejected_has_passed_and_may_come_back(warehouse, changed):
    publish(warehouse, flights(1), partition="day", rejected=[row(7), row(8)])
    publish(warehouse, flights(2 if changed else 1), partition="day", rejected=[row(8)])
    assert open_rows(warehouse) == [(8, "open")]
    assert open_rows(warehouse, status="passed") == [(7, "passed")]
    publish(warehouse, flights(1), partition="day", rejected=[row(7)])
    assert open_rows(warehouse, status=None) == [(7, "open"), (8, "passed")]


def test_what_a_person_discarded_stays_discarded(warehouse, place):
    publish(warehouse, flights(1), partition="day", rejected=[row(7), row(8)])
    place.by_hand("UPDATE sluice.quarantine SET status = 'discarded' WHERE payload ->> 'id' = '7'")
    publish(warehouse, flights(2), partition="day", rejected=[row(7), row(8)])
    assert open_rows(warehouse, status=None) == [(7, "discarded"), (8, "open")]
    publish(warehouse, flights(3), partition="day")
    assert open_rows(warehouse, status=None) == [(7, "discarded"), (8, "passed")]


def test_each_partition_has_its_own_quarantine(warehouse):
    for partition in ("a", "b"):
        publish(warehouse, flights(1), partition=partition, rejected=[row(7)])
    publish(warehouse, flights(1), partition="a")
    assert [found.partition for found in warehouse.quarantined()] == ["b"]
    assert warehouse.quarantined(FLIGHTS, "a") == []
    assert warehouse.quarantined(Address(schema="raw", table="other")) == []
    assert len(warehouse.quarantined(status=None, limit=1)) == 1


def test_the_newest_rows_come_first(warehouse):
    for number in range(5):
        publish(warehouse, flights(number), partition=str(number), rejected=[row(number)])
    assert [found.payload["id"] for found in warehouse.quarantined(limit=3)] == [4, 3, 2]


# Records


def test_a_block_leaves_everything_and_is_remembered(warehouse):
    published = publish(warehouse, flights(1), partition="day", rejected=[row(7)])
    warehouse.record_block(
        FLIGHTS, "day", audit_record(correlation_id="blocked", failed=1, reasons=("too many", "größe"))
    )
    assert warehouse.current(FLIGHTS) == {"day": published}
    assert ids(warehouse) == [1]
    assert open_rows(warehouse) == [(7, "open")]
    (audit,) = warehouse.audits("blocked")
    assert (audit.result, audit.partition, audit.rows_published) == (Result.BLOCKED, "day", 0)
    assert audit.reasons == ("too many", "größe")


def test_a_block_before_the_first_publish(warehouse):
    warehouse.record_block(FLIGHTS, None, audit_record())
    assert warehouse.current(FLIGHTS) == {}
    assert warehouse.tables() == []
    assert [audit.result for audit in warehouse.audits("cause")] == [Result.BLOCKED]
    with pytest.raises(TableError):
        warehouse.read(FLIGHTS)


def test_every_audit_of_one_cause_in_order(warehouse):
    publish(warehouse, flights(1), partition="a", rejected=[row(7)])
    publish(warehouse, flights(1), partition="a")
    publish(warehouse, flights(2), partition="b", correlation_id="another")
    warehouse.record_block(FLIGHTS, "c", audit_record(failed=1))
    found = warehouse.audits("cause")
    assert [(audit.partition, audit.result) for audit in found] == [
        ("a", Result.PUBLISHED),
        ("a", Result.UNCHANGED),
        ("c", Result.BLOCKED),
    ]
    assert (found[0].rows_in, found[0].rows_published, found[0].rows_quarantined) == (3, 1, 1)
    assert (found[0].passed, found[0].warned, found[0].failed, found[0].seconds) == (2, 1, 0, 0.5)
    assert found[0].judged_at.tzinfo is not None
    assert warehouse.audits("nobody") == []


def test_tables_at_a_glance(warehouse):
    publish(warehouse, flights(1, 2), partition="2024-01-02", rejected=[row(7)])
    publish(warehouse, flights(3), partition="2024-01-01")
    publish(warehouse, flights(3), address=Address(schema="a", table="whole"))
    whole, partitioned = warehouse.tables()
    assert (str(whole.address), whole.partitions, whole.rows, whole.first_partition) == ("a.whole", 1, 1, None)
    assert (partitioned.partitions, partitioned.rows, partitioned.rows_quarantined) == (2, 3, 1)
    assert (partitioned.first_partition, partitioned.last_partition) == ("2024-01-01", "2024-01-02")


# Reading


def test_columns_come_as_asked_and_without_the_bookkeeping(warehouse):
    publish(warehouse, flights(1), partition="day")
    assert warehouse.read(FLIGHTS).column_names == ["id", "who"]
    assert warehouse.read(FLIGHTS, columns=["who", "id"]).column_names == ["who", "id"]


def test_what_is_absent_is_named(warehouse):
    with pytest.raises(TableError, match=r"raw\.flights"):
        warehouse.read(FLIGHTS)
    with pytest.raises(TableError, match=r"raw\.flights"):
        warehouse.values(FLIGHTS, "id")
    publish(warehouse, flights(1))
    with pytest.raises(TableError, match="'gone'"):
        warehouse.read(FLIGHTS, columns=["id", "gone"])
    with pytest.raises(TableError, match="'gone'"):
        warehouse.values(FLIGHTS, "gone")
    with pytest.raises(TableError):
        warehouse.read(FLIGHTS, partitions=["day"])


def test_values_are_distinct_and_without_null(warehouse):
    publish(warehouse, pa.table({"id": [3, 1, 3, None], "who": ["b", None, "a", "b"]}))
    assert warehouse.values(FLIGHTS, "id") == [1, 3]
    assert sorted(warehouse.values(FLIGHTS, "who")) == ["a", "b"]


# Connections


def test_a_closed_warehouse_opens_again(warehouse):
    publish(warehouse, flights(1))
    warehouse.close()
    warehouse.close()
    assert ids(warehouse) == [1]


def test_a_refused_publish_leaves_a_warehouse_that_works(warehouse):
    publish(warehouse, flights(1))
    for _ in range(3):
        with pytest.raises(PublishError):
            warehouse.publish(batch(flights(2), base=None))
    assert publish(warehouse, flights(2)).result is Result.PUBLISHED


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_a_database_that_does_not_answer_is_told_without_its_password(adapter, tmp_path):
    for url in ADAPTERS[adapter].unreachable(tmp_path).values():
        warehouse = ADAPTERS[adapter](url).open()
        for call in (
            warehouse.prepare,
            warehouse.tables,
            lambda w=warehouse: w.read(FLIGHTS),
            lambda w=warehouse: w.publish(batch(flights(1))),
        ):
            with pytest.raises(DatabaseUnreachable) as caught:
                call()
            assert "hunter2" not in str(caught.value)
            assert SECRET not in str(caught.value)
            assert caught.value.mend

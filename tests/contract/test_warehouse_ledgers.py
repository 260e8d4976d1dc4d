"""What stands of many tables at once, and since when: what a search for gaps reads."""

import dataclasses
import datetime as dt

from test_warehouse import FLIGHTS, audit_record, batch, flights, publish

from dagster_sluice.warehouse import Address, RejectedRow, Replay

WEATHER = Address(schema="raw", table="weather")
EARLY = dt.datetime(2026, 3, 8, 6, 59, 59, 123456, tzinfo=dt.timezone.utc)


def computed(warehouse, rows, moment, *, partition="day", **audit):
    standing = warehouse.current(FLIGHTS).get(partition)
    base = standing.id if standing else None
    made = batch(rows, partition=partition, base=base, **audit)
    return warehouse.publish(dataclasses.replace(made, computed_at=moment))


def micro(moment):
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(microseconds=1)


def known(warehouse, code="code"):
    found = warehouse.ledgers({FLIGHTS: code})[FLIGHTS]
    return dict(zip(found.partitions.to_pylist(), found.computed.tolist(), strict=True))


def test_tables_that_nobody_published_stand_empty(warehouse):
    found = warehouse.ledgers({FLIGHTS: "", WEATHER: ""})
    assert [
        (ledger.partitions.to_pylist(), len(ledger.published), dict(ledger.stopped)) for ledger in found.values()
    ] == [([], 0, {})] * 2
    assert warehouse.ledgers({}) == {}


def test_each_table_has_its_own(warehouse):
    publish(warehouse, flights(1), partition="a")
    publish(warehouse, flights(2), partition="b,ü '")
    publish(warehouse, flights(3), address=WEATHER)
    found = warehouse.ledgers({WEATHER: "code", FLIGHTS: "other"})
    assert sorted(found[FLIGHTS].partitions.to_pylist()) == ["a", "b,ü '"]
    assert found[FLIGHTS].other_code.tolist() == [True, True]
    assert (found[WEATHER].partitions.to_pylist(), found[WEATHER].other_code.tolist()) == ([""], [False])


def test_what_is_computed_again_without_a_change_was_published_before(warehouse):
    computed(warehouse, flights(1), EARLY)
    before = warehouse.ledgers({FLIGHTS: "code"})[FLIGHTS]
    assert before.computed.tolist() == [micro(EARLY)]
    later = EARLY + dt.timedelta(days=1)
    computed(warehouse, flights(1), later, code_version="new")
    after = warehouse.ledgers({FLIGHTS: "new"})[FLIGHTS]
    assert after.published.tolist() == before.published.tolist()
    assert (after.computed.tolist(), after.other_code.tolist()) == ([micro(later)], [False])


def test_a_replay_computes_nothing(warehouse):
    made = batch(flights(1, 2), partition="day", rejected=[RejectedRow(payload={"id": 3, "who": "x"}, reasons=[])])
    warehouse.publish(dataclasses.replace(made, computed_at=EARLY))
    standing = warehouse.current(FLIGHTS)["day"]
    row = warehouse.quarantined(FLIGHTS)[0]
    warehouse.replay(
        Replay(
            address=FLIGHTS,
            columns=made.columns,
            partition="day",
            base=standing.id,
            rows=flights(3),
            passed=[(row.id, {"id": 3, "who": "x"})],
            failed=[],
            content_hash="y",
            audit=audit_record(),
            why="",
        )
    )
    assert known(warehouse) == {"day": micro(EARLY)}


def test_how_long_a_batch_took_lately(warehouse):
    assert warehouse.durations([FLIGHTS]) == {}
    for number in range(33):
        publish(warehouse, flights(number), partition=str(number), seconds=100.0 if number < 3 else float(number))
    publish(warehouse, flights(1), address=WEATHER, seconds=2.0)
    never = Address(schema="raw", table="never")
    assert warehouse.durations([WEATHER, never, FLIGHTS]) == {WEATHER: 2.0, FLIGHTS: 17.5}


def test_a_block_counts_until_something_is_computed_after_it(warehouse):
    computed(warehouse, flights(1), EARLY)
    warehouse.record_block(FLIGHTS, "day", audit_record(reasons=("first",)))
    warehouse.record_block(FLIGHTS, "day", audit_record(reasons=("too many", "nulls")))
    warehouse.record_block(FLIGHTS, "never", audit_record(reasons=("empty",)))
    found = warehouse.ledgers({FLIGHTS: "code"})[FLIGHTS]
    assert {partition: stopped.reasons for partition, stopped in found.stopped.items()} == {
        "day": ("too many", "nulls"),
        "never": ("empty",),
    }
    assert all(stopped.judged_at.tzinfo for stopped in found.stopped.values())
    assert found.partitions.to_pylist() == ["day"]
    computed(warehouse, flights(1), dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=1))
    assert list(warehouse.ledgers({FLIGHTS: "code"})[FLIGHTS].stopped) == ["never"]

"""When partitions were first published, and how old the newest row is: what a watch over deadlines reads."""

import dataclasses
import datetime as dt

import pyarrow as pa
import pytest
from test_warehouse import FLIGHTS, audit_record, batch, flights, publish

from dagster_sluice import Column
from dagster_sluice.warehouse import Address, RejectedRow, Replay

WEATHER = Address(schema="raw", table="weather")
UTC = dt.timezone.utc
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=UTC)


def micro(moment):
    return (moment - dt.datetime(1970, 1, 1, tzinfo=UTC)) // dt.timedelta(microseconds=1)


def lives(warehouse, since="", address=FLIGHTS):
    found = warehouse.timelines({address: since})[address]
    rows = zip(found.partitions.to_pylist(), found.first.tolist(), found.stands.tolist(), strict=True)
    return {key: (first, stands) for key, first, stands in rows}


def again(warehouse, rows, partition):
    standing = warehouse.current(FLIGHTS, [partition] if partition else None)[partition]
    return warehouse.publish(batch(rows, partition=partition, base=standing.id))


def test_what_nobody_published_has_no_time(warehouse):
    found = warehouse.timelines({FLIGHTS: "", WEATHER: ""}, refreshed={FLIGHTS: LONG_AGO})
    assert [
        (one.partitions.to_pylist(), len(one.first), len(one.stands), dict(one.refreshed), dict(one.stopped))
        for one in found.values()
    ] == [([], 0, 0, {}, {})] * 2
    assert warehouse.timelines({}) == {}


def test_the_first_publication_stays_the_first(warehouse):
    first = publish(warehouse, flights(1), partition="2026-03-08")
    publish(warehouse, flights(1), partition="ü, '")
    assert lives(warehouse)["2026-03-08"] == (micro(first.published_at), True)
    second = again(warehouse, flights(1, 2), "2026-03-08")
    assert second.published_at > first.published_at
    assert lives(warehouse)["2026-03-08"] == (micro(first.published_at), True)
    assert set(lives(warehouse)) == {"2026-03-08", "ü, '"}


def test_keys_before_the_least_that_matters_are_left_out(warehouse):
    for key in ("2026-03-08", "2026-03-09", "2026-03-10", "Zebra", "äh"):
        publish(warehouse, flights(1), partition=key)
    assert set(lives(warehouse, "2026-03-09")) == {"2026-03-09", "2026-03-10", "Zebra", "äh"}
    assert set(lives(warehouse, "a")) == {"äh"}


def test_each_table_has_its_own(warehouse):
    publish(warehouse, flights(1), partition="a")
    publish(warehouse, flights(3), address=WEATHER)
    found = warehouse.timelines({WEATHER: "", FLIGHTS: ""})
    assert found[FLIGHTS].partitions.to_pylist() == ["a"]
    assert found[WEATHER].partitions.to_pylist() == [""]
    assert found[WEATHER].stands.tolist() == [True]


def test_refreshes_are_publications_and_confirmations_and_no_replays(warehouse):
    made = batch(flights(1, 2), partition=None, rejected=[RejectedRow(payload={"id": 3, "who": "x"}, reasons=[])])
    warehouse.publish(made)
    standing = warehouse.current(FLIGHTS)[None]
    row = warehouse.quarantined(FLIGHTS)[0]
    warehouse.replay(
        Replay(
            address=FLIGHTS,
            columns=made.columns,
            partition=None,
            base=standing.id,
            rows=flights(3),
            passed=[(row.id, {"id": 3, "who": "x"})],
            failed=[],
            content_hash="y",
            audit=audit_record(),
            why="",
        )
    )
    warehouse.record_block(FLIGHTS, None, audit_record(reasons=("bad",)))
    once = warehouse.timelines({WEATHER: "", FLIGHTS: ""}, refreshed={FLIGHTS: LONG_AGO})[FLIGHTS]
    assert [len(moments) for moments in once.refreshed.values()] == [1]
    current = warehouse.current(FLIGHTS)[None]
    confirmed = warehouse.publish(
        dataclasses.replace(batch(flights(1, 2, 3), partition=None, base=current.id), content_hash=current.content_hash)
    )
    assert confirmed.result.value == "unchanged"
    twice = warehouse.timelines({FLIGHTS: ""}, refreshed={FLIGHTS: LONG_AGO})[FLIGHTS]
    assert list(twice.refreshed) == [""]
    moments = list(twice.refreshed[""])
    assert len(moments) == 2
    assert moments == sorted(moments)
    assert warehouse.timelines({FLIGHTS: ""})[FLIGHTS].refreshed == {}
    later = dt.datetime.now(UTC) + dt.timedelta(days=1)
    assert warehouse.timelines({FLIGHTS: ""}, refreshed={FLIGHTS: later})[FLIGHTS].refreshed == {}


def test_what_was_stopped_is_told(warehouse):
    publish(warehouse, flights(1), partition="a")
    warehouse.record_block(FLIGHTS, "b", audit_record(reasons=("too many", "nulls")))
    found = warehouse.timelines({FLIGHTS: ""})[FLIGHTS]
    assert {key: stopped.reasons for key, stopped in found.stopped.items()} == {"b": ("too many", "nulls")}


NIGHT = dt.datetime(2026, 3, 8, 6, 59, 59, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("column", "kind", "values", "at", "zoned"),
    [
        (Column(name="at", type="timestamp"), pa.timestamp("us", "UTC"), [NIGHT, None], micro(NIGHT), True),
        (
            Column(name="at", type="timestamp", timezone=False),
            pa.timestamp("us"),
            [NIGHT.replace(tzinfo=None)],
            micro(NIGHT),
            False,
        ),
        (
            Column(name="at", type="date"),
            pa.date32(),
            [NIGHT.date()],
            micro(dt.datetime(2026, 3, 8, tzinfo=UTC)),
            False,
        ),
        (Column(name="at", type="timestamp"), pa.timestamp("us", "UTC"), [None], None, True),
    ],
)
def test_the_newest_row(warehouse, column, kind, values, at, zoned):
    rows = pa.table({"at": pa.array(values, kind)})
    made = batch(flights(1), partition="a")
    warehouse.publish(dataclasses.replace(made, columns=(column,), rows=rows))
    found = warehouse.newest([(FLIGHTS, "at"), (FLIGHTS, "never"), (WEATHER, "at")])
    assert {place: (one.at, one.zoned) for place, one in found.items()} == {(FLIGHTS, "at"): (at, zoned)}


def test_a_column_of_no_moments_has_no_newest(warehouse):
    publish(warehouse, flights(1), partition="a")
    assert warehouse.newest([(FLIGHTS, "id")]) == {}
    assert warehouse.newest([]) == {}

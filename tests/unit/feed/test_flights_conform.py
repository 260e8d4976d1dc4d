"""From the landing table to the published one."""

import datetime
import random
import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from assets.flights.conform import FLIGHTS_SCHEMA, conform_flights
from resources.feed import TIMEZONE, FlightsFeed, replay_day, source_day

NEW_YORK = ZoneInfo(TIMEZONE)
DAY = datetime.date(2026, 1, 15)
Conform = Callable[..., pa.Table]


@pytest.fixture(scope="session")
def conform(feed: FlightsFeed) -> Conform:
    """`conform_flights` on the feed, with any of its tables replaced."""

    def run(*days: datetime.date, **replaced: pa.Table) -> pa.Table:
        tables = {
            "raw": pa.concat_tables(feed.flights(day) for day in days),
            "weather": pa.concat_tables(feed.weather(day) for day in days),
            "planes": feed.planes(),
            "airports": feed.airports(),
            "airlines": feed.airlines(),
        }
        return conform_flights(**{**tables, **replaced})

    return run


def year(number: int) -> list[datetime.date]:
    first = datetime.date(number, 1, 1)
    return [first + datetime.timedelta(days=n) for n in range(364)]


LOST_HOUR = {datetime.date(2026, 3, 7), datetime.date(2026, 3, 8)}


def summer(day: datetime.date) -> bool:
    return bool(datetime.datetime.combine(day, datetime.time(12), NEW_YORK).dst())


def the(frame: pa.Table, **wanted: object) -> dict[str, object]:
    (row,) = [row for row in frame.to_pylist() if all(row[name] == value for name, value in wanted.items())]
    return row


def hhmm(instant: datetime.datetime, zone: ZoneInfo) -> int:
    local = instant.astimezone(zone)
    return local.hour * 100 + local.minute


def test_rows_in_are_rows_out_in_the_same_order(feed: FlightsFeed, conform: Conform) -> None:
    raw = feed.flights(DAY)
    conformed = conform(DAY)
    assert conformed.schema == FLIGHTS_SCHEMA
    for name in ("carrier", "flight", "tailnum", "origin", "dest", "dep_delay", "arr_delay", "distance", "time_hour"):
        assert conformed[name].to_pylist() == raw[name].to_pylist(), name
    assert set(conformed["flight_date"].to_pylist()) == {DAY}


def test_no_doubled_key_multiplies_rows(feed: FlightsFeed, conform: Conform) -> None:
    twice = {
        "weather": pa.concat_tables([feed.weather(DAY)] * 2),
        "planes": pa.concat_tables([feed.planes()] * 2),
        "airports": pa.concat_tables([feed.airports()] * 3),
        "airlines": pa.concat_tables([feed.airlines()] * 2),
    }
    assert conform(DAY, **twice).equals(conform(DAY))


def test_doubled_raw_rows_stay_for_the_gate_to_find(feed: FlightsFeed, conform: Conform) -> None:
    raw = pa.concat_tables([feed.flights(DAY), feed.flights(DAY)])
    assert conform(DAY, raw=raw).num_rows == raw.num_rows


def test_empty_references_leave_nulls(feed: FlightsFeed, conform: Conform) -> None:
    nothing = {
        "weather": feed.weather(DAY).slice(0, 0),
        "planes": feed.planes().slice(0, 0),
        "airports": feed.airports().slice(0, 0),
        "airlines": feed.airlines().slice(0, 0),
    }
    conformed = conform(DAY, **nothing)
    assert conformed.num_rows == feed.flights(DAY).num_rows
    for name in ("carrier_name", "dest_name", "scheduled_arrival", "arrived_at", "plane_year", "temp"):
        assert conformed[name].null_count == conformed.num_rows
    assert conformed["departed_at"].equals(conform(DAY)["departed_at"])


def test_no_flights_are_no_flights(feed: FlightsFeed, conform: Conform) -> None:
    conformed = conform(DAY, raw=feed.flights(DAY).slice(0, 0))
    assert conformed.num_rows == 0
    assert conformed.schema == FLIGHTS_SCHEMA


def test_columns_of_the_warehouse_do_no_harm(feed: FlightsFeed, conform: Conform) -> None:
    raw = feed.flights(DAY)
    raw = raw.append_column("_partition", pa.array([DAY.isoformat()] * raw.num_rows))
    raw = raw.select(random.Random(3).sample(raw.column_names, raw.num_columns))
    assert conform(DAY, raw=raw).equals(conform(DAY))


def test_clocks_agree_with_instants(feed: FlightsFeed, conform: Conform) -> None:
    """What was derived from delays shows, on the local clocks, the very times which the source gives."""
    raw = feed.flights(DAY)
    conformed = conform(DAY).to_pylist()
    zones = {row["faa"]: row["tzone"] for row in feed.airports().to_pylist()}
    for before, after in zip(raw.to_pylist(), conformed, strict=True):
        assert hhmm(after["scheduled_departure"], NEW_YORK) == before["sched_dep_time"]
        if before["dep_time"] is None:
            assert after["cancelled"]
            assert after["departed_at"] is None
            assert after["arrived_at"] is None
            continue
        assert not after["cancelled"]
        assert hhmm(after["departed_at"], NEW_YORK) == before["dep_time"] % 2400
        zone = zones.get(before["dest"])
        if zone and before["arr_time"] is not None:
            assert hhmm(after["arrived_at"], ZoneInfo(zone)) == before["arr_time"] % 2400
            assert after["arrived_at"] > after["departed_at"]
        if zone:
            assert hhmm(after["scheduled_arrival"], ZoneInfo(zone)) == before["sched_arr_time"]
        assert after["diverted"] == (before["arr_delay"] is None)


@pytest.mark.parametrize("number", [2013, 2026])
def test_a_year_adds_up(feed: FlightsFeed, conform: Conform, number: int) -> None:
    """Over a whole year, the changes of the clock included: a flight spends its time in the air, and a little more."""
    frame = conform(*year(number))
    clock = frame.filter(pc.and_(pc.is_valid(frame["arrived_at"]), pc.is_valid(frame["air_time"])))
    elapsed = pc.divide(pc.cast(pc.subtract(clock["arrived_at"], clock["departed_at"]), pa.int64()), 60_000_000)
    on_ground = pc.subtract(elapsed, clock["air_time"])
    assert pc.all(pc.greater(elapsed, 0)).as_py()
    # The flights whose clocks cannot be right: through a night that lost its hour, and to places without summer time
    # while New York has it on one of the two days, the replayed and the replaying, and not on the other.
    for flight in clock.filter(pc.less(on_ground, 0)).to_pylist():
        day = flight["flight_date"]
        assert number != 2013
        assert day in LOST_HOUR or (flight["dest"] in {"PHX", "HNL"} and summer(day) != summer(source_day(day)))
    assert pc.max(on_ground).as_py() < 240
    for name in ("flight_date", "carrier_name", "scheduled_departure", "cancelled", "diverted"):
        assert frame[name].null_count == 0, name
    known = frame.filter(pc.is_valid(frame["dest_name"]))
    assert known["scheduled_arrival"].null_count == 0
    assert set(frame.filter(pc.is_null(frame["dest_name"]))["dest"].to_pylist()) == {"SJU", "BQN", "STT", "PSE"}
    assert pc.all(pc.equal(frame["cancelled"], pc.is_null(frame["departed_at"]))).as_py()


def test_midnight_2400(feed: FlightsFeed, conform: Conform) -> None:
    day = next(day for day in year(2026) if 2400 in feed.flights(day)["dep_time"].to_pylist())
    raw = feed.flights(day).to_pylist()
    row = conform(day).to_pylist()[[flight["dep_time"] for flight in raw].index(2400)]
    midnight = datetime.datetime.combine(day + datetime.timedelta(days=1), datetime.time(), NEW_YORK)
    assert row["departed_at"] == midnight


def test_the_17_mile_flight(feed: FlightsFeed, conform: Conform) -> None:
    day = replay_day(datetime.date(2013, 7, 27), on_or_after=datetime.date(2026, 1, 1))
    row = the(conform(day), carrier="US", flight=1632, origin="EWR", dest="LGA")
    assert row["distance"] == 17
    assert row["cancelled"]
    assert row["carrier_name"] == "US Airways Inc."
    assert row["dest_name"] == "La Guardia"


def test_weather_is_that_of_the_scheduled_hour(feed: FlightsFeed, conform: Conform) -> None:
    readings = {(w["origin"], w["hour"]): w for w in feed.weather(DAY).to_pylist()}
    for row in conform(DAY).to_pylist():
        reading = readings.get((row["origin"], row["hour"]), {})
        for name in ("temp", "wind_speed", "precip", "visib"):
            assert row[name] == reading.get(name)


def test_a_plane_year_is_not_the_flights_year(feed: FlightsFeed, conform: Conform) -> None:
    built = {plane["tailnum"]: plane["year"] for plane in feed.planes().to_pylist()}
    for row in conform(DAY).to_pylist():
        assert row["plane_year"] == built.get(row["tailnum"])


def test_a_day_is_fast(conform: Conform) -> None:
    conform(DAY)
    started = time.process_time()
    for _ in range(5):
        conform(DAY)
    assert (time.process_time() - started) / 5 < 0.5  # measured 0.03; of this process, for the machine may be busy

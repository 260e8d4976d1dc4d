"""What a replayed day holds, against the source files."""

import collections
import datetime
import pickle
import time
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.feed import SCHEMAS, SOURCE_START, TIMEZONE, FlightsFeed, replay_day, source_day

Row = dict[str, str]
Rows = Callable[[str], list[Row]]
NEW_YORK = ZoneInfo(TIMEZONE)
CLOCK = ("year", "month", "day", "time_hour")


def days_of(year: int) -> Iterator[datetime.date]:
    day = datetime.date(year, 1, 1)
    while day.year == year:
        yield day
        day += datetime.timedelta(days=1)


def day_of(row: Row) -> datetime.date:
    return datetime.date(int(row["year"]), int(row["month"]), int(row["day"]))


def number(text: str) -> float | None:
    return None if text in ("NA", "") else float(text)


@pytest.fixture(scope="session")
def by_day(source_rows: Rows) -> Callable[[str], dict[datetime.date, list[Row]]]:
    def group(table: str) -> dict[datetime.date, list[Row]]:
        days: dict[datetime.date, list[Row]] = collections.defaultdict(list)
        for row in source_rows(table):
            days[day_of(row)].append(row)
        return days

    cached = {table: group(table) for table in ("flights", "weather")}
    return cached.__getitem__


@pytest.mark.parametrize("table", ["flights", "weather"])
@given(day=st.dates())
@settings(deadline=None, max_examples=60)
def test_a_day_is_its_source_day(
    feed: FlightsFeed, by_day: Callable[[str], dict[datetime.date, list[Row]]], table: str, day: datetime.date
) -> None:
    frame = getattr(feed, table)(day)
    source = by_day(table)[source_day(day)]
    assert frame.schema == SCHEMAS[table]
    assert frame.num_rows == len(source)
    assert set(frame["year"].to_pylist()) == {day.year}
    assert set(frame["month"].to_pylist()) == {day.month}
    assert set(frame["day"].to_pylist()) == {day.day}
    for name in set(frame.column_names) - set(CLOCK):
        column = frame[name]
        expected: list[object] = [row[name] for row in source]
        if not pa.types.is_string(column.type):
            expected = [number(str(text)) for text in expected]
        elif name == "tailnum":
            expected = [None if text == "NA" else text for text in expected]
        assert column.to_pylist() == expected, name


def test_2013_itself_is_unchanged(feed: FlightsFeed, source_rows: Rows) -> None:
    """In 2013 the recomputed instants are those of the source, the doubled hour included."""
    for table in ("flights", "weather"):
        expected = collections.Counter(
            row["time_hour"] for row in source_rows(table) if day_of(row) != datetime.date(2013, 12, 31)
        )
        found: collections.Counter[str] = collections.Counter()
        for day in days_of(2013):
            if day != datetime.date(2013, 12, 31):
                instants = getattr(feed, table)(day)["time_hour"].to_pylist()
                found.update(instant.strftime("%Y-%m-%dT%H:%M:%SZ") for instant in instants)
        assert found == expected


@pytest.mark.parametrize("year", [2024, 2025, 2026, 2027])
def test_local_and_utc_agree_on_every_flight(feed: FlightsFeed, year: int) -> None:
    for day in days_of(year):
        flights = feed.flights(day)
        clock = set(zip(*(flights[name].to_pylist() for name in ("hour", "time_hour")), strict=True))
        for hour, instant in clock:
            local = instant.astimezone(NEW_YORK)
            assert (local.date(), local.hour, local.minute) == (day, hour, 0)


def test_weather_agrees_but_in_the_hour_that_does_not_exist(feed: FlightsFeed) -> None:
    strange = []
    for day in days_of(2026):
        weather = feed.weather(day)
        for hour, instant in zip(weather["hour"].to_pylist(), weather["time_hour"].to_pylist(), strict=True):
            local = instant.astimezone(NEW_YORK)
            if (local.date(), local.hour) != (day, hour):
                strange.append((day, hour, local.hour))
    assert strange == [(datetime.date(2026, 3, 8), 2, 3)] * 3


def doubled(frame: pa.Table) -> set[tuple[str, int]]:
    keys = collections.Counter(zip(frame["origin"].to_pylist(), frame["time_hour"].to_pylist(), strict=True))
    local = collections.Counter(zip(frame["origin"].to_pylist(), frame["hour"].to_pylist(), strict=True))
    assert max(local.values()) <= 2
    return {(origin, instant.astimezone(NEW_YORK).hour) for (origin, instant), n in keys.items() if n > 1}


THREE = ("EWR", "JFK", "LGA")


def test_the_doubled_hour_of_2013_falls_on_one_instant_on_an_ordinary_day(feed: FlightsFeed) -> None:
    day = replay_day(datetime.date(2013, 11, 3), on_or_after=datetime.date(2026, 1, 1))
    assert day == datetime.date(2026, 10, 18)
    assert doubled(feed.weather(day)) == {(origin, 1) for origin in THREE}


def test_the_doubled_hour_of_2013_stays_doubled_where_the_clock_does(feed: FlightsFeed) -> None:
    assert doubled(feed.weather(datetime.date(2013, 11, 3))) == set()
    again = replay_day(datetime.date(2013, 11, 3), on_or_after=datetime.date(2014, 1, 1))
    assert again == datetime.date(2014, 11, 2)  # the end of that year's summer time
    assert doubled(feed.weather(again)) == set()


def test_the_skipped_hour_of_a_replayed_day_shares_the_next_ones_instant(feed: FlightsFeed) -> None:
    assert doubled(feed.weather(datetime.date(2026, 3, 8))) == {(origin, 3) for origin in THREE}


def test_the_skipped_hour_of_2013_leaves_a_gap(feed: FlightsFeed) -> None:
    day = replay_day(datetime.date(2013, 3, 10), on_or_after=datetime.date(2026, 1, 1))
    assert 2 not in feed.weather(day)["hour"].to_pylist()
    assert doubled(feed.weather(day)) == set()


@pytest.mark.parametrize("table", ["planes", "airports", "airlines"])
def test_reference_tables(feed: FlightsFeed, source_rows: Rows, table: str) -> None:
    frame = getattr(feed, table)()
    assert frame.schema == SCHEMAS[table]
    assert frame.num_rows == len(source_rows(table))
    for name in frame.column_names:
        expected: list[object] = [row[name] for row in source_rows(table)]
        if not pa.types.is_string(frame.schema.field(name).type):
            expected = [number(str(text)) for text in expected]
        elif name == "tzone":
            expected = [None if text == "NA" else text for text in expected]
        assert frame[name].to_pylist() == expected, name


def test_no_day_is_ever_empty(feed: FlightsFeed) -> None:
    for number_of_day in range(364):
        day = SOURCE_START + datetime.timedelta(days=number_of_day)
        assert 634 <= feed.flights(day).num_rows <= 1014
        assert 57 <= feed.weather(day).num_rows <= 72


def test_a_day_does_not_carry_the_year(feed: FlightsFeed) -> None:
    assert len(pickle.dumps(feed.flights(datetime.date(2026, 1, 15)))) < 500_000


def test_a_day_is_cheap(feed: FlightsFeed) -> None:
    feed.flights(SOURCE_START)
    started = time.process_time()
    for day in range(1, 29):
        feed.flights(datetime.date(2026, 2, day))
    assert (time.process_time() - started) / 28 < 0.05  # measured 0.001; of this process, for the machine may be busy


def test_it_is_a_resource_of_dagster() -> None:
    @dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-01"))
    def rows(context: dg.AssetExecutionContext, feed: FlightsFeed) -> dg.MaterializeResult[None]:
        day = datetime.date.fromisoformat(context.partition_key)
        return dg.MaterializeResult(metadata={"rows": feed.flights(day).num_rows})

    result = dg.materialize([rows], partition_key="2026-01-15", resources={"feed": FlightsFeed()})
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["rows"].value == 928

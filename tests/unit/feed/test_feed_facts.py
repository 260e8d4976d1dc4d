"""The known facts of the real data, as the issue and the how-to state them.

Each is counted twice: from the csv over all 365 days, where it must be the documented figure, and from the feed over
the 364 days which it replays, where it must be what the csv has on those days.
"""

import collections
import datetime
from collections.abc import Callable

import pyarrow as pa
import pytest

from resources.feed import PERIOD_DAYS, SOURCE_START, FlightsFeed

Row = dict[str, str]
Rows = Callable[[str], list[Row]]


@pytest.fixture(scope="session")
def replayed(feed: FlightsFeed) -> Callable[[str], list[dict[str, object]]]:
    days = [SOURCE_START + datetime.timedelta(days=n) for n in range(PERIOD_DAYS)]
    tables = {
        "flights": pa.concat_tables(feed.flights(day) for day in days).to_pylist(),
        "weather": pa.concat_tables(feed.weather(day) for day in days).to_pylist(),
    }
    return tables.__getitem__


def known(rows: list[Row], column: str) -> set[str]:
    return {row[column] for row in rows}


FACTS: dict[str, tuple[str, int, Callable[[Row, set[str], set[str]], bool]]] = {
    "flights": ("flights", 336_776, lambda f, planes, airports: True),
    "without tailnum": ("flights", 2_512, lambda f, planes, airports: f["tailnum"] == "NA"),
    "tailnum unknown to planes": (
        "flights",
        50_094,
        lambda f, planes, airports: f["tailnum"] != "NA" and f["tailnum"] not in planes,
    ),
    "destination unknown to airports": ("flights", 7_602, lambda f, planes, airports: f["dest"] not in airports),
    "cancelled": ("flights", 8_255, lambda f, planes, airports: f["dep_time"] == "NA"),
    "left at 2400": ("flights", 29, lambda f, planes, airports: f["dep_time"] == "2400"),
    "left but never arrived": (
        "flights",
        458,
        lambda f, planes, airports: f["dep_time"] != "NA" and f["arr_time"] == "NA",
    ),
    "arr_delay missing": ("flights", 9_430, lambda f, planes, airports: f["arr_delay"] == "NA"),
    "shorter than 50 miles": ("flights", 1, lambda f, planes, airports: int(f["distance"]) < 50),
    "weather": ("weather", 26_115, lambda w, planes, airports: True),
    "wind above 200 mph": (
        "weather",
        1,
        lambda w, planes, airports: w["wind_speed"] != "NA" and float(w["wind_speed"]) > 200,
    ),
    "pressure missing": ("weather", 2_729, lambda w, planes, airports: w["pressure"] == "NA"),
}


@pytest.mark.parametrize("fact", FACTS)
def test_fact(
    fact: str, feed: FlightsFeed, source_rows: Rows, replayed: Callable[[str], list[dict[str, object]]]
) -> None:
    table, figure, holds = FACTS[fact]
    planes, airports = known(source_rows("planes"), "tailnum"), known(source_rows("airports"), "faa")
    matching = [row for row in source_rows(table) if holds(row, planes, airports)]
    assert len(matching) == figure

    last_day = sum((row["month"], row["day"]) == ("12", "31") for row in matching)
    fed_planes = set(feed.planes()["tailnum"].to_pylist())
    fed_airports = set(feed.airports()["faa"].to_pylist())
    as_text = ({name: "NA" if value is None else str(value) for name, value in r.items()} for r in replayed(table))
    assert sum(holds(row, fed_planes, fed_airports) for row in as_text) == len(matching) - last_day


def test_the_unknown_destinations(source_rows: Rows) -> None:
    airports = known(source_rows("airports"), "faa")
    assert {f["dest"] for f in source_rows("flights")} - airports == {"SJU", "BQN", "STT", "PSE"}


def test_the_17_mile_flight(source_rows: Rows) -> None:
    (flight,) = [f for f in source_rows("flights") if int(f["distance"]) < 50]
    assert [flight[name] for name in ("month", "day", "carrier", "flight", "origin", "dest", "distance")] == [
        "7", "27", "US", "1632", "EWR", "LGA", "17",
    ]  # fmt: skip


def test_days_with_more_than_a_tenth_cancelled(source_rows: Rows) -> None:
    flights: collections.Counter[tuple[str, str]] = collections.Counter()
    cancelled: collections.Counter[tuple[str, str]] = collections.Counter()
    for flight in source_rows("flights"):
        day = (flight["month"], flight["day"])
        flights[day] += 1
        cancelled[day] += flight["dep_time"] == "NA"
    assert sum(cancelled[day] > 0.1 * flights[day] for day in flights) == 17


def test_what_tells_flights_apart(source_rows: Rows) -> None:
    keys = [(f["month"], f["day"], f["carrier"], f["flight"], f["origin"]) for f in source_rows("flights")]
    assert len(set(keys)) == len(keys)
    assert len(keys) - len({key[:4] for key in keys}) == 24


def test_the_hours_doubled_at_the_end_of_summer_time(source_rows: Rows) -> None:
    local = collections.Counter((w["origin"], w["month"], w["day"], w["hour"]) for w in source_rows("weather"))
    assert sorted(key for key, n in local.items() if n > 1) == [(o, "11", "3", "1") for o in ("EWR", "JFK", "LGA")]
    assert len({(w["origin"], w["time_hour"]) for w in source_rows("weather")}) == 26_115


def test_weather_has_no_last_day(source_rows: Rows) -> None:
    assert not [w for w in source_rows("weather") if (w["month"], w["day"]) == ("12", "31")]

"""The partitions of a run as bounds on rows."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from dagster_sluice.dbt.slices import Slice

NEW_YORK = ZoneInfo("America/New_York")


def slice_of(first, end, *keys, zone=NEW_YORK):
    start, stop = (dt.datetime.fromisoformat(text).replace(tzinfo=zone) for text in (first, end))
    return Slice(keys=keys or (first[:10],), start=start, end=stop)


DAYS = slice_of("2024-03-09T00:00", "2024-03-12T00:00", "2024-03-09", "2024-03-10", "2024-03-11")
HOURS = slice_of("2024-03-10T22:00", "2024-03-11T01:00")


def test_dates_by_the_calendar_of_the_partitions():
    assert DAYS.bounds("date") == (dt.date(2024, 3, 9), dt.date(2024, 3, 12))


def test_partitions_within_a_day_have_both_of_their_dates():
    assert HOURS.bounds("date") == (dt.date(2024, 3, 10), dt.date(2024, 3, 12))
    assert HOURS.last_day == dt.date(2024, 3, 11)


def test_moments_are_moments_also_when_the_clocks_change():
    spring = slice_of("2024-03-10T00:00", "2024-03-11T00:00")
    first, end = spring.bounds("timestamp with time zone")
    assert (end.astimezone(dt.timezone.utc) - first.astimezone(dt.timezone.utc)) == dt.timedelta(hours=23)
    autumn = slice_of("2024-11-03T00:00", "2024-11-04T00:00")
    first, end = autumn.bounds("timestamp(3) with time zone")
    assert (end.astimezone(dt.timezone.utc) - first.astimezone(dt.timezone.utc)) == dt.timedelta(hours=25)


@pytest.mark.parametrize("kind", ["timestamp without time zone", "timestamp(6) without time zone"])
def test_local_times_are_compared_by_the_clock_on_the_wall(kind):
    first, end = DAYS.bounds(kind)
    assert (first, end) == (dt.datetime.fromisoformat("2024-03-09"), dt.datetime.fromisoformat("2024-03-12"))
    assert first.tzinfo is None


@pytest.mark.parametrize("kind", ["text", "integer", "character varying(10)"])
def test_other_columns_hold_the_key(kind):
    assert DAYS.bounds(kind) is None


def test_partitions_without_time_are_keys_whatever_the_type():
    assert Slice(keys=["a", "b"]).bounds("date") is None
    assert Slice(keys=["a"]).last_day is None


def test_the_last_day():
    assert DAYS.last_day == dt.date(2024, 3, 11)
    assert slice_of("2024-02-29T00:00", "2024-03-01T00:00").last_day == dt.date(2024, 2, 29)
    assert slice_of("2024-11-03T00:00", "2024-11-04T00:00").last_day == dt.date(2024, 11, 3)

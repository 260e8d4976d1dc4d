"""Partitions as they stand with their deadline."""

import datetime as dt
import functools
from zoneinfo import ZoneInfo

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_sluice.calendars import Calendar
from dagster_sluice.contracts.deadlines import Deadline, Exceptional
from dagster_sluice.freshness.dues import dues
from dagster_sluice.freshness.judging import Met, Status, attainment, judge
from dagster_sluice.freshness.zones import micro, moment

UTC = dt.timezone.utc
VIENNA = ZoneInfo("Europe/Vienna")
HOUR = 3_600_000_000


@functools.cache
def limit_of(end):
    text = "06:00 on the next business day"
    due = oracle.due(text, moment(end), zone=VIENNA, partition_zone=VIENNA, calendar=Calendar(country="AT"))
    return due + dt.timedelta(minutes=20)


@settings(max_examples=150)
@given(data=st.data(), now=st.integers(0, 30 * 24 * 60))
def test_each_partition_stands_as_the_oracle_says(data, now, daily):
    windows = daily(VIENNA, dt.date(2026, 3, 20), 25)
    calendar = Calendar(country="AT")
    deadline = Deadline(
        "06:00 on the next business day",
        timezone="Europe/Vienna",
        calendar=calendar,
        business_days_only=True,
        grace=dt.timedelta(minutes=20),
    )
    due = dues(deadline, windows)
    at = dt.datetime(2026, 3, 20, tzinfo=VIENNA).astimezone(UTC) + dt.timedelta(minutes=now)
    offsets = st.none() | st.integers(-3000, 3000)
    firsts = [data.draw(offsets) for _ in windows.keys]
    stands = [first is not None and data.draw(st.booleans()) for first in firsts]
    limits = [limit_of(end) for end in windows.ends.tolist()]
    moments = [
        None if first is None else limit + dt.timedelta(minutes=first)
        for first, limit in zip(firsts, limits, strict=True)
    ]
    found = judge(
        deadline,
        windows,
        due,
        first=np.array([0 if one is None else micro(one) for one in moments]),
        stands=np.array(stands),
        now=micro(at),
    )
    for place, key in enumerate(windows.keys):
        wanted = oracle.status(
            first=moments[place],
            stands=stands[place],
            limit=limits[place],
            now=at,
            excused=not calendar.is_business_day(dt.date.fromisoformat(key)),
        )
        assert (Status(found.status[place]).words, Met(found.met[place]).name.lower()) == wanted
        assert found.left(place) == micro(limits[place]) - micro(at)


@pytest.fixture
def judged(daily):
    """A function: three days, due at six, as they stand at a moment."""

    def make(now, *, first=(), stands=None, **more):
        windows = daily(ZoneInfo("UTC"), dt.date(2026, 3, 6), 3)
        deadline = Deadline("06:00 on the next day", **more)
        known = np.array([0 if one is None else micro(one) for one in (*first, None, None, None)[:3]])
        there = known > 0 if stands is None else np.array(stands)
        return judge(deadline, windows, dues(deadline, windows), first=known, stands=there, now=micro(now))

    return make


def names(found):
    return [Status(one).words for one in found.status]


def at(day, hour, minute=0):
    return dt.datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def test_to_the_minute(judged):
    assert names(judged(at(7, 6))) == ["due", "due", "due"]
    assert names(judged(at(7, 6, 1))) == ["late", "due", "due"]
    assert names(judged(at(7, 6, 30), grace=dt.timedelta(minutes=30))) == ["due", "due", "due"]
    assert names(judged(at(9, 9), first=[at(7, 6), at(8, 6, 1), None])) == ["on time", "published late", "late"]


def test_an_old_day_that_is_filled_makes_no_other_day_fresh(judged):
    before = judged(at(9, 9), first=[None, at(8, 5), None])
    after = judged(at(9, 9), first=[at(9, 8), at(8, 5), None])
    assert names(before) == ["late", "on time", "late"]
    assert names(after) == ["published late", "on time", "late"]
    assert [Met(one).name for one in after.met] == ["MISSED", "MET", "MISSED"]


def test_what_came_in_time_and_is_gone_is_late_though_its_deadline_was_met(judged):
    found = judged(at(9, 9), first=[at(7, 5), at(8, 5), at(9, 5)], stands=[True, False, True])
    assert names(found) == ["on time", "late", "on time"]
    assert attainment(found, 0).share == 1.0


def test_what_the_source_no_longer_keeps_is_excused_unless_it_was_published(judged):
    keeps = dt.timedelta(days=2)
    assert names(judged(at(9, 9), retention=keeps)) == ["excused", "excused", "late"]
    found = judged(at(9, 9), first=[at(9, 7)], retention=keeps)
    assert names(found) == ["published late", "excused", "late"]
    assert found.why_excused(1) == "its source keeps 2 days"


def test_why_nobody_waits(judged):
    days = judged(at(9, 9), calendar=Calendar(country="AT", closed={dt.date(2026, 3, 6)}), business_days_only=True)
    assert [days.why_excused(place) for place in range(3)] == ["own holiday", "weekend", "weekend"]
    other = judged(at(9, 9), exceptions=[Exceptional(None, "sunday")])
    assert [other.why_excused(place) for place in range(3)] == ["", "", "not expected"]
    assert names(other) == ["late", "late", "excused"]


def test_attainment_counts_what_was_due_since(judged):
    found = judged(at(9, 5), first=[at(7, 7), at(8, 6)])
    assert attainment(found, 0) == attainment(found, micro(at(7, 6)))
    told = attainment(found, 0)
    assert (told.met, told.missed, told.excused, told.share) == (1, 1, 0, 0.5)
    assert attainment(found, micro(at(8, 0))).share == 1.0
    assert attainment(found, micro(at(8, 7))).share is None

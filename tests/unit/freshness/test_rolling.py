"""Tables without partitions in time, judged by periods."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from dagster_sluice.calendars import Calendar
from dagster_sluice.contracts.deadlines import Deadline, Exceptional
from dagster_sluice.freshness.judging import Status, attainment
from dagster_sluice.freshness.rolling import rolling
from dagster_sluice.freshness.zones import micro

VIENNA = ZoneInfo("Europe/Vienna")


def at(day, hour, minute=0, month=3):
    return micro(dt.datetime(2026, month, day, hour, minute, tzinfo=VIENNA))


def stands(deadline, now, *moments, back=None):
    found = rolling(deadline, {"": np.array(moments, np.int64)}, now=now, back=back)
    return {key: Status(one).words for key, one in zip(found.windows.keys, found.status, strict=True)}


SIX = Deadline("06:00", timezone="Europe/Vienna")


@pytest.mark.parametrize(
    ("now", "moments", "says"),
    [
        (at(10, 5), [], {"2026-03-09 06:00": "late", "2026-03-10 06:00": "due"}),
        (at(10, 5), [at(9, 4)], {"2026-03-09 06:00": "on time", "2026-03-10 06:00": "due"}),
        (at(10, 6), [at(9, 4)], {"2026-03-10 06:00": "due", "2026-03-11 06:00": "due"}),
        (at(10, 6, 1), [at(9, 4)], {"2026-03-10 06:00": "late", "2026-03-11 06:00": "due"}),
        # What came at seven yesterday is no publication of today.
        (at(10, 6, 1), [at(9, 7)], {"2026-03-10 06:00": "late", "2026-03-11 06:00": "due"}),
        (at(10, 8), [at(9, 7), at(10, 7)], {"2026-03-10 06:00": "published late", "2026-03-11 06:00": "due"}),
        (at(10, 8), [at(10, 0)], {"2026-03-10 06:00": "on time", "2026-03-11 06:00": "due"}),
    ],
)
def test_a_time_of_day(now, moments, says):
    assert stands(SIX, now, *moments) == says


def test_midnight_is_the_deadline_of_the_day_that_ends():
    found = stands(Deadline("00:00", timezone="Europe/Vienna"), at(10, 5), at(9, 12))
    assert found == {"2026-03-10 00:00": "on time", "2026-03-11 00:00": "due"}


def test_a_cron_counts_since_its_last_tick():
    weekly = Deadline("0 6 * * 1", timezone="Europe/Vienna")
    assert stands(weekly, at(11, 5), at(4, 12)) == {"2026-03-09 06:00": "on time", "2026-03-16 06:00": "due"}
    assert stands(weekly, at(11, 5), at(1, 12)) == {"2026-03-09 06:00": "late", "2026-03-16 06:00": "due"}
    yearly = Deadline("0 6 1 1 *", timezone="Europe/Vienna")
    assert list(stands(yearly, at(11, 5))) == ["2026-01-01 06:00", "2027-01-01 06:00"]


def test_business_days_and_exceptions():
    deadline = Deadline(
        "06:00 on the next business day",
        timezone="Europe/Vienna",
        calendar=Calendar(country="AT"),
        exceptions=[Exceptional(None, "tuesday")],
    )
    # From Thursday over Easter to Tuesday; nobody waits on that.
    assert stands(deadline, at(5, 12, month=4), at(3, 1, month=4)) == {
        "2026-04-03 06:00": "on time",
        "2026-04-07 06:00": "excused",
    }


def test_a_deadline_that_follows_each_publication():
    often = Deadline("4 hours after the end", timezone="Europe/Vienna", grace=dt.timedelta(minutes=5))
    assert stands(often, at(10, 12), at(10, 9)) == {"": "due"}
    assert stands(often, at(10, 13, 6), at(10, 9)) == {"": "late"}
    assert stands(often, at(10, 13)) == {"": "late"}
    found = rolling(often, {"": np.array([at(10, 1), at(10, 4), at(10, 9)])}, now=at(10, 12), back=dt.timedelta(days=1))
    assert [Status(one).words for one in found.status] == ["on time", "published late", "due"]
    told = attainment(found, 0)
    assert (told.met, told.missed) == (1, 1)
    assert found.windows.keys == ["2026-03-10 05:00", "2026-03-10 08:00", "2026-03-10 13:00"]
    assert list(stands(often, at(10, 13), back=dt.timedelta(days=1))) == ["never published"]
    days = Deadline("2 days after the end", timezone="Europe/Vienna")
    assert stands(days, at(29, 12), at(28, 9)) == {"": "due"}


def test_each_key_of_a_table_without_time_is_judged_by_itself():
    found = rolling(
        SIX,
        {"eu": np.array([at(10, 5)]), "us": np.array([], np.int64)},
        now=at(10, 7),
        notes={"us": "stopped: No rows."},
    )
    assert {key: Status(one).words for key, one in zip(found.windows.keys, found.status, strict=True)} == {
        "eu by 2026-03-10 06:00": "on time",
        "eu by 2026-03-11 06:00": "due",
        "us by 2026-03-10 06:00": "late",
        "us by 2026-03-11 06:00": "due",
    }
    assert found.notes["us by 2026-03-10 06:00"] == "stopped: No rows."


def test_nothing_before_the_deadline_holds():
    deadline = Deadline("06:00", timezone="Europe/Vienna", since=dt.date(2026, 3, 10))
    assert list(stands(deadline, at(9, 12))) == ["2026-03-10 06:00"]
    assert len(stands(deadline, at(20, 12), back=dt.timedelta(days=30))) == 11


def test_no_keys_are_no_trouble():
    assert len(rolling(SIX, {}, now=at(10, 7)).status) == 0

"""Which days are worked on, by country, market, weekend and days of one's own."""

import datetime as dt
import pickle
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_sluice import calendars
from dagster_sluice.calendars import Calendar
from dagster_sluice.errors import SettingError

BAVARIA = Calendar("DE", subdivision="BY")
UNITY = dt.date(2025, 10, 3)  # a Friday


def day(text):
    return dt.date.fromisoformat(text)


def test_a_holiday_has_its_name():
    assert BAVARIA.holiday(UNITY) == "German Unity Day"
    assert BAVARIA.holiday(day("2025-10-06")) is None


def test_a_part_of_a_country_has_its_own():
    epiphany = day("2025-01-06")
    assert BAVARIA.holiday(epiphany) == "Epiphany"
    assert Calendar("DE").holiday(epiphany) is None
    assert Calendar("DE", subdivision="BE").is_business_day(epiphany)


def test_a_market_has_its_own():
    assert Calendar(market="XNYS").holiday(day("2026-04-03")) == "Good Friday"
    assert Calendar("US").is_business_day(day("2026-04-03"))


@pytest.mark.parametrize(
    ("calendar", "date", "free"),
    [
        (BAVARIA, "2025-10-04", True),
        (BAVARIA, "2025-10-06", False),
        (Calendar("IL"), "2026-05-01", True),  # a Friday
        (Calendar("IL"), "2026-05-03", False),  # a Sunday
        (Calendar("AE"), "2021-05-07", True),  # Fridays until 2022
        (Calendar("AE"), "2022-05-06", False),
        (Calendar(), "2025-10-05", True),
        (Calendar(weekend=("friday",)), "2025-10-05", False),
        (Calendar("DE", weekend=()), "2025-10-04", False),
    ],
)
def test_a_weekend_is_the_country_s_own_unless_it_is_named(calendar, date, free):
    assert calendar.is_weekend(day(date)) is free


def test_a_saturday_worked_instead_of_a_holiday_is_a_business_day():
    assert Calendar("CN").is_business_day(day("2025-02-08"))
    assert not Calendar("CN").is_business_day(day("2025-02-15"))


def test_own_days_come_on_top():
    calendar = Calendar("DE", closed={day("2025-10-06")}, open={UNITY, day("2025-10-04")})
    assert [calendar.holiday(day("2025-10-06")), calendar.holiday(UNITY)] == ["own holiday", None]
    assert calendar.is_business_day(day("2025-10-04"))


@pytest.mark.parametrize(
    ("after", "count", "expected"),
    [
        ("2025-10-01", 1, "2025-10-02"),
        ("2025-10-02", 1, "2025-10-06"),
        ("2025-10-02", 2, "2025-10-07"),
        ("2025-10-05", 1, "2025-10-06"),
        ("2025-12-23", 1, "2025-12-24"),
        ("2025-12-24", 1, "2025-12-29"),
        ("2025-12-31", 1, "2026-01-02"),
    ],
)
def test_the_next_business_day(after, count, expected):
    assert BAVARIA.next_business_day(day(after), count) == day(expected)


@given(st.dates(dt.date(2000, 1, 1), dt.date(2040, 1, 1)), st.integers(1, 12))
def test_business_days_are_counted_one_by_one(after, count):
    found = BAVARIA.next_business_day(after, count)
    between = [after + dt.timedelta(days=number) for number in range(1, (found - after).days + 1)]
    assert sum(map(BAVARIA.is_business_day, between)) == count
    assert BAVARIA.is_business_day(found)


def test_a_calendar_without_business_days_is_told():
    with pytest.raises(SettingError, match="no business day"):
        Calendar(weekend=calendars.WEEKDAYS).next_business_day(UNITY)
    with pytest.raises(ValueError, match="at least 1"):
        BAVARIA.next_business_day(UNITY, 0)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"country": "XX"}, "XX.*not available"),
        ({"country": "DE", "subdivision": "ZZ"}, "DE-ZZ.*ZZ"),
        ({"market": "NOPE"}, "NOPE.*not available"),
        ({"subdivision": "BY"}, "part of no country"),
        ({"country": "DE", "market": "XNYS"}, "one of them"),
        ({"weekend": ("sabbath",)}, "'sabbath': is none of monday"),
        ({"weekend": "sunday"}, "a list is needed"),
        ({"closed": [dt.datetime(2025, 1, 1, tzinfo=dt.timezone.utc)]}, "no date"),
        ({"open": ["2025-01-01"]}, "no date"),
    ],
)
def test_a_wrong_calendar_is_told_when_it_is_made(wrong, told):
    with pytest.raises(SettingError, match=told):
        Calendar(**wrong)


def test_without_the_library_only_countries_are_unknown(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    calendars._holidays.cache_clear()
    with pytest.raises(SettingError, match=r"pip install 'dagster-sluice\[calendars\]'"):
        Calendar("DE")
    assert Calendar().next_business_day(UNITY) == day("2025-10-06")


def test_a_calendar_is_a_value():
    assert pickle.loads(pickle.dumps(BAVARIA)) == BAVARIA == Calendar("DE", subdivision="BY")
    assert (BAVARIA.place, Calendar(market="XNYS").place, Calendar().place) == ("DE-BY", "XNYS", "")

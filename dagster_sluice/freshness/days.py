"""Days of calendars as arrays: which are closed, the next business day of each, the ends of months. Pure.

Days are numbers since 1970-01-01.
"""

from __future__ import annotations

import datetime as dt
import functools
import threading
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from dagster_sluice.calendars import WEEKDAYS, Calendar
from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.freshness.zones import Ints

__all__ = ["Bools", "business_day", "closed_days", "date_of", "only_closed", "picked", "why_closed"]

Bools = npt.NDArray[np.bool_]

_AHEAD = 400
_EPOCH = dt.date(1970, 1, 1)
# The library of holidays is not made for threads.
_lock = threading.Lock()


def date_of(day: int) -> dt.date:
    """The date of a number."""
    return _EPOCH + dt.timedelta(days=int(day))


def why_closed(calendar: Calendar | None, first: int, last: int) -> str:
    """Why nobody works on any of these days: the names of the holidays, ``weekend``; the first few."""
    known = calendar or Calendar()
    names = [known.holiday(date_of(day)) or "weekend" for day in range(first, min(last, first + 6) + 1)]
    return ", ".join(dict.fromkeys(names))


def closed_days(calendar: Calendar | None, first: int, last: int) -> tuple[Bools, Bools]:
    """Of each day from one to another, both included: whether it is none of work, and whether it is a holiday."""
    years = range(date_of(first).year, date_of(last).year + 1)
    parts = [_year(*_identity(calendar), year) for year in years]
    begin = (dt.date(years[0], 1, 1) - _EPOCH).days
    closed, holidays = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    cut = slice(first - begin, last - begin + 1)
    return closed[cut], holidays[cut]


def only_closed(calendar: Calendar | None, firsts: Ints, lasts: Ints) -> Bools:
    """Whether there is no business day from each first day to its last."""
    if not len(firsts):
        return np.zeros(0, np.bool_)
    begin, end = int(firsts.min()), int(lasts.max())
    closed, _ = closed_days(calendar, begin, end)
    worked = np.concatenate([[0], np.cumsum(~closed)])
    found: Bools = worked[lasts - begin + 1] == worked[firsts - begin]
    return found


def business_day(calendar: Calendar | None, days: Ints, count: int) -> Ints:
    """The business day that is so many business days after each day.

    Raises:
        SettingError: The calendar has no business day for more than a year.
    """
    if not len(days):
        return days
    begin, end = int(days.min()), int(days.max())
    closed, _ = closed_days(calendar, begin, end + _AHEAD + 2 * count)
    worked = np.flatnonzero(~closed) + begin
    places = np.searchsorted(worked, days, side="right") + count - 1
    if len(worked) == 0 or int(places.max()) >= len(worked):
        place = calendar.place if calendar is not None else ""
        raise SettingError(
            "A calendar has no business day.",
            culprits=[Culprit(where=place or "weekend", problem=f"none in the {_AHEAD} days after {date_of(end)}.")],
            mend="Leave a day of the week out of the weekend.",
        )
    return worked[places].astype(np.int64)


def picked(words: Collection[str], calendar: Calendar | None, days: Ints) -> Bools:
    """Which days one of these words means: days of the week, ``weekend``, ``month end`` and so on."""
    found = np.zeros(len(days), np.bool_)
    if not len(days):
        return found
    week_days = (days + 3) % 7
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    following = (days + 1).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    ends = months != following
    begin, end = int(days.min()), int(days.max())
    for word in words:
        if word in WEEKDAYS:
            found |= week_days == WEEKDAYS.index(word)
        elif word in ("weekend", "holiday"):
            closed, holidays = closed_days(calendar, begin, end)
            found |= (closed & ~holidays if word == "weekend" else holidays)[days - begin]
        elif word == "month end":
            found |= ends
        elif word == "quarter end":
            found |= ends & (following % 3 == 0)
        elif word == "year end":
            found |= ends & (following % 12 == 0)
        elif word == "last business day of the month":
            closed, _ = closed_days(calendar, begin, end)
            later = business_day(calendar, days, 1).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
            found |= ~closed[days - begin] & (later != months)
    return found


def _identity(calendar: Calendar | None) -> tuple[object, ...]:
    known = calendar or Calendar()
    weekend = tuple(known.weekend) if known.weekend is not None else None
    return known.country, known.subdivision, known.market, weekend, frozenset(known.closed), frozenset(known.open)


@functools.lru_cache(maxsize=1024)
def _year(
    country: str | None,
    subdivision: str | None,
    market: str | None,
    weekend: tuple[str, ...] | None,
    closed: frozenset[dt.date],
    opened: frozenset[dt.date],
    year: int,
) -> tuple[Bools, Bools]:
    with _lock:
        calendar = Calendar(
            country=country, subdivision=subdivision, market=market, weekend=weekend, closed=closed, open=opened
        )
        first, last = dt.date(year, 1, 1), dt.date(year, 12, 31)
        days = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]
        free = np.array([not calendar.is_business_day(day) for day in days], np.bool_)
        holidays = np.array([calendar.holiday(day) is not None for day in days], np.bool_)
    return free, holidays

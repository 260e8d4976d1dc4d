"""When partitions are due, as arrays. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dagster_sluice.contracts.cron import Cron
from dagster_sluice.contracts.deadlines import Deadline, Due, Exceptional, Kind, read_due
from dagster_sluice.freshness.days import Bools, business_day, closed_days, only_closed, picked
from dagster_sluice.freshness.ticks import first_tick, ticks
from dagster_sluice.freshness.zones import DAY, MICROSECONDS, Ints, clock_of, micro, moment

__all__ = ["Dues", "Windows", "dues", "periods"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """The times of partitions.

    Attributes:
        keys: The partitions.
        starts: Where the time of each begins, in microseconds since 1970.
        ends: Where it ends.
        zone: Of the partitions' own clock.
    """

    keys: Sequence[str]
    starts: Ints
    ends: Ints
    zone: dt.tzinfo

    def days(self) -> tuple[Ints, Ints]:
        """The first and the last day of each, by the partitions' own clock."""
        if not len(self.starts):
            return self.starts, self.ends
        firsts, lasts = self.starts // MICROSECONDS, (self.ends - 1) // MICROSECONDS
        clock = clock_of(self.zone, int(firsts.min()), int(lasts.max()))
        return clock.local(firsts) // DAY, clock.local(lasts) // DAY


@dataclass(frozen=True, kw_only=True, eq=False)
class Dues:
    """When partitions are due.

    Attributes:
        due: In microseconds since 1970.
        limit: With the grace.
        first_days: The first day of each, as a number since 1970-01-01, by its own clock.
        days: The last one.
        closed: Whether nobody waits, for want of a business day.
        unexpected: Whether nobody waits, for an exception says so.
    """

    due: Ints
    limit: Ints
    first_days: Ints
    days: Ints
    closed: Bools
    unexpected: Bools


def dues(deadline: Deadline, windows: Windows) -> Dues:
    """When each partition is due.

    Raises:
        SettingError: The calendar has no business day.
    """
    first_days, days = windows.days()
    usual = _due(read_due(deadline.due), deadline, windows.ends, days)
    limit = usual + _micro(deadline.grace)
    unexpected = np.zeros(len(days), np.bool_)
    left = np.ones(len(days), np.bool_)
    for one in deadline.exceptions:
        places = np.flatnonzero(left & _meant(one, deadline, windows, days))
        left[places] = False
        if one.due is None:
            unexpected[places] = True
        elif len(places):
            own = _due(read_due(one.due), deadline, windows.ends[places], days[places])
            usual[places] = own
            limit[places] = own + _micro(deadline.grace if one.grace is None else one.grace)
    closed = np.zeros(len(days), np.bool_)
    if deadline.business_days_only:
        closed = only_closed(deadline.calendar, first_days, days)
    return Dues(due=usual, limit=limit, first_days=first_days, days=days, closed=closed, unexpected=unexpected)


def periods(
    deadline: Deadline, first: dt.datetime, last: dt.datetime, *, around: int | None = None
) -> tuple[Windows, Dues]:
    """The periods of a table without partitions in time whose deadlines lie between two moments.

    A period begins where a publication counts for its deadline, which is its end. Of `Kind.AFTER` there are none: that
    deadline follows each publication.

    Args:
        deadline: The deadline.
        first: The first moment.
        last: The last one.
        around: Only the last period that ends by this moment (microseconds since 1970), and the first that ends after it.
    """
    due = read_due(deadline.due)
    zone = deadline.zone
    begin, end = micro(first), micro(last)
    if due.kind is Kind.CRON and due.cron is not None:
        starts, ends = _ticking(due.cron, zone, begin, end)
    else:
        starts, ends = _daily(due, deadline, begin, end)
    if around is not None:
        place = int(np.searchsorted(ends, around, side="right"))
        cut = slice(max(place - 1, 0), place + 1)
        starts, ends = starts[cut], ends[cut]
    if deadline.within is not None:
        starts = ends - _micro(deadline.within)
    keys = [f"{moment(one, zone):%Y-%m-%d %H:%M}" for one in ends]
    windows = Windows(keys=keys, starts=starts, ends=ends, zone=zone)
    _, days = windows.days()
    unexpected = np.zeros(len(days), np.bool_)
    for one in deadline.exceptions:
        unexpected |= _meant(one, deadline, windows, days)
    closed = np.zeros(len(days), np.bool_)
    if deadline.business_days_only:
        closed = only_closed(deadline.calendar, days, days)
    return windows, Dues(
        due=ends, limit=ends + _micro(deadline.grace), first_days=days, days=days, closed=closed, unexpected=unexpected
    )


def _ticking(cron: Cron, zone: dt.tzinfo, begin: int, end: int) -> tuple[Ints, Ints]:
    # One tick more, where the first period begins.
    for before in (40, 9 * 366):
        known = ticks(cron, zone, begin - before * DAY * MICROSECONDS, end)
        if cut := int(np.searchsorted(known, begin)):
            return known[cut - 1 : -1], known[cut:]
    return known[:-1], known[1:]


def _daily(due: Due, deadline: Deadline, begin: int, end: int) -> tuple[Ints, Ints]:
    zone = deadline.zone
    seconds = np.array([begin // MICROSECONDS, end // MICROSECONDS], np.int64)
    shown = clock_of(zone, int(seconds[0]), int(seconds[1])).local(seconds) // DAY
    days = np.arange(int(shown[0]) - 1, int(shown[1]) + 2, dtype=np.int64)
    if due.kind is Kind.BUSINESS:
        closed, _ = closed_days(deadline.calendar, int(days[0]), int(days[-1]))
        days = days[~closed]
    if not len(days):
        return days, days
    # A deadline at midnight is for the day that ends.
    starts, ends = _moments(zone, (days - (due.minute == 0)) * DAY), _moments(zone, days * DAY + due.minute * 60)
    inside = (ends >= begin) & (ends <= end)
    return starts[inside], ends[inside]


def _due(due: Due, deadline: Deadline, ends: Ints, days: Ints) -> Ints:
    if not len(ends):
        return ends.copy()
    zone = deadline.zone
    if due.kind is Kind.CRON and due.cron is not None:
        return first_tick(due.cron, zone, ends)
    if due.kind is Kind.AFTER and not due.days:
        return ends + _micro(due.rest)
    if due.kind is Kind.AFTER:
        seconds = ends // MICROSECONDS
        shown = clock_of(zone, int(seconds.min()), int(seconds.max())).local(seconds) + due.days * DAY
        return _moments(zone, shown) + ends % MICROSECONDS + _micro(due.rest)
    if due.kind is Kind.CLOCK:
        seconds = ends // MICROSECONDS
        shown = clock_of(zone, int(seconds.min()), int(seconds.max())).local(seconds) // DAY * DAY + due.minute * 60
        # At a change of the clock the time of the day before may be what comes first.
        found = [_moments(zone, shown + days_on * DAY) for days_on in (-1, 0, 1, 2)]
        later = [np.where(one >= ends, one, np.iinfo(np.int64).max) for one in found]
        first: Ints = np.minimum.reduce(later)
        return first
    days = business_day(deadline.calendar, days, due.days) if due.kind is Kind.BUSINESS else days + due.days
    return _moments(zone, days * DAY + due.minute * 60)


def _moments(zone: dt.tzinfo, shown: Ints) -> Ints:
    return clock_of(zone, int(shown.min()), int(shown.max())).moments(shown) * MICROSECONDS


def _meant(one: Exceptional, deadline: Deadline, windows: Windows, days: Ints) -> Bools:
    found = picked(one.when, deadline.calendar, days)
    if one.partitions:
        named = one.partitions
        found |= np.fromiter((key in named for key in windows.keys), np.bool_, len(windows.keys))
    return found


def _micro(length: dt.timedelta) -> int:
    return length // dt.timedelta(microseconds=1)

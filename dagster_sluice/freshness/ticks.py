"""The ticks of cron expressions as arrays. Pure.

They are Dagster's, change of clocks included: a time that is skipped ticks when the clock jumps, one that comes twice
ticks at the second; but what ticks in every hour ticks in both, and not in one that is skipped.
"""

from __future__ import annotations

import datetime as dt
import functools

import numpy as np

from dagster_sluice.contracts.cron import Cron
from dagster_sluice.freshness.zones import DAY, MICROSECONDS, Ints, clock_of, moment

__all__ = ["first_tick", "ticks"]

_FEW = 4
_YEARS = 9
"""29 February comes again after eight years at the latest."""


def ticks(cron: Cron, zone: dt.tzinfo, first: int, last: int) -> Ints:
    """The ticks from one moment to another, both included, in order.

    Args:
        cron: The expression.
        zone: Of its clock.
        first: In microseconds since 1970, as what is returned.
        last: As well.
    """
    years = range(moment(first).year - 1, moment(last).year + 2)
    kept = _few if len(cron.minutes) * len(cron.hours) <= _FEW else _many
    found = np.concatenate([kept(cron, zone, year) for year in years])
    begin, end = np.searchsorted(found, first), np.searchsorted(found, last, side="right")
    return found[begin:end]


def first_tick(cron: Cron, zone: dt.tzinfo, moments: Ints) -> Ints:
    """For each moment (microseconds since 1970) the first tick at or after it."""
    if not len(moments):
        return moments
    first, last = int(moments.min()), int(moments.max())
    for ahead in (1, _YEARS):
        known = ticks(cron, zone, first, last + ahead * 366 * DAY * MICROSECONDS)
        if len(known) and known[-1] >= last:
            return known[np.searchsorted(known, moments)]
    raise ValueError(f"{cron.text} never comes")


@functools.lru_cache(maxsize=8192)
def _few(cron: Cron, zone: dt.tzinfo, year: int) -> Ints:
    return _ticks(cron, zone, year)


# A year of minutes takes four megabytes.
@functools.lru_cache(maxsize=32)
def _many(cron: Cron, zone: dt.tzinfo, year: int) -> Ints:
    return _ticks(cron, zone, year)


def _ticks(cron: Cron, zone: dt.tzinfo, year: int) -> Ints:
    """The ticks of one year of the zone's own."""
    days = np.arange(np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01"))
    starts = days.astype(np.int64)[_matching(cron, days)] * DAY
    times = np.array([hour * 3600 + minute * 60 for hour in cron.hours for minute in cron.minutes], np.int64)
    shown = (starts[:, None] + times[None, :]).ravel()
    if not len(shown):
        return shown
    clock = clock_of(zone, int(shown[0]), int(shown[-1]))
    found = clock.all_moments(shown) if cron.every_hour else clock.moments(shown)
    return np.unique(found) * MICROSECONDS


def _matching(cron: Cron, days: np.typing.NDArray[np.datetime64]) -> np.typing.NDArray[np.bool_]:
    numbers = days.astype(np.int64)
    months = days.astype("datetime64[M]").astype(np.int64)
    in_month = np.isin(months % 12 + 1, list(cron.months))
    # 1970 began on a Thursday.
    on_week_day = np.isin((numbers + 3) % 7, list(cron.week_days or ()))
    month_begins = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    on_month_day = np.isin(numbers - month_begins + 1, list(cron.month_days or ()))
    if cron.month_days is None and cron.week_days is None:
        return in_month
    if cron.month_days is None:
        return in_month & on_week_day
    if cron.week_days is None:
        return in_month & on_month_day
    return in_month & (on_week_day | on_month_day)

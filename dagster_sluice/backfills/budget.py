"""What a night may cost, and when it is night. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import Enum
from zoneinfo import ZoneInfo

from dagster_sluice.calendars import Calendar

__all__ = ["POOL_TAG", "PRIORITY_TAG", "RUNS_TAG", "Budget", "Hours", "Order", "Spent"]

PRIORITY_TAG = "dagster/priority"
RUNS_TAG = "sluice/runs_at_once"
"""Says how many runs of a budget the queue may let through at once; ``dagster.yaml`` has a limit for each number."""
POOL_TAG = "sluice/pool"
"""Names what the runs of several backfills share; ``dagster.yaml`` says how many of them it bears."""


class Order(str, Enum):
    """Which gaps come first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    WANTED = "wanted"
    """Those on which most other gaps wait; among equals the newest."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one night may cost.

    Attributes:
        partitions: At most so many, counted per table; ``None`` for no limit.
        minutes: At most so long, by the duration seen per partition and ``runs`` in flight; ``None`` for no limit.
        runs: So many runs at once.
        longest_range: At most so many partitions in one run.
        priority: Of the runs in the queue; interactive work has 0.
        pool: Name of something that bears few runs at once, such as a source, whichever backfill they belong to: their
            tag ``sluice/pool``, for which the run queue has a limit.
    """

    partitions: int | None = 500
    minutes: float | None = None
    runs: int = 2
    longest_range: int = 400
    priority: int = -10
    pool: str | None = None

    def __post_init__(self) -> None:
        for name in ("partitions", "minutes"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} is {value}; a budget is not negative.")
        for name in ("runs", "longest_range"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; at least 1 is needed.")

    @property
    def tags(self) -> dict[str, str]:
        """The tags by which the run queue orders and limits the runs."""
        tags = {PRIORITY_TAG: str(self.priority), RUNS_TAG: str(self.runs)}
        if self.pool is not None:
            tags[POOL_TAG] = self.pool
        return tags


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What the night has cost so far."""

    partitions: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Hours:
    """When backfills may be launched: from ``begin`` to ``end``, local time, over midnight if ``end`` is the earlier.

    Attributes:
        begin: The first moment of a night.
        end: The first moment after it; equal to ``begin`` for all day.
        zone: The time zone, by its IANA name.
        blackouts: Days on which nothing is launched, by the date on which the night began.
        closed: A calendar on whose holidays nothing is launched either, by the same date.
        closed_weekends: Nothing is launched on its weekends either (Saturdays and Sundays without a calendar).
    """

    begin: dt.time = dt.time(0)
    end: dt.time = dt.time(0)
    zone: str = "UTC"
    blackouts: Collection[dt.date] = field(default_factory=frozenset)
    closed: Calendar | None = None
    closed_weekends: bool = False

    def night(self, now: dt.datetime) -> tuple[dt.datetime, dt.datetime] | None:
        """Begin and end of the night in which ``now`` lies; ``None`` if it lies in none.

        Raises:
            ValueError: ``now`` has no time zone.
        """
        return next(((begin, end) for date, begin, end in self._around(now) if self._why_closed(date) is None), None)

    def why_not(self, now: dt.datetime) -> str | None:
        """Why nothing may be launched at ``now``, in words; ``None`` if it is night.

        Raises:
            ValueError: ``now`` has no time zone.
        """
        nights = [(date, self._why_closed(date)) for date, _, _ in self._around(now)]
        if any(why is None for _, why in nights):
            return None
        if nights:
            date, why = nights[-1]
            return f"{date} is closed: {why}"
        return f"it is not between {self.begin:%H:%M} and {self.end:%H:%M} {self.zone}"

    def _around(self, now: dt.datetime) -> Iterator[tuple[dt.date, dt.datetime, dt.datetime]]:
        """The nights in which ``now`` lies, closed or not."""
        if now.tzinfo is None:
            raise ValueError(f"{now} has no time zone.")
        zone = ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        for date in (today - dt.timedelta(days=1), today):
            last = date if self.begin < self.end else date + dt.timedelta(days=1)
            begin = dt.datetime.combine(date, self.begin, zone).astimezone(dt.timezone.utc)
            end = dt.datetime.combine(last, self.end, zone).astimezone(dt.timezone.utc)
            if begin <= now < end:
                yield date, begin, end

    def _why_closed(self, date: dt.date) -> str | None:
        if date in self.blackouts:
            return "a blackout"
        calendar = self.closed or Calendar()
        holiday = calendar.holiday(date)
        if holiday is not None:
            return f"{holiday} ({calendar.place})" if calendar.place else holiday
        return f"{date:%A}" if self.closed_weekends and calendar.is_weekend(date) else None

"""What a night may cost, and when it is night. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from zoneinfo import ZoneInfo

__all__ = ["Budget", "Hours", "Order", "Spent"]


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
        pool: Name of a concurrency pool that the runs share, if any.
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
    """

    begin: dt.time = dt.time(0)
    end: dt.time = dt.time(0)
    zone: str = "UTC"
    blackouts: Collection[dt.date] = field(default_factory=frozenset)

    def night(self, now: dt.datetime) -> tuple[dt.datetime, dt.datetime] | None:
        """Begin and end of the night in which ``now`` lies; ``None`` if it lies in none.

        Raises:
            ValueError: ``now`` has no time zone.
        """
        if now.tzinfo is None:
            raise ValueError(f"{now} has no time zone.")
        zone = ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        for date in (today - dt.timedelta(days=1), today):
            last = date if self.begin < self.end else date + dt.timedelta(days=1)
            begin = dt.datetime.combine(date, self.begin, zone).astimezone(dt.timezone.utc)
            end = dt.datetime.combine(last, self.end, zone).astimezone(dt.timezone.utc)
            if begin <= now < end and date not in self.blackouts:
                return begin, end
        return None

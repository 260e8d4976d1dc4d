"""Cron expressions of five fields, read into plain sets. Which moments they mean is worked out where they are used.

As in cron and in Dagster: minute, hour, day of month, month, day of week (0 and 7 are Sunday); where both kinds of days
are narrowed, either suffices.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Cron", "is_cron", "read_cron"]

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = dict(
    zip(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], range(1, 13), strict=True)
)
_DAYS = dict(zip(["sun", "mon", "tue", "wed", "thu", "fri", "sat"], range(7), strict=True))
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, kw_only=True)
class Cron:
    """A cron expression, read.

    Attributes:
        text: As it was written.
        minutes: Of the hour.
        hours: Of the day.
        month_days: Days of the month; ``None`` where they are not narrowed.
        months: 1 to 12.
        week_days: 0 (Monday) to 6, as Python counts; ``None`` where they are not narrowed.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    month_days: frozenset[int] | None
    months: frozenset[int]
    week_days: frozenset[int] | None

    @property
    def every_hour(self) -> bool:
        """Whether it ticks in every hour: then also in one that a change of the clock repeats."""
        return len(self.hours) == 24


def is_cron(text: str) -> bool:
    """Whether a text is meant as a cron expression."""
    parts = text.split()
    return text.startswith("@") or (len(parts) > 1 and all(re.fullmatch(r"[\d*/,-]+", part) for part in parts[:2]))


def read_cron(text: str) -> Cron:
    """Read a cron expression.

    Raises:
        ValueError: It cannot be read, or never comes.
    """
    written = _ALIASES.get(text.strip().casefold(), text.strip())
    parts = written.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"has {len(parts)} fields, and a cron expression has {len(_FIELDS)}")
    minutes, hours, month_days, months, week_days = (
        _numbers(part, *field) for part, field in zip(parts, _FIELDS, strict=True)
    )
    cron = Cron(
        text=text.strip(),
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        month_days=None if parts[2].startswith("*") and len(month_days) == 31 else month_days,
        months=months,
        week_days=None if parts[4] == "*" else frozenset((day - 1) % 7 for day in week_days),
    )
    if cron.week_days is None and cron.month_days is not None:
        first = min(cron.month_days)
        if all(first > _LONGEST[month - 1] for month in cron.months):
            raise ValueError("names a day that never comes")
    return cron


def _numbers(part: str, name: str, low: int, high: int, words: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for item in part.split(","):
        matched = re.fullmatch(r"(\*|\w+(?:-\w+)?)(?:/(\d+))?", item)
        if matched is None:
            raise ValueError(f"has `{item}` as its {name}, which cannot be read")
        span, step = matched[1], int(matched[2] or 1)
        if span == "*":
            first, last = low, high - (name == "day of week")
        else:
            begin, _, end = span.partition("-")
            first = _number(begin, name, low, high, words)
            last = _number(end, name, low, high, words) if end else (high if matched[2] else first)
        if step < 1 or first > last:
            raise ValueError(f"has `{item}` as its {name}, which names nothing")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, name: str, low: int, high: int, words: dict[str, int]) -> int:
    number = words.get(text.casefold())
    if number is None:
        if not text.isdecimal():
            raise ValueError(f"has `{text}` as its {name}, which cannot be read")
        number = int(text)
    if not low <= number <= high:
        raise ValueError(f"has {number} as its {name}, and {low} to {high} are the limits")
    return number

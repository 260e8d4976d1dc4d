"""When a table must be published, as plain values: written in Python, or read from ``slaProperties`` of a contract."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from dagster_sluice.calendars import WEEKDAYS, Calendar
from dagster_sluice.contracts.cron import Cron, is_cron, read_cron
from dagster_sluice.errors import Culprit, SettingError

__all__ = ["Deadline", "Due", "Exceptional", "Kind", "Recency", "read_due", "read_duration", "zone_named"]

_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})"
_FORMS = (
    re.compile(rf"{_CLOCK}"),
    re.compile(rf"{_CLOCK}(?: on)?(?: the)? (?P<which>same|next) (?P<business>business )?day"),
    re.compile(rf"{_CLOCK}(?: on)?(?: the)? (?P<nth>\d{{1,3}})(?:st|nd|rd|th) (?P<business>business )?day"),
    re.compile(rf"{_CLOCK},? (?P<nth>\d{{1,3}}) (?P<business>business )?days? later"),
)
_AFTER = re.compile(r"(?P<length>.+?) after (?:the |its )?end")
_SAYS = (
    "Write for instance `06:00 on the next business day`, `09:00 on the same day`, `2 hours after the end`, or a cron "
    "expression such as `0 6 * * 1-5`."
)
_UNITS = {
    "second": ("s", "sec", "secs", "second", "seconds"),
    "minute": ("min", "mins", "minute", "minutes"),
    "hour": ("h", "hr", "hrs", "hour", "hours"),
    "day": ("d", "day", "days"),
    "week": ("w", "wk", "week", "weeks"),
    "year": ("y", "yr", "yrs", "year", "years"),
}
_LENGTHS = {
    "second": dt.timedelta(seconds=1),
    "minute": dt.timedelta(minutes=1),
    "hour": dt.timedelta(hours=1),
    "day": dt.timedelta(days=1),
    "week": dt.timedelta(weeks=1),
    "year": dt.timedelta(days=365),
}
_LONGEST = dt.timedelta(days=3660)
WHEN = (*WEEKDAYS, "weekend", "holiday", "month end", "last business day of the month", "quarter end", "year end")
"""The words by which an exception names partitions."""


class Kind(str, Enum):
    """How a deadline is told."""

    CLOCK = "clock"
    """The first such time of day at or after the end."""
    DAY = "day"
    """A time of day, so many days after the partition's day."""
    BUSINESS = "business"
    """A time of day, so many business days after the partition's day."""
    AFTER = "after"
    """So long after the end."""
    CRON = "cron"
    """The first tick at or after the end."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """When a partition is due, read.

    Attributes:
        kind: How it is told.
        minute: Of the day.
        days: Days or business days after the partition's day; of `Kind.AFTER` the whole days, by the clock on the wall.
        rest: Of `Kind.AFTER` what is left beside whole days.
        cron: Of `Kind.CRON`.
    """

    kind: Kind
    minute: int = 0
    days: int = 0
    rest: dt.timedelta = dt.timedelta()
    cron: Cron | None = None


@dataclass(frozen=True)
class Exceptional:
    """Partitions with a deadline of their own.

    Attributes:
        due: As of a `Deadline`; ``None``: nobody waits for them.
        when: Which: days of the week, ``weekend``, ``holiday``, ``month end``, ``last business day of the month``,
            ``quarter end``, ``year end``; by the partition's day.
        partitions: Or by their keys.
        grace: That of the deadline by default.
    """

    due: str | None
    when: str | Sequence[str] = ()
    partitions: Collection[str] = ()
    grace: dt.timedelta | None = None

    def __post_init__(self) -> None:
        when = (self.when,) if isinstance(self.when, str) else tuple(self.when)
        object.__setattr__(self, "when", tuple(word.strip().casefold() for word in when))
        object.__setattr__(self, "partitions", _frozen(self.partitions))


@dataclass(frozen=True)
class Deadline:
    """When each partition of a table must be published.

    The day of a partition is the last one of its time, by its own clock: 2026-03-08 of a daily one with that key, the
    last of March of a monthly one. A time that the clock skips is the moment at which it jumps; of a time that it shows
    twice the second is meant. Whole days and weeks are counted by the clock on the wall, hours and minutes as they pass.

    A table without partitions in time is judged by periods: it must be published, or confirmed unchanged, before each
    deadline, and not before the day of a time of day has begun or before the last tick of a cron expression; ``within``
    says otherwise.

    Attributes:
        due: ``06:00 on the next business day``, ``09:00 on the same day``, ``06:00 on the 3rd business day``, ``06:00``
            (the first one after the end), ``2 hours after the end``, or a cron expression (its first tick after the end).
        timezone: Of the clock, by its IANA name or as ``+01:00``; that of the contract by default.
        grace: So much later is still on time.
        calendar: Its business days and holidays; by default Saturday and Sunday are no business days.
        business_days_only: Whether nobody waits for partitions that have no business day in them.
        look_back: So many partitions are looked at, the last.
        since: Partitions of days before it are not looked at.
        retention: So far back the source keeps its data: what is missing of before can never be published.
        within: Of a table without partitions in time: at most so long before the deadline it must have been published.
        exceptions: Partitions with deadlines of their own; the first that names a partition counts.
        name: Tells several deadlines of one table apart.
        driver: Why it matters: ``regulatory``, ``analytics``, ``operational``…
        description: For people.

    Raises:
        SettingError: It cannot be read; every culprit.
    """

    due: str
    timezone: str | None = None
    grace: dt.timedelta = dt.timedelta()
    calendar: Calendar | None = None
    business_days_only: bool = False
    look_back: int = 30
    since: dt.date | None = None
    retention: dt.timedelta | None = None
    within: dt.timedelta | None = None
    exceptions: Sequence[Exceptional] = ()
    name: str = ""
    driver: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "exceptions", tuple(self.exceptions))
        if culprits := list(self._culprits()):
            raise SettingError("A deadline cannot be read.", culprits=culprits)

    def _culprits(self) -> list[Culprit]:
        found = [*_due_culprits(self.due, "due"), *self._exceptional_culprits()]
        if self.timezone is not None and zone_named(self.timezone) is None:
            mend = "Write an IANA name, such as Europe/Vienna, or an offset, such as +01:00."
            found.append(Culprit(where=f"timezone={self.timezone!r}", problem="is no time zone.", mend=mend))
        for name in ("grace", "retention", "within"):
            length = getattr(self, name)
            if length is not None and not dt.timedelta() <= length <= _LONGEST:
                found.append(Culprit(where=f"{name}={length}", problem="is not from nothing to ten years."))
        if self.look_back < 1:
            found.append(Culprit(where=f"look_back={self.look_back}", problem="is no number of partitions."))
        if isinstance(self.since, dt.datetime):
            found.append(Culprit(where=f"since={self.since}", problem="is a moment; a date is needed."))
        if self.calendar is None and any("holiday" in one.when for one in self.exceptions):
            found.append(Culprit(where="exceptions", problem="name holidays, and there is no calendar to tell them."))
        return found

    def _exceptional_culprits(self) -> list[Culprit]:
        found = []
        for one in self.exceptions:
            if one.due is not None:
                found += _due_culprits(one.due, "exceptions")
            if not one.when and not one.partitions:
                problem = "names neither days (`when`) nor partitions."
                found.append(Culprit(where=f"exceptions: {one.due}", problem=problem))
            odd = [word for word in one.when if word not in WHEN]
            found += [Culprit(where=f"when={word!r}", problem=f"is none of {', '.join(WHEN)}.") for word in odd]
        return found

    def __hash__(self) -> int:
        # A calendar may hold lists.
        return hash((self.due, self.timezone, self.grace, self.look_back, self.since, self.name, self.exceptions))

    @property
    def zone(self) -> dt.tzinfo:
        """The time zone of its clock."""
        return zone_named(self.timezone or "UTC") or dt.timezone.utc


@dataclass(frozen=True, kw_only=True)
class Recency:
    """How old the newest row of a published table may be.

    Attributes:
        column: The column that tells when a row's event was; a timestamp or a date.
        within: The newest may be so old.
        name: Tells several of one table apart.
    """

    column: str
    within: dt.timedelta
    name: str = ""

    def __post_init__(self) -> None:
        if not dt.timedelta() < self.within <= _LONGEST:
            raise SettingError(
                "A table's recency cannot be read.",
                culprits=[Culprit(where=f"within={self.within}", problem="is not more than nothing, up to ten years.")],
            )


def _frozen(given: Any) -> frozenset[str]:
    return frozenset((given,)) if isinstance(given, str) else frozenset(given)


def _due_culprits(due: str, where: str) -> list[Culprit]:
    try:
        read_due(due)
    except ValueError as failure:
        problem, _, mend = str(failure).partition("\n")
        return [Culprit(where=f"{where}={due!r}", problem=problem, mend=mend)]
    return []


def zone_named(name: str) -> dt.tzinfo | None:
    """The time zone of an IANA name or an offset such as ``-08:00``; ``None`` if there is none."""
    offset = re.fullmatch(r"(?:UTC)?([+-])(\d{2}):(\d{2})", name)
    if offset is not None:
        length = dt.timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        if length < dt.timedelta(hours=24) and int(offset[3]) < 60:
            return dt.timezone(-length if offset[1] == "-" else length)
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return None


def read_due(text: str) -> Due:
    """Read when partitions are due.

    Raises:
        ValueError: It cannot be read; a second line says what to do.
    """
    words = " ".join(str(text).split()).casefold()
    if is_cron(words):
        try:
            return Due(kind=Kind.CRON, cron=read_cron(words))
        except ValueError as failure:
            raise ValueError(f"{failure}.\n{_SAYS}") from None
    after = _AFTER.fullmatch(words)
    if after is not None:
        length = read_duration(after["length"])
        # 24 hours pass; a day is one on the wall, whatever is done to the clock.
        unit = after["length"].lstrip("0123456789. ")
        on_the_wall = any(unit in _UNITS[name] for name in ("day", "week", "year"))
        if on_the_wall and not length % _LENGTHS["day"]:
            return Due(kind=Kind.AFTER, days=length.days)
        return Due(kind=Kind.AFTER, rest=length)
    found = next((matched for form in _FORMS if (matched := form.fullmatch(words))), None)
    if found is None:
        raise ValueError(f"is no deadline that can be read.\n{_SAYS}")
    said = found.groupdict()
    minute = int(said["hour"]) * 60 + int(said["minute"])
    if int(said["minute"]) > 59 or minute > 24 * 60:
        raise ValueError(f"has no time of day: {said['hour']}:{said['minute']}.\n{_SAYS}")
    if "which" not in said and "nth" not in said:
        return Due(kind=Kind.CLOCK, minute=minute)
    days = int(said["nth"]) if "nth" in said else int(said["which"] == "next")
    if said["business"] is None:
        return Due(kind=Kind.DAY, minute=minute, days=days)
    if days < 1:
        raise ValueError(f"means no business day in particular.\n{_SAYS}")
    return Due(kind=Kind.BUSINESS, minute=minute, days=days)


def read_duration(text: str, unit: str | None = None) -> dt.timedelta:
    """Read a length of time: ``15 min``, ``2 hours``, ``1 day``.

    Args:
        text: The number with its unit, or the number alone.
        unit: The unit, if it is written elsewhere.

    Raises:
        ValueError: It cannot be read; a second line says what to do.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(text).strip().casefold())
    named = (found[2] if found else "") or (unit or "").strip().casefold()
    length = next((_LENGTHS[name] for name, words in _UNITS.items() if named in words), None)
    if found is None or length is None:
        raise ValueError(
            f"`{text}{f' {unit}' if unit else ''}` is no length of time.\nWrite `30 min`, `2 hours` or `1 day`."
        )
    try:
        return float(found[1]) * length
    except OverflowError:
        raise ValueError(f"`{text}` is too long.\nWrite at most ten years.") from None

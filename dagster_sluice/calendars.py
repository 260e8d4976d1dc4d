"""Which days are worked on: weekends, holidays by country or market, and days of one's own. Pure, no Dagster.

The holidays of a country are taken from the library ``holidays`` (the extra ``calendars``); a calendar without a country
needs nothing.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagster_sluice.errors import Culprit, SettingError

if TYPE_CHECKING:
    from holidays import HolidayBase

__all__ = ["WEEKDAYS", "Calendar"]

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_SEARCHED = 400
"""So many days without a business day among them are taken for a calendar that has none."""


@dataclass(frozen=True)
class Calendar:
    """The business days of a place.

    A business day is no day of the weekend, no holiday and none of ``closed``. A day of the weekend that its country
    declared a working day instead is one.

    Attributes:
        country: By its ISO 3166 code of two letters, such as ``DE``; ``None`` for none.
        subdivision: A part of the country, such as ``BY``; ``None`` for what holds in all of it.
        market: A financial market instead of a country, by its ISO 10383 code, such as ``XNYS``.
        weekend: The days of its weekend, such as ``("friday", "saturday")``; by default those of the country, and
            Saturday and Sunday where there is none.
        closed: Further days that are none of work.
        open: Days of work, whatever else is said of them.

    Raises:
        SettingError: There is no such country, subdivision, market or weekday, or the library is not installed.
    """

    country: str | None = None
    subdivision: str | None = None
    market: str | None = None
    weekend: Collection[str] | None = None
    closed: Collection[dt.date] = frozenset()
    open: Collection[dt.date] = frozenset()

    def __post_init__(self) -> None:
        culprits = []
        if self.country is not None and self.market is not None:
            problem = "is a market beside a country; a calendar has one of them."
            culprits.append(Culprit(where=f"market={self.market!r}", problem=problem))
        if self.subdivision is not None and self.country is None:
            culprits.append(Culprit(where=f"subdivision={self.subdivision!r}", problem="is a part of no country."))
        for name in ("closed", "open"):
            odd = [day for day in getattr(self, name) if isinstance(day, dt.datetime) or not isinstance(day, dt.date)]
            culprits += [Culprit(where=f"{name}={day!r}", problem="is no date.") for day in odd]
        if isinstance(self.weekend, str):
            culprits.append(Culprit(where=f"weekend={self.weekend!r}", problem="is one word; a list is needed."))
        else:
            odd_days = [day for day in self.weekend or () if day not in WEEKDAYS]
            culprits += [
                Culprit(where=f"weekend={day!r}", problem=f"is none of {', '.join(WEEKDAYS)}.") for day in odd_days
            ]
        if culprits:
            raise SettingError("A calendar cannot be read.", culprits=culprits)
        self._known(dt.date.today().year)  # noqa: DTZ011 (any year shows whether there is such a place)

    @property
    def place(self) -> str:
        """Whose calendar it is, as a person writes it: ``DE-BY``, ``XNYS``; empty for nobody's."""
        return "-".join(part for part in (self.country or self.market, self.subdivision) if part)

    def holiday(self, day: dt.date) -> str | None:
        """The name of the holiday that a day is, in English where the library has it; ``None`` if it is none.

        A day of ``closed`` that has no name is an "own holiday".
        """
        if day in self.open:
            return None
        known = self._known(day.year)
        name = known.get(day) if known is not None else None
        return str(name) if name else ("own holiday" if day in self.closed else None)

    def is_weekend(self, day: dt.date) -> bool:
        """Whether a day is one of the weekend, and not worked on all the same."""
        if day in self.open:
            return False
        known = self._known(day.year)
        if self.weekend is not None:
            free = WEEKDAYS[day.weekday()] in self.weekend
        elif known is not None:
            free = known.is_weekend(day)
        else:
            free = day.weekday() >= WEEKDAYS.index("saturday")
        return free and not (known is not None and day in known.weekend_workdays)

    def is_business_day(self, day: dt.date) -> bool:
        """Whether a day is one of work."""
        return self.holiday(day) is None and not self.is_weekend(day)

    def next_business_day(self, after: dt.date, count: int = 1) -> dt.date:
        """The first business day after a day, or the one that is so many business days later.

        Raises:
            ValueError: ``count`` is below 1.
            SettingError: The calendar has no business day for more than a year.
        """
        if count < 1:
            raise ValueError(f"count is {count}; at least 1 is needed.")
        day = after
        for _ in range(count):
            day = self._next(day)
        return day

    def _next(self, after: dt.date) -> dt.date:
        for distance in range(1, _SEARCHED + 1):
            day = after + dt.timedelta(days=distance)
            if self.is_business_day(day):
                return day
        raise SettingError(
            "A calendar has no business day.",
            culprits=[Culprit(where=self.place or "weekend", problem=f"none in the {_SEARCHED} days after {after}.")],
            mend="Leave a day of the week out of the weekend.",
        )

    def _known(self, year: int) -> HolidayBase | None:
        if self.country is None and self.market is None:
            return None
        return _holidays(self.country, self.subdivision, self.market, year)


# A year at a time: the library's own growing of years is not made for threads.
@functools.lru_cache(maxsize=256)
def _holidays(country: str | None, subdivision: str | None, market: str | None, year: int) -> HolidayBase:
    place = "-".join(part for part in (country or market, subdivision) if part)
    try:
        import holidays
    except ImportError as missing:
        raise SettingError(
            "Holidays are not known.",
            culprits=[Culprit(where=place, problem="needs the library holidays, which is not installed.")],
            mend="Run: pip install 'dagster-sluice[calendars]'. Or name the days yourself.",
        ) from missing
    try:
        if country is not None:
            return holidays.country_holidays(country, subdiv=subdivision, years=year, expand=False, language="en_US")
        return holidays.financial_holidays(str(market), years=year, expand=False, language="en_US")
    except NotImplementedError as failure:
        raise SettingError(
            "A calendar cannot be read.",
            culprits=[Culprit(where=place, problem=f"{failure}.")],
            mend="Name a country by its ISO 3166 code (DE), a part of it by its own (BY), a market by ISO 10383 (XNYS).",
        ) from failure

"""How well deadlines were met: months of days in the colour of how they went, as one HTML file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dagster_sluice.reports.page import template
from dagster_sluice.reports.strips import Cell
from dagster_sluice.reports.text import clean

__all__ = ["Month", "Share", "Sheet", "attainment_page", "months"]


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many deadlines were met over some days.

    Attributes:
        days: Over so many.
        met: Those that were.
        counted: Of so many.
        excused: Those that nobody waited for.
    """

    days: int
    met: int
    counted: int
    excused: int

    @property
    def text(self) -> str:
        """As people write it; never 100 % where one was missed."""
        if not self.counted:
            return "–"
        whole = self.met == self.counted
        return "100 %" if whole else f"{min(self.met / self.counted * 100, 99.9):.1f} %"

    @property
    def tone(self) -> str:
        """Its colour."""
        if not self.counted:
            return "none"
        share = self.met / self.counted
        return "good" if share == 1 else "warn" if share >= 0.95 else "bad"


@dataclass(frozen=True, kw_only=True)
class Month:
    """One month.

    Attributes:
        name: Of the month and its year.
        weeks: Of seven days each, from Monday; ``None`` for days of other months.
    """

    name: str
    weeks: Sequence[Sequence[Cell | None]]


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One table and one of its deadlines.

    Attributes:
        table: Its name.
        promise: What was promised.
        shares: How well it was kept.
        months: Its days.
        sentence: How it stands now.
        tone: As of a cell.
    """

    table: str
    promise: str
    shares: Sequence[Share]
    months: Sequence[Month]
    sentence: str
    tone: str


def attainment_page(title: str, sentence: str, sheets: Sequence[Sheet], legend: Sequence[tuple[str, str]]) -> str:
    """Tables with a calendar each.

    Args:
        title: Of the page.
        sentence: How all of them stand.
        sheets: The tables.
        legend: The tones and what they mean.
    """
    page = template("attainment.html.j2")
    return page.render(title=clean(title), sentence=sentence, sheets=sheets, legend=legend)


def months(days: Mapping[dt.date, Cell], *, first: dt.date, last: dt.date) -> list[Month]:
    """The months from one day to another, with what is known of their days.

    Args:
        days: The days of which something is known.
        first: The first one.
        last: The last one.
    """
    found = []
    month = first.replace(day=1)
    while month <= last:
        following = (month + dt.timedelta(days=32)).replace(day=1)
        cells: list[Cell | None] = [None] * month.weekday()
        cells += [days.get(day) or _blank(day) for day in _days(month, following)]
        cells += [None] * (-len(cells) % 7)
        weeks = [cells[begin : begin + 7] for begin in range(0, len(cells), 7)]
        found.append(Month(name=f"{month:%B %Y}", weeks=weeks))
        month = following
    return found


def _days(first: dt.date, end: dt.date) -> Iterable[dt.date]:
    return (first + dt.timedelta(days=number) for number in range((end - first).days))


def _blank(day: dt.date) -> Cell:
    return Cell(partition=day.isoformat(), state="nothing due", tone="blank")

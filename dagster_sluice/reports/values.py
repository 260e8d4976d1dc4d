"""What a report shows, as plain values: composed in ``compose.py``, drawn in ``sparkline.py``, laid out in ``page.py``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

__all__ = ["Cell", "Column", "Figure", "Point", "Promise", "Report", "Sample", "Shape", "Tone", "Trend"]


class Tone(str, Enum):
    """How something is meant: a colour, and never a colour alone."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    WAIT = "wait"


class Shape(str, Enum):
    """How a trend is drawn."""

    SHARE = "share"
    """Bars: the share of rows that break a promise."""
    VALUE = "value"
    """A line: a number that was measured."""
    COUNT = "count"
    """Bars: how many rows there were."""
    HELD = "held"
    """Kept or broken, and nothing more."""


class Point(NamedTuple):
    """One partition in a trend: whether the promise was kept (``None``: not judged), and how much was measured."""

    held: bool | None
    size: float | None = None


@dataclass(frozen=True, kw_only=True)
class Trend:
    """How something moved over the last partitions, the present one last.

    Attributes:
        shape: How it is drawn.
        points: One for each partition.
        labels: Their names.
        text: The same in words.
        low: What is promised at least, for a line.
        high: What is promised at most.
    """

    shape: Shape
    points: tuple[Point, ...]
    labels: Sequence[str]
    text: str
    low: float | None = None
    high: float | None = None

    @property
    def eventful(self) -> bool:
        """Whether there is more to say than that the promise was always kept."""
        return any(point.held is False or point.size for point in self.points)


class Cell(NamedTuple):
    """One value of a sample row. ``kind`` is ``"null"``, ``"masked"``, ``"number"`` or ``"text"``."""

    text: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some of the rows that break a promise.

    Attributes:
        columns: Their columns, those that the promise is about first.
        named: How many of them it is about.
        rows: The rows.
        note: What is left out.
    """

    columns: tuple[str, ...]
    named: int
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """``"number"`` for each column of numbers, ``"text"`` for any other."""
        return tuple(
            "number" if {cell.kind for cell in column} - {"null"} == {"number"} else "text"
            for column in zip(*self.rows, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class Promise:
    """One promise: what it says, what was found, what that means. Texts mark names as ``text.code`` does.

    Attributes:
        name: Of the expectation, and of its asset check.
        says: The promise in words.
        exactly: The same precisely, where ``says`` is what the contract's author wrote; else empty.
        scope: Which rows are judged, where not every row is; else empty.
        found: What was found.
        broken: Whether it is broken.
        tone: How grave that is.
        breach: How grave a breach is.
        label: The consequence in a word or two.
        consequence: What a breach does, or did.
        trend: How it moved; ``None`` if it was never judged before.
        sample: Rows that break it.
    """

    name: str
    says: str
    exactly: str
    scope: str
    found: str
    broken: bool
    tone: Tone
    breach: Tone
    label: str
    consequence: str
    trend: Trend | None = None
    sample: Sample | None = None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number that matters. ``tone`` is ``None`` where it is neither good nor bad."""

    label: str
    value: str
    note: str = ""
    tone: Tone | None = None


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column, for readers who do not know the table."""

    name: str
    type: str
    description: str
    required: bool
    masked: bool


@dataclass(frozen=True, kw_only=True)
class Report:
    """A whole report.

    Attributes:
        table: The table.
        partition: The partition; ``None`` for a table without.
        purpose: What the table is for, as its contract says.
        tone: Of the verdict.
        verdict: What became of the batch, in a few words.
        sentence: The same in one sentence.
        reasons: Why, where something holds or blocks it.
        figures: The numbers that matter.
        rows: How many rows each of the last partitions had; ``None`` if nothing is known of others.
        broken: The broken promises, the gravest first.
        kept: The kept ones, in declared order.
        columns: The table's columns.
        facts: What else is known of the run: (what, value).
        notes: What a reader should know of the report itself.
        steps: What the points of a trend are: ``partitions`` or ``runs``.
        judged_at: When it was judged.
    """

    table: str
    partition: str | None
    purpose: str
    tone: Tone
    verdict: str
    sentence: str
    reasons: tuple[str, ...]
    figures: tuple[Figure, ...]
    rows: Trend | None
    broken: tuple[Promise, ...]
    kept: tuple[Promise, ...]
    columns: tuple[Column, ...]
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    judged_at: dt.datetime
    steps: str

"""Tables as strips of partitions, each in the colour of its state: what a night found, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

__all__ = ["Cell", "Stretch", "Strip", "stretches"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One partition.

    Attributes:
        partition: Its key.
        state: What it is, in a word or two.
        tone: ``good``, ``wait``, ``warn``, ``bad`` or ``none``.
        why: More words.
    """

    partition: str
    state: str
    tone: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Neighbouring partitions of one state, for the list below the strip."""

    first: str
    last: str
    count: int
    state: str
    tone: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One table.

    Attributes:
        table: Its name.
        cells: Its partitions, in order; the last ones if there are many.
        left_out: How many earlier ones are not shown.
        sentence: How it stands, in words.
        tone: As of a cell, the gravest.
    """

    table: str
    cells: Sequence[Cell]
    left_out: int
    sentence: str
    tone: str

    @property
    def trouble(self) -> list[Stretch]:
        """What is not simply there, with the reasons."""
        return [stretch for stretch in stretches(self.cells) if stretch.tone != "good"]


def stretches(cells: Sequence[Cell]) -> list[Stretch]:
    """Neighbours of one state, together."""
    found = []
    for (state, tone, why), group in groupby(cells, key=lambda cell: (cell.state, cell.tone, cell.why)):
        same = list(group)
        found.append(
            Stretch(first=same[0].partition, last=same[-1].partition, count=len(same), state=state, tone=tone, why=why)
        )
    return found

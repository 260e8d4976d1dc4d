"""Which partitions are on time, due, late or excused. Pure: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from dagster_sluice.contracts.deadlines import Deadline
from dagster_sluice.freshness.days import Bools, why_closed
from dagster_sluice.freshness.dues import Dues, Windows
from dagster_sluice.freshness.zones import Ints

__all__ = ["Attainment", "Excuse", "Judged", "Met", "Status", "attainment", "judge"]

_KINDS = npt.NDArray[np.int8]


class Status(IntEnum):
    """How a partition stands."""

    ON_TIME = 0
    """It was published in time, and is there."""
    DUE = 1
    """It is not there, and there is time left."""
    LATE = 2
    """It is not there, and should be."""
    EXCUSED = 3
    """It is not there, and nobody waits for it."""
    PUBLISHED_LATE = 4
    """It is there, and came late."""

    @property
    def words(self) -> str:
        """As people and JSON write it."""
        return self.name.lower().replace("_", " ")


class Excuse(IntEnum):
    """Why nobody waits for a partition."""

    NONE = 0
    CLOSED = 1
    """It has no business day."""
    UNEXPECTED = 2
    """An exception of its deadline says so."""
    RETENTION = 3
    """Its source does not keep the data any more."""


class Met(IntEnum):
    """Whether a deadline was met, once and for all: what is published later does not mend it."""

    OPEN = 0
    """Nobody knows yet."""
    MET = 1
    MISSED = 2
    EXCUSED = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """How the partitions of a table stand with one deadline. All moments are microseconds since 1970.

    Attributes:
        deadline: The deadline.
        windows: The partitions.
        dues: When they are due.
        status: A `Status` of each.
        met: A `Met` of each.
        excuses: An `Excuse` of each.
        first: When each was first published; 0 if it never was.
        now: The moment of judging.
        notes: What is known of why a partition is not there, by key.
    """

    deadline: Deadline
    windows: Windows
    dues: Dues
    status: _KINDS
    met: _KINDS
    excuses: _KINDS
    first: Ints
    now: int
    notes: Mapping[str, str]

    def places(self, *statuses: Status) -> list[int]:
        """The positions of the partitions that stand so."""
        return np.flatnonzero(np.isin(self.status, statuses)).tolist()

    def left(self, place: int) -> int:
        """Microseconds left until a partition is late; below 0 since it is."""
        return int(self.dues.limit[place]) - self.now

    def why_excused(self, place: int) -> str:
        """Why nobody waits for a partition; empty if somebody does."""
        excuse = Excuse(int(self.excuses[place]))
        if excuse is Excuse.CLOSED:
            first, last = int(self.dues.first_days[place]), int(self.dues.days[place])
            return why_closed(self.deadline.calendar, first, last)
        if excuse is Excuse.RETENTION and self.deadline.retention is not None:
            return f"its source keeps {self.deadline.retention.total_seconds() / 86_400:g} days"
        return "not expected" if excuse is Excuse.UNEXPECTED else ""


def judge(
    deadline: Deadline,
    windows: Windows,
    due: Dues,
    *,
    first: Ints,
    stands: Bools,
    now: int,
    notes: Mapping[str, str] | None = None,
) -> Judged:
    """Judge partitions.

    The first publication decides whether a deadline was met. Whether a partition is late now is decided by whether it is
    there: what was published in time and is gone is late.

    Args:
        deadline: The deadline.
        windows: The partitions.
        due: When they are due.
        first: When each was first published, in microseconds since 1970; 0 for never.
        stands: Whether it is published now.
        now: The moment of judging, in microseconds since 1970.
        notes: What is known of why a partition is not there, by key.
    """
    excuses = np.zeros(len(windows.keys), np.int8)
    if deadline.retention is not None:
        kept = now - deadline.retention.total_seconds() * 1_000_000
        excuses[(first == 0) & (windows.starts < kept)] = Excuse.RETENTION
    excuses[due.closed] = Excuse.CLOSED
    excuses[due.unexpected] = Excuse.UNEXPECTED
    excused = excuses > 0
    in_time = (first > 0) & (first <= due.limit)
    over = now > due.limit
    missing = np.where(over, Status.LATE, Status.DUE)
    unmet = np.where(excused, Status.EXCUSED, np.where(stands, Status.PUBLISHED_LATE, missing))
    status = np.where(stands & in_time, Status.ON_TIME, unmet).astype(np.int8)
    unsettled = np.where(excused, Met.EXCUSED, np.where(over, Met.MISSED, Met.OPEN))
    met = np.where(in_time, Met.MET, unsettled).astype(np.int8)
    return Judged(
        deadline=deadline,
        windows=windows,
        dues=due,
        status=status,
        met=met,
        excuses=excuses,
        first=first,
        now=now,
        notes=notes or {},
    )


@dataclass(frozen=True, kw_only=True)
class Attainment:
    """How many deadlines were met over some time.

    Attributes:
        met: Those that were.
        missed: Those that were not.
        excused: Those that nobody waited for.
    """

    met: int
    missed: int
    excused: int

    @property
    def share(self) -> float | None:
        """The share of the deadlines that counted, 0 to 1; ``None`` if none did."""
        counted = self.met + self.missed
        return self.met / counted if counted else None


def attainment(judged: Judged, since: int) -> Attainment:
    """How many of the deadlines since a moment (microseconds since 1970) were met. What is not yet due does not count."""
    inside = (judged.dues.limit >= since) & (judged.dues.limit <= judged.now)
    met, missed, excused = (
        int(np.count_nonzero(inside & (judged.met == one))) for one in (Met.MET, Met.MISSED, Met.EXCUSED)
    )
    return Attainment(met=met, missed=missed, excused=excused)

"""Clocks on the wall as arrays: many moments at once to local time and back. Pure.

Python's ``zoneinfo`` takes microseconds for each moment; of a zone's changes it is asked once.

Where the clock is set forward, the times that it skips are the moment at which it jumps; where it is set back, of the
times that it shows twice the second is meant. Dagster ticks so too.
"""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DAY", "MICROSECONDS", "Clock", "Ints", "clock_of", "micro", "moment"]

Ints = npt.NDArray[np.int64]

MICROSECONDS = 1_000_000
DAY = 86_400
_FAR = np.int64(2**55)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_EARLIEST, _LATEST = 1900, 2200


def micro(at: dt.datetime) -> int:
    """A moment in microseconds since 1970."""
    return (at - _EPOCH) // dt.timedelta(microseconds=1)


def moment(microseconds: int, zone: dt.tzinfo = dt.timezone.utc) -> dt.datetime:
    """Microseconds since 1970 as a moment of a zone."""
    return (_EPOCH + dt.timedelta(microseconds=int(microseconds))).astimezone(zone)


@dataclass(frozen=True, eq=False)
class Clock:
    """The offsets of a zone over some years. All arrays count seconds since 1970.

    Attributes:
        begins: When each offset begins.
        ends: When it ends.
        offsets: Seconds ahead of UTC.
    """

    begins: Ints
    ends: Ints
    offsets: Ints

    def local(self, moments: Ints) -> Ints:
        """What the clock shows at these moments."""
        return moments + self.offsets[np.searchsorted(self.begins, moments, side="right") - 1]

    def moments(self, shown: Ints) -> Ints:
        """The moments at which the clock shows this."""
        places = np.searchsorted(self.begins + self.offsets, shown, side="right") - 1
        found: Ints = np.minimum(shown - self.offsets[places], self.ends[places])
        return found

    def all_moments(self, shown: Ints) -> Ints:
        """Every moment at which the clock really shows one of these, in order."""
        parts = []
        for begin, end, offset in zip(self.begins, self.ends, self.offsets, strict=True):
            first, last = np.searchsorted(shown, [begin + offset, end + offset])
            parts.append(shown[first:last] - offset)
        return np.concatenate(parts) if parts else shown[:0]


def clock_of(zone: dt.tzinfo, first: int, last: int) -> Clock:
    """The clock of a zone from one moment (seconds since 1970) to another, and a year around them."""
    years = [min(max(moment(at * MICROSECONDS).year, _EARLIEST), _LATEST) for at in (first, last)]
    return _clock(zone, years[0] - 1, years[1] + 1)


@functools.lru_cache(maxsize=256)
def _clock(zone: dt.tzinfo, first: int, last: int) -> Clock:
    changes = [change for year in range(first, last + 1) for change in _changes(zone, year)]
    start = round(dt.datetime(first, 1, 1, tzinfo=dt.timezone.utc).timestamp())
    begins = np.array([-_FAR, *(at for at, _ in changes)], np.int64)
    offsets = np.array([_offset(zone, start), *(offset for _, offset in changes)], np.int64)
    return Clock(begins=begins, ends=np.append(begins[1:], _FAR), offsets=offsets)


@functools.lru_cache(maxsize=4096)
def _changes(zone: dt.tzinfo, year: int) -> tuple[tuple[int, int], ...]:
    """The moments of a year at which a zone's offset changes, with the new offset."""
    first, last = (round(dt.datetime(one, 1, 1, tzinfo=dt.timezone.utc).timestamp()) for one in (year, year + 1))
    found = []
    before = _offset(zone, first)
    for end in range(first + DAY, last + 1, DAY):
        after = _offset(zone, end)
        # More than one change in a day is not known of any zone.
        if after != before:
            low, high = end - DAY, end
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
            found.append((high, after))
            before = after
    return tuple(found)


def _offset(zone: dt.tzinfo, at: int) -> int:
    offset = dt.datetime.fromtimestamp(at, zone).utcoffset() or dt.timedelta()
    return round(offset.total_seconds())

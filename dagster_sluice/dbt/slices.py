"""The partitions of a run, as bounds on the rows of a model. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Slice"]


@dataclass(frozen=True, kw_only=True)
class Slice:
    """What a run builds of a partitioned model.

    Attributes:
        keys: The partitions.
        start: Where they begin in time, in the time zone of the partitions; ``None`` if they have no time.
        end: Where they end; they are neighbours.
    """

    keys: Sequence[str]
    start: dt.datetime | None = None
    end: dt.datetime | None = None

    def bounds(self, kind: str) -> tuple[dt.date, dt.date] | None:
        """The first value of a column that belongs to the partitions, and the first after them.

        A date is compared by the calendar of the partitions, as is a moment without a zone. ``None`` for other columns:
        they hold the partition's key.

        Args:
            kind: The column's type, in Postgres's words.
        """
        if self.start is None or self.end is None or not (kind == "date" or kind.startswith("timestamp")):
            return None
        if kind == "date":
            return self.start.date(), self._end_date()
        if kind.endswith("with time zone"):
            return self.start, self.end
        return self.start.replace(tzinfo=None), self.end.replace(tzinfo=None)

    @property
    def last_day(self) -> dt.date | None:
        """The last date of the partitions."""
        return None if self.end is None else self._end_date() - dt.timedelta(days=1)

    def _end_date(self) -> dt.date:
        """The first date after the last partition, also of partitions that end within a day."""
        if self.end is None:
            raise ValueError("partitions without time have no end")
        midnight = self.end.time() == dt.time()
        return self.end.date() + dt.timedelta(days=0 if midnight else 1)

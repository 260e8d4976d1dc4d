"""How far the event log has been told, so that nothing is left out and nothing waits for what may never come. Pure.

The number of a record is taken before the record can be seen. A reader that has seen number 101 may see number 100 only
later, if another process was slower to commit; a reader that keeps nothing but the highest number never tells 100. So
records are known one by one until their surroundings have been at rest for a while.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = ["SETTLE", "Position"]

SETTLE = 60.0
"""Seconds after which no record with a lower number appears any more: a commit takes milliseconds."""
_FIRST_WAIT, _LONGEST_WAIT = 30.0, 900.0


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far it has been told.

    Attributes:
        low: Every record up to this one is done with.
        done: Records above it that are done with.
        marks: Moments (seconds since 1970) and the newest record that there was, oldest first.
        failures: How often in a row the next record could not be told.
        wait_until: When to try again, in seconds since 1970.
        refused: The last records that a receiver refused for good.
    """

    low: int
    done: frozenset[int] = frozenset()
    marks: tuple[tuple[float, int], ...] = ()
    failures: int = 0
    wait_until: float = 0.0
    refused: tuple[int, ...] = ()

    @classmethod
    def read(cls, text: str) -> Position:
        """What `written` has written.

        Raises:
            ValueError: It is something else.
        """
        try:
            given = json.loads(text)
            return cls(
                low=int(given["low"]),
                done=frozenset(map(int, given.get("done", ()))),
                marks=tuple((float(moment), int(newest)) for moment, newest in given.get("marks", ())),
                failures=int(given.get("failures", 0)),
                wait_until=float(given.get("wait_until", 0)),
                refused=tuple(map(int, given.get("refused", ()))),
            )
        except (KeyError, TypeError, AttributeError) as failure:
            raise ValueError(f"no position: {text[:80]!r}") from failure

    def written(self) -> str:
        """As text; the same position is the same text."""
        return json.dumps(
            {
                "low": self.low,
                "done": sorted(self.done),
                "marks": [list(mark) for mark in self.marks],
                "failures": self.failures,
                "wait_until": self.wait_until,
                "refused": list(self.refused),
            }
        )

    def is_done(self, record: int) -> bool:
        """Whether a record is done with."""
        return record <= self.low or record in self.done

    def told(self, records: Iterable[int]) -> Position:
        """After some records have been told."""
        new = frozenset(records)
        return replace(self, done=self.done | new, failures=0, wait_until=0.0) if new else self

    def settled(self, now: float, newest: int, *, reached: int) -> Position:
        """Forget single records that lie so far back that none can appear among them any more.

        Args:
            now: Seconds since 1970.
            newest: The newest record that there is, read before any other was.
            reached: Up to where every record that can be seen has been told.
        """
        marks = (*self.marks, (now, newest))
        old = [mark for mark in marks if mark[0] <= now - SETTLE]
        low = max(self.low, min(old[-1][1], reached)) if old else self.low
        # One mark at a time is enough to come forward; the newest ones are kept apart so that they grow old.
        kept = _thinned((*old[-1:], *(mark for mark in marks if mark[0] > now - SETTLE)))
        return replace(self, low=low, done=frozenset(one for one in self.done if one > low), marks=kept)

    def failed(self, now: float) -> Position:
        """After the next record could not be told: wait, twice as long each time, up to a quarter of an hour."""
        wait = min(_FIRST_WAIT * 2**self.failures, _LONGEST_WAIT)
        return replace(self, failures=self.failures + 1, wait_until=now + wait)

    def passed_over(self, record: int) -> Position:
        """After a record that the receiver refused for good: it is noted and the next ones are told."""
        return replace(self.told([record]), refused=(*self.refused, record)[-100:])


def _thinned(marks: tuple[tuple[float, int], ...]) -> tuple[tuple[float, int], ...]:
    """At most one mark in each twelfth of the time that they have to grow old."""
    kept: list[tuple[float, int]] = []
    for mark in marks:
        if kept and len(kept) > 1 and mark[0] - kept[-1][0] < SETTLE / 12 and mark is not marks[-1]:
            continue
        kept.append(mark)
    return tuple(kept)

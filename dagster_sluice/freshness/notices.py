"""What is told of late partitions, and when: once, again if it lasts, and once when it is over. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from dagster_sluice.freshness.judging import Status
from dagster_sluice.freshness.reading import Evaluated
from dagster_sluice.freshness.words import age_name, span_words
from dagster_sluice.freshness.zones import micro, moment

__all__ = ["Decided", "Notice", "NoticeKind", "Remembered", "Spot", "decide"]

Spot = tuple[str, str, str]
"""A table, the name of its deadline, and a partition."""


class NoticeKind(str, Enum):
    """What a notice says."""

    LATE = "late"
    ESCALATED = "escalated"
    """It was told, and is still late."""
    RECOVERED = "recovered"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One thing to be told.

    Attributes:
        kind: What it says.
        table: The asset, as the UI writes it.
        deadline: The name of the deadline; empty for the only one of a table.
        partition: Its key; of a table without partitions the deadline's moment.
        due: What was promised, in words.
        late_since: Since when it is late, grace included.
        at: The moment of telling.
        why: What is known: why it is not there, when it came, that nobody waits any more.
        driver: Why the deadline matters.
    """

    kind: NoticeKind
    table: str
    deadline: str
    partition: str
    due: str
    late_since: dt.datetime
    at: dt.datetime
    why: str = ""
    driver: str = ""

    @property
    def spot(self) -> Spot:
        """What it is about."""
        return self.table, self.deadline, self.partition

    @property
    def id(self) -> str:
        """The same for the same notice told again, so that a receiver can leave out the second."""
        parts = (self.kind.value, *self.spot, self.late_since.isoformat())
        return hashlib.sha256("\x1f".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:24]

    @property
    def text(self) -> str:
        """In one sentence."""
        what = f"{self.table} {self.partition}".strip()
        since = f"{self.late_since:%Y-%m-%d %H:%M %Z}"
        more = f" ({self.why})" if self.why else ""
        if self.kind is NoticeKind.RECOVERED:
            return f"{what} is no longer late{more}."
        still = "is still late" if self.kind is NoticeKind.ESCALATED else "is late"
        lasts = span_words(micro(self.at) - micro(self.late_since))
        return f"{what} {still}, since {since} ({lasts}): due {self.due}{more}."

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "table": self.table,
            "deadline": self.deadline,
            "partition": self.partition,
            "due": self.due,
            "late_since": self.late_since.isoformat(),
            "at": self.at.isoformat(),
            "why": self.why,
            "driver": self.driver,
            "text": self.text,
        }


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What a notifier was told of a partition that was late.

    Attributes:
        late_since: Since when it was.
        told_at: When that was told; ``None`` while it is on its way.
        escalated_at: When it was told again.
    """

    late_since: dt.datetime
    told_at: dt.datetime | None = None
    escalated_at: dt.datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What is to be told, and what is to be forgotten.

    Attributes:
        notices: To be told.
        over: What nobody looks at any more, such as a partition that is gone: nothing is told of it.
    """

    notices: tuple[Notice, ...]
    over: tuple[Spot, ...]


def decide(
    found: Sequence[Evaluated],
    remembered: Mapping[Spot, Remembered],
    *,
    now: dt.datetime,
    escalate_after: dt.timedelta | None,
) -> Decided:
    """What a notifier is to be told.

    Args:
        found: The tables as they stand; all that are remembered should be among them.
        remembered: What the notifier was told and is not over.
        now: The moment of telling.
        escalate_after: A partition that is late so long after it was told is told again; ``None`` for never.
    """
    notices: list[Notice] = []
    seen = set()
    for spot, late, (due, since, why, driver) in _states(found):
        seen.add(spot)
        known = remembered.get(spot)
        kind = None
        if known is None:
            kind = NoticeKind.LATE if late else None
        elif known.told_at is None:
            # On its way, or it was when its sender died; whoever may claim it tells it.
            kind = NoticeKind.LATE if late else None
        elif not late:
            kind = NoticeKind.RECOVERED
        elif escalate_after is not None and known.escalated_at is None and now - known.told_at >= escalate_after:
            kind = NoticeKind.ESCALATED
        if kind is not None:
            table, deadline, partition = spot
            late_since = known.late_since if known is not None and not late else since
            notices.append(
                Notice(
                    kind=kind,
                    table=table,
                    deadline=deadline,
                    partition=partition,
                    due=due,
                    late_since=late_since,
                    at=now,
                    why=why,
                    driver=driver,
                )
            )
    looked_at = {one.table.name for one in found}
    over = [spot for spot in remembered if spot not in seen and spot[0] in looked_at]
    return Decided(notices=tuple(notices), over=tuple(over))


def _states(found: Sequence[Evaluated]) -> Iterable[tuple[Spot, bool, tuple[str, dt.datetime, str, str]]]:
    for one in found:
        for judged in one.judged:
            deadline = judged.deadline
            zone = deadline.zone
            for place, key in enumerate(judged.windows.keys):
                status = Status(int(judged.status[place]))
                why = judged.notes.get(key, "")
                if status is Status.EXCUSED:
                    why = f"nobody waits for it: {judged.why_excused(place)}"
                elif status in (Status.ON_TIME, Status.PUBLISHED_LATE):
                    why = f"published {moment(int(judged.first[place]), zone):%Y-%m-%d %H:%M %Z}"
                since = moment(int(judged.dues.limit[place]), zone)
                told = deadline.due, since, why, deadline.driver
                yield (one.table.name, deadline.name, key), status is Status.LATE, told
        for age in one.ages:
            name = age_name(age.recency)
            due = f"newest {age.recency.column} within {span_words(age.recency.within // dt.timedelta(microseconds=1))}"
            since = moment(0) if age.at is None else moment(age.at) + age.recency.within
            why = "there is no row" if age.known else f"there is no column {age.recency.column} of moments"
            told = due, since, "" if age.at is not None else why, ""
            yield (one.table.name, name, ""), age.late, told

"""How tables stand with their deadlines, in words and rows. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from dagster_sluice.contracts.deadlines import Recency
from dagster_sluice.freshness.judging import Judged, Status
from dagster_sluice.freshness.reading import Age, Evaluated
from dagster_sluice.freshness.zones import moment

__all__ = ["age_name", "as_json", "is_late", "late_words", "sentence", "span_words", "status_rows"]

_MOST = 5


def span_words(microseconds: int) -> str:
    """A length of time, in its two greatest units: ``2 d 3 h``, ``15 min``."""
    minutes = abs(int(microseconds)) // 60_000_000
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [(days, "d"), (hours, "h"), (rest, "min")]
    first = next((place for place, (count, _) in enumerate(parts) if count), 2)
    return " ".join(
        f"{count} {unit}" for count, unit in parts[first : first + 2] if count or unit == "min" == parts[first][1]
    )


def age_name(recency: Recency) -> str:
    """The name of a recency among a table's deadlines."""
    return recency.name or f"age of {recency.column}"


def is_late(found: Evaluated) -> bool:
    """Whether anything of a table is late."""
    return any(judged.places(Status.LATE) for judged in found.judged) or any(age.late for age in found.ages)


def late_words(judged: Judged) -> str:
    """Which partitions are late, since when, and what is known of why; empty if none is."""
    places = judged.places(Status.LATE)
    if not places:
        return ""
    zone = judged.deadline.zone
    told = []
    for first, last in _stretches(places):
        keys = judged.windows.keys
        name = (keys[first] or "the table") if first == last else f"{keys[first]} … {keys[last]} ({last - first + 1})"
        since = f"{moment(int(judged.dues.limit[first]), zone):%Y-%m-%d %H:%M %Z}"
        why = next(
            (
                f", {judged.notes[keys[place]].rstrip('.')}"
                for place in range(first, last + 1)
                if keys[place] in judged.notes
            ),
            "",
        )
        told.append(f"{name} since {since}{why}")
    more = f"; and {len(told) - _MOST} more stretches" if len(told) > _MOST else ""
    return "; ".join(told[:_MOST]) + more


def sentence(found: Evaluated) -> str:
    """How a table stands: what is late since when, or that nothing is."""
    told = []
    for judged in found.judged:
        name = f"{judged.deadline.name}: " if judged.deadline.name and len(found.judged) > 1 else ""
        if words := late_words(judged):
            told.append(f"{name}Late: {words.rstrip('.')}.")
        else:
            told.append(f"{name}{_calm(judged)}")
    told += [_age_words(age) for age in found.ages]
    return " ".join(told)


def _calm(judged: Judged) -> str:
    counts = _counts(judged)
    named = [f"{count:,} {name}" for name, count in counts.items() if count]
    return f"Nothing is late: {', '.join(named) or 'there is nothing yet'}."


def _age_words(age: Age) -> str:
    column, within = age.recency.column, span_words(age.recency.within // dt.timedelta(microseconds=1))
    if age.at is None:
        return f"The newest {column} is not known: {'there is no row' if age.known else 'there is no such column of moments'}."
    length = age.recency.within // dt.timedelta(microseconds=1) - (age.left or 0)
    return f"The newest {column} is {span_words(length)} old, of {within} promised."


def status_rows(found: Sequence[Evaluated]) -> Iterator[dict[str, Any]]:
    """A row for each table and deadline, for people."""
    for one in found:
        for judged in one.judged:
            counts = _counts(judged)
            yield {
                "table": one.table.name,
                "deadline": judged.deadline.name or judged.deadline.due,
                **{name: counts[name] for name in ("on time", "published late", "due", "late", "excused")},
                "time left": _left(judged),
                "late partitions": late_words(judged),
            }
        for age in one.ages:
            left = "–" if age.left is None else span_words(age.left) if age.left >= 0 else f"–{span_words(age.left)}"
            counts = dict.fromkeys(("on time", "published late", "due", "late", "excused"), 0)
            counts["late" if age.late else "on time"] = 1
            yield {
                "table": one.table.name,
                "deadline": age_name(age.recency),
                **counts,
                "time left": left,
                "late partitions": _age_words(age) if age.late else "",
            }


def as_json(found: Sequence[Evaluated]) -> list[dict[str, Any]]:
    """Every partition that is looked at, for programs."""
    return [
        {
            "table": one.table.name,
            "late": is_late(one),
            "deadlines": [_judged_json(judged) for judged in one.judged],
            "recency": [_age_json(age) for age in one.ages],
        }
        for one in found
    ]


def _judged_json(judged: Judged) -> dict[str, Any]:
    zone = judged.deadline.zone
    return {
        "name": judged.deadline.name,
        "due": judged.deadline.due,
        "timezone": judged.deadline.timezone,
        "driver": judged.deadline.driver,
        "counts": {name.replace(" ", "_"): count for name, count in _counts(judged).items()},
        "partitions": [
            {
                "partition": key,
                "status": Status(int(judged.status[place])).words.replace(" ", "_"),
                "due": moment(int(judged.dues.due[place]), zone).isoformat(),
                "late_from": moment(int(judged.dues.limit[place]), zone).isoformat(),
                "first_published": moment(int(judged.first[place]), zone).isoformat() if judged.first[place] else None,
                "seconds_left": judged.left(place) // 1_000_000,
                "why": judged.why_excused(place) or judged.notes.get(key, ""),
            }
            for place, key in enumerate(judged.windows.keys)
        ],
    }


def _age_json(age: Age) -> dict[str, Any]:
    return {
        "name": age_name(age.recency),
        "column": age.recency.column,
        "within_seconds": age.recency.within.total_seconds(),
        "newest": moment(age.at).isoformat() if age.at is not None else None,
        "late": age.late,
        "seconds_left": age.left // 1_000_000 if age.left is not None else None,
    }


def _counts(judged: Judged) -> dict[str, int]:
    return {status.words: len(judged.places(status)) for status in Status}


def _left(judged: Judged) -> str:
    late = judged.places(Status.LATE)
    if late:
        return f"–{span_words(judged.left(late[0]))}"
    due = judged.places(Status.DUE)
    return span_words(min(judged.left(place) for place in due)) if due else ""


def _stretches(places: Sequence[int]) -> list[tuple[int, int]]:
    found = []
    for _, group in groupby(enumerate(places), key=lambda pair: pair[1] - pair[0]):
        same = [place for _, place in group]
        found.append((same[0], same[-1]))
    return found

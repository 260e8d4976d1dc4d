"""How well tables met their deadlines, as calendars and as rows. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from dagster_sluice.freshness.days import date_of
from dagster_sluice.freshness.judging import Judged, Met, Status, attainment
from dagster_sluice.freshness.reading import Evaluated
from dagster_sluice.freshness.words import late_words, span_words
from dagster_sluice.freshness.zones import micro, moment
from dagster_sluice.reports.attainment import Share, Sheet, months
from dagster_sluice.reports.strips import Cell

__all__ = ["LEGEND", "SPANS", "shares", "sheets"]

SPANS = (30, 90)
"""Days over which attainment is told."""

LEGEND = (
    ("good", "in time"),
    ("warn", "published late"),
    ("bad", "late, and not there"),
    ("wait", "due"),
    ("none", "nobody waited"),
)

_MOST = 4
_TONES = {
    Status.ON_TIME: "good",
    Status.DUE: "wait",
    Status.LATE: "bad",
    Status.EXCUSED: "none",
    Status.PUBLISHED_LATE: "warn",
}
_GRAVITY = (Status.LATE, Status.PUBLISHED_LATE, Status.DUE, Status.ON_TIME, Status.EXCUSED)


def shares(found: Sequence[Evaluated], now: dt.datetime) -> Iterator[dict[str, Any]]:
    """A row for each table and deadline, for programs."""
    for one in found:
        for judged in one.judged:
            yield {
                "table": one.table.name,
                "deadline": judged.deadline.name or judged.deadline.due,
                "attainment": [
                    {
                        "days": share.days,
                        "met": share.met,
                        "missed": share.counted - share.met,
                        "excused": share.excused,
                        "share": share.met / share.counted if share.counted else None,
                    }
                    for share in _shares(judged, now)
                ],
            }


def sheets(found: Sequence[Evaluated], now: dt.datetime) -> list[Sheet]:
    """A calendar for each table and deadline, of the longest span."""
    return [_sheet(one, judged, now) for one in found for judged in one.judged]


def _sheet(one: Evaluated, judged: Judged, now: dt.datetime) -> Sheet:
    zone = judged.deadline.zone
    last = now.astimezone(zone).date()
    first = last - dt.timedelta(days=max(SPANS))
    by_day: dict[dt.date, list[int]] = {}
    for place, day in enumerate(judged.dues.days.tolist()):
        if (date := date_of(day)) >= first:
            by_day.setdefault(date, []).append(place)
    cells = {date: _cell(judged, date, places) for date, places in by_day.items()}
    late = late_words(judged)
    deadline = judged.deadline
    named = f"{deadline.name}: " if deadline.name else ""
    grace = f", {span_words(deadline.grace // dt.timedelta(microseconds=1))} of grace" if deadline.grace else ""
    return Sheet(
        table=one.table.name,
        promise=f"{named}{deadline.due} ({deadline.timezone}{grace}){f', {deadline.driver}' if deadline.driver else ''}",
        shares=_shares(judged, now),
        months=months(cells, first=first, last=last),
        sentence=f"Late: {late}." if late else "Nothing is late.",
        tone="bad" if late else "good",
    )


def _shares(judged: Judged, now: dt.datetime) -> list[Share]:
    found = []
    for days in SPANS:
        told = attainment(judged, micro(now - dt.timedelta(days=days)))
        found.append(Share(days=days, met=told.met, counted=told.met + told.missed, excused=told.excused))
    return found


def _cell(judged: Judged, date: dt.date, places: Sequence[int]) -> Cell:
    stands = {place: Status(int(judged.status[place])) for place in places}
    worst = next(status for status in _GRAVITY if status in stands.values())
    if len(places) == 1:
        state, why = worst.words, _why(judged, places[0])
    else:
        counts = [(status.words, sum(one is status for one in stands.values())) for status in _GRAVITY]
        state = ", ".join(f"{count} {words}" for words, count in counts if count)
        grave = [place for place, one in stands.items() if one in (Status.LATE, Status.PUBLISHED_LATE)]
        why = "; ".join(f"{judged.windows.keys[place]} {_why(judged, place)}" for place in grave[:_MOST])
    return Cell(partition=date.isoformat(), state=state, tone=_TONES[worst], why=why)


def _why(judged: Judged, place: int) -> str:
    zone = judged.deadline.zone
    key = judged.windows.keys[place]
    told = [f"due {moment(int(judged.dues.due[place]), zone):%Y-%m-%d %H:%M}"]
    if judged.first[place]:
        told.append(f"first published {moment(int(judged.first[place]), zone):%Y-%m-%d %H:%M}")
    if (excuse := judged.why_excused(place)) and judged.met[place] != Met.MET:
        told.append(excuse)
    if judged.status[place] == Status.LATE and key in judged.notes:
        told.append(judged.notes[key])
    return ", ".join(told)

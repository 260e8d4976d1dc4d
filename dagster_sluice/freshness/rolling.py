"""Tables without partitions in time: judged by periods, or by the time since each publication. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dagster_sluice.contracts.deadlines import Deadline, Kind, read_due
from dagster_sluice.freshness.dues import Dues, Windows, periods
from dagster_sluice.freshness.judging import Judged, judge
from dagster_sluice.freshness.zones import DAY, MICROSECONDS, Ints, clock_of, micro, moment

__all__ = ["rolling"]

_NEVER = "never published"
_WHOLE = ""
_SPANS = (dt.timedelta(days=40), dt.timedelta(days=9 * 366))


def rolling(
    deadline: Deadline,
    refreshed: Mapping[str, Ints],
    *,
    now: int,
    back: dt.timedelta | None = None,
    notes: Mapping[str, str] | None = None,
) -> Judged:
    """Judge each partition, or the whole table, by periods.

    A period that was missed is over with the next publication, however late.

    Args:
        deadline: The deadline.
        refreshed: When each partition was published or confirmed, in order, in microseconds since 1970; the empty key is
            the whole table.
        now: The moment of judging, in microseconds since 1970.
        back: All periods of this time; by default the last one that is over, and the next.
        notes: What is known of why a partition is not there.
    """
    follows = read_due(deadline.due).kind is Kind.AFTER
    shared = None if follows else _periods(deadline, now, back)
    parts: list[tuple[str, Windows, Dues, Ints]] = []
    for key, moments in refreshed.items():
        windows, due = _following(deadline, moments, now, back) if shared is None else shared
        places = np.searchsorted(moments, windows.starts, side="right" if follows else "left")
        first = np.append(moments, 0)[np.minimum(places, len(moments))]
        parts.append((key, windows, due, first))
    windows, due, first = _joined(deadline, parts)
    told: dict[str, str] = {}
    for place, (key, one, _, _) in enumerate(parts):
        begin = sum(len(before[1].keys) for before in parts[:place])
        if notes and key in notes:
            told |= dict.fromkeys(windows.keys[begin : begin + len(one.keys)], notes[key])
    return judge(deadline, windows, due, first=first, stands=first > 0, now=now, notes=told)


def _periods(deadline: Deadline, now: int, back: dt.timedelta | None) -> tuple[Windows, Dues]:
    at = moment(now)
    if back is not None:
        windows, due = periods(deadline, at - back, at)
        return _since(deadline, windows, due)
    for span in _SPANS:
        windows, due = periods(deadline, at - span, at + span, around=now)
        if len(windows.keys) > 1:
            break
    return _since(deadline, windows, due)


def _since(deadline: Deadline, windows: Windows, due: Dues) -> tuple[Windows, Dues]:
    if deadline.since is None:
        return windows, due
    begin = (deadline.since - dt.date(1970, 1, 1)).days
    kept = np.flatnonzero(due.days >= begin)
    keys = [windows.keys[place] for place in kept.tolist()]
    return (
        Windows(
            keys=keys,
            starts=windows.starts[kept],
            ends=windows.ends[kept],
            zone=windows.zone,
        ),
        Dues(**{name: getattr(due, name)[kept] for name in Dues.__dataclass_fields__}),
    )


def _following(deadline: Deadline, moments: Ints, now: int, back: dt.timedelta | None) -> tuple[Windows, Dues]:
    """A period from each publication on. Without any, what is missing is late since the deadline holds."""
    due = read_due(deadline.due)
    zone = deadline.zone
    kept = moments[-1:] if back is None else moments
    if not len(kept):
        since = now - 1 - deadline.grace // dt.timedelta(microseconds=1)
        if deadline.since is not None:
            since = micro(dt.datetime.combine(deadline.since, dt.time(0), zone))
        starts = ends = np.array([since], np.int64)
        keys = [_WHOLE if back is None else _NEVER]
    else:
        starts = kept
        seconds = kept // MICROSECONDS + due.days * DAY
        if due.days:
            clock = clock_of(zone, int(kept[0] // MICROSECONDS), int(seconds[-1]))
            seconds = clock.moments(clock.local(kept // MICROSECONDS) + due.days * DAY)
        ends = seconds * MICROSECONDS + kept % MICROSECONDS + due.rest // dt.timedelta(microseconds=1)
        # As it stands it is one thing that comes and goes; looked back on, there is one for each publication.
        keys = [_WHOLE] if back is None else [f"{moment(one, zone):%Y-%m-%d %H:%M}" for one in ends]
    windows = Windows(keys=keys, starts=starts, ends=ends, zone=zone)
    _, days = windows.days()
    nobody = np.zeros(len(keys), np.bool_)
    limit = ends + deadline.grace // dt.timedelta(microseconds=1)
    return windows, Dues(due=ends, limit=limit, first_days=days, days=days, closed=nobody, unexpected=nobody)


def _joined(deadline: Deadline, parts: Sequence[tuple[str, Windows, Dues, Ints]]) -> tuple[Windows, Dues, Ints]:
    def together(arrays: Sequence[Ints]) -> Ints:
        return np.concatenate(arrays) if arrays else np.zeros(0, np.int64)

    keys = [" by ".join(filter(None, (key, one))) for key, windows, _, _ in parts for one in windows.keys]
    windows = Windows(
        keys=keys,
        starts=together([one.starts for _, one, _, _ in parts]),
        ends=together([one.ends for _, one, _, _ in parts]),
        zone=deadline.zone,
    )
    arrays: dict[str, Any] = {
        name: together([getattr(one, name) for _, _, one, _ in parts]) for name in Dues.__dataclass_fields__
    }
    for name in ("closed", "unexpected"):
        arrays[name] = arrays[name].astype(np.bool_)
    return windows, Dues(**arrays), together([first for _, _, _, first in parts])

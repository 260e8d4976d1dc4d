"""Read what is known of the tables that have deadlines, in a constant number of queries, and judge them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from dagster_sluice.backfills.memory import Nights
from dagster_sluice.backfills.partitions import Partitions, listed
from dagster_sluice.contracts.deadlines import Deadline, Recency
from dagster_sluice.freshness.days import Bools
from dagster_sluice.freshness.dues import Dues, Windows, dues
from dagster_sluice.freshness.event_log import materialized_since
from dagster_sluice.freshness.judging import Judged, judge
from dagster_sluice.freshness.rolling import rolling
from dagster_sluice.freshness.tables import Watched, timed_zone
from dagster_sluice.freshness.zones import MICROSECONDS, Ints, clock_of, micro
from dagster_sluice.state import State
from dagster_sluice.tables.asset_events import materialized
from dagster_sluice.warehouse import Address, Warehouse
from dagster_sluice.warehouse.timelines import Newest, Timeline

__all__ = ["Age", "Evaluated", "evaluate"]

_SLACK = dt.timedelta(days=60)
"""Deadlines of partitions that ended so long before the time looked at may lie within it."""
_ALWAYS = dt.datetime(1990, 1, 1, tzinfo=dt.timezone.utc)


@dataclass(frozen=True, kw_only=True)
class Age:
    """How old the newest row of a table is.

    Attributes:
        recency: What was promised.
        at: The newest row's moment, in microseconds since 1970; ``None`` if there is no row.
        known: Whether the column is there, and holds moments.
        late: Whether it is older than promised.
        left: Microseconds left until it is, or below 0 since it is; ``None`` if there is no row.
    """

    recency: Recency
    at: int | None
    known: bool
    late: bool
    left: int | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluated:
    """How one table stands.

    Attributes:
        table: The table.
        judged: For each of its deadlines.
        ages: For each of its recencies.
    """

    table: Watched
    judged: tuple[Judged, ...]
    ages: tuple[Age, ...]


def evaluate(
    tables: Sequence[Watched],
    *,
    instance: dg.DagsterInstance,
    warehouse: Callable[[str], Warehouse],
    now: dt.datetime,
    state: State | None = None,
    back: dt.timedelta | None = None,
    also: Mapping[str, Collection[str]] | None = None,
) -> list[Evaluated]:
    """Judge tables as they stand.

    Args:
        tables: The tables.
        instance: Dagster's instance.
        warehouse: Gives the warehouse of a resource key.
        now: The moment of judging, with a time zone.
        state: Where failed partitions are remembered; tells of late ones that they are parked.
        back: Judge all partitions whose deadline may lie in this time, instead of those that a deadline looks back on.
        also: By table, further partitions that are judged.
    """
    reader = _Reader(tables, instance, now, back, also or {})
    timelines = reader.read(warehouse)
    newest = _newest(tables, warehouse)
    parked = _parked(tables, state)
    return [
        Evaluated(
            table=table,
            judged=tuple(reader.judged(table, timelines[table.key], parked.get(table.name, {}))),
            ages=tuple(_age(table, recency, newest, now) for recency in table.recency),
        )
        for table in tables
    ]


def _parked(tables: Sequence[Watched], state: State | None) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    if state is not None:
        for (table, partition), record in Nights(state).attempts([one.name for one in tables]).items():
            stands = "parked" if record.parked_at else "failed"
            found.setdefault(table, {})[partition] = f"{stands} after {record.failures}: {record.message}"
    return found


def _newest(tables: Sequence[Watched], warehouse: Callable[[str], Warehouse]) -> dict[tuple[dg.AssetKey, str], Newest]:
    asked: dict[str, dict[tuple[Address, str], dg.AssetKey]] = {}
    for table in tables:
        for recency in table.recency:
            if table.declared is not None:
                place = table.declared.address, recency.column
                asked.setdefault(table.declared.warehouse, {})[place] = table.key
    found = {}
    for resource, places in asked.items():
        for place, newest in warehouse(resource).newest(list(places)).items():
            found[places[place], place[1]] = newest
    return found


def _age(table: Watched, recency: Recency, newest: Mapping[tuple[dg.AssetKey, str], Newest], now: dt.datetime) -> Age:
    known = newest.get((table.key, recency.column))
    if known is None or known.at is None:
        return Age(recency=recency, at=None, known=known is not None, late=True, left=None)
    at = known.at
    if not known.zoned:
        from zoneinfo import ZoneInfo

        seconds = at // MICROSECONDS
        clock = clock_of(ZoneInfo(table.timezone), seconds, seconds)
        at = int(clock.moments(np.array([seconds], np.int64))[0]) * MICROSECONDS + at % MICROSECONDS
    left = at + recency.within // dt.timedelta(microseconds=1) - micro(now)
    return Age(recency=recency, at=at, known=True, late=left < 0, left=left)


class _Reader:
    """Which partitions are looked at, and what is known of them."""

    def __init__(
        self,
        tables: Sequence[Watched],
        instance: dg.DagsterInstance,
        now: dt.datetime,
        back: dt.timedelta | None,
        also: Mapping[str, Collection[str]],
    ) -> None:
        self._tables = tables
        self._instance = instance
        self._now = now
        self._back = back
        self._also = also
        self._partitions: dict[dg.AssetKey, Partitions] = {}
        self._places: dict[dg.AssetKey, list[Ints]] = {}
        self._dues: dict[tuple[Any, ...], tuple[Windows, Dues]] = {}
        for table in tables:
            there = listed(table.definition, instance=instance, now=now)
            self._partitions[table.key] = there
            self._places[table.key] = [self._looked_at(table, deadline, there) for deadline in table.deadlines]

    def read(self, warehouse: Callable[[str], Warehouse]) -> dict[dg.AssetKey, Timeline]:
        """When what is looked at was published."""
        ours: dict[str, dict[Address, Watched]] = {}
        for table in self._tables:
            if table.declared is not None:
                ours.setdefault(table.declared.warehouse, {})[table.declared.address] = table
        found: dict[dg.AssetKey, Timeline] = {}
        untimed = {table.key for table in self._tables if timed_zone(table.definition) is None}
        since = self._now - self._back - _SLACK if self._back is not None else _ALWAYS
        for resource, asked in sorted(ours.items()):
            told = warehouse(resource).timelines(
                {address: self._least(table) for address, table in asked.items()},
                refreshed={address: since for address, table in asked.items() if table.key in untimed},
            )
            found |= {asked[address].key: timeline for address, timeline in told.items()}
        foreign = [table.key for table in self._tables if table.declared is None]
        first = materialized(self._instance, foreign, first=True)
        refreshed = materialized_since(self._instance, [key for key in foreign if key in untimed], since)
        for key in foreign:
            moments = np.fromiter(first[key].values(), np.int64, len(first[key]))
            found[key] = Timeline(
                partitions=pa.array(list(first[key]), pa.string()),
                first=moments,
                stands=np.ones(len(moments), np.bool_),
                refreshed=refreshed.get(key, {}),
                stopped={},
            )
        return found

    def judged(self, table: Watched, timeline: Timeline, failed: Mapping[str, str]) -> list[Judged]:
        """One of each deadline."""
        notes = {**failed, **{key: f"stopped: {' '.join(one.reasons)}" for key, one in timeline.stopped.items()}}
        if timed_zone(table.definition) is None:
            return [self._periods(table, deadline, timeline, notes) for deadline in table.deadlines]
        there = self._partitions[table.key]
        found = []
        for deadline, places in zip(table.deadlines, self._places[table.key], strict=True):
            windows, due = self._due(table, deadline, there, places)
            first, stands = _placed(there, places, timeline)
            found.append(judge(deadline, windows, due, first=first, stands=stands, now=micro(self._now), notes=notes))
        return found

    def _due(self, table: Watched, deadline: Deadline, there: Partitions, places: Ints) -> tuple[Windows, Dues]:
        # Tables of equal partitions and deadlines have them together.
        key = (deadline, id(there), places.tobytes())
        if key not in self._dues:
            windows = Windows(
                keys=[there.keys[place] for place in places],
                starts=there.starts[places],
                ends=there.ends[places],
                zone=timed_zone(table.definition) or dt.timezone.utc,
            )
            self._dues[key] = windows, dues(deadline, windows)
        return self._dues[key]

    def _periods(self, table: Watched, deadline: Deadline, timeline: Timeline, notes: Mapping[str, str]) -> Judged:
        now = micro(self._now)
        keys = self._partitions[table.key].keys
        moments = {key: np.array(timeline.refreshed.get(key, ()), np.int64) for key in keys}
        return rolling(deadline, moments, now=now, back=self._back, notes=notes)

    def _least(self, table: Watched) -> str:
        if timed_zone(table.definition) is None:
            return ""
        keys = self._partitions[table.key].keys
        return min((keys[place] for places in self._places[table.key] for place in places), default="")

    def _looked_at(self, table: Watched, deadline: Deadline, there: Partitions) -> Ints:
        """The positions of the partitions that are looked at."""
        zone = timed_zone(table.definition)
        if zone is None or not len(there.keys):
            return np.zeros(0, np.int64)
        if self._back is not None:
            wanted = there.ends >= micro(self._now - self._back - _SLACK)
        else:
            # Those of one time, as several dimensions have, count as one.
            times = np.unique(there.starts) if there.dimensions else there.starts
            wanted = there.starts >= times[-min(deadline.look_back, len(times))]
        for key in self._also.get(table.name, ()):
            if (number := there.number.get(key)) is not None:
                wanted[number] = True
        if deadline.since is not None:
            wanted &= there.starts >= micro(dt.datetime.combine(deadline.since, dt.time(0), zone))
        return np.flatnonzero(wanted)


def _placed(there: Partitions, places: Ints, timeline: Timeline) -> tuple[Ints, Bools]:
    """When each partition at these positions was first published, and whether it stands."""
    from pyarrow import compute

    pc: Any = compute
    count = len(places)
    first, stands = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    if count and len(timeline.partitions):
        keys = there.column.take(places)
        found = pc.fill_null(pc.index_in(timeline.partitions, value_set=keys), -1)
        positions = found.to_numpy(zero_copy_only=False).astype(np.int64)
        known = positions >= 0
        first[positions[known]] = timeline.first[known]
        stands[positions[known]] = timeline.stands[known]
    return first, stands

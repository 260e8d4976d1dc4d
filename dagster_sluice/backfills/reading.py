"""Read what is known of tables: the ledger, Dagster's event log and the memory, in a constant number of queries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pyarrow as pa

from dagster_sluice.backfills.attempts import AttemptRecord
from dagster_sluice.backfills.gaps import Bools, Ints, Parent, TableFacts
from dagster_sluice.backfills.happenings import Happenings, in_flight, observed_changes
from dagster_sluice.backfills.memory import Nights
from dagster_sluice.backfills.partitions import WHOLE, Partitions, links, listed
from dagster_sluice.backfills.tables import Fillable, by_warehouse
from dagster_sluice.tables.asset_events import materialized
from dagster_sluice.warehouse import Ledger, Warehouse

if TYPE_CHECKING:
    from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

__all__ = ["Known", "read_facts"]

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Known:
    """What was read.

    Attributes:
        facts: Of each table, upstream first.
        partitions: Of each table.
        ledgers: Of each table that is ours.
        records: Of the partitions that failed before.
        codes: The code version of each table.
        source_changed: When the source of each of its partitions was last seen to change.
    """

    facts: tuple[TableFacts, ...]
    partitions: Mapping[str, Partitions]
    ledgers: Mapping[str, Ledger]
    records: Mapping[tuple[str, str], AttemptRecord]
    codes: Mapping[str, str]
    source_changed: Mapping[str, Ints]

    def inputs(self, table: str, partition: str) -> str:
        """What an attempt at a partition is made of now: code version and the last change of its source."""
        number = self.partitions[table].number.get(partition)
        changed = int(self.source_changed[table][number]) if number is not None else 0
        return f"{self.codes[table]}@{changed}"


def read_facts(
    tables: Sequence[Fillable],
    *,
    graph: BaseAssetGraph[Any],
    instance: dg.DagsterInstance,
    warehouse: Callable[[str], Warehouse],
    nights: Nights,
    now: dt.datetime,
    window: dt.timedelta | None,
) -> Known:
    """Read what is known of these tables.

    Args:
        tables: Upstream first.
        graph: The assets, for the partition mappings and the sources.
        instance: Dagster's instance.
        warehouse: Gives the warehouse of a resource key.
        nights: The memory.
        now: The moment of asking, with a time zone.
        window: Partitions that began longer ago are not looked at; ``None`` for all.
    """
    names = [table.name for table in tables]
    partitions = {table.name: listed(table.definition, instance=instance, now=now) for table in tables}
    ledgers = _ledgers(tables, warehouse)
    foreign = [table.key for table in tables if table.declared is None]
    # Observed by Dagster, or told to it from outside.
    sources = sorted(
        {
            parent
            for table in tables
            for parent in table.parents
            if graph.has(parent) and not graph.get(parent).is_materializable
        }
    )
    events = materialized(instance, foreign)
    changes = observed_changes(instance, sources)
    records = nights.attempts(names)
    asked = nights.requests(names)
    held = _held(tables, partitions, instance, nights)
    reader = _Reader(tables, partitions, graph, instance, now, window)
    facts = tuple(
        reader.facts(
            table,
            ledgers.get(table.name) or _from_events(table, events),
            failed={partition: record.failed_at for (name, partition), record in records.items() if name == table.name},
            requested=[partition for name, partition in asked if name == table.name],
            running=held[table.name],
            changes=changes,
        )
        for table in tables
    )
    return Known(
        facts=facts,
        partitions=partitions,
        ledgers=ledgers,
        records=records,
        codes={table.name: table.code_version or "" for table in tables},
        source_changed={one.table: one.source_changed for one in facts},
    )


def _ledgers(tables: Sequence[Fillable], warehouse: Callable[[str], Warehouse]) -> dict[str, Ledger]:
    found: dict[str, Ledger] = {}
    for resource, wanted in by_warehouse(tables).items():
        codes = {address: table.code_version or "" for address, table in wanted.items()}
        for address, ledger in warehouse(resource).ledgers(codes).items():
            found[wanted[address].name] = ledger
    return found


def _from_events(table: Fillable, events: Happenings) -> Ledger:
    """What Dagster's event log tells of an asset that is not ours; its code version is not recorded in bulk."""
    known = events[table.key]
    moments = np.fromiter(known.values(), np.int64, len(known))
    return Ledger(
        partitions=pa.array(list(known), pa.string()),
        published=moments,
        computed=moments,
        other_code=np.zeros(len(known), np.bool_),
        stopped={},
    )


def _held(
    tables: Sequence[Fillable], partitions: Mapping[str, Partitions], instance: dg.DagsterInstance, nights: Nights
) -> dict[str, Bools]:
    """The partitions that a run is making or an open plan has claimed."""
    held = {name: np.zeros(len(one.keys), np.bool_) for name, one in partitions.items()}
    ours = {table.key: table for table in tables}
    for key, first, last in in_flight(instance):
        if key in ours:
            there = partitions[ours[key].name]
            whole = ours[key].definition is None
            begin, end = (0, 0) if whole else (there.number.get(first), there.number.get(last))
            if begin is not None and end is not None:
                held[ours[key].name][begin : end + 1] = True
    for plan in nights.open_plans():
        for claim in plan.claims:
            if claim.table in held and (number := partitions[claim.table].number.get(claim.partition)) is not None:
                held[claim.table][number] = True
    return held


class _Reader:
    def __init__(
        self,
        tables: Sequence[Fillable],
        partitions: Mapping[str, Partitions],
        graph: BaseAssetGraph[Any],
        instance: dg.DagsterInstance,
        now: dt.datetime,
        window: dt.timedelta | None,
    ) -> None:
        self._tables = {table.key: table for table in tables}
        self._partitions = partitions
        self._graph = graph
        self._instance = instance
        self._now = now
        self._window = window

    def facts(
        self,
        table: Fillable,
        ledger: Ledger,
        *,
        failed: Mapping[str, dt.datetime],
        requested: Sequence[str],
        running: Bools,
        changes: Happenings,
    ) -> TableFacts:
        there = self._partitions[table.name]
        places, known = _placed(there, ledger)
        computed = _filled(there, places, ledger.computed[known])
        # What was made since by other hands has not failed last.
        numbered = ((there.number.get(partition), moment) for partition, moment in failed.items())
        still = [there.keys[one] for one, at in numbered if one is not None and computed[one] < _micro(at)]
        wanted = self._wanted(table, there)
        return TableFacts.blank(
            table.name,
            there.keys,
            starts=there.starts,
            wanted=wanted,
            published=_filled(there, places, ledger.published[known]),
            computed=computed,
            code_changed=_filled(there, places, ledger.other_code[known]),
            failed=_marked(there, still),
            blocked=_marked(there, list(ledger.stopped)),
            source_changed=self._source(table, there, changes),
            requested=_marked(there, requested),
            running=running,
            unfillable=self._unfillable(table, there),
            parents=tuple(self._parents(table, there, wanted | _marked(there, requested))),
            reasons=table.rules.counted,
            # A range of two dimensions is a square: it would take more than the partitions between its ends.
            ranges=table.ranges and not there.dimensions,
        )

    def _wanted(self, table: Fillable, there: Partitions) -> Bools:
        window = table.rules.window or self._window
        if window is None or not there.timed:
            return np.ones(len(there.keys), np.bool_)
        wanted: Bools = there.starts >= _micro(self._now - window)
        return wanted

    def _unfillable(self, table: Fillable, there: Partitions) -> dict[int, str]:
        kept = table.rules.retention
        if kept is None or not there.timed:
            return {}
        days = kept.total_seconds() / 86_400
        gone = np.flatnonzero(there.starts < _micro(self._now - kept))
        return dict.fromkeys(map(int, gone), f"its source keeps {days:g} days")

    def _source(self, table: Fillable, there: Partitions, changes: Happenings) -> Ints:
        changed = np.zeros(len(there.keys), np.int64)
        for parent in table.parents:
            for partition, moment in changes.get(parent, {}).items():
                if partition == WHOLE:
                    changed = np.maximum(changed, moment)
                elif (number := there.number.get(partition)) is not None:
                    changed[number] = max(int(changed[number]), moment)
        return changed

    def _parents(self, table: Fillable, there: Partitions, wanted: Bools) -> list[Parent]:
        found = []
        for key in table.parents:
            parent = self._tables.get(key)
            if parent is None:
                continue
            found.append(
                links(
                    there,
                    self._partitions[parent.name],
                    name=parent.name,
                    mapping=self._graph.get_partition_mapping(table.key, key),
                    child_definition=table.definition,
                    parent_definition=parent.definition,
                    wanted=np.flatnonzero(wanted),
                    instance=self._instance,
                    now=self._now,
                )
            )
        return found


def _placed(there: Partitions, ledger: Ledger) -> tuple[Ints, Ints]:
    """The positions of the ledger's partitions among the keys, and which of the ledger's they are."""
    from pyarrow import compute

    pc: Any = compute
    found = pc.index_in(ledger.partitions, value_set=there.column)
    known: Ints = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
    places = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return places[known], known


def _filled(there: Partitions, places: Ints, values: Any) -> Any:
    array = np.zeros(len(there.keys), values.dtype)
    array[places] = values
    return array


def _marked(there: Partitions, partitions: Sequence[str]) -> Bools:
    marks = np.zeros(len(there.keys), np.bool_)
    marks[[there.number[one] for one in partitions if one in there.number]] = True
    return marks


def _micro(moment: dt.datetime) -> int:
    return round(moment.timestamp() * _MICROSECONDS)

"""The partitions of assets as arrays: keys, where they stand in time, and which are made of which.

Dagster lists 100,000 hourly keys in one to two seconds and maps partitions one by one; what is worked out here is kept
for the life of the process, until a new partition begins.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from dagster_sluice.backfills.gaps import Ints, Parent
from dagster_sluice.backfills.moments import last_key

__all__ = ["WHOLE", "Partitions", "links", "listed"]

WHOLE = ""
"""The key of the one partition of an asset that has none."""

_MICROSECONDS = 1_000_000
_known: dict[tuple[Any, str | None], Partitions] = {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Partitions:
    """The partitions of one asset.

    Attributes:
        keys: In order.
        starts: Where each stands in time (microseconds since 1970); its number where the asset has no time.
        ends: Where its time ends; its number plus one where the asset has no time.
        timed: Whether ``starts`` and ``ends`` are moments.
        number: The number of each key.
        column: The keys as an Arrow array.
    """

    keys: Sequence[str]
    starts: Ints
    ends: Ints
    timed: bool
    number: dict[str, int]
    column: pa.Array[Any]


def listed(
    definition: dg.PartitionsDefinition[Any] | None, *, instance: dg.DagsterInstance, now: dt.datetime
) -> Partitions:
    """The partitions that there are now, with those that have begun by ``now`` and the definition's ``end_offset``."""
    if definition is None:
        return _numbered([WHOLE])
    if isinstance(definition, dg.DynamicPartitionsDefinition):
        return _numbered(list(definition.get_partition_keys(current_time=now, dynamic_partitions_store=instance)))
    if isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return _timed(definition, now)
    keys = list(definition.get_partition_keys(current_time=now, dynamic_partitions_store=instance))
    if isinstance(definition, dg.MultiPartitionsDefinition):
        return _by_time(definition, keys) or _numbered(keys)
    return _numbered(keys)


def _numbered(keys: Sequence[str]) -> Partitions:
    numbers = np.arange(len(keys), dtype=np.int64)
    return Partitions(
        keys=keys,
        starts=numbers,
        ends=numbers + 1,
        timed=False,
        number=_number(keys),
        column=pa.array(keys, pa.string()),
    )


def _number(keys: Sequence[str]) -> dict[str, int]:
    return {key: number for number, key in enumerate(keys)}


def _timed(definition: dg.TimeWindowPartitionsDefinition, now: dt.datetime) -> Partitions:
    last = last_key(definition, now)
    place = (definition, last)
    if place not in _known:
        keys = list(definition.get_partition_keys(current_time=now)) if last is not None else []
        starts, ends = _windows(definition, keys)
        _known[place] = Partitions(
            keys=keys, starts=starts, ends=ends, timed=True, number=_number(keys), column=pa.array(keys, pa.string())
        )
        for old in [other for other in _known if other[0] == definition and other[1] != last]:
            del _known[old]
    return _known[place]


def _windows(definition: dg.TimeWindowPartitionsDefinition, keys: Sequence[str]) -> tuple[Ints, Ints]:
    windows = [definition.time_window_for_partition_key(key) for key in keys]
    return _moments([one.start for one in windows]), _moments([one.end for one in windows])


def _moments(moments: Sequence[dt.datetime]) -> Ints:
    return np.array([round(moment.timestamp() * _MICROSECONDS) for moment in moments], np.int64)


def _by_time(definition: dg.MultiPartitionsDefinition, keys: Sequence[str]) -> Partitions | None:
    """Partitions of two dimensions stand in time by the one that has time, if one has."""
    dimension = next(
        (
            one
            for one in definition.partitions_defs
            if isinstance(one.partitions_def, dg.TimeWindowPartitionsDefinition)
        ),
        None,
    )
    if dimension is None:
        return None
    parts = [definition.get_partition_key_from_str(key).keys_by_dimension[dimension.name] for key in keys]
    distinct = sorted(set(parts))
    starts, ends = _windows(dimension.partitions_def, distinct)  # type: ignore[arg-type]
    place = _number(distinct)
    chosen = np.array([place[part] for part in parts], np.int64)
    return Partitions(
        keys=keys,
        starts=starts[chosen],
        ends=ends[chosen],
        timed=True,
        number=_number(keys),
        column=pa.array(keys, pa.string()),
    )


def links(
    child: Partitions,
    parent: Partitions,
    *,
    name: str,
    mapping: dg.PartitionMapping,
    child_definition: dg.PartitionsDefinition[Any] | None,
    parent_definition: dg.PartitionsDefinition[Any] | None,
    wanted: Ints,
    instance: dg.DagsterInstance,
    now: dt.datetime,
) -> Parent:
    """Which partitions of an upstream asset each partition of an asset is made of.

    Args:
        child: The asset's partitions.
        parent: The upstream asset's.
        name: The upstream table.
        mapping: How Dagster maps them.
        child_definition: The asset's partitions definition.
        parent_definition: The upstream asset's.
        wanted: The positions that matter; where Dagster must be asked one by one, only these are known.
        instance: Where dynamic partitions are.
        now: The moment of asking.
    """
    count = len(child.keys)
    if parent_definition is None:
        return Parent.shared(name, [0], count)
    if child_definition is None or isinstance(mapping, dg.AllPartitionMapping):
        return Parent.shared(name, range(len(parent.keys)), count, optional=True)
    if child_definition == parent_definition and _is_same(mapping):
        return Parent.same(name, count)
    if isinstance(mapping, dg.TimeWindowPartitionMapping) and _plain(mapping) and child.timed and parent.timed:
        first = np.searchsorted(parent.ends, child.starts, side="right")
        last = np.searchsorted(parent.starts, child.ends, side="left")
        return _stretches(name, first, np.maximum(first, last), child, parent)
    rows: list[list[int]] = [[] for _ in range(count)]
    for position in wanted:
        subset = child_definition.empty_subset().with_partition_keys([child.keys[int(position)]])
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(
            subset, child_definition, parent_definition, current_time=now, dynamic_partitions_store=instance
        )
        upstream = [parent.number.get(key, -1) for key in found.partitions_subset.get_partition_keys()]
        rows[int(position)] = [*upstream, *(-1 for _ in found.required_but_nonexistent_partition_keys)]
    return Parent.of(name, rows)


def _is_same(mapping: dg.PartitionMapping) -> bool:
    return isinstance(mapping, dg.IdentityPartitionMapping) or (
        isinstance(mapping, dg.TimeWindowPartitionMapping) and _plain(mapping)
    )


def _plain(mapping: dg.TimeWindowPartitionMapping) -> bool:
    return mapping.start_offset == 0 and mapping.end_offset == 0


def _stretches(name: str, first: Ints, last: Ints, child: Partitions, parent: Partitions) -> Parent:
    """From the first and the last upstream position of each partition; -1 where time lies outside the upstream table."""
    sizes = last - first
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    indices = np.arange(offsets[-1], dtype=np.int64) - np.repeat(offsets[:-1], sizes) + np.repeat(first, sizes)
    nothing = np.flatnonzero(sizes == 0)
    early = (
        np.flatnonzero((child.starts < parent.starts[0]) & (sizes > 0)) if len(parent.starts) else np.zeros(0, np.int64)
    )
    missing = np.sort(np.concatenate([nothing, early]))
    if len(missing):
        indices = np.insert(indices, offsets[missing], -1)
        offsets = offsets + np.concatenate([[0], np.cumsum(np.bincount(missing, minlength=len(sizes)))])
    return Parent(table=name, offsets=offsets.astype(np.int64), indices=indices)

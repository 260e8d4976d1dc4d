"""The partitions of assets as arrays: keys, where they stand in time, and which are made of which.

Dagster lists 100,000 hourly keys in one to two seconds and maps partitions one by one; what is worked out here is kept
for the life of the process, until a new partition begins.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from dagster_sluice.backfills.dimensions import DimensionPair, dimension_pairs
from dagster_sluice.backfills.gaps import Bools, Ints, Parent
from dagster_sluice.backfills.moments import last_key

__all__ = ["WHOLE", "Dimension", "Partitions", "is_same", "links", "listed"]

WHOLE = ""
"""The key of the one partition of an asset that has none."""

_MICROSECONDS = 1_000_000
_known: dict[tuple[Any, Any], Partitions] = {}


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
        dimensions: By name, in their order; none where there is only one.
    """

    keys: Sequence[str]
    starts: Ints
    ends: Ints
    timed: bool
    number: dict[str, int]
    column: pa.Array[Any]
    dimensions: Mapping[str, Dimension] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dimension:
    """One dimension of an asset's partitions.

    Attributes:
        partitions: Its own partitions.
        numbers: Which of these each partition of the asset has.
    """

    partitions: Partitions
    numbers: Ints


def listed(
    definition: dg.PartitionsDefinition[Any] | None, *, instance: dg.DagsterInstance, now: dt.datetime
) -> Partitions:
    """The partitions that there are now, with those that have begun by ``now`` and the definition's ``end_offset``."""
    if definition is None:
        return _numbered([WHOLE])
    if isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return _kept(definition, last_key(definition, now)) or _timed(definition, now)
    if isinstance(definition, dg.MultiPartitionsDefinition):
        return _multiplied(definition, instance, now)
    return _numbered(list(definition.get_partition_keys(current_time=now, dynamic_partitions_store=instance)))


def _kept(definition: Any, state: Any) -> Partitions | None:
    return _known.get((definition, state))


def _keep(definition: Any, state: Any, partitions: Partitions) -> Partitions:
    # Ticks run in threads: whoever comes second does the same work again.
    for old in [*_known]:
        if old[0] == definition:
            _known.pop(old, None)
    _known[definition, state] = partitions
    return partitions


def _numbered(keys: Sequence[str]) -> Partitions:
    numbers = np.arange(len(keys), dtype=np.int64)
    return _partitions(keys, numbers, numbers + 1, timed=False)


def _partitions(
    keys: Sequence[str], starts: Ints, ends: Ints, *, timed: bool, dimensions: Mapping[str, Dimension] | None = None
) -> Partitions:
    return Partitions(
        keys=keys,
        starts=starts,
        ends=ends,
        timed=timed,
        number={key: number for number, key in enumerate(keys)},
        column=pa.array(keys, pa.string()),
        dimensions=dimensions or {},
    )


def _timed(definition: dg.TimeWindowPartitionsDefinition, now: dt.datetime) -> Partitions:
    last = last_key(definition, now)
    keys = list(definition.get_partition_keys(current_time=now)) if last is not None else []
    if definition.exclusions or not keys:
        windows = [definition.time_window_for_partition_key(key) for key in keys]
        starts, ends = _moments([one.start for one in windows]), _moments([one.end for one in windows])
    else:
        # One window begins where the one before it ends: half the work.
        starts = _moments([definition.start_time_for_partition_key(key) for key in keys])
        ends = np.append(starts[1:], _moments([definition.time_window_for_partition_key(keys[-1]).end]))
    return _keep(definition, last, _partitions(keys, starts, ends, timed=True))


def _moments(moments: Sequence[dt.datetime]) -> Ints:
    return np.array([round(moment.timestamp() * _MICROSECONDS) for moment in moments], np.int64)


def _multiplied(definition: dg.MultiPartitionsDefinition, instance: dg.DagsterInstance, now: dt.datetime) -> Partitions:
    """Partitions of several dimensions, which stand in time by the one that has time, if one has."""
    parts = {one.name: listed(one.partitions_def, instance=instance, now=now) for one in definition.partitions_defs}
    state = tuple((len(part.keys), *part.keys[-1:]) if part.timed else tuple(part.keys) for part in parts.values())
    kept = _kept(definition, state)
    if kept is not None:
        return kept
    # Made here: Dagster takes seconds, and of one moment keeps the first answer, whatever was added since. As it does, we
    # leave out what cannot be told apart for a delimiter in it.
    places = itertools.product(*([n for n, key in enumerate(part.keys) if "|" not in key] for part in parts.values()))
    found = np.array(list(places), np.int64).reshape(-1, len(parts))
    dimensions = {
        name: Dimension(partitions=part, numbers=numbers)
        for (name, part), numbers in zip(parts.items(), found.T, strict=True)
    }
    sides = [[part.keys[number] for number in numbers] for part, numbers in zip(parts.values(), found.T, strict=True)]
    keys = ["|".join(some) for some in zip(*sides, strict=True)]
    numbers = np.arange(len(found), dtype=np.int64)
    starts, ends, timed = numbers, numbers + 1, False
    for one in dimensions.values():
        if one.partitions.timed and not timed:
            starts, ends, timed = one.partitions.starts[one.numbers], one.partitions.ends[one.numbers], True
    return _keep(definition, state, _partitions(keys, starts, ends, timed=timed, dimensions=dimensions))


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
    if isinstance(mapping, dg.AllPartitionMapping):
        return Parent.shared(name, range(len(parent.keys)), count, optional=True)
    asked = _Asked(mapping, child_definition, parent_definition, parent, instance, now)
    if child_definition is None:
        return Parent.shared(name, asked.of(None), count)
    if isinstance(mapping, (dg.LastPartitionMapping, dg.SpecificPartitionsPartitionMapping)):
        return Parent.shared(name, asked.of(child.keys[0]) if count else [], count)
    same = child_definition == parent_definition and child.keys == parent.keys
    if same and is_same(mapping):
        return Parent.same(name, count)
    if isinstance(mapping, dg.IdentityPartitionMapping):
        places = np.array([parent.number.get(key, -1) for key in child.keys], np.int64)
        return Parent(table=name, offsets=np.arange(count + 1, dtype=np.int64), indices=places)
    if isinstance(mapping, dg.TimeWindowPartitionMapping) and child.timed and parent.timed:
        if same:
            return _neighbours(name, mapping, count)
        if _is_plain(mapping, child_definition, parent_definition):
            return _overlaps(name, mapping, child, parent, asked)
    pairs = dimension_pairs(mapping, child=child_definition, parent=parent_definition)
    if pairs is not None:
        return _Crossed(child, parent, child_definition, parent_definition, pairs, instance, now).links(name, wanted)
    rows: list[Sequence[int]] = [[] for _ in range(count)]
    for position in map(int, wanted):
        rows[position] = asked.of(child.keys[position])
    return Parent.of(name, rows)


def is_same(mapping: dg.PartitionMapping) -> bool:
    """Whether each partition is made of the same one upstream, given the same partitions definition."""
    return isinstance(mapping, dg.IdentityPartitionMapping) or (
        isinstance(mapping, dg.TimeWindowPartitionMapping) and not mapping.start_offset and not mapping.end_offset
    )


def _is_plain(mapping: dg.TimeWindowPartitionMapping, child: Any, parent: Any) -> bool:
    """Whether windows follow one another without holes, and the offsets do not cross."""
    return not child.exclusions and not parent.exclusions and mapping.start_offset <= mapping.end_offset


class _Asked:
    """Dagster's own answer, for one partition at a time: a millisecond or more each."""

    def __init__(
        self,
        mapping: dg.PartitionMapping,
        child: dg.PartitionsDefinition[Any] | None,
        parent: dg.PartitionsDefinition[Any],
        there: Partitions,
        instance: dg.DagsterInstance,
        now: dt.datetime,
    ) -> None:
        self._mapping = mapping
        self._child = child
        self._parent = parent
        self._there = there
        self._instance = instance
        self._now = now

    def of(self, key: str | None) -> list[int]:
        """The upstream positions of one partition; -1 for each that does not exist."""
        subset = None
        if self._child is not None and key is not None:
            subset = self._child.empty_subset().with_partition_keys([key])
        found = self._mapping.get_upstream_mapped_partitions_result_for_partitions(
            subset, self._child, self._parent, current_time=self._now, dynamic_partitions_store=self._instance
        )
        places = sorted(self._there.number.get(one, -1) for one in found.partitions_subset.get_partition_keys())
        return [*(-1 for _ in found.required_but_nonexistent_partition_keys), *places]


def _neighbours(name: str, mapping: dg.TimeWindowPartitionMapping, count: int) -> Parent:
    """Of equal partitions, those that are so many before and after, as far as there are any."""
    numbers = np.arange(count, dtype=np.int64)
    first = np.clip(numbers + mapping.start_offset, 0, count)
    last = np.clip(numbers + mapping.end_offset + 1, 0, count)
    return _stretches(name, first, np.maximum(first, last), np.zeros(count, np.bool_))


def _overlaps(
    name: str, mapping: dg.TimeWindowPartitionMapping, child: Partitions, parent: Partitions, asked: _Asked
) -> Parent:
    """The upstream partitions whose time overlaps that of each partition, or of its neighbours by offsets."""
    count = len(child.keys)
    numbers = np.arange(count, dtype=np.int64)
    left, right = numbers + mapping.start_offset, numbers + mapping.end_offset
    inside = (left >= 0) & (left < count) & (right >= 0) & (right < count)
    starts = child.starts[np.clip(left, 0, count - 1)] if count else child.starts
    ends = child.ends[np.clip(right, 0, count - 1)] if count else child.ends
    missing = starts < ends
    if len(parent.keys):
        begin, end = parent.starts[0], parent.ends[-1]
        # An offset never leads out of the upstream table; time itself may.
        starts = _held(starts, mapping.start_offset, begin, end)
        ends = _held(ends, mapping.end_offset, begin, end)
        missing = (starts < ends) & ((starts < begin) | (ends > end))
    if mapping.allow_nonexistent_upstream_partitions:
        missing = np.zeros(count, np.bool_)
    first = np.searchsorted(parent.ends, starts, side="right").astype(np.int64)
    last = np.maximum(first, np.searchsorted(parent.starts, ends, side="left").astype(np.int64))
    last = np.where(starts < ends, last, first)
    # Before its first and after its last partition only Dagster knows the asset's own steps.
    for position in map(int, np.flatnonzero(~inside)):
        places = asked.of(child.keys[position])
        real = [place for place in places if place >= 0]
        missing[position] = len(real) < len(places)
        first[position], last[position] = (real[0], real[-1] + 1) if real else (0, 0)
    return _stretches(name, first, last, missing)


def _held(moments: Ints, offset: int, begin: int, end: int) -> Ints:
    if offset < 0:
        return np.maximum(moments, begin)
    return np.minimum(moments, end) if offset > 0 else moments


def _stretches(name: str, first: Ints, last: Ints, missing: Bools) -> Parent:
    """From the first and the last upstream position of each partition; -1 before them where something is missing."""
    extra = missing.astype(np.int64)
    sizes = last - first + extra
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    indices = np.arange(offsets[-1], dtype=np.int64) - np.repeat(offsets[:-1], sizes) + np.repeat(first - extra, sizes)
    indices[offsets[:-1][missing]] = -1
    return Parent(table=name, offsets=offsets, indices=indices)


class _Crossed:
    """Links by dimension: each upstream dimension follows one of the asset's, or is needed whole."""

    def __init__(
        self,
        child: Partitions,
        parent: Partitions,
        child_definition: dg.PartitionsDefinition[Any],
        parent_definition: dg.PartitionsDefinition[Any],
        pairs: Sequence[DimensionPair],
        instance: dg.DagsterInstance,
        now: dt.datetime,
    ) -> None:
        self._child, self._parent = child, parent
        self._definitions = child_definition, parent_definition
        self._pairs = {pair.parent: pair for pair in pairs}
        self._instance, self._now = instance, now

    def links(self, name: str, wanted: Ints) -> Parent:
        """Those of the partitions that are wanted."""
        table, upstream = _grid(self._parent)
        sides = [self._side(one, there, name, wanted) for one, there in upstream.items()]
        sizes = np.zeros(len(self._child.keys), np.int64)
        rows: list[Ints] = []
        # Partitions that differ only in a dimension that nothing follows have the same.
        met: dict[tuple[int, ...], Ints] = {}
        for position in map(int, np.sort(wanted)):
            spot = tuple(int(numbers[position]) for numbers, _ in sides)
            if spot not in met:
                picks = [linked.positions(number) for number, (_, linked) in zip(spot, sides, strict=True)]
                cells = table[np.ix_(*(pick[pick >= 0] for pick in picks))].ravel()
                cells = np.sort(cells[cells >= 0])
                met[spot] = np.append(-1, cells) if any((pick < 0).any() for pick in picks) else cells
            rows.append(met[spot])
            sizes[position] = len(met[spot])
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        indices = np.concatenate(rows).astype(np.int64) if rows else np.zeros(0, np.int64)
        return Parent(table=name, offsets=offsets, indices=indices)

    def _side(self, dimension: str | None, there: Partitions, name: str, wanted: Ints) -> tuple[Ints, Parent]:
        """For each partition the number that decides on one upstream dimension, and for each number its upstream ones."""
        pair = self._pairs.get(dimension)
        if pair is None:
            nothing = np.zeros(len(self._child.keys), np.int64)
            return nothing, Parent.shared(name, range(len(there.keys)), 1)
        numbers, part = _part(self._child, pair.child)
        linked = links(
            part,
            there,
            name=name,
            mapping=pair.mapping,
            child_definition=_definition(self._definitions[0], pair.child),
            parent_definition=_definition(self._definitions[1], dimension),
            wanted=np.unique(numbers[wanted]),
            instance=self._instance,
            now=self._now,
        )
        return numbers, linked


def _part(partitions: Partitions, dimension: str | None) -> tuple[Ints, Partitions]:
    if dimension is None:
        return np.arange(len(partitions.keys), dtype=np.int64), partitions
    one = partitions.dimensions[dimension]
    return one.numbers, one.partitions


def _definition(definition: Any, dimension: str | None) -> Any:
    return definition if dimension is None else definition.get_partitions_def_for_dimension(dimension)


def _grid(partitions: Partitions) -> tuple[Ints, dict[str | None, Partitions]]:
    """The position of each combination of dimensions, and these."""
    numbers = np.arange(len(partitions.keys), dtype=np.int64)
    if not partitions.dimensions:
        return numbers, {None: partitions}
    table = np.full([len(one.partitions.keys) for one in partitions.dimensions.values()], -1, np.int64)
    table[tuple(one.numbers for one in partitions.dimensions.values())] = numbers
    return table, {name: one.partitions for name, one in partitions.dimensions.items()}

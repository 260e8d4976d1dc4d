"""What a headless run has to do: which tables and marts, which partitions, in which order."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.tables.inputs import address_of
from dagster_sluice.warehouse import Address, Publication

if TYPE_CHECKING:
    from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

__all__ = ["Work", "last_change", "partition_tags", "ranges", "stale_partitions", "survey"]

_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"


@dataclass(frozen=True, kw_only=True)
class Work:
    """What there is to do in a code location.

    Attributes:
        graph: Its assets.
        partitioned: Partitioned tables, upstream first.
        whole: Tables without partitions.
        others: What is not a table of ours, such as dbt marts, upstream first.
        partitions: The partitions to fill, in order.
    """

    graph: "AssetGraph"
    partitioned: tuple[dg.AssetKey, ...]
    whole: tuple[dg.AssetKey, ...]
    others: tuple[dg.AssetKey, ...]
    partitions: tuple[str, ...]

    @property
    def last(self) -> tuple[Address, ...]:
        """The partitioned tables that no other partitioned table reads: the ends of the chain."""
        read = {parent for key in self.partitioned for parent in self.graph.get(key).parent_keys}
        return tuple(address_of(key) for key in self.partitioned if key not in read)

    def parents(self, key: dg.AssetKey) -> set[dg.AssetKey]:
        """The tables of ours that an asset reads."""
        return set(self.graph.get(key).parent_keys) & {*self.partitioned, *self.whole}


def survey(graph: "AssetGraph", *, select: str | None, last: int, now: dt.datetime) -> Work:
    """Find what there is to do.

    Args:
        graph: The assets of the code location.
        select: Dagster's asset selection; everything by default.
        last: How many of the latest complete partitions.
        now: The present, with time zone.

    Raises:
        SettingError: The selection cannot be read or selects nothing, or its tables are partitioned in several ways.
    """
    chosen = _selected(graph, select)
    ordered = [key for key in graph.toposorted_asset_keys if key in chosen]
    tables = [key for key in ordered if "sluice/contract_version" in graph.get(key).metadata]
    partitioned = [key for key in tables if graph.get(key).partitions_def is not None]
    definitions = {key: graph.get(key).partitions_def for key in partitioned}
    distinct = list(dict.fromkeys(definitions.values()))
    if len(distinct) > 1:
        raise SettingError(
            "The tables are partitioned in several ways.",
            culprits=[Culprit(where=key.to_user_string(), problem=f"{kind}") for key, kind in definitions.items()],
            mend="Give --select for tables of one kind of partitions.",
        )
    keys: Sequence[str] = ()
    if distinct and distinct[0] is not None:
        keys = distinct[0].get_partition_keys(current_time=now)[-last:]
    return Work(
        graph=graph,
        partitioned=tuple(partitioned),
        whole=tuple(key for key in tables if key not in definitions),
        others=tuple(key for key in ordered if key not in tables),
        partitions=tuple(keys),
    )


def _selected(graph: "AssetGraph", select: str | None) -> set[dg.AssetKey]:
    from dagster import DagsterError

    try:
        selection = dg.AssetSelection.from_string(select) if select else dg.AssetSelection.all()
        chosen = set(selection.resolve(graph) & graph.executable_asset_keys)
    except DagsterError as failure:
        raise SettingError(
            "The selection cannot be read.",
            culprits=[Culprit(where=f"--select {select}", problem=str(failure).splitlines()[0])],
            mend="Write it as in Dagster's asset graph, for instance 'group:flights' or 'key:\"flights/*\"'.",
        ) from failure
    if not chosen:
        raise SettingError(
            "Nothing is selected.",
            culprits=[Culprit(where=f"--select {select}", problem="selects no asset.")] if select else (),
            mend="`dagster asset list` names the assets.",
        )
    return chosen


def ranges(partitions: Iterable[str], order: Sequence[str]) -> list[tuple[str, str]]:
    """Partitions as contiguous ranges (first, last) in the given order of all partitions."""
    positions = sorted(order.index(partition) for partition in set(partitions))
    found: list[list[int]] = []
    for position in positions:
        if found and found[-1][1] == position - 1:
            found[-1][1] = position
        else:
            found.append([position, position])
    return [(order[first], order[last]) for first, last in found]


def partition_tags(first: str | None, last: str | None) -> dict[str, str]:
    """The tags that tell Dagster a run's partition or range of partitions."""
    if first is None or last is None:
        return {}
    if first == last:
        return {"dagster/partition": first}
    return {_RANGE_START: first, _RANGE_END: last}


def stale_partitions(
    partitions: Sequence[str | None],
    published: Mapping[str | None, dt.datetime],
    built: Mapping[str | None, tuple[dt.datetime, str | None]],
    code_version: str | None,
) -> list[str | None]:
    """Which partitions of an asset are missing, older than what they are made of, or made by other code.

    Args:
        partitions: The partitions in question; ``[None]`` for an asset without partitions.
        published: When each partition of its upstream tables was last changed.
        built: When, and by which code version, each partition was last made.
        code_version: The present one; ``None`` if the asset has none.
    """
    stale = []
    for partition in partitions:
        upstream = published.get(partition)
        if upstream is None:
            continue
        if partition not in built:
            stale.append(partition)
            continue
        made, version = built[partition]
        if upstream > made or (code_version is not None and version != code_version):
            stale.append(partition)
    return stale


def last_change(
    publications: Iterable[Mapping[str | None, Publication]], partitions: Sequence[str | None]
) -> dict[str | None, dt.datetime]:
    """When the upstream tables of an asset last changed, for each partition; a partition counts once all have it.

    An asset without partitions (``[None]``) depends on every partition; a table without partitions counts for all.
    """
    tables = list(publications)
    changed: dict[str | None, dt.datetime] = {}
    for partition in partitions:
        moments = []
        for table in tables:
            if partition is None or None in table:
                moments.append(max((found.published_at for found in table.values()), default=None))
            else:
                moments.append(table[partition].published_at if partition in table else None)
        known = [moment for moment in moments if moment is not None]
        if tables and len(known) == len(moments):
            changed[partition] = max(known)
    return changed

"""What a code location knows of its assets: columns, lineage, what each is made of, and which partitions of that."""

import contextlib
import datetime as dt
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context

from dagster_sluice.lineage.columns import LineageGraph
from dagster_sluice.lineage.definitions import lineage_of, table_name
from dagster_sluice.lineage.openlineage.facts import AssetFacts, Column, Used
from dagster_sluice.tables.place import place_of, plain, table_of

__all__ = ["Assets"]


class Assets:
    """The assets of a code location.

    Args:
        repository: Everything it defines.
    """

    def __init__(self, repository: dg.RepositoryDefinition) -> None:
        self._graph = repository.asset_graph
        self._definitions = repository.assets_defs_by_key

    @functools.cached_property
    def _lineage(self) -> LineageGraph:
        return lineage_of(dict.fromkeys(self._definitions.values()))

    def __contains__(self, key: dg.AssetKey) -> bool:
        return self._graph.has(key)

    def facts(self, key: dg.AssetKey, metadata: Mapping[str, Any] | None = None) -> AssetFacts:
        """What is told of an asset.

        Args:
            key: The asset.
            metadata: Of a materialization: what it says of columns stands before what the definition says.
        """
        said = metadata or {}
        if key not in self:
            schema, lineage = said.get("dagster/column_schema"), said.get("dagster/column_lineage")
            return AssetFacts(name=table_name(key), columns=_columns(schema), lineage=_told(lineage))
        node = self._graph.get(key)
        schema = said.get("dagster/column_schema") or node.metadata.get("dagster/column_schema")
        known = self._lineage.of_table(table_name(key))
        lineage = _told(said.get("dagster/column_lineage")) or {
            name: tuple((source.table, source.column) for source in sorted(one.sources)) for name, one in known.items()
        }
        columns = _columns(schema) or tuple(
            Column(name=name) for name in self._lineage.columns.get(table_name(key), ())
        )
        has_table = "dagster/table_name" in node.metadata or "dagster/table_name" in said
        return AssetFacts(
            name=table_name(key),
            columns=columns,
            lineage=lineage,
            description=node.description or "",
            table=str(table_of(key, {**node.metadata, **said})) if has_table else None,
        )

    def inputs(
        self, keys: Iterable[dg.AssetKey], partitions: Sequence[str], instance: dg.DagsterInstance
    ) -> list[Used]:
        """What some assets are made of, each once.

        Args:
            keys: The assets.
            partitions: The partitions of them that are made; none where that is not known.
            instance: For dynamic partitions.
        """
        found: dict[dg.AssetKey, set[str] | None] = {}
        for key in keys:
            if key not in self:
                continue
            for parent in sorted(self._graph.get(key).parent_keys):
                mapped = self._upstream(key, parent, partitions, instance)
                if parent not in found:
                    found[parent] = set(mapped) if mapped is not None else None
                elif mapped is not None:
                    found[parent] = (found[parent] or set()) | set(mapped)
        return [
            Used(asset=self.facts(key), partitions=tuple(sorted(mapped)) if mapped is not None else None)
            for key, mapped in found.items()
        ]

    def partitions(self, tags: Mapping[str, str], keys: Iterable[dg.AssetKey], instance: Any) -> tuple[str, ...]:
        """The partitions that a run is for, by its tags."""
        if "dagster/partition" in tags:
            return (tags["dagster/partition"],)
        start, end = tags.get("dagster/asset_partition_range_start"), tags.get("dagster/asset_partition_range_end")
        if start is None or end is None:
            return ()
        for key in keys:
            definition = self._graph.get(key).partitions_def if key in self else None
            if definition is None:
                continue
            with (
                contextlib.suppress(dg.DagsterError, KeyError, ValueError),
                partition_loading_context(dynamic_partitions_store=instance),
            ):
                return tuple(definition.get_partition_keys_in_range(dg.PartitionKeyRange(start, end)))
        return ()

    def partitioned(self, key: dg.AssetKey, partitions: Sequence[str]) -> tuple[str, ...] | None:
        """The partitions of an asset among those of a run; ``None`` for one that has none."""
        if not partitions or key not in self or self._graph.get(key).partitions_def is None:
            return None
        return tuple(partitions)

    def window(self, keys: Iterable[dg.AssetKey], partitions: Sequence[str]) -> tuple[dt.datetime, dt.datetime] | None:
        """The time that partitions stand for, from the start of the first to the end of the last."""
        if not partitions:
            return None
        for key in keys:
            definition = self._graph.get(key).partitions_def if key in self else None
            if definition is None:
                continue
            with contextlib.suppress(dg.DagsterError, KeyError, ValueError):
                windows = [
                    window
                    for partition in {min(partitions), max(partitions), partitions[0], partitions[-1]}
                    for window in _windows(definition, partition)
                ]
                if windows:
                    return min(start for start, _ in windows), max(end for _, end in windows)
        return None

    def _upstream(
        self, key: dg.AssetKey, parent: dg.AssetKey, partitions: Sequence[str], instance: dg.DagsterInstance
    ) -> list[str] | None:
        """The partitions of a parent that go into some of an asset; ``None`` where that cannot be said."""
        above = self._graph.get(parent).partitions_def if parent in self else None
        below = self._graph.get(key).partitions_def
        if above is None or not partitions:
            return None
        # A partition that is gone by now has no place in the mapping.
        with contextlib.suppress(dg.DagsterError, KeyError, ValueError):
            subset = None if below is None else below.empty_subset().with_partition_keys(list(partitions))
            mapped = self._graph.get_partition_mapping(
                key, parent
            ).get_upstream_mapped_partitions_result_for_partitions(
                subset, below, above, current_time=None, dynamic_partitions_store=instance
            )
            return sorted(mapped.partitions_subset.get_partition_keys())
        return None


def _windows(definition: dg.PartitionsDefinition[Any], partition: str) -> list[tuple[dt.datetime, dt.datetime]]:
    window, parts = place_of(definition, partition)
    found = [window, *(inner for _, inner in (parts or {}).values())]
    return [one for one in found if one is not None]


def _columns(schema: Any) -> tuple[Column, ...]:
    schema = plain(schema)
    if not isinstance(schema, dg.TableSchema):
        return ()
    return tuple(
        Column(name=column.name, type=column.type, description=column.description) for column in schema.columns
    )


def _told(lineage: Any) -> dict[str, tuple[tuple[str, str], ...]]:
    lineage = plain(lineage)
    if not isinstance(lineage, dg.TableColumnLineage):
        return {}
    return {
        name: tuple((table_name(source.asset_key), source.column_name) for source in sources)
        for name, sources in lineage.deps_by_column.items()
    }

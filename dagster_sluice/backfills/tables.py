"""The tables of a code location that backfills may fill: which they are, in which order, by which rules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_sluice.backfills.gaps import ALL_REASONS, Reason
from dagster_sluice.backfills.partitions import is_same
from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.tables.declared import Declared, declared_tables
from dagster_sluice.warehouse import Address

if TYPE_CHECKING:
    from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

__all__ = ["Fillable", "TableRules", "by_warehouse", "fillable_tables"]


@dataclass(frozen=True, kw_only=True)
class TableRules:
    """What counts as a gap of a table.

    Attributes:
        reasons: The reasons that count, by name; all by default.
        window: Only partitions that began so recently are looked at; those of the planner by default.
        retention: So far back the source keeps its data: older partitions can never be filled.
    """

    reasons: tuple[str, ...] | None = None
    window: dt.timedelta | None = None
    retention: dt.timedelta | None = None

    @property
    def counted(self) -> Reason:
        """The reasons, as one value.

        Raises:
            ValueError: One of them is no reason.
        """
        return ALL_REASONS if self.reasons is None else Reason.named(self.reasons)


@dataclass(frozen=True, kw_only=True)
class Fillable:
    """A table that can be filled.

    Attributes:
        key: The asset.
        definition: Its partitions; ``None`` if it has none.
        code_version: Of its code and contract; ``None`` if it has none.
        parents: The assets that it is made of.
        declared: Its promises, if it is a ``@table``; else Dagster's event log tells what there is of it.
        ranges: Whether one run takes a range of its partitions.
        elsewhere: Parents of which a partition reads others than its own, such as the day before; the table itself
            may be one of them.
        rules: What counts as a gap.
    """

    key: dg.AssetKey
    definition: dg.PartitionsDefinition[Any] | None
    code_version: str | None
    parents: tuple[dg.AssetKey, ...]
    declared: Declared | None
    ranges: bool
    elsewhere: frozenset[dg.AssetKey] = frozenset()
    rules: TableRules = field(default_factory=TableRules)

    @property
    def name(self) -> str:
        """As a person writes it."""
        return self.key.to_user_string()


def fillable_tables(
    graph: BaseAssetGraph[Any],
    definitions: Iterable[Any],
    *,
    selection: dg.AssetSelection | None = None,
    rules: Mapping[str, TableRules] | None = None,
) -> list[Fillable]:
    """The tables that a selection names, upstream first.

    Args:
        graph: The assets of the code location.
        definitions: Their definitions, in which ``@table`` wrote what it promises.
        selection: Which of them; everything that can be materialized by default.
        rules: What counts as a gap, by the asset's key as a person writes it.

    Raises:
        SettingError: A rule is for an asset that is not there, or names a reason that does not exist.
    """
    declared = {one.key: one for one in declared_tables(definitions).values()}
    chosen: Collection[dg.AssetKey] = graph.materializable_asset_keys
    if selection is not None:
        chosen = set(chosen) & selection.resolve(graph)
    _check(rules or {}, {key.to_user_string() for key in chosen})
    found = []
    for key in graph.toposorted_asset_keys:
        if key not in chosen:
            continue
        node = graph.get(key)
        policy = node.backfill_policy
        found.append(
            Fillable(
                key=key,
                definition=node.partitions_def,
                code_version=node.code_version,
                parents=tuple(sorted(node.parent_keys)),
                declared=declared.get(key),
                ranges=policy is not None and policy.max_partitions_per_run is None,
                elsewhere=frozenset(parent for parent in node.parent_keys if _elsewhere(graph, key, parent)),
                rules=(rules or {}).get(key.to_user_string(), TableRules()),
            )
        )
    return found


def _elsewhere(graph: BaseAssetGraph[Any], key: dg.AssetKey, parent: dg.AssetKey) -> bool:
    """Whether a table has the partitions of its parent, and reads others of them than its own."""
    definition = graph.get(key).partitions_def
    if definition is None or graph.get(parent).partitions_def != definition:
        return False
    return not is_same(graph.get_partition_mapping(key, parent))


def by_warehouse(tables: Iterable[Fillable]) -> dict[str, dict[Address, Fillable]]:
    """The tables that are ours, by the key of their warehouse resource and where they are published."""
    found: dict[str, dict[Address, Fillable]] = {}
    for table in tables:
        if table.declared is not None:
            found.setdefault(table.declared.warehouse, {})[table.declared.address] = table
    return dict(sorted(found.items()))


def _check(rules: Mapping[str, TableRules], known: Collection[str]) -> None:
    culprits = []
    for name, rule in rules.items():
        if name not in known:
            culprits.append(Culprit(where=name, problem="is none of the tables that are filled."))
        try:
            rule.counted  # noqa: B018 (it raises)
        except ValueError as failure:
            culprits.append(Culprit(where=name, problem=str(failure)))
    if culprits:
        raise SettingError("The rules of a backfill cannot be used.", culprits=culprits)

"""dbt's nodes in Dagster's words: keys, groups, and tests as checks of partitions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject

__all__ = ["Translator"]


class Translator(DagsterDbtTranslator):
    """As dagster-dbt's own, with a group, and with checks that have the partitions of their model.

    Args:
        group_name: The assets' group; by default what dbt's meta says.
        partitions_def: The partitions of the checks.
    """

    def __init__(self, group_name: str | None, partitions_def: dg.PartitionsDefinition[Any] | None) -> None:
        super().__init__()
        self._group_name = group_name
        self._partitions_def = partitions_def

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:  # noqa: D102 (dagster-dbt's)
        return self._group_name or super().get_group_name(dbt_resource_props)

    def get_asset_check_spec(  # noqa: D102 (dagster-dbt's)
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        of_source = unique_id and str(manifest["nodes"][unique_id].get("attached_node") or "").startswith("source.")
        if spec is None or of_source:
            return spec
        severity = str((manifest["nodes"][unique_id].get("config") or {}).get("severity") or "error")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return spec._replace(blocking=severity.lower() == "error", partitions_def=self._partitions_def)

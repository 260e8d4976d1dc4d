"""Where columns come from, and what becomes of them: inside the platform, and told to those outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_sluice.lazy import lazily

if TYPE_CHECKING:
    from dagster_sluice.lineage.columns import ColumnLineage, ColumnRef, LineageGraph
    from dagster_sluice.lineage.definitions import lineage_of
    from dagster_sluice.lineage.metadata import column_lineage_metadata, with_column_lineage
    from dagster_sluice.lineage.openlineage.sensor import openlineage_sensor

__all__ = [
    "ColumnLineage",
    "ColumnRef",
    "LineageGraph",
    "column_lineage_metadata",
    "lineage_of",
    "openlineage_sensor",
    "with_column_lineage",
]

_HOMES = {
    "ColumnLineage": "columns",
    "ColumnRef": "columns",
    "LineageGraph": "columns",
    "column_lineage_metadata": "metadata",
    "lineage_of": "definitions",
    "openlineage_sensor": "openlineage.sensor",
    "with_column_lineage": "metadata",
}

__getattr__ = lazily(__name__, _HOMES)

"""Tables: computed, conformed, audited and only then published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_sluice.lazy import lazily

if TYPE_CHECKING:
    from dagster_sluice.tables.asset import table
    from dagster_sluice.tables.checks import gate
    from dagster_sluice.tables.context import TableContext
    from dagster_sluice.tables.io_manager import WarehouseIOManager
    from dagster_sluice.tables.resource import WarehouseResource
    from dagster_sluice.tables.sql_table import table_from_sql

__all__ = ["TableContext", "WarehouseIOManager", "WarehouseResource", "gate", "table", "table_from_sql"]

_HOMES = {
    "TableContext": "context",
    "WarehouseIOManager": "io_manager",
    "WarehouseResource": "resource",
    "gate": "checks",
    "table": "asset",
    "table_from_sql": "sql_table",
}

__getattr__ = lazily(__name__, _HOMES)

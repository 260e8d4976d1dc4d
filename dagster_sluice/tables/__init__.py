"""Tables: computed, conformed, audited and only then published."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster_sluice.tables.asset import table
    from dagster_sluice.tables.checks import gate
    from dagster_sluice.tables.context import TableContext
    from dagster_sluice.tables.io_manager import WarehouseIOManager
    from dagster_sluice.tables.resource import WarehouseResource

__all__ = ["TableContext", "WarehouseIOManager", "WarehouseResource", "gate", "table"]

_HOMES = {
    "TableContext": "context",
    "WarehouseIOManager": "io_manager",
    "WarehouseResource": "resource",
    "gate": "checks",
    "table": "asset",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value

"""dbt models as tables of the platform. The only room that knows dagster-dbt."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster_sluice.dbt.assets import dbt_tables
    from dagster_sluice.dbt.deployed import modified_assets
    from dagster_sluice.dbt.sources import dbt_source_checks

__all__ = ["dbt_source_checks", "dbt_tables", "modified_assets"]

_HOMES = {"dbt_source_checks": "sources", "dbt_tables": "assets", "modified_assets": "deployed"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] not in ("dagster_dbt", "dbt"):
            raise
        raise ImportError(f"{missing}. dbt is an extra: pip install 'dagster-sluice[dbt]'") from missing
    return getattr(home, name)

"""dbt models as tables of the platform. The only room that knows dagster-dbt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster_sluice.dbt.assets import dbt_tables

__all__ = ["dbt_tables"]


def __getattr__(name: str) -> Any:
    if name != "dbt_tables":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from dagster_sluice.dbt.assets import dbt_tables
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] not in ("dagster_dbt", "dbt"):
            raise
        raise ImportError(f"{missing}. dbt is an extra: pip install 'dagster-sluice[dbt]'") from missing
    return dbt_tables

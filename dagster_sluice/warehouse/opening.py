"""Which warehouse is in use, and the adapter for it: the one place that decides."""

from __future__ import annotations

import os
import re

from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.warehouse.port import Warehouse

__all__ = ["LOCK_TIMEOUT", "NATIVE_ROWS", "SETTING", "is_duckdb", "open_warehouse", "warehouse_url"]

LOCK_TIMEOUT = 5.0
NATIVE_ROWS = 100_000
SETTING = "SLUICE_WAREHOUSE_URL"
"""The environment variable that names the warehouse, where it is not the database of `SLUICE_DATABASE_URL`."""


def warehouse_url(url: str | None = None) -> str:
    """The URL of the warehouse in use, with its password: for drivers, not for logs.

    Args:
        url: Goes before what the environment says.

    Returns:
        ``url``, or what ``SLUICE_WAREHOUSE_URL`` names, or the database in use (which starts the embedded server).

    Raises:
        SettingError: The setting is wrong.
    """
    from dagster_sluice.embedded import database_url, with_driver

    named = os.environ.get(SETTING, "").strip()
    if url or not named:
        return url or database_url()
    if is_duckdb(named):
        return named
    scheme = re.match(r"(\w+)", named)
    if scheme is None or scheme[1].lower() not in ("postgres", "postgresql"):
        raise SettingError(
            f"The setting {SETTING} is wrong.",
            culprits=[Culprit(where=SETTING, problem="names neither a DuckDB file nor a Postgres database.")],
            mend="Write duckdb:////absolute/path/to/file.duckdb, or postgresql://user:password@host:5432/database.",
        )
    return with_driver(named, None)


def is_duckdb(url: str) -> bool:
    """Whether a URL names a DuckDB file."""
    return url.strip().lower().startswith("duckdb:")


def open_warehouse(
    url: str | None = None,
    *,
    lock_timeout: float = LOCK_TIMEOUT,
    native_rows: int | None = NATIVE_ROWS,
    swap: bool = False,
) -> Warehouse:
    """The warehouse of a URL, or the one in use. Nothing is connected yet.

    Args:
        url: Goes before what the environment says.
        lock_timeout: As of `PostgresWarehouse`; a DuckDB file has it in its URL.
        native_rows: As of `PostgresWarehouse`.
        swap: As of `PostgresWarehouse`.

    Raises:
        SettingError: The URL or the setting is wrong.
    """
    found = warehouse_url(url)
    if is_duckdb(found):
        from dagster_sluice.warehouse.duckdb import DuckDBWarehouse

        return DuckDBWarehouse(found)
    from dagster_sluice.warehouse.postgres import PostgresWarehouse

    return PostgresWarehouse(found, lock_timeout=lock_timeout, native_rows=native_rows, swap=swap)

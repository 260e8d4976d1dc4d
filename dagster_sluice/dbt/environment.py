"""What a process of dbt finds in its environment: where the warehouse is, and where to read and write."""

import os
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from dagster_sluice.errors import SettingError
from dagster_sluice.warehouse.opening import is_duckdb

__all__ = ["connection", "surroundings"]


def connection(url: str) -> dict[str, str]:
    """The variables that a dbt-postgres profile needs to reach a Postgres URL, a socket's included.

    Raises:
        SettingError: The warehouse is not a Postgres one.
    """
    if is_duckdb(url):
        raise SettingError(
            "dbt_tables builds in a Postgres warehouse, and this one is a DuckDB file.",
            mend="Give dbt_tables(warehouse=…) the key of a WarehouseResource for Postgres.",
        )
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return {
        "SLUICE_DBT_HOST": query.get("host") or unquote(parts.hostname or "localhost"),
        "SLUICE_DBT_PORT": query.get("port") or str(parts.port or 5432),
        "SLUICE_DBT_USER": unquote(parts.username or query.get("user") or "postgres"),
        "SLUICE_DBT_PASSWORD": unquote(parts.password or query.get("password") or ""),
        "SLUICE_DBT_DBNAME": unquote(parts.path.lstrip("/")) or query.get("dbname") or "postgres",
    }


def surroundings(project: Path | str, profiles: Path | str, target: Path | str) -> dict[str, str]:
    """The whole environment of a process of dbt: ours, with dbt's own settings.

    Args:
        project: The project's directory.
        profiles: Where its ``profiles.yml`` is.
        target: Where dbt leaves what it made, and its log.
    """
    return {
        **os.environ,
        "DBT_LOG_PATH": str(target),
        "DBT_PROFILES_DIR": str(profiles),
        "DBT_PROJECT_DIR": str(project),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_TARGET_PATH": str(target),
        "DBT_USE_COLORS": "false",
    }

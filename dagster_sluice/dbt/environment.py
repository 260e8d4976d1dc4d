"""What a dbt profile reads from the environment: where the warehouse is."""

from urllib.parse import parse_qs, unquote, urlsplit

from dagster_sluice.errors import SettingError
from dagster_sluice.warehouse.opening import is_duckdb

__all__ = ["connection"]


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

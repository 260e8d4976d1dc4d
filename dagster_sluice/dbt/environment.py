"""What a dbt profile reads from the environment: where the warehouse is, and which days to build."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from dagster_sluice.errors import SettingError
from dagster_sluice.warehouse.opening import is_duckdb

__all__ = ["connection", "environment"]


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


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the length of a block.

    dagster-dbt hands its own process's environment to dbt and reads it again for row counts; it has no other way in.
    A step has its process to itself, or, under the in-process executor, runs alone in it.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

"""The warehouse's own records in a DuckDB file: made, brought up to date, found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagster_sluice.errors import PublishError
from dagster_sluice.warehouse.duckdb_file import ask
from dagster_sluice.warehouse.duckdb_shape import catalog, identifier
from dagster_sluice.warehouse.statements import migrations
from dagster_sluice.warehouse.values import RECORDS_SCHEMA, STAGING_SCHEMA

if TYPE_CHECKING:
    import duckdb

__all__ = ["empty", "latest", "prepare", "use", "version"]


def latest() -> int:
    """The version of the records that this dagster-sluice writes."""
    return migrations("duckdb")[-1][0]


def version(connection: duckdb.DuckDBPyConnection) -> int:
    """The version of the records in a file; 0 if there are none.

    Raises:
        PublishError: A newer dagster-sluice wrote them.
    """
    ((there,),) = ask(connection, "queries", "has_ledger")
    if not there:
        return 0
    use(connection)
    ((found,),) = ask(connection, "queries", "ledger_version")
    if found > latest():
        raise PublishError(
            f"The warehouse's records are of version {found}; this dagster-sluice knows {latest()}.",
            mend="Upgrade dagster-sluice to the version that wrote them.",
        )
    return int(found)


def use(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the ledger's schema the current one, so that its tables need no other name."""
    connection.execute(f"USE {catalog(connection)}.{identifier(RECORDS_SCHEMA)}")


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the records or bring them up to date, within the transaction.

    Raises:
        PublishError: A newer dagster-sluice wrote them.
    """
    applied = version(connection)
    if not applied:
        for schema in (RECORDS_SCHEMA, STAGING_SCHEMA):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {catalog(connection)}.{identifier(schema)}")
        use(connection)
        connection.execute(
            "CREATE TABLE ledger_version (version INTEGER NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())"
        )
    for number, script in migrations("duckdb"):
        if number > applied:
            connection.execute(script)
            connection.execute("INSERT INTO ledger_version (version) VALUES ($number)", {"number": number})


@contextlib.contextmanager
def empty() -> Iterator[duckdb.DuckDBPyConnection]:
    """Records of nothing, in memory."""
    import duckdb

    with contextlib.closing(duckdb.connect(":memory:")) as connection:
        prepare(connection)
        yield connection

"""The two connections of a Postgres warehouse: psycopg for questions, ADBC for rows in bulk."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dagster_sluice.warehouse.postgres_errors import translate
from dagster_sluice.warehouse.statements import statements

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa
    from adbc_driver_manager import dbapi

__all__ = ["Sessions", "ask", "run", "send"]

_TEMPORARY = ("sluice_request", "sluice_rows", "sluice_rejected", "sluice_restored", "sluice_replayed", "sluice_keys")


class Sessions:
    """Connections that open when they are needed and open anew when they were lost.

    Args:
        url: ``postgresql://…`` as libpq takes it.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None
        self._bulk: dbapi.Connection | None = None

    def close(self) -> None:
        """Let go of both."""
        for connection in (self._connection, self._bulk):
            if connection is not None:
                with contextlib.suppress(Exception):
                    connection.close()
        self._connection = self._bulk = None

    @contextlib.contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        """A psycopg transaction; inside another one, a savepoint of it."""
        import psycopg

        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._url, autocommit=True, application_name="sluice")
            with self._connection.transaction():
                yield self._connection
        except psycopg.Error as failure:
            if self._connection is not None and self._connection.broken:
                self.close()
            translate(self._url, failure)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[dbapi.Cursor]:
        """An ADBC transaction: committed if the block ends well, else rolled back and the connection given up."""
        from adbc_driver_manager import dbapi

        cursor = None
        try:
            if self._bulk is None:
                from adbc_driver_postgresql import dbapi as postgres

                self._bulk = postgres.connect(self._url)
            cursor = self._bulk.cursor()
            yield cursor
            cursor.execute(f"DROP TABLE IF EXISTS {', '.join(_TEMPORARY)}")
            self._bulk.commit()
        except BaseException as failure:
            bulk, self._bulk = self._bulk, None
            if bulk is not None:
                with contextlib.suppress(Exception):
                    if cursor is not None:
                        cursor.close()
                    bulk.rollback()
                    bulk.close()
            if isinstance(failure, dbapi.Error):
                translate(self._url, failure)
            raise
        else:
            cursor.close()


def send(cursor: dbapi.Cursor, name: str, table: pa.Table) -> None:
    """Make a temporary table of these rows, by binary COPY; it lasts to the end of the transaction."""
    cursor.adbc_ingest(name, table, mode="create", temporary=True)


def run(cursor: dbapi.Cursor, file: str, name: str, **names: str) -> None:
    """Run a statement of an SQL file, with quoted identifiers in its places."""
    # In one pass, because a name may look like a placeholder itself.
    cursor.execute(re.sub(r"\{(\w+)\}", lambda found: names[found[1]], statements("postgres", file)[name]))


def ask(cursor: dbapi.Cursor, file: str, name: str, **names: str) -> tuple[Any, ...] | None:
    """Run a statement that has at most one row, and return that."""
    run(cursor, file, name, **names)
    rows = cursor.fetchall()
    return tuple(rows[0]) if rows else None

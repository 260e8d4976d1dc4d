"""The two connections of a Postgres warehouse: psycopg for all that asks or writes, ADBC for rows that are read in bulk."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dagster_sluice.failpoints import failpoint
from dagster_sluice.warehouse.postgres_errors import translate
from dagster_sluice.warehouse.statements import statements

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa
    from adbc_driver_manager import dbapi

__all__ = ["Cursor", "Sessions", "ask", "run", "send"]


class Sessions:
    """Connections that open when they are needed and open anew when they were lost.

    Args:
        url: ``postgresql://…`` as libpq takes it.
        lock_timeout: Seconds for which a transaction that has its turn waits for a lock.
    """

    def __init__(self, url: str, *, lock_timeout: float) -> None:
        self._url = url
        self.lock_timeout = lock_timeout
        self._connection: psycopg.Connection[Any] | None = None
        self._bulk: dbapi.Connection | None = None
        self._committing = False

    def close(self) -> None:
        """Let go of both."""
        for connection in (self._connection, self._bulk):
            if connection is not None:
                with contextlib.suppress(Exception):
                    connection.close()
        self._connection = self._bulk = None

    @contextlib.contextmanager
    def session(self, *, changing: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """A psycopg transaction; inside another one, a savepoint of it. ``changing`` says that its commit matters."""
        with self._open() as connection:
            with connection.transaction():
                yield connection
                failpoint("session.before_commit")
                self._committing = changing
            self._committing = False
            failpoint("session.committed")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A psycopg transaction that takes Arrow in: committed if the block ends well, else rolled back."""
        with self._open() as connection:
            with connection.transaction(), contextlib.closing(Cursor(connection, self.lock_timeout)) as cursor:
                yield cursor
                failpoint("bulk.before_commit")
                self._committing = True
            self._committing = False
            failpoint("bulk.committed")

    @contextlib.contextmanager
    def reading(self) -> Iterator[dbapi.Cursor]:
        """An ADBC cursor, whose queries give Arrow. Values are bound as the columns of a record batch of one row."""
        from adbc_driver_manager import dbapi

        cursor = None
        try:
            if self._bulk is None:
                from adbc_driver_postgresql import dbapi as postgres

                self._bulk = postgres.connect(self._url)
            cursor = self._bulk.cursor()
            yield cursor
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

    @contextlib.contextmanager
    def _open(self) -> Iterator[psycopg.Connection[Any]]:
        import psycopg

        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._url, autocommit=True, application_name="sluice")
            yield self._connection
        except psycopg.Error as failure:
            if self._connection is not None and self._connection.broken:
                self.close()
            committing, self._committing = self._committing, False
            translate(self._url, failure, committing=committing)


class Cursor:
    """Statements of one transaction, with ``$1``, ``$2`` … for bound values; JSON comes back as text.

    Attributes:
        connection: The connection.
        lock_timeout: Seconds for which to wait for a lock, where waiting is limited at all.
    """

    def __init__(self, connection: psycopg.Connection[Any], lock_timeout: float) -> None:
        from psycopg import RawCursor
        from psycopg.types.string import TextLoader

        self.connection = connection
        self.lock_timeout = lock_timeout
        self._cursor = RawCursor(connection)
        for kind in ("json", "jsonb"):
            self._cursor.adapters.register_loader(kind, TextLoader)

    def execute(self, text: str, bound: pa.RecordBatch | None = None) -> None:
        """Run a statement; values are bound as the columns of a record batch of one row."""
        values = None if bound is None else list(bound.to_pylist()[0].values())
        # What a statement means changes with the temporary tables that it reads.
        self._cursor.execute(text.encode(), values, prepare=False)

    def limit_waits(self) -> None:
        """From here to the end of the transaction, wait for a lock no longer than the lock timeout."""
        self.execute(f"SET LOCAL lock_timeout = {max(1, round(self.lock_timeout * 1000))}")

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows that the last statement gave."""
        return self._cursor.fetchall()

    def copy(self, target: str, rows: pa.Table, *, jsonb: frozenset[str] = frozenset()) -> None:
        """Append rows to a table, by binary COPY.

        Args:
            target: The table, with the columns in the order of those of ``rows``: ``"t" ("a", "b")``.
            rows: In the columns' types, or JSON text.
            jsonb: The columns that are of type ``jsonb`` in the table.
        """
        from dagster_sluice.warehouse.postgres_binary import encoded

        with self._cursor.copy(f"COPY {target} FROM STDIN (FORMAT binary)".encode()) as copying:
            for part in encoded(rows, jsonb=jsonb):
                copying.write(part)

    def close(self) -> None:
        """Let go of it; the transaction goes on."""
        self._cursor.close()


def send(cursor: Cursor, name: str, table: pa.Table) -> None:
    """Make a temporary table of these rows, by binary COPY; it lasts to the end of the transaction."""
    from dagster_sluice.warehouse.postgres_binary import postgres_name
    from dagster_sluice.warehouse.postgres_shape import identifier

    columns = ", ".join(f"{identifier(field.name)} {postgres_name(field.type)}" for field in table.schema)
    cursor.execute(f"CREATE TEMPORARY TABLE {name} ({columns}) ON COMMIT DROP")
    if table.num_rows:
        cursor.copy(name, table)


def run(cursor: Cursor | dbapi.Cursor, file: str, name: str, **names: str) -> None:
    """Run a statement of an SQL file, with quoted identifiers in its places."""
    # In one pass, because a name may look like a placeholder itself.
    cursor.execute(re.sub(r"\{(\w+)\}", lambda found: names[str(found[1])], statements("postgres", file)[name]))


def ask(cursor: Cursor, file: str, name: str, **names: str) -> tuple[Any, ...] | None:
    """Run a statement that has at most one row, and return that."""
    run(cursor, file, name, **names)
    rows = cursor.fetchall()
    return tuple(rows[0]) if rows else None

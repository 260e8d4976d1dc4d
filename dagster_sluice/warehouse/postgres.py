"""The Postgres warehouse: Arrow in and out through ADBC, questions through psycopg."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster_sluice.contracts import Column
from dagster_sluice.errors import PublishError
from dagster_sluice.failpoints import failpoint
from dagster_sluice.warehouse import postgres_holds, postgres_newest, postgres_publish, records, timelines
from dagster_sluice.warehouse.held import closed, hold_of, no_hold
from dagster_sluice.warehouse.opening import LOCK_TIMEOUT, NATIVE_ROWS
from dagster_sluice.warehouse.port import Warehouse
from dagster_sluice.warehouse.postgres_exact import selected, unwrapped
from dagster_sluice.warehouse.postgres_sessions import Cursor, Sessions
from dagster_sluice.warehouse.postgres_shape import columns_of, identifier, quoted, refuse_key, shape
from dagster_sluice.warehouse.slices import Slice
from dagster_sluice.warehouse.standing import aggregated, asked, ledgers_of
from dagster_sluice.warehouse.statements import migrations, statements
from dagster_sluice.warehouse.values import (
    PARTITION_COLUMN,
    Address,
    Audit,
    AuditDetail,
    AuditRecord,
    Batch,
    Hold,
    Ledger,
    Mended,
    Publication,
    QuarantineCount,
    QuarantinedRow,
    Replay,
    TableStatus,
    is_text,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from dagster_sluice.warehouse.selects import Select
    from dagster_sluice.warehouse.timelines import Newest, Place, Timeline

__all__ = ["PostgresWarehouse"]


class PostgresWarehouse(Warehouse):
    """Tables in a Postgres database.

    Args:
        url: ``postgresql://…`` as libpq takes it.
        lock_timeout: Seconds for which a publish waits for who uses its table by hand. No reader waits meanwhile.
        native_rows: A partitioned table whose first batch has at least so many rows is made with native partitions,
            each a table of its own; ``None`` makes none. A table that is there stays as it was made.
        swap: Whether a native partition that is published again is replaced as a whole, which takes the least time,
            instead of row by row. Readers at REPEATABLE READ may then find it empty.
    """

    def __init__(
        self,
        url: str,
        *,
        lock_timeout: float = LOCK_TIMEOUT,
        native_rows: int | None = NATIVE_ROWS,
        swap: bool = False,
    ) -> None:
        self._sessions = Sessions(url, lock_timeout=lock_timeout)
        self._native_rows = native_rows
        self._swap = swap
        self._prepared = False
        self._shaped: set[tuple[Address, tuple[Column, ...], bool]] = set()

    def close(self) -> None:
        self._sessions.close()

    def prepare(self) -> None:
        if self._prepared:
            return
        with self._sessions.session() as session:
            # The lock makes two first users of one database take turns; CREATE ... IF NOT EXISTS alone does not.
            session.execute("SELECT pg_advisory_xact_lock(hashtextextended('sluice.ledger', 0))")
            session.execute("CREATE SCHEMA IF NOT EXISTS sluice")
            session.execute(
                "CREATE TABLE IF NOT EXISTS sluice.ledger_version"
                " (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
            )
            row = session.execute(_query("ledger_version")).fetchone()
            applied = row[0] if row else 0
            known = migrations("postgres")
            if applied > known[-1][0]:
                raise PublishError(
                    f"The warehouse's records are of version {applied}; this dagster-sluice knows {known[-1][0]}.",
                    mend="Upgrade dagster-sluice to the version that wrote them.",
                )
            for version, script in known:
                if version > applied:
                    session.execute(script.encode())
                    session.execute("INSERT INTO sluice.ledger_version (version) VALUES (%s)", [version])
        failpoint("ledger.prepared")
        self._prepared = True

    def publish(self, batch: Batch) -> Publication:
        self._shape(batch.address, batch.columns, batch.partition, rows=batch.rows.num_rows)
        with self._writing() as cursor:
            published = postgres_publish.publish(cursor, batch, swap=self._swap)
            came = f"A newer batch was published (publication {published.id})."
            postgres_holds.supersede(cursor, batch.address, batch.partition, by=came)
        failpoint("publish.committed")
        return published

    def replay(self, request: Replay) -> Publication | None:
        self._shape(request.address, request.columns, request.partition)
        with self._writing() as cursor:
            replayed = postgres_publish.replay(cursor, request)
        failpoint("replay.committed")
        return replayed

    def record_block(self, address: Address, partition: str | None, audit: AuditRecord) -> None:
        refuse_key(address, partition)
        self.prepare()
        with self._sessions.transaction() as cursor:
            postgres_publish.block(cursor, address, partition, audit)
        failpoint("block.committed")

    def current(self, address: Address, partitions: Sequence[str] | None = None) -> dict[str | None, Publication]:
        found = self._ask(
            "current",
            schema=address.schema,
            table=address.table,
            partitions=_possible(partitions) if partitions is not None else None,
        )
        return {row[1]: records.publication(address, row) for row in found}

    def ledgers(self, codes: Mapping[Address, str]) -> dict[Address, Ledger]:
        self.prepare()
        told = asked(codes)
        with self._sessions.reading() as cursor:
            cursor.execute(statements("postgres", "queries")["ledgers"], [told])
            standing = aggregated(cursor.fetch_arrow_table())
        return ledgers_of(codes, standing, self._ask("stopped", asked=told))

    def timelines(
        self, since: Mapping[Address, str], *, refreshed: Mapping[Address, dt.datetime] | None = None
    ) -> dict[Address, Timeline]:
        self.prepare()
        told, wanted = timelines.asked_lives(since), timelines.asked_refreshes(since, refreshed or {})
        with self._sessions.reading() as cursor:
            cursor.execute(statements("postgres", "queries")["timelines"], [told])
            lives = timelines.aggregated(cursor.fetch_arrow_table())
        refreshes = self._ask("refreshes", asked=wanted) if refreshed else []
        return timelines.timelines_of(since, lives, refreshes, self._ask("stopped", asked=told))

    def newest(self, columns: Sequence[Place]) -> dict[Place, Newest]:
        types = dict(self._ask("column_types", asked=timelines.asked_columns(columns)))
        with self._sessions.session() as session:
            return postgres_newest.newest(session, columns, types)

    def durations(self, addresses: Sequence[Address]) -> dict[Address, float]:
        found = self._ask("durations", asked=asked(dict.fromkeys(addresses, "")))
        return {addresses[number]: seconds for number, seconds in found}

    def audits(self, correlation_id: str) -> list[Audit]:
        return [records.audit(row) for row in self._ask("audits", correlation_id=correlation_id)]

    def history(
        self,
        address: Address,
        *,
        partitions: Sequence[str] | None = None,
        until: str | None = None,
        run_id: str | None = None,
        limit: int = 30,
    ) -> list[AuditDetail]:
        found = self._ask(
            "history",
            schema=address.schema,
            table=address.table,
            partitions=list(partitions) if partitions is not None else None,
            until=until,
            run_id=run_id,
            limit=limit,
        )
        return [records.audit_detail(address, row) for row in found]

    def read(
        self, address: Address, *, columns: Sequence[str] | None = None, partitions: Sequence[str] | None = None
    ) -> pa.Table:
        present = self.columns(address)
        if not present:
            raise records.no_table(address)
        wanted = list(columns) if columns is not None else [name for name in present if name != PARTITION_COLUMN]
        records.refuse_absent(address, [name for name in wanted if name not in present])
        if partitions is not None:
            records.refuse_absent(address, [PARTITION_COLUMN] if PARTITION_COLUMN not in present else [])
        text = f"SELECT {', '.join(selected(name, present[name]) for name in wanted)} FROM {quoted(address)}"
        bound = None
        if partitions is not None:
            import pyarrow as pa

            keys = pa.array([_possible(partitions)], pa.list_(pa.string()))
            bound = pa.record_batch({"keys": keys})
            text += f" WHERE {PARTITION_COLUMN} = ANY ($1::text[])"
        with self._sessions.reading() as cursor:
            cursor.execute(text, bound)
            return cursor.fetch_arrow_table()

    def query(self, select: Select, parameters: Mapping[str, Any], *, timezone: str = "UTC") -> pa.Table:
        from dagster_sluice.warehouse import postgres_queries

        with self._sessions.reading() as cursor:
            return postgres_queries.query(cursor, select, parameters, timezone)

    def columns(self, address: Address) -> dict[str, str]:
        with self._sessions.session() as session:
            return columns_of(session, address)

    def read_slice(self, address: Address, columns: Sequence[str], slices: Sequence[Slice]) -> pa.Table:
        from dagster_sluice.warehouse import postgres_slices

        present = self.columns(address)
        if not present:
            raise records.no_table(address)
        asked = dict.fromkeys([*columns, *(part.column for part in slices)])
        records.refuse_absent(address, [name for name in asked if name not in present])
        with self._sessions.reading() as cursor:
            return postgres_slices.read_slice(cursor, address, present, columns, slices)

    def values(self, address: Address, column: str) -> list[Any]:
        present = self.columns(address)
        if not present:
            raise records.no_table(address)
        records.refuse_absent(address, [column] if column not in present else [])
        name = identifier(column)
        with self._sessions.reading() as cursor:
            wanted = selected(column, present[column])
            cursor.execute(f"SELECT DISTINCT {wanted} FROM {quoted(address)} WHERE {name} IS NOT NULL ORDER BY 1")
            found: list[Any] = unwrapped(cursor.fetch_arrow_table().column(0)).to_pylist()
        return found

    def tables(self) -> list[TableStatus]:
        return [records.table_status(row) for row in self._ask("tables")]

    def quarantined(
        self,
        address: Address | None = None,
        partition: str | None = None,
        *,
        status: str | None = "open",
        limit: int | None = 100,
    ) -> list[QuarantinedRow]:
        found = self._ask(
            "quarantined",
            schema=address.schema if address else None,
            table=address.table if address else None,
            partition=partition,
            status=status,
            limit=limit,
        )
        return [records.quarantined_row(row) for row in found]

    def quarantine_rows(self, ids: Sequence[int]) -> list[QuarantinedRow]:
        return [records.quarantined_row(row) for row in self._ask("quarantine_rows", ids=records.known_numbers(ids))]

    def quarantine_counts(self) -> list[QuarantineCount]:
        return [records.quarantine_count(row) for row in self._ask("quarantine_counts")]

    def mended(self, address: Address, partition: str | None) -> list[Mended]:
        found = self._ask("mended", schema=address.schema, table=address.table, partition=partition)
        return [records.mended(row) for row in found]

    def discard(self, ids: Sequence[int], *, why: str) -> list[int]:
        discarded = sorted(row[0] for row in self._ask("discard", ids=records.known_numbers(ids), why=why))
        failpoint("discard.committed")
        return discarded

    def prune(
        self,
        *,
        before: dt.datetime | None = None,
        keep: int | None = None,
        include_open: bool = False,
        dry_run: bool = False,
    ) -> list[QuarantineCount]:
        name = "prunable" if dry_run else "prune"
        found = self._ask(name, before=before, keep=keep, include_open=include_open)
        failpoint("prune.committed")
        return [records.quarantine_count(row) for row in found]

    def hold(self, batch: Batch) -> Hold:
        refuse_key(batch.address, batch.partition)
        self.prepare()
        with self._sessions.transaction() as cursor:
            number = postgres_holds.hold(cursor, batch)
        failpoint("hold.committed")
        return self._hold(number)

    def holds(
        self,
        address: Address | None = None,
        partition: str | None = None,
        *,
        status: str | None = "open",
        limit: int | None = 100,
    ) -> list[Hold]:
        found = self._ask(
            "holds",
            schema=address.schema if address else None,
            table=address.table if address else None,
            partition=partition,
            status=status,
            ids=None,
            limit=limit,
        )
        return [hold_of(row) for row in found]

    def numbered_holds(self, ids: Sequence[int]) -> list[Hold]:
        anything = dict.fromkeys(("schema", "table", "partition", "status", "limit"))
        found = self._ask("holds", **anything, ids=records.known_numbers(ids))
        return [hold_of(row) for row in reversed(found)]

    def held_rows(self, number: int, *, limit: int | None = None) -> pa.Table:
        found = self._hold(number)
        if found.status != "open":
            raise closed(found.id, found.status, found.decided_by, found.decided_at)
        try:
            with self._sessions.reading() as cursor:
                return postgres_holds.staged_rows(cursor, found, limit)
        except PublishError:
            now = self._hold(number)
            if now.status == "open":
                raise
            raise closed(now.id, now.status, now.decided_by, now.decided_at) from None

    def release(self, number: int, *, by: str, why: str) -> Publication:
        found = self._hold(number)
        if found.status != "open":
            raise closed(found.id, found.status, found.decided_by, found.decided_at)
        self._shape(found.address, found.columns, found.partition, rows=found.rows)
        # What an open hold has staged does not change; the release makes sure that it is still open.
        rows = self.held_rows(number)
        with self._writing() as cursor:
            published = postgres_holds.release(cursor, found, rows, by=by, why=why)
        failpoint("release.committed")
        return published

    def reject(self, number: int, *, by: str, why: str) -> Hold:
        found = self._hold(number)
        with self._sessions.transaction() as cursor:
            postgres_holds.reject(cursor, found, by=by, why=why)
        failpoint("reject.committed")
        return self._hold(number)

    def _hold(self, number: int) -> Hold:
        for found in self.numbered_holds([number]):
            return found
        raise no_hold(number)

    def _shape(self, address: Address, columns: tuple[Column, ...], partition: str | None, *, rows: int = 0) -> None:
        refuse_key(address, partition)
        self.prepare()
        key = (address, columns, partition is not None)
        if key not in self._shaped:
            with self._sessions.session() as session:
                shape(
                    session,
                    address,
                    columns,
                    partitioned=partition is not None,
                    native=self._native_rows is not None and rows >= self._native_rows,
                    lock_timeout=self._sessions.lock_timeout,
                )
            failpoint("table.shaped")
            self._shaped.add(key)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Cursor]:
        try:
            with self._sessions.transaction() as cursor:
                yield cursor
        except PublishError:
            # The table may be gone, or another one: look at it again the next time.
            self._shaped.clear()
            raise

    def _ask(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        self.prepare()
        with self._sessions.session(changing=name in ("discard", "prune")) as session:
            return session.execute(_query(name), parameters).fetchall()


def _query(name: str) -> bytes:
    return statements("postgres", "queries")[name].encode()


def _possible(keys: Sequence[str]) -> list[str]:
    """Without the keys that no database takes: there is no such partition."""
    return [key for key in keys if is_text(key)]

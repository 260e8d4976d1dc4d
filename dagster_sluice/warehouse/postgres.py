"""The Postgres warehouse: Arrow in and out through ADBC, questions through psycopg."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dagster_sluice.contracts import Column
from dagster_sluice.errors import Culprit, PublishError, TableError
from dagster_sluice.warehouse import postgres_publish
from dagster_sluice.warehouse.port import Warehouse
from dagster_sluice.warehouse.postgres_sessions import Sessions, send
from dagster_sluice.warehouse.postgres_shape import columns_of, identifier, quoted, shape
from dagster_sluice.warehouse.slices import Slice
from dagster_sluice.warehouse.statements import migrations, statements
from dagster_sluice.warehouse.values import (
    PARTITION_COLUMN,
    Address,
    Audit,
    AuditRecord,
    Batch,
    Mended,
    Publication,
    QuarantineCount,
    QuarantinedRow,
    Replay,
    Result,
    TableStatus,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PostgresWarehouse"]


class PostgresWarehouse(Warehouse):
    """Tables in a Postgres database.

    Args:
        url: ``postgresql://…`` as libpq takes it.
    """

    def __init__(self, url: str) -> None:
        self._sessions = Sessions(url)
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
        self._prepared = True

    def publish(self, batch: Batch) -> Publication:
        self.prepare()
        self._shape(batch.address, batch.columns, partitioned=batch.partition is not None)
        with self._sessions.transaction() as cursor:
            return postgres_publish.publish(cursor, batch)

    def replay(self, request: Replay) -> Publication | None:
        self.prepare()
        self._shape(request.address, request.columns, partitioned=request.partition is not None)
        with self._sessions.transaction() as cursor:
            return postgres_publish.replay(cursor, request)

    def record_block(self, address: Address, partition: str | None, audit: AuditRecord) -> None:
        self.prepare()
        with self._sessions.transaction() as cursor:
            postgres_publish.block(cursor, address, partition, audit)

    def current(self, address: Address, partitions: Sequence[str] | None = None) -> dict[str | None, Publication]:
        found = self._ask(
            "current",
            schema=address.schema,
            table=address.table,
            partitions=list(partitions) if partitions is not None else None,
        )
        return {
            row[1]: Publication(
                id=row[0],
                address=address,
                partition=row[1],
                content_hash=row[2],
                contract_fingerprint=row[3],
                code_version=row[4],
                rows_published=row[5],
                rows_quarantined=row[6],
                published_at=row[7],
                run_id=row[8],
            )
            for row in found
        }

    def audits(self, correlation_id: str) -> list[Audit]:
        return [
            Audit(
                address=Address(schema=row[0], table=row[1]),
                partition=row[2],
                result=Result(row[3]),
                rows_in=row[4],
                rows_published=row[5],
                rows_quarantined=row[6],
                passed=row[7],
                warned=row[8],
                failed=row[9],
                seconds=row[10],
                judged_at=row[11],
                reasons=tuple(row[12]),
            )
            for row in self._ask("audits", correlation_id=correlation_id)
        ]

    def read(
        self, address: Address, *, columns: Sequence[str] | None = None, partitions: Sequence[str] | None = None
    ) -> pa.Table:
        present = self.columns(address)
        if not present:
            raise _no_table(address)
        wanted = list(columns) if columns is not None else [name for name in present if name != PARTITION_COLUMN]
        _refuse_absent(address, [name for name in wanted if name not in present])
        if partitions is not None:
            _refuse_absent(address, [PARTITION_COLUMN] if PARTITION_COLUMN not in present else [])
        text = f"SELECT {', '.join(map(identifier, wanted))} FROM {quoted(address)}"
        with self._sessions.transaction() as cursor:
            if partitions is not None:
                import pyarrow as pa

                keys = pa.table({"key": pa.array(list(partitions), pa.string())})
                send(cursor, "sluice_keys", keys)
                text += f" WHERE {PARTITION_COLUMN} IN (SELECT key FROM sluice_keys)"
            cursor.execute(text)
            return cursor.fetch_arrow_table()

    def columns(self, address: Address) -> dict[str, str]:
        with self._sessions.session() as session:
            return columns_of(session, address)

    def read_slice(self, address: Address, columns: Sequence[str], slices: Sequence[Slice]) -> pa.Table:
        from dagster_sluice.warehouse import postgres_slices

        present = self.columns(address)
        if not present:
            raise _no_table(address)
        asked = dict.fromkeys([*columns, *(part.column for part in slices)])
        _refuse_absent(address, [name for name in asked if name not in present])
        with self._sessions.transaction() as cursor:
            return postgres_slices.read_slice(cursor, address, present, columns, slices)

    def values(self, address: Address, column: str) -> list[Any]:
        present = self.columns(address)
        if not present:
            raise _no_table(address)
        _refuse_absent(address, [column] if column not in present else [])
        name = identifier(column)
        with self._sessions.transaction() as cursor:
            cursor.execute(f"SELECT DISTINCT {name} FROM {quoted(address)} WHERE {name} IS NOT NULL ORDER BY 1")
            found: list[Any] = cursor.fetch_arrow_table().column(0).to_pylist()
        return found

    def tables(self) -> list[TableStatus]:
        return [
            TableStatus(
                address=Address(schema=row[0], table=row[1]),
                partitions=row[2],
                rows=row[3],
                rows_quarantined=row[4],
                last_publish=row[5],
                first_partition=row[6],
                last_partition=row[7],
            )
            for row in self._ask("tables")
        ]

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
        return [_quarantined_row(row) for row in found]

    def quarantine_rows(self, ids: Sequence[int]) -> list[QuarantinedRow]:
        return [_quarantined_row(row) for row in self._ask("quarantine_rows", ids=_numbers(ids))]

    def quarantine_counts(self) -> list[QuarantineCount]:
        return [_quarantine_count(row) for row in self._ask("quarantine_counts")]

    def mended(self, address: Address, partition: str | None) -> list[Mended]:
        found = self._ask("mended", schema=address.schema, table=address.table, partition=partition)
        return [Mended(id=row[0], row_hash=row[1], occurrence=row[2], payload=row[3]) for row in found]

    def discard(self, ids: Sequence[int], *, why: str) -> list[int]:
        return sorted(row[0] for row in self._ask("discard", ids=_numbers(ids), why=why))

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
        return [_quarantine_count(row) for row in found]

    def _shape(self, address: Address, columns: tuple[Column, ...], *, partitioned: bool) -> None:
        key = (address, columns, partitioned)
        if key not in self._shaped:
            with self._sessions.session() as session:
                shape(session, address, columns, partitioned=partitioned)
            self._shaped.add(key)

    def _ask(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        self.prepare()
        with self._sessions.session() as session:
            return session.execute(_query(name), parameters).fetchall()


def _query(name: str) -> bytes:
    return statements("postgres", "queries")[name].encode()


def _numbers(ids: Sequence[int]) -> list[int]:
    """Without those that no bigint can be: there is no such row."""
    return [number for number in ids if 0 < number < 2**63]


def _quarantined_row(row: tuple[Any, ...]) -> QuarantinedRow:
    return QuarantinedRow(
        id=row[0],
        address=Address(schema=row[1], table=row[2]),
        partition=row[3],
        payload=row[4],
        reasons=row[5],
        status=row[6],
        run_id=row[7],
        correlation_id=row[8],
        first_seen=row[9],
        last_seen=row[10],
        replacement=row[11],
        publication=row[12],
        why=row[13],
        settled_at=row[14],
    )


def _quarantine_count(row: tuple[Any, ...]) -> QuarantineCount:
    return QuarantineCount(
        address=Address(schema=row[0], table=row[1]), status=row[2], rows=row[3], oldest=row[4], newest=row[5]
    )


def _no_table(address: Address) -> TableError:
    return TableError(f"There is no table {address} in the warehouse.", mend="Materialize it first.")


def _refuse_absent(address: Address, absent: list[str]) -> None:
    if absent:
        raise TableError(
            f"{address} lacks columns that are asked for.",
            culprits=[Culprit(where=f"column {name!r}", problem="is not in the warehouse.") for name in absent],
        )

"""The DuckDB warehouse: tables and ledger in one file, opened for each operation and closed after it."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster_sluice.failpoints import failpoint
from dagster_sluice.warehouse import duckdb_holds, duckdb_ledger, duckdb_newest, duckdb_publish, records, timelines
from dagster_sluice.warehouse.duckdb_exact import selected
from dagster_sluice.warehouse.duckdb_file import DuckDBFile, ask, run, send
from dagster_sluice.warehouse.duckdb_shape import columns_of, identifier, quoted
from dagster_sluice.warehouse.held import hold_of
from dagster_sluice.warehouse.port import Warehouse
from dagster_sluice.warehouse.requests import numbers_table
from dagster_sluice.warehouse.slices import Slice
from dagster_sluice.warehouse.standing import asked, flat, ledgers_of
from dagster_sluice.warehouse.statements import statements
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
)

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from dagster_sluice.warehouse.selects import Select
    from dagster_sluice.warehouse.timelines import Newest, Place, Timeline

__all__ = ["DuckDBWarehouse"]


class DuckDBWarehouse(Warehouse):
    """Tables in a DuckDB file.

    Args:
        url: ``duckdb:///relative/path`` or ``duckdb:////absolute/path``; see `DuckDBFile`.

    Raises:
        SettingError: That is no such URL.
    """

    def __init__(self, url: str) -> None:
        self._file = DuckDBFile(url)

    def close(self) -> None:
        """Nothing is open between two operations."""

    def prepare(self) -> None:
        with self._writing():
            pass

    def publish(self, batch: Batch) -> Publication:
        with self._writing() as connection:
            published = duckdb_publish.publish(connection, batch)
            came = f"A newer batch was published (publication {published.id})."
            duckdb_holds.supersede(connection, batch.address, batch.partition, by=came)
        failpoint("publish.committed")
        return published

    def replay(self, request: Replay) -> Publication | None:
        with self._writing() as connection:
            published = duckdb_publish.replay(connection, request)
        failpoint("replay.committed")
        return published

    def record_block(self, address: Address, partition: str | None, audit: AuditRecord) -> None:
        with self._writing() as connection:
            duckdb_publish.block(connection, address, partition, audit)
        failpoint("block.committed")

    def current(self, address: Address, partitions: Sequence[str] | None = None) -> dict[str | None, Publication]:
        found = self._ask(
            "current",
            schema=address.schema,
            table=address.table,
            partitions=list(partitions) if partitions is not None else None,
        )
        return {row[1]: records.publication(address, row) for row in found}

    def ledgers(self, codes: Mapping[Address, str]) -> dict[Address, Ledger]:
        told = {"asked": asked(codes)}
        with self._ledger() as connection:
            standing = flat(connection.sql(statements("duckdb", "queries")["ledgers"], params=told).to_arrow_table())
            stopped = ask(connection, "queries", "stopped", told)
        return ledgers_of(codes, standing, stopped)

    def timelines(
        self, since: Mapping[Address, str], *, refreshed: Mapping[Address, dt.datetime] | None = None
    ) -> dict[Address, Timeline]:
        told = {"asked": timelines.asked_lives(since)}
        wanted = {"asked": timelines.asked_refreshes(since, refreshed or {})}
        with self._ledger() as connection:
            text = statements("duckdb", "queries")["timelines"]
            lives = timelines.flat(connection.sql(text, params=told).to_arrow_table())
            refreshes = ask(connection, "queries", "refreshes", wanted) if refreshed else []
            stopped = ask(connection, "queries", "stopped", told)
        return timelines.timelines_of(since, lives, refreshes, stopped)

    def newest(self, columns: Sequence[Place]) -> dict[Place, Newest]:
        with self._ledger() as connection:
            return duckdb_newest.newest(connection, columns)

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
        with self._table(address) as (connection, present):
            wanted = list(columns) if columns is not None else [name for name in present if name != PARTITION_COLUMN]
            asked = wanted if partitions is None else [*wanted, PARTITION_COLUMN]
            records.refuse_absent(address, [name for name in asked if name not in present])
            chosen = ", ".join(selected(name, present[name]) for name in wanted)
            text = f"SELECT {chosen} FROM {quoted(connection, address)}"
            parameters = {}
            if partitions is not None:
                text += f" WHERE {PARTITION_COLUMN} IN (SELECT unnest($partitions::TEXT[]))"
                parameters = {"partitions": list(partitions)}
            found: pa.Table = connection.sql(text, params=parameters).to_arrow_table()
            return found

    def query(self, select: Select, parameters: Mapping[str, Any], *, timezone: str = "UTC") -> pa.Table:
        from dagster_sluice.warehouse import duckdb_queries

        if not self._file.exists:
            self.prepare()
        with self._file.reading() as connection:
            return duckdb_queries.query(connection, select, parameters, timezone)

    def columns(self, address: Address) -> dict[str, str]:
        if not self._file.exists:
            return {}
        with self._file.reading() as connection:
            return columns_of(connection, address)

    def read_slice(self, address: Address, columns: Sequence[str], slices: Sequence[Slice]) -> pa.Table:
        from dagster_sluice.warehouse import duckdb_slices

        with self._table(address) as (connection, present):
            asked = dict.fromkeys([*columns, *(part.column for part in slices)])
            records.refuse_absent(address, [name for name in asked if name not in present])
            return duckdb_slices.read_slice(connection, quoted(connection, address), present, columns, slices)

    def values(self, address: Address, column: str) -> list[Any]:
        with self._table(address) as (connection, present):
            records.refuse_absent(address, [column] if column not in present else [])
            name = identifier(column)
            chosen = selected(column, present[column])
            text = f"SELECT DISTINCT {chosen} FROM {quoted(connection, address)} WHERE {name} IS NOT NULL ORDER BY 1"
            found: list[Any] = connection.sql(text).to_arrow_table().column(0).to_pylist()
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
        found = self._ask("quarantine_rows", ids=records.known_numbers(ids))
        return [records.quarantined_row(row) for row in found]

    def quarantine_counts(self) -> list[QuarantineCount]:
        return [records.quarantine_count(row) for row in self._ask("quarantine_counts")]

    def mended(self, address: Address, partition: str | None) -> list[Mended]:
        found = self._ask("mended", schema=address.schema, table=address.table, partition=partition)
        return [records.mended(row) for row in found]

    def discard(self, ids: Sequence[int], *, why: str) -> list[int]:
        wanted = records.known_numbers(ids)
        with self._writing() as connection:
            found = [row[0] for row in ask(connection, "queries", "discardable", {"ids": wanted})]
            ask(connection, "queries", "discard", {"ids": wanted, "why": why})
        failpoint("discard.committed")
        return found

    def prune(
        self,
        *,
        before: dt.datetime | None = None,
        keep: int | None = None,
        include_open: bool = False,
        dry_run: bool = False,
    ) -> list[QuarantineCount]:
        limits = {"before": before, "keep": keep, "include_open": include_open}
        with self._ledger() if dry_run else self._writing() as connection:
            found = ask(connection, "queries", "prunable", limits)
            send(connection, "sluice_pruned", numbers_table([row[0] for row in found]))
            counted = ask(connection, "queries", "counted")
            if not dry_run:
                run(connection, "queries", "prune")
        failpoint("prune.committed")
        return [records.quarantine_count(row) for row in counted]

    def hold(self, batch: Batch) -> Hold:
        with self._writing() as connection:
            held = duckdb_holds.hold(connection, batch)
        failpoint("hold.committed")
        return held

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
        with self._ledger() as connection:
            return duckdb_holds.staged_rows(connection, duckdb_holds.open_hold(connection, number), limit)

    def release(self, number: int, *, by: str, why: str) -> Publication:
        with self._writing() as connection:
            published = duckdb_holds.release(connection, number, by=by, why=why)
        failpoint("release.committed")
        return published

    def reject(self, number: int, *, by: str, why: str) -> Hold:
        with self._writing() as connection:
            rejected = duckdb_holds.reject(connection, number, by=by, why=why)
        failpoint("reject.committed")
        return rejected

    @contextlib.contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction in which the ledger is there, in this version's form."""
        with self._file.writing() as connection:
            duckdb_ledger.prepare(connection)
            failpoint("ledger.prepared")
            yield connection

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The ledger to be asked; an empty one where there is none, because a question makes no file."""
        if self._file.exists:
            with self._file.reading() as connection:
                version = duckdb_ledger.version(connection)
                if version == duckdb_ledger.latest():
                    duckdb_ledger.use(connection)
                    yield connection
                    return
            if version:
                self.prepare()
                with self._file.reading() as connection:
                    duckdb_ledger.use(connection)
                    yield connection
                return
        with duckdb_ledger.empty() as connection:
            yield connection

    @contextlib.contextmanager
    def _table(self, address: Address) -> Iterator[tuple[duckdb.DuckDBPyConnection, dict[str, str]]]:
        if not self._file.exists:
            raise records.no_table(address)
        with self._file.reading() as connection:
            present = columns_of(connection, address)
            if not present:
                raise records.no_table(address)
            yield connection, present

    def _ask(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self._ledger() as connection:
            return ask(connection, "queries", name, parameters)

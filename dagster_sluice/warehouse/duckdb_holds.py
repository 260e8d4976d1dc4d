"""What holding a batch, releasing it and rejecting it do within their transaction; see ``sql/duckdb/holds.sql``.

The good rows of an open hold lie in ``sluice_staging.hold_<id>``, in the types of the table they wait for, so that a
value which DuckDB refuses is refused when it is staged.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagster_sluice.failpoints import failpoint
from dagster_sluice.warehouse import duckdb_publish
from dagster_sluice.warehouse.duckdb_exact import sent
from dagster_sluice.warehouse.duckdb_file import ask, run, send
from dagster_sluice.warehouse.duckdb_shape import (
    catalog,
    duckdb_type,
    identifier,
    note_lengths,
    refuse_columns,
)
from dagster_sluice.warehouse.held import closed, hold_of, no_hold, outrun, rejected_hash, told_columns
from dagster_sluice.warehouse.records import known_numbers
from dagster_sluice.warehouse.rejects import rejected_table
from dagster_sluice.warehouse.requests import numbers_table, overtaken, request_table
from dagster_sluice.warehouse.types import arrow_type
from dagster_sluice.warehouse.values import STAGING_SCHEMA, Address, Batch, Hold, Publication, RejectedRow

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["hold", "numbered", "open_hold", "reject", "release", "staged_rows", "supersede"]

_HOLDS = "holds"


def numbered(connection: duckdb.DuckDBPyConnection, number: int) -> Hold:
    """A hold, whatever its status.

    Raises:
        PublishError: There is none of that number.
    """
    anything = dict.fromkeys(("schema", "table", "partition", "status", "limit"))
    for row in ask(connection, "queries", "holds", {**anything, "ids": known_numbers([number])}):
        return hold_of(row)
    raise no_hold(number)


def open_hold(connection: duckdb.DuckDBPyConnection, number: int) -> Hold:
    """A hold that is open.

    Raises:
        PublishError: There is none of that number, or it is not open any more.
    """
    found = numbered(connection, number)
    if found.status != "open":
        raise closed(number, found.status, found.decided_by, found.decided_at)
    return found


def hold(connection: duckdb.DuckDBPyConnection, batch: Batch) -> Hold:
    """Stage a batch.

    Raises:
        PublishError: Somebody else published the partition since ``batch.base``, or a row does not fit the columns.
    """
    duckdb_publish.refuse_key(batch.address, batch.partition)
    refuse_columns(batch.address, batch.columns)
    place = _place(batch.address, batch.partition)
    failpoint("hold.locked")
    standing = next(iter(ask(connection, _HOLDS, "standing", place)), None)
    if (standing[0] if standing else None) != batch.base:
        raise overtaken(batch.address, batch.partition, "Run it again: it will be computed from what stands there now.")
    sameness = (batch.content_hash, rejected_hash(batch), batch.base, batch.audit.contract_fingerprint)
    standing_hold = next(iter(ask(connection, _HOLDS, "open", place)), None)
    if standing_hold is not None and standing_hold[1:] == sameness:
        number = int(standing_hold[0])
    else:
        number = _stage(connection, batch)
        failpoint("hold.staged")
    record = request_table(batch.address, batch.partition, batch.audit)
    send(connection, "sluice_request", record)
    ask(connection, _HOLDS, "audit", {"hold": number})
    failpoint("hold.before_commit")
    return numbered(connection, number)


def supersede(connection: duckdb.DuckDBPyConnection, address: Address, partition: str | None, *, by: str) -> None:
    """Close the open hold of a partition, if there is one, because something newer came (``by``, in words)."""
    for found in ask(connection, _HOLDS, "open", _place(address, partition)):
        _settle(connection, found[0], "superseded", by="", why=by, publication=None)


def release(connection: duckdb.DuckDBPyConnection, number: int, *, by: str, why: str) -> Publication:
    """Publish what a hold staged.

    Raises:
        PublishError: It is not open any more, or somebody published the partition since its base.
    """
    found = open_hold(connection, number)
    failpoint("release.claimed")
    standing = next(iter(ask(connection, _HOLDS, "standing", _place(found.address, found.partition))), None)
    if standing is not None and standing[0] != found.base and standing[1] != found.content_hash:
        raise outrun(found)
    told = f"Released by {by} (hold {found.id}): {why}"
    published = duckdb_publish.publish(
        connection,
        Batch(
            address=found.address,
            columns=found.columns,
            partition=found.partition,
            rows=staged_rows(connection, found),
            rejected=_rejected(connection, number),
            content_hash=found.content_hash,
            base=found.base,
            audit=replace(found.audit, reasons=(*found.audit.reasons, told)),
            restored=[row[0] for row in ask(connection, _HOLDS, "restored", {"hold": number})],
            computed_at=found.held_at - dt.timedelta(seconds=found.audit.seconds),
        ),
    )
    failpoint("release.published")
    _settle(connection, number, "released", by=by, why=why, publication=published.id)
    failpoint("release.before_commit")
    return published


def reject(connection: duckdb.DuckDBPyConnection, number: int, *, by: str, why: str) -> Hold:
    """Give up what a hold staged.

    Raises:
        PublishError: It is not open any more.
    """
    open_hold(connection, number)
    _settle(connection, number, "rejected", by=by, why=why, publication=None)
    failpoint("reject.before_commit")
    return numbered(connection, number)


def staged_rows(connection: duckdb.DuckDBPyConnection, found: Hold, limit: int | None = None) -> pa.Table:
    """The rows of an open hold, in the types of its batch."""
    import pyarrow as pa

    columns = ", ".join(f"{sent(column)} AS {identifier(column.name)}" for column in found.columns)
    text = f"SELECT {columns} FROM {_staging(connection, found.id)} LIMIT $limit"
    rows: pa.Table = connection.sql(text, params={"limit": limit}).to_arrow_table()
    return rows.cast(pa.schema([(column.name, arrow_type(column)) for column in found.columns]))


def _stage(connection: duckdb.DuckDBPyConnection, batch: Batch) -> int:
    supersede(connection, batch.address, batch.partition, by="A newer batch was held.")
    record = request_table(
        batch.address,
        batch.partition,
        batch.audit,
        content_hash=batch.content_hash,
        rows_published=batch.rows.num_rows,
        rows_quarantined=len(batch.rejected),
    )
    send(connection, "sluice_request", record)
    send(connection, "sluice_restored", numbers_table(batch.restored))
    ((number,),) = ask(
        connection,
        _HOLDS,
        "record",
        {
            "columns": told_columns(batch.columns),
            "rejected_hash": rejected_hash(batch),
            "base": batch.base,
        },
    )
    failpoint("hold.recorded")
    target = _staging(connection, number)
    body = ", ".join(f"{identifier(column.name)} {duckdb_type(column)}" for column in batch.columns)
    connection.execute(f"CREATE TABLE {target} ({body})")
    note_lengths(connection, target, batch.columns)
    duckdb_publish.insert(connection, target, None, batch.columns, batch.rows)
    send(connection, "sluice_rejected", rejected_table(batch.rejected))
    ask(connection, _HOLDS, "keep_rejected", {"hold": number})
    return int(number)


def _settle(
    connection: duckdb.DuckDBPyConnection, number: int, status: str, *, by: str, why: str, publication: int | None
) -> None:
    decision = {"hold": number, "status": status, "by": by, "why": why, "publication": publication}
    ask(connection, _HOLDS, "decide", decision)
    failpoint("hold.decided")
    ask(connection, _HOLDS, "forget_rejected", {"hold": number})
    run(connection, _HOLDS, "unstage", staging=_staging(connection, number))


def _rejected(connection: duckdb.DuckDBPyConnection, number: int) -> list[RejectedRow]:
    return [
        RejectedRow(payload=json.loads(payload), reasons=json.loads(reasons), occurrence=occurrence)
        for payload, reasons, occurrence in ask(connection, _HOLDS, "rejected", {"hold": number})
    ]


def _staging(connection: duckdb.DuckDBPyConnection, number: int) -> str:
    return f"{catalog(connection)}.{identifier(STAGING_SCHEMA)}.{identifier(f'hold_{number}')}"


def _place(address: Address, partition: str | None) -> dict[str, Any]:
    return {"schema": address.schema, "table": address.table, "partition": partition}

"""What a publish and a replay do within their transaction; see ``sql/duckdb/publish.sql`` and ``replay.sql``.

The transaction has the file to itself, so nothing needs a lock, and what is true of the ledger at its start stays true.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dagster_sluice.contracts import Column
from dagster_sluice.errors import PublishError
from dagster_sluice.failpoints import failpoint
from dagster_sluice.warehouse.duckdb_exact import inserted, refuse_altered, refuse_long
from dagster_sluice.warehouse.duckdb_file import ask, run, send
from dagster_sluice.warehouse.duckdb_shape import identifier, quoted, shape
from dagster_sluice.warehouse.rejects import rejected_table
from dagster_sluice.warehouse.requests import (
    changed_by_hand,
    label,
    numbers_table,
    overtaken,
    replayed_table,
    request_table,
    settled_before,
)
from dagster_sluice.warehouse.values import Address, AuditRecord, Batch, Publication, Replay, Result

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["block", "insert", "publish", "refuse_key", "replay"]

_PUBLISH = "publish"
_REPLAY = "replay"


def publish(connection: duckdb.DuckDBPyConnection, batch: Batch) -> Publication:
    """Replace one partition, of a table that is made or widened if need be.

    Raises:
        PublishError: Somebody else published it since ``batch.base``, or the table does not fit the columns.
    """
    refuse_key(batch.address, batch.partition)
    shape(connection, batch.address, batch.columns, partitioned=batch.partition is not None)
    failpoint("table.shaped")
    target = quoted(connection, batch.address)
    record = request_table(
        batch.address,
        batch.partition,
        batch.audit,
        content_hash=batch.content_hash,
        rows_published=batch.rows.num_rows,
        rows_quarantined=len(batch.rejected),
        computed_at=batch.computed_at,
    )
    send(connection, "sluice_request", record)
    failpoint("publish.locked")
    standing = next(iter(ask(connection, _PUBLISH, "current")), None)
    # A table that was dropped or emptied by hand is not what its publication says.
    unchanged = (
        standing is not None
        and standing[1] == batch.content_hash
        and standing[3] == _count(connection, target, batch.partition)
    )
    if not unchanged and (standing[0] if standing else None) != batch.base:
        raise overtaken(batch.address, batch.partition, "Run it again: it will be computed from what stands there now.")
    send(connection, "sluice_rejected", rejected_table(batch.rejected))
    if unchanged:
        run(connection, _PUBLISH, "reaffirm")
        failpoint("publish.reaffirmed")
    else:
        run(connection, _PUBLISH, "replace_table" if batch.partition is None else "replace_partition", target=target)
        failpoint("publish.removed")
        insert(connection, target, batch.partition, batch.columns, batch.rows)
        failpoint("publish.rows_written")
        run(connection, _PUBLISH, "supersede")
        failpoint("publish.superseded")
        run(connection, _PUBLISH, "publication")
        failpoint("publish.recorded")
    if batch.rejected:
        run(connection, _PUBLISH, "seen_again")
        run(connection, _PUBLISH, "quarantine")
        failpoint("publish.quarantined")
    run(connection, _PUBLISH, "release")
    failpoint("publish.released")
    if batch.restored:
        send(connection, "sluice_restored", numbers_table(batch.restored))
        run(connection, _PUBLISH, "restored")
        failpoint("publish.restored")
    if unchanged:
        run(connection, _PUBLISH, "unchanged")
    run(connection, _PUBLISH, "audit")
    failpoint("publish.before_commit")
    return _landed(
        connection,
        batch.address,
        batch.partition,
        batch.audit,
        rows_quarantined=len(batch.rejected),
        result=Result.UNCHANGED if unchanged else Result.PUBLISHED,
    )


def replay(connection: duckdb.DuckDBPyConnection, request: Replay) -> Publication | None:
    """Add quarantined rows to a published partition.

    Raises:
        PublishError: Somebody else published it since ``request.base``, or a row is not open any more.
    """
    shape(connection, request.address, request.columns, partitioned=request.partition is not None)
    target = quoted(connection, request.address)
    record = request_table(
        request.address,
        request.partition,
        request.audit,
        content_hash=request.content_hash,
        rows_published=request.rows.num_rows,
    )
    send(connection, "sluice_request", record)
    standing = next(iter(ask(connection, _PUBLISH, "current")), None)
    send(connection, "sluice_replayed", replayed_table(request))
    ((held,),) = ask(connection, _REPLAY, "still_open")
    failpoint("replay.locked")
    if standing is None or standing[0] != request.base:
        raise overtaken(
            request.address,
            request.partition,
            "Replay again: the rows will be judged with what stands there now.",
        )
    if held != len(request.passed) + len(request.failed):
        raise settled_before(request)
    if standing[3] != _count(connection, target, request.partition):
        raise changed_by_hand(request, standing[3])
    if not request.rows.num_rows:
        run(connection, _REPLAY, "failed")
        run(connection, _REPLAY, "account")
        run(connection, _PUBLISH, "audit")
        failpoint("replay.before_commit")
        return None
    insert(connection, target, request.partition, request.columns, request.rows)
    failpoint("replay.rows_written")
    run(connection, _REPLAY, "totals")
    run(connection, _PUBLISH, "supersede")
    run(connection, _PUBLISH, "publication")
    failpoint("replay.recorded")
    run(connection, _REPLAY, "passed")
    run(connection, _REPLAY, "failed")
    failpoint("replay.settled")
    run(connection, _REPLAY, "account")
    run(connection, _PUBLISH, "audit")
    failpoint("replay.before_commit")
    return _landed(
        connection,
        request.address,
        request.partition,
        request.audit,
        rows_quarantined=len(request.failed),
        result=Result.PUBLISHED,
    )


def block(connection: duckdb.DuckDBPyConnection, address: Address, partition: str | None, audit: AuditRecord) -> None:
    """Record an audit whose batch was blocked."""
    send(connection, "sluice_request", request_table(address, partition, audit))
    run(connection, _PUBLISH, "blocked")
    run(connection, _PUBLISH, "audit")
    failpoint("block.before_commit")


def refuse_key(address: Address, partition: str | None) -> None:
    """Refuse a key that other programs could not read back, as Postgres does by itself.

    Raises:
        PublishError: It is such a one.
    """
    try:
        fits = partition is None or "\0" not in partition.encode().decode()
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise PublishError(
            f"{address} cannot have the partition {partition!a}.", mend="A key is text of UTF-8 without NUL."
        )


def insert(
    connection: duckdb.DuckDBPyConnection,
    target: str,
    partition: str | None,
    columns: Sequence[Column],
    rows: pa.Table,
) -> None:
    """Add rows to a table of these columns, and the partition's column if there is a partition.

    Raises:
        PublishError: A value is not one that its column would give back.
    """
    connection.register("sluice_rows", rows)
    refuse_long(connection, columns)
    refuse_altered(connection, columns)
    run(
        connection,
        _PUBLISH,
        "insert_table" if partition is None else "insert_partition",
        target=target,
        columns=", ".join(identifier(column.name) for column in columns),
        selection=", ".join(map(inserted, columns)),
    )


def _count(connection: duckdb.DuckDBPyConnection, target: str, partition: str | None) -> int:
    ((rows,),) = ask(connection, _PUBLISH, "count_table" if partition is None else "count_partition", target=target)
    return int(rows)


def _landed(
    connection: duckdb.DuckDBPyConnection,
    address: Address,
    partition: str | None,
    audit: AuditRecord,
    *,
    rows_quarantined: int,
    result: Result,
) -> Publication:
    landed = next(iter(ask(connection, _PUBLISH, "current")), None)
    if landed is None:
        raise PublishError(f"{label(address, partition)} has no publication after its publish.")
    return Publication(
        id=landed[0],
        address=address,
        partition=partition,
        content_hash=landed[1],
        contract_fingerprint=audit.contract_fingerprint,
        code_version=audit.code_version,
        rows_published=landed[3],
        rows_quarantined=rows_quarantined,
        published_at=landed[2],
        run_id=audit.run_id,
        result=result,
    )

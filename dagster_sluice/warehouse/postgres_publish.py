"""What a publish and a replay do within their transaction.

What they need to know comes in as temporary tables (binary COPY), so that values never enter SQL text and every cast is
Postgres's own; see ``sql/postgres/publish.sql`` and ``replay.sql``.
"""

from __future__ import annotations

from dagster_sluice.errors import PublishError
from dagster_sluice.failpoints import failpoint
from dagster_sluice.warehouse.postgres_rows import append, arrive, kind_of, replace
from dagster_sluice.warehouse.postgres_sessions import Cursor, ask, run, send
from dagster_sluice.warehouse.postgres_shape import quoted
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

__all__ = ["block", "publish", "replay"]

_PUBLISH = "publish"
_REPLAY = "replay"


def publish(cursor: Cursor, batch: Batch, *, swap: bool = False) -> Publication:
    """Replace one partition.

    Args:
        cursor: In a transaction.
        batch: What is published.
        swap: Whether a native partition that stands is replaced as a whole.

    Raises:
        PublishError: Somebody else published it since ``batch.base``.
    """
    record = request_table(
        batch.address,
        batch.partition,
        batch.audit,
        content_hash=batch.content_hash,
        rows_published=batch.rows.num_rows,
        rows_quarantined=len(batch.rejected),
        computed_at=batch.computed_at,
    )
    send(cursor, "sluice_request", record)
    ask(cursor, _PUBLISH, "lock")
    # Others of this partition are waited for as long as they take; who uses the table by hand is not.
    cursor.limit_waits()
    failpoint("publish.locked")
    kind_of(cursor, batch.address)
    leaf = None
    standing = ask(cursor, _PUBLISH, "current")
    # A table that was dropped or emptied by hand is not what its publication says.
    unchanged = (
        standing is not None
        and standing[1] == batch.content_hash
        and standing[3] == _count(cursor, batch.address, batch.partition)
    )
    if not unchanged and (standing[0] if standing else None) != batch.base:
        again = "Run it again: it will be computed from what stands there now."
        raise overtaken(batch.address, batch.partition, again)
    send(cursor, "sluice_rejected", rejected_table(batch.rejected))
    if unchanged:
        run(cursor, _PUBLISH, "reaffirm")
        failpoint("publish.reaffirmed")
    else:
        leaf = replace(cursor, batch.address, batch.partition, batch.columns, batch.rows, swap=swap)
        failpoint("publish.rows_written")
        run(cursor, _PUBLISH, "supersede")
        failpoint("publish.superseded")
        run(cursor, _PUBLISH, "publication")
        failpoint("publish.recorded")
    if batch.rejected:
        run(cursor, _PUBLISH, "quarantine")
        failpoint("publish.quarantined")
    run(cursor, _PUBLISH, "release")
    failpoint("publish.released")
    if batch.restored:
        send(cursor, "sluice_restored", numbers_table(batch.restored))
        run(cursor, _PUBLISH, "restored")
        failpoint("publish.restored")
    if unchanged:
        cursor.execute("UPDATE sluice_request SET result = 'unchanged'")
    run(cursor, _PUBLISH, "audit")
    if leaf is not None:
        arrive(cursor, leaf, batch.columns)
    failpoint("publish.before_commit")
    return _landed(
        cursor,
        batch.address,
        batch.partition,
        batch.audit,
        rows_quarantined=len(batch.rejected),
        result=Result.UNCHANGED if unchanged else Result.PUBLISHED,
    )


def replay(cursor: Cursor, request: Replay) -> Publication | None:
    """Add quarantined rows to a published partition.

    Raises:
        PublishError: Somebody else published it since ``request.base``, or a row is not open any more.
    """
    record = request_table(
        request.address,
        request.partition,
        request.audit,
        content_hash=request.content_hash,
        rows_published=request.rows.num_rows,
    )
    send(cursor, "sluice_request", record)
    ask(cursor, _PUBLISH, "lock")
    standing = ask(cursor, _PUBLISH, "current")
    send(cursor, "sluice_replayed", replayed_table(request))
    held = ask(cursor, _REPLAY, "still_open")
    failpoint("replay.locked")
    if standing is None or standing[0] != request.base:
        again = "Replay again: the rows will be judged with what stands there now."
        raise overtaken(request.address, request.partition, again)
    if held is None or held[0] != len(request.passed) + len(request.failed):
        raise settled_before(request)
    if standing[3] != _count(cursor, request.address, request.partition):
        raise changed_by_hand(request, standing[3])
    if not request.rows.num_rows:
        run(cursor, _REPLAY, "failed")
        run(cursor, _REPLAY, "account")
        run(cursor, _PUBLISH, "audit")
        failpoint("replay.before_commit")
        return None
    append(cursor, request.address, request.partition, request.columns, request.rows)
    failpoint("replay.rows_written")
    run(cursor, _REPLAY, "totals")
    run(cursor, _PUBLISH, "supersede")
    run(cursor, _PUBLISH, "publication")
    failpoint("replay.recorded")
    run(cursor, _REPLAY, "passed")
    run(cursor, _REPLAY, "failed")
    failpoint("replay.settled")
    run(cursor, _REPLAY, "account")
    run(cursor, _PUBLISH, "audit")
    failpoint("replay.before_commit")
    return _landed(
        cursor,
        request.address,
        request.partition,
        request.audit,
        rows_quarantined=len(request.failed),
        result=Result.PUBLISHED,
    )


def block(cursor: Cursor, address: Address, partition: str | None, audit: AuditRecord) -> None:
    """Record an audit whose batch was blocked."""
    send(cursor, "sluice_request", request_table(address, partition, audit))
    cursor.execute("UPDATE sluice_request SET result = 'blocked'")
    run(cursor, _PUBLISH, "audit")
    failpoint("block.before_commit")


def _count(cursor: Cursor, address: Address, partition: str | None) -> int:
    row = ask(cursor, _PUBLISH, "count_table" if partition is None else "count_partition", target=quoted(address))
    return int(row[0]) if row else 0


def _landed(
    cursor: Cursor,
    address: Address,
    partition: str | None,
    audit: AuditRecord,
    *,
    rows_quarantined: int,
    result: Result,
) -> Publication:
    landed = ask(cursor, _PUBLISH, "current")
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

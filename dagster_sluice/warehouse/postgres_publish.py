"""What a publish and a replay do within their transaction.

What they need to know comes in as temporary tables (binary COPY), so that values never enter SQL text and every cast is
Postgres's own; see ``sql/postgres/publish.sql`` and ``replay.sql``.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dagster_sluice.errors import PublishError
from dagster_sluice.failpoints import failpoint
from dagster_sluice.warehouse.postgres_rows import append, arrive, kind_of, replace
from dagster_sluice.warehouse.postgres_sessions import Cursor, ask, run, send
from dagster_sluice.warehouse.postgres_shape import quoted
from dagster_sluice.warehouse.rejects import rejected_table
from dagster_sluice.warehouse.values import Address, AuditRecord, Batch, Publication, Replay, Result

if TYPE_CHECKING:
    import pyarrow as pa

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
    record = _record(
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
        raise PublishError(
            f"{_label(batch.address, batch.partition)} was published by somebody else meanwhile.",
            mend="Run it again: it will be computed from what stands there now.",
        )
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
        send(cursor, "sluice_restored", _numbers(batch.restored))
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
    record = _record(
        request.address,
        request.partition,
        request.audit,
        content_hash=request.content_hash,
        rows_published=request.rows.num_rows,
        rows_quarantined=0,
    )
    send(cursor, "sluice_request", record)
    ask(cursor, _PUBLISH, "lock")
    standing = ask(cursor, _PUBLISH, "current")
    send(cursor, "sluice_replayed", _replayed(request))
    held = ask(cursor, _REPLAY, "still_open")
    failpoint("replay.locked")
    label = _label(request.address, request.partition)
    if standing is None or standing[0] != request.base:
        raise PublishError(
            f"{label} was published by somebody else meanwhile.",
            mend="Replay again: the rows will be judged with what stands there now.",
        )
    if held is None or held[0] != len(request.passed) + len(request.failed):
        raise PublishError(
            f"Rows of {label} were replayed or discarded by somebody else meanwhile.",
            mend="Replay again: those that are still open will be taken.",
        )
    if standing[3] != _count(cursor, request.address, request.partition):
        raise PublishError(
            f"{label} does not hold the {standing[3]:,} rows that were published: it was changed by hand.",
            mend="Materialize it first, then replay.",
        )
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
    record = _record(address, partition, audit, content_hash="", rows_published=0, rows_quarantined=0)
    send(cursor, "sluice_request", record)
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
        raise PublishError(f"{_label(address, partition)} has no publication after its publish.")
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


def _replayed(request: Replay) -> pa.Table:
    import pyarrow as pa

    rows: list[tuple[int, str | None, str | None]] = []
    rows += [(number, json.dumps(payload), None) for number, payload in request.passed]
    rows += [(number, None, json.dumps(list(reasons))) for number, reasons in request.failed]
    count = len(rows)
    return pa.table(
        {
            "id": pa.array([row[0] for row in rows], pa.int64()),
            "payload": pa.array([row[1] for row in rows], pa.string()),
            "reasons": pa.array([row[2] for row in rows], pa.string()),
            "why": pa.array([request.why] * count, pa.string()),
        }
    )


def _numbers(ids: Sequence[int]) -> pa.Table:
    import pyarrow as pa

    return pa.table({"id": pa.array(list(ids), pa.int64())})


def _record(
    address: Address,
    partition: str | None,
    audit: AuditRecord,
    *,
    content_hash: str,
    rows_published: int,
    rows_quarantined: int,
    computed_at: dt.datetime | None = None,
) -> pa.Table:
    import pyarrow as pa

    record: dict[str, Any] = {
        "table_schema": address.schema,
        "table_name": address.table,
        "partition": partition,
        "content_hash": content_hash,
        "result": Result.PUBLISHED.value,
        "contract_version": audit.contract_version,
        "contract_fingerprint": audit.contract_fingerprint,
        "code_version": audit.code_version,
        "rows_in": audit.rows_in,
        "rows_published": rows_published,
        "rows_quarantined": rows_quarantined,
        "passed": audit.passed,
        "warned": audit.warned,
        "failed": audit.failed,
        "seconds": audit.seconds,
        "results": json.dumps(list(audit.results)),
        "reasons": json.dumps(list(audit.reasons)),
        "run_id": audit.run_id,
        "correlation_id": audit.correlation_id,
        "computed_at": computed_at.isoformat() if computed_at else None,
    }
    kinds = {int: pa.int64(), float: pa.float64()}
    return pa.table({key: pa.array([value], kinds.get(type(value), pa.string())) for key, value in record.items()})


def _label(address: Address, partition: str | None) -> str:
    return f"{address}, partition {partition}," if partition is not None else str(address)

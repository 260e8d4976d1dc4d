"""What a publish and a replay do within their transaction.

What they need to know comes in as temporary tables (binary COPY), so that values never enter SQL text and every cast is
Postgres's own; see ``sql/postgres/publish.sql`` and ``replay.sql``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dagster_sluice.contracts import Column
from dagster_sluice.errors import PublishError
from dagster_sluice.warehouse.postgres_sessions import ask, run, send
from dagster_sluice.warehouse.postgres_shape import identifier, quoted
from dagster_sluice.warehouse.rejects import rejected_table
from dagster_sluice.warehouse.types import cast_type
from dagster_sluice.warehouse.values import Address, AuditRecord, Batch, Publication, Replay, Result

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_manager import dbapi

__all__ = ["block", "publish", "replay"]

_PUBLISH = "publish"
_REPLAY = "replay"


def publish(cursor: dbapi.Cursor, batch: Batch) -> Publication:
    """Replace one partition.

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
    )
    send(cursor, "sluice_request", record)
    ask(cursor, _PUBLISH, "lock")
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
    else:
        replaced = "replace_table" if batch.partition is None else "replace_partition"
        run(cursor, _PUBLISH, replaced, target=quoted(batch.address))
        _insert(cursor, batch.address, batch.partition, batch.columns, batch.rows)
        run(cursor, _PUBLISH, "supersede")
        run(cursor, _PUBLISH, "publication")
    if batch.rejected:
        run(cursor, _PUBLISH, "quarantine")
    run(cursor, _PUBLISH, "release")
    if batch.restored:
        send(cursor, "sluice_restored", _numbers(batch.restored))
        run(cursor, _PUBLISH, "restored")
    if unchanged:
        cursor.execute("UPDATE sluice_request SET result = 'unchanged'")
    run(cursor, _PUBLISH, "audit")
    return _landed(
        cursor,
        batch.address,
        batch.partition,
        batch.audit,
        rows_quarantined=len(batch.rejected),
        result=Result.UNCHANGED if unchanged else Result.PUBLISHED,
    )


def replay(cursor: dbapi.Cursor, request: Replay) -> Publication | None:
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
        return None
    _insert(cursor, request.address, request.partition, request.columns, request.rows)
    run(cursor, _REPLAY, "totals")
    run(cursor, _PUBLISH, "supersede")
    run(cursor, _PUBLISH, "publication")
    run(cursor, _REPLAY, "passed")
    run(cursor, _REPLAY, "failed")
    run(cursor, _REPLAY, "account")
    run(cursor, _PUBLISH, "audit")
    return _landed(
        cursor,
        request.address,
        request.partition,
        request.audit,
        rows_quarantined=len(request.failed),
        result=Result.PUBLISHED,
    )


def block(cursor: dbapi.Cursor, address: Address, partition: str | None, audit: AuditRecord) -> None:
    """Record an audit whose batch was blocked."""
    record = _record(address, partition, audit, content_hash="", rows_published=0, rows_quarantined=0)
    send(cursor, "sluice_request", record)
    cursor.execute("UPDATE sluice_request SET result = 'blocked'")
    run(cursor, _PUBLISH, "audit")


def _insert(
    cursor: dbapi.Cursor, address: Address, partition: str | None, columns: Sequence[Column], rows: pa.Table
) -> None:
    send(cursor, "sluice_rows", rows)
    run(
        cursor,
        _PUBLISH,
        "insert_table" if partition is None else "insert_partition",
        target=quoted(address),
        columns=", ".join(identifier(column.name) for column in columns),
        selection=", ".join(f"{identifier(column.name)}::{cast_type(column)}" for column in columns),
    )


def _count(cursor: dbapi.Cursor, address: Address, partition: str | None) -> int:
    row = ask(cursor, _PUBLISH, "count_table" if partition is None else "count_partition", target=quoted(address))
    return int(row[0]) if row else 0


def _landed(
    cursor: dbapi.Cursor,
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
    }
    kinds = {int: pa.int64(), float: pa.float64()}
    return pa.table({key: pa.array([value], kinds.get(type(value), pa.string())) for key, value in record.items()})


def _label(address: Address, partition: str | None) -> str:
    return f"{address}, partition {partition}," if partition is not None else str(address)

"""What holding a batch, releasing it and rejecting it do within their transaction.

The good rows of an open hold lie in ``sluice_staging.hold_<id>``, in the types of the table they wait for, so that a
value which Postgres refuses is refused when it is staged. A release reads them back as the batch they were and hands
that to `postgres_publish.publish`; see ``sql/postgres/holds.sql``.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagster_sluice.contracts import Column, LogicalType
from dagster_sluice.errors import PublishError
from dagster_sluice.failpoints import failpoint
from dagster_sluice.warehouse import postgres_publish
from dagster_sluice.warehouse.held import closed, outrun, rejected_hash, told_columns
from dagster_sluice.warehouse.physical import EXACT, physical_of
from dagster_sluice.warehouse.postgres_exact import refuse_altered
from dagster_sluice.warehouse.postgres_sessions import Cursor, run, send
from dagster_sluice.warehouse.postgres_shape import identifier, refuse_names
from dagster_sluice.warehouse.rejects import rejected_table
from dagster_sluice.warehouse.requests import label
from dagster_sluice.warehouse.statements import statements
from dagster_sluice.warehouse.types import arrow_type, cast_type, postgres_type
from dagster_sluice.warehouse.values import (
    STAGING_SCHEMA,
    Address,
    Batch,
    Hold,
    Publication,
    RejectedRow,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_manager import dbapi

__all__ = ["hold", "reject", "release", "staged_rows", "supersede"]

_HOLDS = "holds"
_TEXTS = (LogicalType.STRING, LogicalType.OBJECT, LogicalType.ARRAY)


def hold(cursor: Cursor, batch: Batch) -> int:
    """Stage a batch; returns the number of its hold.

    Raises:
        PublishError: Somebody else published the partition since ``batch.base``.
    """
    refuse_names(batch.address, batch.columns)
    place = _place(batch.address, batch.partition)
    _ask(cursor, "lock", *place)
    failpoint("hold.locked")
    standing = _ask(cursor, "standing", *place)
    if (standing[0] if standing else None) != batch.base:
        raise PublishError(
            f"{label(batch.address, batch.partition)} was published by somebody else meanwhile.",
            mend="Run it again: it will be computed from what stands there now.",
        )
    fingerprint = batch.audit.contract_fingerprint
    sameness = (batch.content_hash, rejected_hash(batch), batch.base, fingerprint)
    standing_hold = _ask(cursor, "open", *place)
    if standing_hold is not None and standing_hold[1:] == sameness:
        number = int(standing_hold[0])
    else:
        number = _stage(cursor, batch)
        failpoint("hold.staged")
    _record_audit(cursor, batch, number)
    failpoint("hold.before_commit")
    return number


def supersede(cursor: Cursor, address: Address, partition: str | None, *, by: str) -> None:
    """Close the open hold of a partition, if there is one, because something newer came.

    Args:
        cursor: In a transaction that has the partition's lock.
        address: The table.
        partition: The partition.
        by: What came, in words.
    """
    found = _ask(cursor, "open", *_place(address, partition))
    if found is not None:
        _settle(cursor, int(found[0]), "superseded", by="", why=by, publication=None)


def release(cursor: Cursor, found: Hold, rows: pa.Table, *, by: str, why: str) -> Publication:
    """Publish what a hold staged.

    Args:
        cursor: In a transaction.
        found: The hold, as it was read before the transaction.
        rows: What it staged, read likewise.
        by: Who decides.
        why: Why.

    Raises:
        PublishError: It is not open any more, or somebody published the partition since its base.
    """
    _claim(cursor, found)
    failpoint("release.claimed")
    standing = _ask(cursor, "standing", *_place(found.address, found.partition))
    if standing is not None and standing[0] != found.base and standing[1] != found.content_hash:
        raise outrun(found)
    told = f"Released by {by} (hold {found.id}): {why}"
    publication = postgres_publish.publish(
        cursor,
        Batch(
            address=found.address,
            columns=found.columns,
            partition=found.partition,
            rows=rows,
            rejected=_rejected(cursor, found.id),
            content_hash=found.content_hash,
            base=found.base,
            audit=replace(found.audit, reasons=(*found.audit.reasons, told)),
            restored=_restored(cursor, found.id),
            computed_at=found.held_at - dt.timedelta(seconds=found.audit.seconds),
        ),
    )
    failpoint("release.published")
    _settle(cursor, found.id, "released", by=by, why=why, publication=publication.id)
    failpoint("release.before_commit")
    return publication


def reject(cursor: Cursor, found: Hold, *, by: str, why: str) -> None:
    """Give up what a hold staged.

    Raises:
        PublishError: It is not open any more.
    """
    _claim(cursor, found)
    _settle(cursor, found.id, "rejected", by=by, why=why, publication=None)
    failpoint("reject.before_commit")


def staged_rows(cursor: dbapi.Cursor, found: Hold, limit: int | None = None) -> pa.Table:
    """The rows of an open hold, in the types of its batch."""
    import pyarrow as pa

    run(
        cursor,
        _HOLDS,
        "staged",
        staging=_staging(found.id),
        selection=", ".join(map(_transported, found.columns)),
        limit="ALL" if limit is None else str(limit),
    )
    rows = cursor.fetch_arrow_table()
    return rows.cast(pa.schema([(column.name, arrow_type(column)) for column in found.columns]))


def _stage(cursor: Cursor, batch: Batch) -> int:
    audit = batch.audit
    supersede(cursor, batch.address, batch.partition, by="A newer batch was held.")
    made = _ask(
        cursor,
        "record",
        *_place(batch.address, batch.partition),
        told_columns(batch.columns),
        batch.content_hash,
        rejected_hash(batch),
        batch.base,
        "{" + ",".join(str(int(number)) for number in batch.restored) + "}",
        audit.contract_version,
        audit.contract_fingerprint,
        audit.code_version,
        audit.rows_in,
        batch.rows.num_rows,
        len(batch.rejected),
        audit.passed,
        audit.warned,
        audit.failed,
        audit.seconds,
        json.dumps(list(audit.results)),
        json.dumps(list(audit.reasons)),
        audit.run_id,
        audit.correlation_id,
    )
    assert made is not None
    number = int(made[0])
    failpoint("hold.recorded")
    send(cursor, "sluice_rows", batch.rows)
    refuse_altered(cursor, batch.address, batch.columns)
    shape = ", ".join(f"{identifier(column.name)} {postgres_type(column)}" for column in batch.columns)
    run(cursor, _HOLDS, "stage", staging=_staging(number), shape=shape)
    run(
        cursor,
        _HOLDS,
        "fill",
        staging=_staging(number),
        columns=", ".join(identifier(column.name) for column in batch.columns),
        selection=", ".join(f"{identifier(column.name)}::{cast_type(column)}" for column in batch.columns),
    )
    if batch.rejected:
        send(cursor, "sluice_rejected", rejected_table(batch.rejected))
        _run(cursor, "keep_rejected", number)
    return number


def _record_audit(cursor: Cursor, batch: Batch, number: int) -> None:
    audit = batch.audit
    _run(
        cursor,
        "audit",
        *_place(batch.address, batch.partition),
        number,
        audit.contract_version,
        audit.contract_fingerprint,
        audit.rows_in,
        audit.passed,
        audit.warned,
        audit.failed,
        audit.seconds,
        json.dumps(list(audit.results)),
        json.dumps(list(audit.reasons)),
        audit.run_id,
        audit.correlation_id,
    )


def _claim(cursor: Cursor, found: Hold) -> None:
    _ask(cursor, "lock", *_place(found.address, found.partition))
    now = _ask(cursor, "claim", found.id)
    if now is None or now[0] != "open":
        raise closed(found.id, *(now or ("forgotten",)))


def _settle(cursor: Cursor, number: int, status: str, *, by: str, why: str, publication: int | None) -> None:
    if _ask(cursor, "decide", number, status, by, why, publication) is None:
        raise closed(number, "decided")
    failpoint("hold.decided")
    _run(cursor, "forget_rejected", number)
    run(cursor, _HOLDS, "unstage", staging=_staging(number))


def _rejected(cursor: Cursor, number: int) -> list[RejectedRow]:
    _execute(cursor, "rejected", number)
    return [
        RejectedRow(payload=json.loads(payload), reasons=json.loads(reasons), occurrence=occurrence)
        for payload, reasons, occurrence in cursor.fetchall()
    ]


def _restored(cursor: Cursor, number: int) -> list[int]:
    _execute(cursor, "restored", number)
    return [int(row[0]) for row in cursor.fetchall()]


def _transported(column: Column) -> str:
    """A staged column as it is read: in the type in which it was sent."""
    name = identifier(column.name)
    physical = physical_of(column)
    if column.type in _TEXTS and physical is not None and physical.name not in EXACT[column.type]:
        # As Postgres prints it, which a cast to text does not always do: that of an inet adds /32.
        return f"CASE WHEN {name} IS NOT NULL THEN format('%s', {name}) END AS {name}"
    kind = "text" if column.type in _TEXTS else postgres_type(replace(column, physical_type=None))
    return f"{name}::{kind} AS {name}"


def _staging(number: int) -> str:
    return f"{identifier(STAGING_SCHEMA)}.{identifier(f'hold_{number}')}"


def _place(address: Address, partition: str | None) -> tuple[str, str, str | None]:
    return address.schema, address.table, partition


def _run(cursor: Cursor, name: str, *values: Any) -> None:
    _execute(cursor, name, *values)


def _ask(cursor: Cursor, name: str, *values: Any) -> tuple[Any, ...] | None:
    _execute(cursor, name, *values)
    rows = cursor.fetchall()
    return tuple(rows[0]) if rows else None


def _execute(cursor: Cursor, name: str, *values: Any) -> None:
    import pyarrow as pa

    kinds = {int: pa.int64(), float: pa.float64()}
    bound = {f"p{place}": pa.array([value], kinds.get(type(value), pa.string())) for place, value in enumerate(values)}
    cursor.execute(statements("postgres", _HOLDS)[name], pa.record_batch(bound))

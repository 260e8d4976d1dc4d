"""What a transaction needs to know, as tables that can be sent to a warehouse, and in the words of its refusals."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dagster_sluice.errors import PublishError
from dagster_sluice.warehouse.values import Address, AuditRecord, Replay, Result

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "changed_by_hand",
    "label",
    "numbers_table",
    "overtaken",
    "replayed_table",
    "request_table",
    "settled_before",
]


def request_table(
    address: Address,
    partition: str | None,
    audit: AuditRecord,
    *,
    content_hash: str = "",
    rows_published: int = 0,
    rows_quarantined: int = 0,
    computed_at: dt.datetime | None = None,
) -> pa.Table:
    """One row: the record of a batch, in the columns of the ledger."""
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


def replayed_table(request: Replay) -> pa.Table:
    """One row for each quarantined row: id, the payload that is added for it or the reasons why not, and why (text)."""
    import pyarrow as pa

    rows: list[tuple[int, str | None, str | None]] = []
    rows += [(number, json.dumps(payload), None) for number, payload in request.passed]
    rows += [(number, None, json.dumps(list(reasons))) for number, reasons in request.failed]
    return pa.table(
        {
            "id": pa.array([row[0] for row in rows], pa.int64()),
            "payload": pa.array([row[1] for row in rows], pa.string()),
            "reasons": pa.array([row[2] for row in rows], pa.string()),
            "why": pa.array([request.why] * len(rows), pa.string()),
        }
    )


def numbers_table(ids: Sequence[int]) -> pa.Table:
    """Numbers of the ledger's rows, in the column ``id``."""
    import pyarrow as pa

    return pa.table({"id": pa.array(list(ids), pa.int64())})


def label(address: Address, partition: str | None) -> str:
    """A partition in a sentence."""
    return f"{address}, partition {partition}," if partition is not None else str(address)


def overtaken(address: Address, partition: str | None, mend: str) -> PublishError:
    """The refusal of what was computed from a publication that is no longer current."""
    return PublishError(f"{label(address, partition)} was published by somebody else meanwhile.", mend=mend)


def settled_before(request: Replay) -> PublishError:
    """The refusal of a replay of rows that are not open any more."""
    return PublishError(
        f"Rows of {label(request.address, request.partition)} were replayed or discarded by somebody else meanwhile.",
        mend="Replay again: those that are still open will be taken.",
    )


def changed_by_hand(request: Replay, rows: int) -> PublishError:
    """The refusal of a replay into a partition that is not as it was published."""
    return PublishError(
        f"{label(request.address, request.partition)} does not hold the {rows:,} rows that were published:"
        " it was changed by hand.",
        mend="Materialize it first, then replay.",
    )

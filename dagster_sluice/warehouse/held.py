"""Holds as the ledger keeps them: what is written of a batch, what is read back, and what is said of one that is closed."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from dagster_sluice.contracts import Column, LogicalType
from dagster_sluice.errors import PublishError
from dagster_sluice.warehouse.rejects import identities
from dagster_sluice.warehouse.requests import label
from dagster_sluice.warehouse.values import Address, AuditRecord, Batch, Hold

__all__ = ["closed", "hold_of", "no_hold", "outrun", "rejected_hash", "told_columns"]


def hold_of(row: Sequence[Any]) -> Hold:
    """A row of the query ``holds`` as a value; its JSON as text or as what it holds."""
    return Hold(
        id=row[0],
        address=Address(schema=row[1], table=row[2]),
        partition=row[3],
        status=row[4],
        columns=tuple(_column(told) for told in _json(row[5])),
        content_hash=row[6],
        base=row[7],
        rows=row[8],
        rows_quarantined=row[9],
        held_at=row[10],
        publication=row[11],
        decided_by=row[12],
        why=row[13],
        decided_at=row[14],
        audit=AuditRecord(
            contract_version=row[15],
            contract_fingerprint=row[16],
            code_version=row[17],
            rows_in=row[18],
            passed=row[19],
            warned=row[20],
            failed=row[21],
            seconds=row[22],
            results=tuple(_json(row[23])),
            reasons=tuple(_json(row[24])),
            run_id=row[25],
            correlation_id=row[26],
        ),
    )


def told_columns(columns: Sequence[Column]) -> str:
    """Columns as JSON, without what only a contract knows of them."""
    return json.dumps(
        [
            {
                "name": column.name,
                "type": column.type.value,
                "physical_type": column.physical_type,
                "required": column.required,
                "classification": column.classification,
                "timezone": column.timezone,
            }
            for column in columns
        ]
    )


def rejected_hash(batch: Batch) -> str:
    """Hash of the rows to quarantine, whatever their order."""
    return hashlib.sha256(json.dumps(sorted(identities(batch.rejected))).encode()).hexdigest()


def no_hold(number: int) -> PublishError:
    """What is said of a hold that is not there."""
    return PublishError(f"There is no hold {number}.", mend="`sluice hold list` shows the open ones.")


def closed(number: int, status: str, by: str = "", at: dt.datetime | None = None) -> PublishError:
    """What is said of a hold that is not open any more."""
    who = f" by {by}" if by else ""
    when = f" at {at.isoformat(timespec='seconds')}" if at else ""
    return PublishError(
        f"Hold {number} is not open any more: it was {status}{who}{when}. Nothing has changed.",
        mend="`sluice hold list` shows the open ones.",
    )


def outrun(found: Hold) -> PublishError:
    """The refusal of a release onto something that nobody compared it with."""
    return PublishError(
        f"{label(found.address, found.partition)} was published since hold {found.id} was staged,"
        " so that it would replace what nobody compared it with.",
        mend=f"Materialize it again, which holds or publishes anew, or reject hold {found.id}.",
    )


def _column(told: Mapping[str, Any]) -> Column:
    return Column(**{**told, "type": LogicalType(told["type"])})


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value

"""Rows of the ledger as values, their columns in the order of ``queries.sql``; JSON as text or as what it holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dagster_sluice.errors import Culprit, TableError
from dagster_sluice.warehouse.values import (
    Address,
    Audit,
    AuditDetail,
    Mended,
    Publication,
    QuarantineCount,
    QuarantinedRow,
    Result,
    TableStatus,
)

__all__ = [
    "audit",
    "audit_detail",
    "known_numbers",
    "mended",
    "no_table",
    "publication",
    "quarantine_count",
    "quarantined_row",
    "refuse_absent",
    "table_status",
]


def known_numbers(ids: Sequence[int]) -> list[int]:
    """Without those that no bigint can be: there is no such row."""
    return [number for number in ids if 0 < number < 2**63]


def publication(address: Address, row: Sequence[Any]) -> Publication:
    """A row of ``current``."""
    return Publication(
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


def audit(row: Sequence[Any]) -> Audit:
    """A row of ``audits``."""
    return Audit(
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
        reasons=tuple(_json(row[12])),
        hold=row[13],
    )


def audit_detail(address: Address, row: Sequence[Any]) -> AuditDetail:
    """A row of ``history``."""
    return AuditDetail(
        address=address,
        id=row[0],
        partition=row[1],
        result=Result(row[2]),
        rows_in=row[3],
        rows_published=row[4],
        rows_quarantined=row[5],
        passed=row[6],
        warned=row[7],
        failed=row[8],
        seconds=row[9],
        judged_at=row[10],
        reasons=tuple(_json(row[11])),
        run_id=row[12],
        correlation_id=row[13],
        contract_version=row[14],
        contract_fingerprint=row[15],
        publication=row[16],
        results=tuple(_json(row[17])),
    )


def table_status(row: Sequence[Any]) -> TableStatus:
    """A row of ``tables``."""
    return TableStatus(
        address=Address(schema=row[0], table=row[1]),
        partitions=row[2],
        rows=row[3],
        rows_quarantined=row[4],
        last_publish=row[5],
        first_partition=row[6],
        last_partition=row[7],
    )


def quarantined_row(row: Sequence[Any]) -> QuarantinedRow:
    """A row of ``quarantined`` or ``quarantine_rows``."""
    return QuarantinedRow(
        id=row[0],
        address=Address(schema=row[1], table=row[2]),
        partition=row[3],
        payload=_json(row[4]),
        reasons=_json(row[5]),
        status=row[6],
        run_id=row[7],
        correlation_id=row[8],
        first_seen=row[9],
        last_seen=row[10],
        replacement=_json(row[11]),
        publication=row[12],
        why=row[13],
        settled_at=row[14],
    )


def quarantine_count(row: Sequence[Any]) -> QuarantineCount:
    """A row of ``quarantine_counts``, ``counted``, ``prunable`` or ``prune``."""
    return QuarantineCount(
        address=Address(schema=row[0], table=row[1]), status=row[2], rows=row[3], oldest=row[4], newest=row[5]
    )


def mended(row: Sequence[Any]) -> Mended:
    """A row of ``mended``."""
    return Mended(id=row[0], row_hash=row[1], occurrence=row[2], payload=_json(row[3]))


def no_table(address: Address) -> TableError:
    """What is said of a table that is not there."""
    return TableError(f"There is no table {address} in the warehouse.", mend="Materialize it first.")


def refuse_absent(address: Address, absent: Sequence[str]) -> None:
    """Refuse what names columns that are not there.

    Raises:
        TableError: Every such column.
    """
    if absent:
        raise TableError(
            f"{address} lacks columns that are asked for.",
            culprits=[Culprit(where=f"column {name!r}", problem="is not in the warehouse.") for name in absent],
        )


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value

"""Where tables live: one port, one adapter per database."""

from __future__ import annotations

from dagster_sluice.warehouse.port import Warehouse
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
    RejectedRow,
    Replay,
    Result,
    Stopped,
    TableStatus,
)

__all__ = [
    "PARTITION_COLUMN",
    "Address",
    "Audit",
    "AuditDetail",
    "AuditRecord",
    "Batch",
    "Hold",
    "Ledger",
    "Mended",
    "Publication",
    "QuarantineCount",
    "QuarantinedRow",
    "RejectedRow",
    "Replay",
    "Result",
    "Stopped",
    "TableStatus",
    "Warehouse",
]

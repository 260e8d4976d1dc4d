"""Where tables live: one port, one adapter per database."""

from __future__ import annotations

from dagster_sluice.warehouse.port import Warehouse
from dagster_sluice.warehouse.values import (
    PARTITION_COLUMN,
    Address,
    Audit,
    AuditRecord,
    Batch,
    Mended,
    Publication,
    QuarantineCount,
    QuarantinedRow,
    RejectedRow,
    Replay,
    Result,
    TableStatus,
)

__all__ = [
    "PARTITION_COLUMN",
    "Address",
    "Audit",
    "AuditRecord",
    "Batch",
    "Mended",
    "Publication",
    "QuarantineCount",
    "QuarantinedRow",
    "RejectedRow",
    "Replay",
    "Result",
    "TableStatus",
    "Warehouse",
]

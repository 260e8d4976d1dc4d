"""What is said of a quarantined row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster_sluice.warehouse import QuarantinedRow

__all__ = ["reason_text", "whole_row"]


def reason_text(reason: Mapping[str, Any]) -> str:
    """One reason in a few words: the expectation, and the value that broke it."""
    text = str(reason.get("expectation"))
    if "column" in reason:
        text += f" ({reason['column']}={reason.get('value')!r})"
    if reason.get("why"):
        text += f" {reason['why']}"
    return text


def whole_row(row: QuarantinedRow) -> dict[str, Any]:
    """All that is known of a row, in JSON's types."""
    return {
        "id": row.id,
        "table": str(row.address),
        "partition": row.partition,
        "status": row.status,
        "reasons": [dict(reason) for reason in row.reasons],
        "payload": dict(row.payload),
        "run_id": row.run_id,
        "correlation_id": row.correlation_id,
        "first_seen": row.first_seen.isoformat(),
        "last_seen": row.last_seen.isoformat(),
        "replacement": None if row.replacement is None else dict(row.replacement),
        "publication": row.publication,
        "why": row.why or None,
        "settled_at": row.settled_at.isoformat() if row.settled_at else None,
    }

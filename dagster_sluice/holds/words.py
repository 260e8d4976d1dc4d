"""What is said of a batch that waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster_sluice.contracts import Contract
from dagster_sluice.tables.naming import masked_columns
from dagster_sluice.warehouse import Hold, Publication

__all__ = ["MASK", "against_published", "failed", "hidden_columns", "place", "whole_hold"]

MASK = "•••"


def place(hold: Hold) -> str:
    """The table, and the partition if there is one."""
    return f"{hold.address}{'' if hold.partition is None else f' [{hold.partition}]'}"


def failed(hold: Hold) -> list[dict[str, Any]]:
    """The promises that the batch breaks, with counts; values may be personal, and are left out."""
    return [
        {
            "expectation": result["name"],
            "policy": result["policy"],
            "failing_rows": result.get("unexpected_count"),
            "of_rows": result.get("element_count"),
        }
        for result in hold.audit.results
        if not result["success"]
    ]


def hidden_columns(hold: Hold) -> set[str]:
    """The columns whose values nobody is shown."""
    return masked_columns(Contract(table=hold.address.table, columns=hold.columns))


def against_published(hold: Hold, standing: Publication | None) -> dict[str, Any]:
    """The counts of the batch beside those of what is published now, and whether it can be released.

    Args:
        hold: The hold.
        standing: What is published in its partition now.
    """
    published = standing.rows_published if standing else 0
    stale = standing is not None and standing.id != hold.base and standing.content_hash != hold.content_hash
    return {
        "rows_held": hold.rows,
        "rows_published_now": published if standing else None,
        "difference": hold.rows - published,
        "rows_to_quarantine": hold.rows_quarantined,
        "rows_in_quarantine_now": standing.rows_quarantined if standing else None,
        "same_content": standing is not None and standing.content_hash == hold.content_hash,
        "can_be_released": hold.status == "open" and not stale,
    }


def whole_hold(hold: Hold) -> dict[str, Any]:
    """All that is known of a hold, in JSON's types, without values of its rows."""
    audit = hold.audit
    told: Mapping[str, Any] = {
        "id": hold.id,
        "table": str(hold.address),
        "partition": hold.partition,
        "status": hold.status,
        "reasons": list(audit.reasons),
        "failed": failed(hold),
        "rows_in": audit.rows_in,
        "rows_held": hold.rows,
        "rows_to_quarantine": hold.rows_quarantined,
        "held_at": hold.held_at.isoformat(),
        "run_id": audit.run_id,
        "correlation_id": audit.correlation_id,
        "contract_version": audit.contract_version,
        "base": hold.base,
        "publication": hold.publication,
        "decided_by": hold.decided_by or None,
        "why": hold.why or None,
        "decided_at": hold.decided_at.isoformat() if hold.decided_at else None,
    }
    return dict(told)

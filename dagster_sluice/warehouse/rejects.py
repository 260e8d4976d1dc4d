"""Rows to quarantine as a table that can be sent to a warehouse."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dagster_sluice.warehouse.values import RejectedRow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["identities", "rejected_table"]


def identities(rejected: Sequence[RejectedRow]) -> list[tuple[str, int]]:
    """What each row is known by: ``row_hash`` and ``occurrence``.

    ``row_hash`` is that of the payload alone, so that a row is the same row when it comes again; ``occurrence`` counts
    equal rows within one batch from 1, unless the row has been given one.
    """
    seen: Counter[str] = Counter()
    found = []
    for row in rejected:
        digest = hashlib.sha256(_payload(row).encode()).hexdigest()
        seen[digest] += 1
        found.append((digest, row.occurrence or seen[digest]))
    return found


def rejected_table(rejected: Sequence[RejectedRow]) -> pa.Table:
    """Rejected rows × (row_hash, occurrence, payload, reasons), all text but ``occurrence`` (int32)."""
    import pyarrow as pa

    known = identities(rejected)
    reasons = [json.dumps(list(row.reasons), ensure_ascii=True) for row in rejected]
    return pa.table(
        {
            "row_hash": pa.array([digest for digest, _ in known], pa.string()),
            "occurrence": pa.array([occurrence for _, occurrence in known], pa.int32()),
            "payload": pa.array([_payload(row) for row in rejected], pa.string()),
            "reasons": pa.array(reasons, pa.string()),
        }
    )


def _payload(row: RejectedRow) -> str:
    return json.dumps(row.payload, sort_keys=True, ensure_ascii=True)

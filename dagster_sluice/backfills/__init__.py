"""Backfills: find the gaps, plan within a budget, launch, learn from failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_sluice.lazy import lazily

if TYPE_CHECKING:
    from dagster_sluice.backfills.attempts import RetryRules
    from dagster_sluice.backfills.budget import Budget, Hours, Order
    from dagster_sluice.backfills.circuit import CircuitRules
    from dagster_sluice.backfills.schedule import late_data_backfill, nightly_backfill
    from dagster_sluice.backfills.tables import TableRules

__all__ = [
    "Budget",
    "CircuitRules",
    "Hours",
    "Order",
    "RetryRules",
    "TableRules",
    "late_data_backfill",
    "nightly_backfill",
]

_HOMES = {
    "Budget": "budget",
    "CircuitRules": "circuit",
    "Hours": "budget",
    "Order": "budget",
    "RetryRules": "attempts",
    "TableRules": "tables",
    "late_data_backfill": "schedule",
    "nightly_backfill": "schedule",
}

__getattr__ = lazily(__name__, _HOMES)

"""When assets that are not in a ledger of ours were materialized: from Dagster's event log, in bulk."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import dagster as dg

from dagster_sluice.tables.asset_events import log_table, moments

__all__ = ["materialized_since"]


def materialized_since(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetKey], since: dt.datetime
) -> dict[dg.AssetKey, dict[str, list[int]]]:
    """Every materialization of these assets since a moment, by partition, in order. One query."""
    import sqlalchemy as sa

    log = log_table()
    statement = (
        sa.select(log.c.asset_key, log.c.partition, log.c.timestamp)
        .where(log.c.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value)
        .where(log.c.asset_key.in_([key.to_string() for key in keys]))
        .where(log.c.timestamp >= since.astimezone(dt.timezone.utc).replace(tzinfo=None))
        .order_by(log.c.timestamp)
    )
    found: dict[dg.AssetKey, dict[str, list[int]]] = {key: {} for key in keys}
    for key, partition, at in moments(instance, statement, keys):
        found[key].setdefault(partition, []).append(at)
    return found

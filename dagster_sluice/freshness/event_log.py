"""When assets that are not in a ledger of ours were materialized: from Dagster's event log, in bulk.

The table read here is Dagster's; its shape is pinned in ``tests/upstream/test_dagster_backfills.py``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

import dagster as dg

from dagster_sluice.errors import SettingError
from dagster_sluice.freshness.zones import micro

__all__ = ["first_materialized", "materialized_since"]

First = dict[dg.AssetKey, dict[str, int]]


def first_materialized(instance: dg.DagsterInstance, keys: Collection[dg.AssetKey]) -> First:
    """When each partition of these assets was first materialized, in microseconds since 1970. One query."""
    import sqlalchemy as sa

    log = _log()
    statement = (
        sa.select(log.c.asset_key, log.c.partition, sa.func.min(log.c.timestamp))
        .where(log.c.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value)
        .where(log.c.asset_key.in_([key.to_string() for key in keys]))
        .group_by(log.c.asset_key, log.c.partition)
    )
    found: First = {key: {} for key in keys}
    for key, partition, at in _rows(instance, statement, keys):
        found[key][partition] = at
    return found


def materialized_since(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetKey], since: dt.datetime
) -> dict[dg.AssetKey, dict[str, list[int]]]:
    """Every materialization of these assets since a moment, by partition, in order. One query."""
    import sqlalchemy as sa

    log = _log()
    statement = (
        sa.select(log.c.asset_key, log.c.partition, log.c.timestamp)
        .where(log.c.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value)
        .where(log.c.asset_key.in_([key.to_string() for key in keys]))
        .where(log.c.timestamp >= since.astimezone(dt.timezone.utc).replace(tzinfo=None))
        .order_by(log.c.timestamp)
    )
    found: dict[dg.AssetKey, dict[str, list[int]]] = {key: {} for key in keys}
    for key, partition, at in _rows(instance, statement, keys):
        found[key].setdefault(partition, []).append(at)
    return found


def _log() -> Any:
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

    return SqlEventLogStorageTable


def _rows(
    instance: dg.DagsterInstance, statement: Any, keys: Collection[dg.AssetKey]
) -> list[tuple[dg.AssetKey, str, int]]:
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

    if not keys:
        return []
    storage = instance.event_log_storage
    storage = getattr(storage, "event_log_storage", storage)
    if not isinstance(storage, SqlEventLogStorage):
        raise SettingError(
            f"Dagster's storage is a {type(storage).__name__}, and its event log cannot be read in bulk.",
            mend="Use Dagster's Postgres storage.",
        )
    with storage.index_connection() as connection:
        rows: list[Any] = list(connection.execute(statement).fetchall())
    found = []
    for asset, partition, at in rows:
        key = dg.AssetKey.from_db_string(asset)
        if key is not None:
            # The column has no time zone; what stands there is UTC.
            found.append((key, partition or "", micro(at.replace(tzinfo=dt.timezone.utc))))
    return found

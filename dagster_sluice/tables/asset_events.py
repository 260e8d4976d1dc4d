"""Dagster's event log, asked about the partitions of many assets at once.

The table read here is Dagster's; its shape is pinned in ``tests/upstream/test_dagster_backfills.py``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

import dagster as dg

from dagster_sluice.errors import SettingError

__all__ = ["log_table", "materialized", "moments"]

_MICROSECONDS = 1_000_000


def log_table() -> Any:
    """The table of events, for a statement."""
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

    return SqlEventLogStorageTable


def materialized(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetKey], *, first: bool = False
) -> dict[dg.AssetKey, dict[str, int]]:
    """When each partition of these assets was last materialized, or first. One query.

    Args:
        instance: Whose event log it is.
        keys: The assets; each is in what is returned.
        first: The first time, and not the last.

    Returns:
        By asset and partition (the empty key for none) a moment, in microseconds since 1970.
    """
    import sqlalchemy as sa

    log = log_table()
    chosen = sa.func.min if first else sa.func.max
    statement = (
        sa.select(log.c.asset_key, log.c.partition, chosen(log.c.timestamp))
        .where(log.c.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value)
        .where(log.c.asset_key.in_([key.to_string() for key in keys]))
        .group_by(log.c.asset_key, log.c.partition)
    )
    found: dict[dg.AssetKey, dict[str, int]] = {key: {} for key in keys}
    for key, partition, moment in moments(instance, statement, keys):
        found[key][partition] = moment
    return found


def moments(
    instance: dg.DagsterInstance, statement: Any, keys: Collection[dg.AssetKey]
) -> list[tuple[dg.AssetKey, str, int]]:
    """What a statement finds: asset, partition (the empty key for none) and moment (microseconds since 1970). One query.

    Args:
        instance: Whose event log it is.
        statement: Selects an asset's key, a partition and a timestamp.
        keys: The assets that are asked about; without any, nothing is asked.

    Raises:
        SettingError: The storage has no one event log in SQL.
    """
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
            moment = round(at.replace(tzinfo=dt.timezone.utc).timestamp() * _MICROSECONDS)
            found.append((key, partition or "", moment))
    return found

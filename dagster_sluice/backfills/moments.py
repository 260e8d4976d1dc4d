"""Dagster's own clock: the last partition that there was at a moment.

Dagster has no public way to ask for it; pinned in ``tests/upstream/test_dagster_backfills.py``.
"""

from __future__ import annotations

import datetime as dt

import dagster as dg

__all__ = ["last_key"]


def last_key(definition: dg.TimeWindowPartitionsDefinition, now: dt.datetime) -> str | None:
    """The newest partition at ``now``; ``None`` before the first. Takes microseconds, however many there are."""
    from dagster._core.definitions.partitions.context import partition_loading_context

    with partition_loading_context(effective_dt=now):
        return definition.get_last_partition_key()

"""What Dagster's event log and runs say of many partitions at once, in a few queries.

Dagster's own calls ask per asset and give no times, or take milliseconds per partition.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from typing import Any

import dagster as dg

from dagster_sluice.backfills.evidence import Attempt, Trouble
from dagster_sluice.tables.asset_events import log_table, moments
from dagster_sluice.tables.failing import ERROR

__all__ = ["Happenings", "attempts_of", "in_flight", "observed_changes"]

_DATA_VERSION = "dagster/data_version"
_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"
_PARTITION = "dagster/partition"
_BACKFILL = "dagster/backfill"
_MICROSECONDS = 1_000_000

Happenings = dict[dg.AssetKey, dict[str, int]]
"""By asset and partition (the empty key for none) a moment, in microseconds since 1970."""


def observed_changes(instance: dg.DagsterInstance, keys: Collection[dg.AssetKey]) -> Happenings:
    """When the data version of each partition of these assets was last seen to change. One query.

    The first observation is a change too: before it, nothing was known.
    """
    import sqlalchemy as sa
    from dagster._core.storage.event_log.schema import AssetEventTagsTable

    log, tags = log_table(), AssetEventTagsTable
    before = sa.func.lag(tags.c.value).over(partition_by=(log.c.asset_key, log.c.partition), order_by=log.c.id)
    versions = (
        sa.select(log.c.asset_key, log.c.partition, log.c.timestamp, tags.c.value, before.label("before"))
        .join(tags, tags.c.event_id == log.c.id)
        .where(tags.c.key == _DATA_VERSION)
        .where(log.c.dagster_event_type == dg.DagsterEventType.ASSET_OBSERVATION.value)
        .where(log.c.asset_key.in_([key.to_string() for key in keys]))
        .subquery()
    )
    statement = (
        sa.select(versions.c.asset_key, versions.c.partition, sa.func.max(versions.c.timestamp))
        .where(sa.or_(versions.c.before.is_(None), versions.c.before != versions.c.value))
        .group_by(versions.c.asset_key, versions.c.partition)
    )
    found: Happenings = {key: {} for key in keys}
    for key, partition, moment in moments(instance, statement, keys):
        found[key][partition] = moment
    return found


def in_flight(instance: dg.DagsterInstance) -> Iterator[tuple[dg.AssetKey, str, str]]:
    """The assets that a run is making, with the first and the last partition of each; empty keys for none."""
    going = [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    for run in instance.get_runs(dg.RunsFilter(statuses=going)):
        first, last = _span(run)
        for key in run.asset_selection or ():
            yield key, first, last


def attempts_of(instance: dg.DagsterInstance, backfill_id: str) -> list[Attempt]:
    """The runs of a backfill that have ended, the oldest first, with what went wrong in them."""
    found = instance.get_run_records(dg.RunsFilter(tags={_BACKFILL: backfill_id}), ascending=True)
    return [_attempt(instance, record) for record in found if record.dagster_run.is_finished]


def _attempt(instance: dg.DagsterInstance, record: Any) -> Attempt:
    run = record.dagster_run
    first, last = _span(run)
    failures: dict[dg.AssetKey, Trouble] = {}
    begun: set[dg.AssetKey] = set()
    message = None
    kinds = {
        dg.DagsterEventType.STEP_START,
        dg.DagsterEventType.STEP_FAILURE,
        dg.DagsterEventType.RUN_FAILURE,
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    }
    keys_of: dict[str, set[dg.AssetKey]] = {}
    events = [
        one.event_log_entry.dagster_event for one in instance.get_records_for_run(run.run_id, of_type=kinds).records
    ]
    for event in events:
        if event and event.is_asset_materialization_planned and event.step_key and event.asset_key:
            keys_of.setdefault(event.step_key, set()).add(event.asset_key)
    for event in events:
        if event is None:
            continue
        if event.event_type is dg.DagsterEventType.STEP_START:
            begun |= keys_of.get(event.step_key or "", set())
        elif event.event_type is dg.DagsterEventType.STEP_FAILURE:
            failures.update(dict.fromkeys(keys_of.get(event.step_key or "", set()), _why(event.step_failure_data)))
        elif event.event_type is dg.DagsterEventType.RUN_FAILURE:
            message = event.message or "The run failed."
    ended = record.end_time or record.update_timestamp.timestamp()
    return Attempt(
        tables=_names(frozenset(run.asset_selection or ()).union(*keys_of.values())),
        first=first,
        last=last,
        ended_at=dt.datetime.fromtimestamp(ended, dt.timezone.utc),
        canceled=run.status is dg.DagsterRunStatus.CANCELED,
        begun=_names(begun),
        troubles={key.to_user_string(): trouble for key, trouble in failures.items()},
        died=message,
    )


def _names(keys: Collection[dg.AssetKey]) -> frozenset[str]:
    return frozenset(key.to_user_string() for key in keys)


def _why(data: Any) -> Trouble:
    names: list[str] = []
    error = data.error
    innermost = error
    while error is not None:
        names.append(str(error.cls_name))
        innermost, error = error, error.cause
    told = data.user_failure_data
    if told is not None:
        if (kind := told.metadata.get(ERROR)) is not None:
            names.append(str(kind.value))
        elif "sluice/blocked" in told.metadata and not told.metadata.get("sluice/raised"):
            names.append("Blocked")
    message = (told.description if told else None) or (innermost.message if innermost else "") or ""
    each = told is not None and "sluice/raised" in told.metadata
    return Trouble(names=tuple(names), message=message, each=each)


def _span(run: dg.DagsterRun) -> tuple[str, str]:
    one = run.tags.get(_PARTITION)
    if one is not None:
        return one, one
    return run.tags.get(_RANGE_START, ""), run.tags.get(_RANGE_END, "")

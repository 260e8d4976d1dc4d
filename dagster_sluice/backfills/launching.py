"""Launch a real Dagster backfill, and ask how it stands.

Dagster has no public way to do it from library code; the private names that it takes are used here and nowhere else,
and pinned in ``tests/upstream/test_dagster_backfills.py``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
    from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

__all__ = [
    "BackfillState",
    "backfill_state",
    "cancel_backfill",
    "daemon_seen",
    "end_backfill",
    "launch",
    "was_canceled",
]

_LONGEST_RUN = dt.timedelta(days=1)
"""A run that the daemon launched and that has not ended by then is marked as failed. If its process went away with the
code server that started it, nobody else would: its partitions would stay taken for ever."""


class BackfillState(str, Enum):
    """How a backfill stands."""

    ABSENT = "absent"
    OPEN = "open"
    CANCELING = "canceling"
    ENDED = "ended"


def launch(
    instance: dg.DagsterInstance,
    graph: BaseAssetGraph[Any],
    *,
    backfill_id: str,
    partitions: Mapping[dg.AssetKey, Sequence[str]],
    at: dt.datetime,
    tags: Mapping[str, str],
    title: str,
    description: str,
    requested: bool = False,
) -> None:
    """Add a backfill, which the UI shows and cancels, and which the daemon runs. Doing it again changes nothing.

    Args:
        instance: Dagster's instance.
        graph: The assets.
        backfill_id: Its id, chosen by the caller so that a launch can be repeated.
        partitions: What to make; the empty key for an asset without partitions.
        at: The moment of launching, with a time zone.
        tags: Of the backfill and of its runs.
        title: Shown in the UI.
        description: Shown in the UI.
        requested: Its runs exist already, so the daemon only looks how they end.
    """
    from dagster._core.execution.backfill import PartitionBackfill

    if backfill_state(instance, backfill_id) is not BackfillState.ABSENT:
        return
    subset = _subset(graph, partitions)
    if not requested and not instance.run_monitoring_max_runtime_seconds:
        tags = {"dagster/max_runtime": str(round(_LONGEST_RUN.total_seconds())), **tags}
    backfill = PartitionBackfill.from_asset_graph_subset(
        backfill_id=backfill_id,
        backfill_timestamp=at.timestamp(),
        tags=dict(tags),
        dynamic_partitions_store=instance,
        asset_graph_subset=subset,
        title=title,
        description=description,
        run_config=None,
    )
    data = backfill.asset_backfill_data
    if requested and data is not None:
        asked = data.replace_requested_subset(subset).with_requested_runs_for_target_roots(
            requested_runs_for_target_roots=True
        )
        backfill = backfill._replace(asset_backfill_data=asked)
    instance.add_backfill(backfill)


def backfill_state(instance: dg.DagsterInstance, backfill_id: str) -> BackfillState:
    """How a backfill stands."""
    from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionStatus

    found = instance.get_backfill(backfill_id)
    if found is None:
        return BackfillState.ABSENT
    if found.status in BULK_ACTION_TERMINAL_STATUSES:
        return BackfillState.ENDED
    return BackfillState.CANCELING if found.status is BulkActionStatus.CANCELING else BackfillState.OPEN


def was_canceled(instance: dg.DagsterInstance, backfill_id: str) -> bool:
    """Whether a backfill ended because somebody wanted it to."""
    from dagster._core.execution.backfill import BulkActionStatus

    found = instance.get_backfill(backfill_id)
    return found is not None and found.status is BulkActionStatus.CANCELED


def daemon_seen(instance: dg.DagsterInstance) -> dt.datetime | None:
    """When the daemon that runs backfills last gave a sign of life; ``None`` if it never did."""
    found = instance.get_daemon_heartbeats().get("BACKFILL")
    return None if found is None else dt.datetime.fromtimestamp(found.timestamp, dt.timezone.utc)


def cancel_backfill(instance: dg.DagsterInstance, backfill_id: str) -> bool:
    """Ask for the end of a backfill, as the UI does; whether it was under way."""
    from dagster._core.execution.backfill import BulkActionStatus

    found = instance.get_backfill(backfill_id)
    if found is None or backfill_state(instance, backfill_id) is not BackfillState.OPEN:
        return False
    instance.update_backfill(found._replace(status=BulkActionStatus.CANCELING))
    return True


def end_backfill(
    instance: dg.DagsterInstance,
    graph: BaseAssetGraph[Any],
    backfill_id: str,
    *,
    done: Mapping[dg.AssetKey, Sequence[str]],
    canceled: bool,
    at: dt.datetime,
) -> None:
    """Write down how a backfill whose runs we started ourselves has ended, unless somebody did.

    Args:
        instance: Dagster's instance.
        graph: The assets.
        backfill_id: The backfill.
        done: What was made; all else of it failed.
        canceled: A person ended it.
        at: When, with a time zone.
    """
    from dagster._core.execution.backfill import BulkActionStatus

    found = instance.get_backfill(backfill_id)
    if found is None or backfill_state(instance, backfill_id) is BackfillState.ENDED:
        return
    data = found.asset_backfill_data
    good = True
    if data is not None:
        made = _subset(graph, done)
        left = data.target_subset - made
        good = left.is_empty
        data = data._replace(materialized_subset=made, failed_and_downstream_subset=left)
    status = BulkActionStatus.COMPLETED_SUCCESS if good else BulkActionStatus.COMPLETED_FAILED
    if canceled:
        status = BulkActionStatus.CANCELED
    ended = found._replace(asset_backfill_data=data, status=status).with_end_timestamp(at.timestamp())
    instance.update_backfill(ended)


def _subset(graph: BaseAssetGraph[Any], partitions: Mapping[dg.AssetKey, Sequence[str]]) -> AssetGraphSubset:
    from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset

    definitions: dict[dg.AssetKey, Any] = {key: graph.get(key).partitions_def for key in partitions}
    subset: Any = AssetGraphSubset
    return subset(  # type: ignore[no-any-return]
        partitions_subsets_by_asset_key={
            key: definition.empty_subset().with_partition_keys(partitions[key])
            for key, definition in definitions.items()
            if definition is not None
        },
        non_partitioned_asset_keys={key for key, definition in definitions.items() if definition is None},
    )

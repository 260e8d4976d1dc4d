"""What the launcher and the gap finder take from Dagster that it does not promise: decision 13 rests on it."""

import datetime as dt

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionStatus, PartitionBackfill
from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

DAILY = dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-03-05")
NOW = dt.datetime(2026, 4, 1, tzinfo=dt.timezone.utc)


@dg.asset(partitions_def=DAILY)
def days() -> None: ...


@dg.asset
def whole() -> None: ...


GRAPH = dg.Definitions(assets=[days, whole]).get_repository_def().asset_graph


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def subset(*keys):
    return AssetGraphSubset(
        partitions_subsets_by_asset_key={days.key: DAILY.empty_subset().with_partition_keys(keys)},
        non_partitioned_asset_keys={whole.key},
    )


def backfill(instance, target):
    return PartitionBackfill.from_asset_graph_subset(
        backfill_id="ours",
        backfill_timestamp=NOW.timestamp(),
        tags={"sluice/plan": "1"},
        dynamic_partitions_store=instance,
        asset_graph_subset=target,
        title="title",
        description="words",
        run_config=None,
    )


def test_a_backfill_of_some_partitions_is_stored_and_read_back(instance):
    instance.add_backfill(backfill(instance, subset("2026-03-02", "2026-03-04")))
    (found,) = instance.get_backfills()
    assert (found.status, found.is_asset_backfill, found.tags) == (
        BulkActionStatus.REQUESTED,
        True,
        {"sluice/plan": "1"},
    )
    assert set(found.asset_backfill_data.target_subset.iterate_asset_partitions()) == set(
        subset("2026-03-02", "2026-03-04").iterate_asset_partitions()
    )
    assert found.status not in BULK_ACTION_TERMINAL_STATUSES


def test_a_backfill_whose_runs_exist_is_one_with_everything_requested(instance):
    target = subset("2026-03-02")
    made = backfill(instance, target)
    data = made.asset_backfill_data.replace_requested_subset(target)
    data = data.with_requested_runs_for_target_roots(requested_runs_for_target_roots=True)
    instance.add_backfill(made._replace(asset_backfill_data=data))
    found = instance.get_backfill("ours").asset_backfill_data
    assert found.requested_runs_for_target_roots
    assert found.requested_subset.num_partitions_and_non_partitioned_assets == 2


def test_a_backfill_is_ended_by_what_it_says_of_itself(instance):
    instance.add_backfill(backfill(instance, subset("2026-03-02")))
    found = instance.get_backfill("ours")
    data = found.asset_backfill_data._replace(materialized_subset=subset("2026-03-02"))
    ended = found._replace(asset_backfill_data=data, status=BulkActionStatus.COMPLETED_SUCCESS)
    instance.update_backfill(ended.with_end_timestamp(NOW.timestamp()))
    found = instance.get_backfill("ours")
    assert found.status in BULK_ACTION_TERMINAL_STATUSES
    assert found.asset_backfill_data.get_targeted_partitions_without_materialization_status().is_empty


def test_the_last_partition_at_a_moment():
    with partition_loading_context(effective_dt=dt.datetime(2026, 3, 3, 12, tzinfo=dt.timezone.utc)):
        assert DAILY.get_last_partition_key() == "2026-03-02"
    with partition_loading_context(effective_dt=dt.datetime(2026, 2, 1, tzinfo=dt.timezone.utc)):
        assert DAILY.get_last_partition_key() is None


def test_the_event_log_is_a_table_with_these_columns_in_utc(instance):
    instance.report_runless_asset_event(dg.AssetMaterialization(days.key, partition="2026-03-02"))
    instance.report_runless_asset_event(
        dg.AssetObservation("source", partition="x", tags={"dagster/data_version": "v1"})
    )
    storage = instance.event_log_storage
    assert isinstance(getattr(storage, "event_log_storage", storage), SqlEventLogStorage)
    with storage.index_connection() as connection:
        rows = connection.execute(SqlEventLogStorageTable.select()).mappings().all()
        (tag,) = [
            row
            for row in connection.execute(AssetEventTagsTable.select()).mappings()
            if row["key"] == "dagster/data_version"
        ]
    made, seen = rows
    assert (made["dagster_event_type"], made["asset_key"], made["partition"]) == (
        "ASSET_MATERIALIZATION",
        '["days"]',
        "2026-03-02",
    )
    assert made["timestamp"].tzinfo is None
    assert abs(made["timestamp"].replace(tzinfo=dt.timezone.utc) - dt.datetime.now(dt.timezone.utc)) < dt.timedelta(
        hours=1
    )
    assert (seen["dagster_event_type"], tag["event_id"], tag["value"]) == ("ASSET_OBSERVATION", seen["id"], "v1")

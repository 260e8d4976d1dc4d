"""The run queue of the generated ``dagster.yaml``: budgets hold with the daemon, and interactive work goes first."""

import datetime as dt
import logging
import time
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest
import queued_definitions as queued
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from dagster_sluice.backfills.budget import Budget
from dagster_sluice.backfills.launching import launch
from dagster_sluice.cli.instance import prepare_instance

NOW = dt.datetime(2026, 4, 1, tzinfo=dt.timezone.utc)
GRAPH = queued.defs.get_repository_def().asset_graph


@pytest.fixture
def instance(database_url, tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_DAGSTER_URL", "")
    monkeypatch.setenv("QUEUED_UNTIL", str(tmp_path / "ready"))
    prepare_instance()
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def ready(tmp_path):
    file = tmp_path / "ready"
    yield file
    file.touch()


def test_dagster_takes_the_generated_file(instance):
    config = instance.get_concurrency_config().run_queue_config
    assert config.max_concurrent_runs == 4
    numbers = {
        one["value"]: one["limit"] for one in config.tag_concurrency_limits if one["key"] == "sluice/runs_at_once"
    }
    assert numbers == {"1": 1, "2": 2, "3": 3}
    assert Budget().tags["sluice/runs_at_once"] in numbers


def backfill(instance, name, asset, tags, count=1):
    partitions = queued.DAYS.get_partition_keys()[:count] if asset.partitions_def else [""]
    launch(
        instance,
        GRAPH,
        backfill_id=name,
        partitions={asset.key: partitions},
        at=NOW,
        tags=tags,
        title=name,
        description=name,
    )


def standing(instance):
    """How many runs of each backfill are queued, and under way."""
    runs = instance.get_runs()
    waiting = Counter(run.tags["dagster/backfill"] for run in runs if run.status is dg.DagsterRunStatus.QUEUED)
    return {
        name: (waiting[name], count - waiting[name])
        for name, count in Counter(run.tags["dagster/backfill"] for run in runs if not run.is_finished).items()
    }


def finish(instance, workspace, daemon, ready):
    ready.touch()
    deadline = time.monotonic() + 200
    while any(not run.is_finished for run in instance.get_runs()):
        assert time.monotonic() < deadline, standing(instance)
        list(daemon.run_iteration(workspace))
        time.sleep(0.2)
    assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}


@pytest.fixture
def workspace(instance):
    file = Path(queued.__file__)
    target = PythonFileTarget(
        python_file=str(file), attribute=None, working_directory=str(file.parent), location_name="queued"
    )
    with WorkspaceProcessContext(instance, target) as workspace:
        yield workspace
    workspace._grpc_server_registry.wait_for_processes()


@pytest.mark.timeout(280)
def test_a_budget_s_runs_hold_and_what_shares_a_pool_waits_for_one_another(instance, workspace, ready):
    backfill(instance, "nightly", queued.days, Budget(runs=2).tags, count=3)
    backfill(instance, "pooled", queued.others, Budget(runs=3, pool="source").tags, count=2)
    list(execute_backfill_iteration(workspace, logging.getLogger("test")))
    assert standing(instance) == {"nightly": (3, 0), "pooled": (2, 0)}
    with QueuedRunCoordinatorDaemon(interval_seconds=1) as daemon:
        for _ in range(2):
            list(daemon.run_iteration(workspace))
            # One more would fit into the queue's own limit of 4.
            assert standing(instance) == {"nightly": (1, 2), "pooled": (1, 1)}
        finish(instance, workspace, daemon, ready)


@pytest.mark.timeout(280)
def test_interactive_work_goes_first(instance, workspace, ready):
    backfill(instance, "nightly", queued.days, Budget(runs=4).tags, count=4)
    list(execute_backfill_iteration(workspace, logging.getLogger("test")))
    backfill(instance, "by_hand", queued.by_hand, {})
    list(execute_backfill_iteration(workspace, logging.getLogger("test")))
    with QueuedRunCoordinatorDaemon(interval_seconds=1) as daemon:
        list(daemon.run_iteration(workspace))
        assert standing(instance) == {"nightly": (1, 3), "by_hand": (0, 1)}
        finish(instance, workspace, daemon, ready)

"""What following Dagster's daemon takes from Dagster that it does not promise: decision 13 rests on it."""

import dagster as dg
import pytest
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import MAX_RETRIES_TAG, MAX_RUNTIME_SECONDS_TAG
from dagster._daemon.controller import DEFAULT_DAEMON_INTERVAL_SECONDS, DEFAULT_HEARTBEAT_INTERVAL_SECONDS
from dagster._daemon.daemon import BackfillDaemon
from dagster._daemon.types import DaemonHeartbeat

from dagster_sluice.backfills.launching import daemon_seen


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def test_the_daemon_of_backfills_has_this_name_and_gives_signs_of_life_this_often():
    assert BackfillDaemon.daemon_type() == "BACKFILL"
    # Together they are the longest silence of a healthy daemon, three times less than what counts as its end.
    assert DEFAULT_HEARTBEAT_INTERVAL_SECONDS + DEFAULT_DAEMON_INTERVAL_SECONDS <= 60


def test_a_sign_of_life_is_read_back_in_utc(instance):
    assert daemon_seen(instance) is None
    instance.add_daemon_heartbeat(
        DaemonHeartbeat(timestamp=1_772_323_200.5, daemon_type="BACKFILL", daemon_id="x", errors=[])
    )
    assert daemon_seen(instance).isoformat() == "2026-03-01T00:00:00.500000+00:00"


def test_nobody_asks_the_default_launcher_whether_a_run_still_lives():
    assert not DefaultRunLauncher().supports_check_run_worker_health


def test_the_tags_that_end_a_run_and_forbid_its_repetition_have_these_names(instance):
    assert (MAX_RUNTIME_SECONDS_TAG, MAX_RETRIES_TAG) == ("dagster/max_runtime", "dagster/max_retries")
    assert not instance.run_monitoring_max_runtime_seconds


def test_a_backfill_that_is_failing_is_not_over():
    assert BulkActionStatus.FAILING not in BULK_ACTION_TERMINAL_STATUSES
    assert BulkActionStatus.CANCELED in BULK_ACTION_TERMINAL_STATUSES

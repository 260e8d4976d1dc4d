"""What `dagster_sluice.freshness` takes from Dagster that it does not promise: the event log's moments, policies that
fail to tell partitions apart, reported checks.
"""

import datetime as dt

import dagster as dg
import pytest

from dagster_sluice.freshness.event_log import materialized_since
from dagster_sluice.freshness.zones import micro
from dagster_sluice.tables.asset_events import materialized


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def now():
    return micro(dt.datetime.now(dt.timezone.utc))


def test_the_event_logs_moments_are_utc_without_a_zone(instance):
    key, other = dg.AssetKey("tides"), dg.AssetKey("moons")
    begun = now()
    for partition in ("2026-03-08", "2026-03-09", "2026-03-08", None):
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
    first = materialized(instance, [key, other], first=True)
    assert set(first[key]) == {"2026-03-08", "2026-03-09", ""}
    assert first[other] == {}
    assert all(begun <= at <= now() for at in first[key].values())
    since = dt.datetime.now(dt.timezone.utc) - dt.timedelta(hours=1)
    moments = materialized_since(instance, [key], since)[key]
    assert {partition: len(found) for partition, found in moments.items()} == {"2026-03-08": 2, "2026-03-09": 1, "": 1}
    assert moments["2026-03-08"][0] == first[key]["2026-03-08"]
    later = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1)
    assert materialized_since(instance, [key], later) == {key: {}}
    assert materialized(instance, [], first=True) == {}


def test_a_check_can_be_reported_without_a_run(instance):
    key = dg.AssetCheckKey(dg.AssetKey("tides"), "freshness")
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=key.asset_key, check_name=key.name, passed=False, description="Late.")
    )
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert found.status.value == "FAILED"
    assert found.event.dagster_event.event_specific_data.description == "Late."

"""The reference platform, feed to marts, told by OpenLineage: every event is valid, and the asset graph is there again."""

import json

import dagster as dg
import pytest
from openlineage.client.serde import Serde
from openlineage_schemas import complaints

from dagster_sluice.lineage.openlineage.assets import Assets
from dagster_sluice.lineage.openlineage.position import Position
from dagster_sluice.lineage.openlineage.sensor import _composer
from dagster_sluice.lineage.openlineage.telling import tell


@pytest.mark.filterwarnings("ignore")
def test_the_reference_platform_is_told_without_a_missing_edge(instance) -> None:
    from pipelines.definitions import defs

    repository = defs.get_repository_def()
    graph = repository.asset_graph
    job = defs.resolve_implicit_global_asset_job_def()
    daily = [key for key in graph.materializable_asset_keys if graph.get(key).partitions_def is not None]
    whole = graph.materializable_asset_keys - set(daily)
    marts = {key for key in whole if key.path[0] == "marts"}
    days = {"dagster/asset_partition_range_start": "2026-03-07", "dagster/asset_partition_range_end": "2026-03-08"}
    for keys, tags in ((whole - marts, {}), (daily, days), (marts, {})):
        assert job.execute_in_process(instance=instance, asset_selection=sorted(keys), tags=tags).success
    events = []
    found = tell(
        instance,
        Assets(repository),
        _composer("flights-platform", None),
        lambda event: events.append(json.loads(Serde.to_json(event))),
        Position(low=0),
    )
    assert found.failure is None
    assert [complaint for event in events for complaint in complaints(event)] == []
    told = {
        (source["name"], target["name"])
        for event in events
        for source in event["inputs"]
        for target in event["outputs"]
    }
    assert told == {
        ("/".join(parent.path), "/".join(key.path))
        for key in graph.materializable_asset_keys
        for parent in graph.get(key).parent_keys
    }
    # Column lineage of dbt models, assertions of dbt's tests, rows that were written.
    outputs = {one["name"]: one for event in events if event["eventType"] == "COMPLETE" for one in event["outputs"]}
    fields = outputs["marts/daily_delays"]["facets"]["columnLineage"]["fields"]
    assert [(one["name"], one["field"]) for one in fields["mean_dep_delay"]["inputFields"]] == [
        ("flights/flights", "dep_delay")
    ]
    assert outputs["flights/flights"]["outputFacets"]["outputStatistics"]["rowCount"] > 1000
    asserted = {
        (source["name"], one["name"])
        for event in events
        if event["eventType"] == "COMPLETE"
        for source in event["inputs"]
        for one in source.get("inputFacets", {}).get("dataQualityAssertions", {}).get("assertions", ())
    }
    assert ("flights/flights", "flight_once") in asserted
    assert any(name == "marts/daily_delays" for name, _ in asserted)


def test_partitions_of_every_kind_are_told(instance) -> None:
    two = dg.MultiPartitionsDefinition(
        {
            "day": dg.DailyPartitionsDefinition("2026-03-07", timezone="America/New_York"),
            "shop": dg.StaticPartitionsDefinition(["a", "b"]),
        }
    )
    days = dg.DailyPartitionsDefinition("2026-03-07", timezone="America/New_York")
    names = dg.DynamicPartitionsDefinition(name="names")

    @dg.asset(partitions_def=days)
    def daily() -> None: ...

    @dg.asset(partitions_def=two, deps=[daily])
    def crossed() -> None: ...

    @dg.asset(
        partitions_def=days,
        deps=[dg.AssetDep(daily, partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1))],
    )
    def following() -> None: ...

    @dg.asset(partitions_def=names)
    def named() -> None: ...

    instance.add_dynamic_partitions("names", ["x", "y"])
    defs = dg.Definitions(assets=[daily, crossed, following, named])
    job = defs.resolve_implicit_global_asset_job_def()
    for key, partition in (
        (crossed.key, "2026-03-08|a"),
        (following.key, "2026-03-07"),
        (following.key, "2026-03-08"),
        (named.key, "y"),
    ):
        assert job.execute_in_process(instance=instance, asset_selection=[key], partition_key=partition).success
    events = []
    found = tell(
        instance,
        Assets(defs.get_repository_def()),
        _composer("test", None),
        lambda event: events.append(json.loads(Serde.to_json(event))),
        Position(low=0),
    )
    assert found.failure is None
    assert [complaint for event in events for complaint in complaints(event)] == []
    steps = [event for event in events if event["eventType"] == "COMPLETE" and "." in event["job"]["name"]]

    def keys(facets, condition):
        return [one["identifier"] for one in facets["subset"][condition]["partitions"]]

    told = [
        (
            step["job"]["name"].rpartition(".")[2],
            keys(step["outputs"][0]["outputFacets"], "outputCondition"),
            [(one["name"], keys(one["inputFacets"], "inputCondition")) for one in step["inputs"]],
            step["run"]["facets"].get("nominalTime", {}).get("nominalStartTime"),
        )
        for step in steps
    ]
    assert told == [
        ("crossed", ["2026-03-08|a"], [("daily", ["2026-03-08"])], "2026-03-08T00:00:00-05:00"),
        # The day before the first one is nowhere; the edge is told all the same.
        ("following", ["2026-03-07"], [("daily", [])], "2026-03-07T00:00:00-05:00"),
        ("following", ["2026-03-08"], [("daily", ["2026-03-07"])], "2026-03-08T00:00:00-05:00"),
        ("named", ["y"], [], None),
    ]

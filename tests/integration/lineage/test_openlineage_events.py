"""A whole run of a small platform, told by OpenLineage: every event is valid, and all edges are there."""

import json
import os
import signal
import subprocess
import sys
import uuid

import dagster as dg
import lineage_victim as victim
import pytest
from lineage_market import Market, market, run
from openlineage.client.serde import Serde
from openlineage_schemas import complaints

from dagster_sluice.lineage.openlineage.assets import Assets
from dagster_sluice.lineage.openlineage.compose import Composer, Physical
from dagster_sluice.lineage.openlineage.position import Position
from dagster_sluice.lineage.openlineage.telling import tell

COMPOSER = Composer(
    namespace="test",
    producer="https://example.org/producer",
    engine_version="1.13",
    adapter_version="0",
    physical=Physical(namespace="postgres://db.example:5432", database="wh"),
)


def told(instance, shop, position=None):
    events = []
    found = tell(
        instance,
        Assets(shop.repository),
        COMPOSER,
        lambda event: events.append(json.loads(Serde.to_json(event))),
        position or Position(low=0),
    )
    assert found.failure is None
    return events, found


def edges(events):
    """The asset graph as a receiver sees it."""
    return {
        (source["name"], target["name"])
        for event in events
        for source in event.get("inputs", ())
        for target in event.get("outputs", ())
    }


def sources(field):
    return [(one["namespace"], one["name"], one["field"]) for one in field["inputFields"]]


def of(events, job, state):
    found = [event for event in events if event.get("job", {}).get("name") == job and event["eventType"] == state]
    assert len(found) == 1, [(event["job"]["name"], event["eventType"]) for event in events]
    return found[0]


@pytest.fixture
def shop(schema, database_url):
    return market(schema, database_url)


def test_a_run_is_told_whole(instance, shop, schema) -> None:
    result = run(shop, instance, **{"sluice/correlation_id": "night-7"})
    assert result.success
    events, found = told(instance, shop)
    assert [complaint for event in events for complaint in complaints(event)] == []
    assert edges(events) == shop.edges
    assert found.events == len(events) > 20

    job = "__ASSET_JOB"
    first, last = events[0], events[-1]
    assert (first["eventType"], first["job"]["name"], first["run"]["runId"]) == ("START", job, result.run_id)
    assert (last["eventType"], last["job"]["name"], last["run"]["runId"]) == ("COMPLETE", job, result.run_id)
    assert first["run"]["facets"]["tags"]["tags"][0]["value"] == "night-7"
    window = {
        "nominalStartTime": "2026-03-09T00:00:00-04:00",
        "nominalEndTime": "2026-03-10T00:00:00-04:00",
    }
    assert window.items() <= first["run"]["facets"]["nominalTime"].items()

    done = of(events, f"{job}.{schema}__orders", "COMPLETE")
    assert window.items() <= done["run"]["facets"]["nominalTime"].items()
    parent = done["run"]["facets"]["parent"]
    assert (parent["run"]["runId"], parent["job"]["name"]) == (result.run_id, job)
    assert uuid.UUID(done["run"]["runId"]).version == 5
    (output,) = done["outputs"]
    assert [field["name"] for field in output["facets"]["schema"]["fields"]] == ["id", "name", "amount"]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 4
    assert output["outputFacets"]["subset"]["outputCondition"]["partitions"][0]["identifier"] == "2026-03-09"
    assert output["facets"]["symlinks"]["identifiers"] == [
        {"namespace": "postgres://db.example:5432", "name": f"wh.{schema}.orders", "type": "TABLE"}
    ]
    lineage = output["facets"]["columnLineage"]["fields"]
    assert sources(lineage["amount"]) == [("test", f"{schema}/raw_orders", "amount")]
    by_name = {source["name"]: source for source in done["inputs"]}
    partitions = by_name[f"{schema}/raw_orders"]["inputFacets"]["subset"]["inputCondition"]["partitions"]
    assert [one["identifier"] for one in partitions] == ["2026-03-09"]
    assert "subset" not in by_name[f"{schema}/customers"]["inputFacets"]
    assert by_name[f"{schema}/raw_orders"]["facets"]["schema"]["fields"][0]["name"] == "id"

    # Checks of what the step writes are a part of their own.
    checks = of(events, f"{job}.{schema}__orders.checks", "COMPLETE")
    assert checks["outputs"] == []
    (checked,) = checks["inputs"]
    assertions = {one["name"]: one for one in checked["inputFacets"]["dataQualityAssertions"]["assertions"]}
    assert assertions["amount_small"]["success"] is False
    assert assertions["amount_small"]["severity"] == "warn"
    assert assertions["amount_small"]["params"] == {"partition": "2026-03-09"}
    assert checks["run"]["facets"]["parent"]["run"]["runId"] == done["run"]["runId"]
    assert checks["run"]["facets"]["parent"]["root"]["run"]["runId"] == result.run_id
    # A step that only checks reads what it checks.
    alone = of(events, f"{job}.{schema}__left_left_is_right", "COMPLETE")
    assert [source["name"] for source in alone["inputs"]] == [f"{schema}/left"]
    assert alone["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"][0]["success"] is False

    # SQL tells its own lineage; metadata of others is passed on.
    totals = of(events, f"{job}.{schema}__totals", "COMPLETE")["outputs"][0]["facets"]["columnLineage"]["fields"]
    assert sources(totals["total"]) == [("test", f"{schema}/orders", "amount")]
    assert sources(totals["orders"]) == []
    letter = of(events, f"{job}.{schema}__letter", "COMPLETE")["outputs"][0]
    assert letter["outputFacets"]["outputStatistics"]["rowCount"] == 7
    assert letter["facets"]["columnLineage"]["fields"]["line"]["inputFields"][0]["field"] == "total"
    # Of a step of several assets each has its own inputs.
    right = of(events, f"{job}.{schema}_pair.{schema}.right", "COMPLETE")
    assert {source["name"] for source in right["inputs"]} == {f"{schema}/left", f"{schema}/customers"}
    assert of(events, f"{job}.{schema}_pair", "COMPLETE")["outputs"] == []


def test_every_start_has_its_end_and_its_parent_before(instance, shop) -> None:
    run(shop, instance)
    events, _ = told(instance, shop)
    started, ended = set(), set()
    for event in events:
        own = event["run"]["runId"]
        parent = event["run"]["facets"].get("parent")
        if event["eventType"] == "START":
            assert own not in started
            assert parent is None or parent["run"]["runId"] in started
            started.add(own)
        else:
            assert own in started
            assert own not in ended
            assert parent is None or parent["run"]["runId"] not in ended
            ended.add(own)
    assert started == ended
    assert [event["eventTime"] for event in events] == sorted(event["eventTime"] for event in events)


def test_a_failure_says_why_and_keeps_its_secrets(instance, schema, database_url) -> None:
    shop = market(schema, database_url, broken=True)
    assert not run(shop, instance).success
    events, _ = told(instance, shop)
    assert [complaint for event in events for complaint in complaints(event)] == []
    failed = of(events, f"__ASSET_JOB.{schema}__last", "FAIL")
    message = failed["run"]["facets"]["errorMessage"]["message"]
    assert "does not answer" in message
    assert "topsecret" not in json.dumps(events)
    assert failed["outputs"][0]["name"] == f"{schema}/last"
    assert events[-1]["eventType"] == "FAIL"
    assert edges(events) == shop.edges


def test_told_twice_is_the_same_letter_by_letter(instance, shop) -> None:
    run(shop, instance)
    first, found = told(instance, shop)
    again, _ = told(instance, shop)
    assert again == first
    more, _ = told(instance, shop, Position.read(found.position.written()))
    assert more == []


def test_a_range_is_told_with_all_its_partitions(instance, shop, schema) -> None:
    keys = [dg.AssetKey([schema, "raw_orders"]), dg.AssetKey([schema, "customers"]), dg.AssetKey([schema, "orders"])]
    job = shop.defs.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance,
        asset_selection=keys,
        tags={
            "dagster/asset_partition_range_start": "2026-03-07",
            "dagster/asset_partition_range_end": "2026-03-09",
        },
    )
    assert result.success
    events, _ = told(instance, shop)
    assert [complaint for event in events for complaint in complaints(event)] == []
    done = of(events, f"__ASSET_JOB.{schema}__orders", "COMPLETE")
    days = ["2026-03-07", "2026-03-08", "2026-03-09"]
    subset = done["outputs"][0]["outputFacets"]["subset"]["outputCondition"]["partitions"]
    assert [one["identifier"] for one in subset] == days
    by_name = {source["name"]: source for source in done["inputs"]}
    read = by_name[f"{schema}/raw_orders"]["inputFacets"]["subset"]["inputCondition"]["partitions"]
    assert [one["identifier"] for one in read] == days
    assert done["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 12
    # The second of these days has 23 hours.
    nominal = done["run"]["facets"]["nominalTime"]
    assert (nominal["nominalStartTime"], nominal["nominalEndTime"]) == (
        "2026-03-07T00:00:00-05:00",
        "2026-03-10T00:00:00-04:00",
    )


def test_an_asset_that_somebody_reports_is_told_without_a_run(instance, shop) -> None:
    _, found = told(instance, shop)
    instance.report_runless_asset_event(dg.AssetMaterialization("feed", metadata={"note": "came in"}))
    instance.report_runless_asset_event(dg.AssetMaterialization("of_another_location"))
    events, _ = told(instance, shop, found.position)
    assert [event["dataset"]["name"] for event in events] == ["feed"]
    assert complaints(events[0]) == []


def test_a_run_of_another_location_is_not_told(instance, shop) -> None:
    run(shop, instance)
    events = []
    found = tell(instance, Assets(shop.repository), COMPOSER, events.append, Position(low=0), owns=lambda _: False)
    assert events == []
    assert found.position.low == 0
    assert found.position.done


@pytest.mark.parametrize(("report", "state"), [("report_run_failed", "FAIL"), ("report_run_canceled", "ABORT")])
def test_a_step_whose_process_was_killed_ends_with_its_run(instance, report, state) -> None:
    ended = subprocess.run(
        [sys.executable, victim.__file__],
        env={**os.environ, "DAGSTER_HOME": instance.root_directory, "KILL_ME": "1"},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    shop = Market(defs=victim.DEFS, edges={("source", "victim")})
    before, found = told(instance, shop)
    assert [event["eventType"] for event in before] == ["START", "START", "COMPLETE", "START"]
    (run_record,) = instance.get_runs()
    # As Dagster's run monitoring does it.
    getattr(instance, report)(run_record)
    after, _ = told(instance, shop, found.position)
    assert [complaint for event in after for complaint in complaints(event)] == []
    step, whole = after
    assert (step["eventType"], step["run"]["runId"]) == (state, before[-1]["run"]["runId"])
    assert step["run"]["facets"]["errorMessage"]["message"]
    assert (whole["eventType"], whole["run"]["runId"]) == (state, run_record.run_id)
    assert edges([*before, *after]) == shop.edges


def test_a_step_that_is_tried_again_is_one_run(instance) -> None:
    tries = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def moody() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("not yet")

    shop = Market(defs=dg.Definitions(assets=[moody]), edges=set())
    job = shop.defs.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=instance).success
    events, _ = told(instance, shop)
    assert [complaint for event in events for complaint in complaints(event)] == []
    steps = [event for event in events if event["job"]["name"].endswith(".moody")]
    assert [event["eventType"] for event in steps] == ["START", "OTHER", "RUNNING", "COMPLETE"]
    assert len({event["run"]["runId"] for event in steps}) == 1
    assert steps[1]["run"]["facets"]["errorMessage"]["message"] == "ValueError: not yet"


def test_an_op_that_makes_an_asset_nobody_knows_is_told_all_the_same(instance) -> None:
    @dg.op
    def writes(context) -> None:
        context.log_event(dg.AssetMaterialization("by/hand", metadata={"dagster/row_count": 3}))

    @dg.job
    def old_job() -> None:
        writes()

    shop = Market(defs=dg.Definitions(jobs=[old_job]), edges=set())
    shop.defs.resolve_job_def("old_job").execute_in_process(instance=instance)
    events, _ = told(instance, shop)
    assert [complaint for event in events for complaint in complaints(event)] == []
    (output,) = of(events, "old_job.writes", "COMPLETE")["outputs"]
    assert output["name"] == "by/hand"
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 3

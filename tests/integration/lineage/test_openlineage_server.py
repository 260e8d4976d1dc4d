"""The sensor in a code server of Dagster's own, as the daemon asks for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = """\
import dagster as dg

from dagster_sluice.lineage import openlineage_sensor


@dg.asset
def first() -> None: ...


@dg.asset(deps=[first])
def second() -> None: ...


defs = dg.Definitions(
    assets=[first, second],
    sensors=[openlineage_sensor(receiver="file:{file}", history=True)],
    executor=dg.in_process_executor,
)
"""


def test_a_code_server_evaluates_it_for_its_own_runs(instance, tmp_path) -> None:
    file = tmp_path / "events.jsonl"
    (tmp_path / "told.py").write_text(PROJECT.replace("{file}", str(file)))
    environment = {**os.environ, "DAGSTER_HOME": instance.root_directory, "PYTHONWARNINGS": "ignore"}
    dagster = str(Path(sys.executable).with_name("dagster"))

    def dagster_does(*arguments: str) -> str:
        ended = subprocess.run(
            [dagster, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    dagster_does("asset", "materialize", "--select", "*", "-f", "told.py")
    said = dagster_does("sensor", "preview", "openlineage", "-f", "told.py")
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert f"{len(events)} events sent." in said
    edges = {(one["name"], other["name"]) for event in events for one in event["inputs"] for other in event["outputs"]}
    assert edges == {("first", "second")}
    # Nothing is remembered by a preview, so another one says the same, after the cursor that this one has told.
    again = dagster_does("sensor", "preview", "openlineage", "-f", "told.py")
    assert f"{len(events)} events sent." in again
    lines = file.read_text().splitlines()
    assert lines[len(events) :] == lines[: len(events)]

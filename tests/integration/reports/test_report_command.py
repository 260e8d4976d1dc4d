"""``sluice report`` in a project of its own: what the ledger and the quarantine still know."""

import html
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from dagster_sluice import Column, Contract, Expectation, Policy
from dagster_sluice.cli import app as cli
from dagster_sluice.contracts import LogicalType
from dagster_sluice.errors import SettingError
from dagster_sluice.tables.gatekeeper import Origin, admit
from dagster_sluice.warehouse import Address

ROOT = Path(__file__).parents[3]
ADDRESS = Address(schema="clinic", table="patients")
PROMISE = Contract(
    table="patients",
    description="Who came.",
    columns=(
        Column(name="id", type=LogicalType.INTEGER),
        Column(name="pulse", type=LogicalType.INTEGER),
        Column(name="who", type=LogicalType.STRING, classification="confidential"),
    ),
    expectations=(
        Expectation(
            name="pulse_possible",
            type="expect_column_values_to_be_between",
            kwargs={"column": "pulse", "min_value": 20, "max_value": 200},
            policy=Policy.QUARANTINE,
        ),
        Expectation(
            name="id_once", type="expect_column_values_to_be_unique", kwargs={"column": "id"}, policy=Policy.BLOCK
        ),
    ),
)
PROJECT = """
    import dagster as dg
    from test_report_command import ADDRESS, PROMISE
    from dagster_sluice import WarehouseResource, table

    @table(
        contract=PROMISE, key=[ADDRESS.schema, ADDRESS.table], partitions_def=dg.StaticPartitionsDefinition(["mon", "tue"])
    )
    def patients(context):
        raise AssertionError("a report computes nothing")

    defs = dg.Definitions(assets=[patients], resources={"warehouse": WarehouseResource()})
"""


@pytest.fixture
def place(tmp_path, monkeypatch, database_url):
    """A working directory without a project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "sluice"))
    return tmp_path


@pytest.fixture
def project(place, monkeypatch):
    """The same with a project of one table."""
    (place / "clinic.py").write_text(textwrap.dedent(PROJECT))
    (place / "workspace.yaml").write_text("load_from:\n  - python_file: clinic.py\n")
    return place


@pytest.fixture
def judged(warehouse):
    """Take rows of (id, pulse) through the gate."""

    def judge(partition, *rows, run_id="run-1"):
        standing = warehouse.current(ADDRESS).get(partition)
        return admit(
            pa.table(
                {
                    "id": pa.array([row[0] for row in rows], pa.int64()),
                    "pulse": pa.array([str(row[1]) for row in rows]),
                    "who": pa.array(["Hush, hush"] * len(rows)),
                }
            ),
            contract=PROMISE,
            warehouse=warehouse,
            address=ADDRESS,
            partition=partition,
            origin=Origin(
                run_id=run_id,
                correlation_id="cause",
                code_version="1",
                base=standing.id if standing else None,
                started=time.perf_counter(),
            ),
            references={},
        )

    return judge


def sluice(*words, code=0):
    if not cli.app.registered_commands:
        cli._assemble()
    result = CliRunner().invoke(cli.app, ["report", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def text_of(page):
    body = Path(page).read_text(encoding="utf-8").partition("<body>")[2]
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]*>", " ", body)))


def test_the_last_partition_with_what_the_quarantine_keeps_of_it(project, judged):
    judged("mon", (1, 60), (2, 70))
    judged("tue", (1, 60), (2, 300), (3, "none"), (4, 61), run_id="run-2")
    page = sluice("clinic.patients").strip()
    assert Path(page) == project / "sluice" / "reports" / "clinic.patients" / "tue" / "run-2.html"
    text = text_of(page)
    assert "2 rows were published, and 2 kept out. 2 of 3 promises are broken." in text
    assert "pulse lies between 20 and 200. " in re.sub(r"\s+", " ", text)
    assert "breaks it: 300." in text
    assert "breaks it: pulse='none' is not" in text
    assert "Now 33.3%, before 0%." in text
    assert "Hush" not in text
    assert "•••" in text


def test_one_partition_to_a_file(project, judged):
    judged("mon", (1, 60))
    judged("tue", (1, 60))
    (project / "neighbour.html").write_text("not ours")
    assert sluice("clinic.patients", "--partition", "mon", "-o", "monday.html").strip() == str(project / "monday.html")
    assert "mon" in text_of(project / "monday.html")
    assert (project / "neighbour.html").read_text() == "not ours"
    (project / "pages").mkdir()
    page = sluice("clinic.patients", "--partition", "mon", "--output", "pages").strip()
    assert Path(page) == project / "pages" / "clinic.patients-mon.html"


def test_a_blocked_batch(project, judged):
    judged("mon", (1, 60), (1, 70))
    text = text_of(sluice("clinic.patients").strip())
    assert "Not published" in text
    assert "2 of 2 rows (100%) break it." in text


def test_all_partitions_of_a_run(project, judged):
    judged("mon", (1, 60), run_id="both")
    judged("tue", (1, 60), run_id="both")
    judged("tue", (1, 60), run_id="later")
    index = Path(sluice("clinic.patients", "--run", "both", "--output", "out").strip())
    links = re.findall(r'href="([^"]*)"', index.read_text())
    assert [(index.parent / link).resolve() for link in links] == [
        project / "out" / "clinic.patients" / day / "both.html" for day in ("mon", "tue")
    ]
    assert Path(sluice("clinic.patients", "--run", "later").strip()).name == "later.html"
    (project / "file").write_text("")
    with pytest.raises(SettingError, match="one for each partition"):
        sluice("clinic.patients", "--run", "both", "--output", "file")


def test_without_the_project_no_value_is_told(place, judged):
    judged("mon", (1, 60), (2, 297))
    text = text_of(sluice("clinic.patients").strip())
    assert "Published in part" in text
    assert "The contract is not at hand." in text
    assert "column values to be between" in text.lower()
    assert "297" not in text
    assert "Hush" not in text


@pytest.mark.parametrize("asked", [[], ["--partition", "wed"], ["--run", "unknown"]])
def test_what_nobody_judged_cannot_be_told(project, judged, asked):
    judged("mon", (1, 60))
    with pytest.raises(SettingError, match="Nothing is known of clinic") as caught:
        sluice("clinic.patients" if asked else "clinic.nurses", *asked)
    assert "clinic.patients" in str(caught.value)


def test_a_table_is_named_by_schema_and_table(project):
    with pytest.raises(SettingError, match="schema and table"):
        sluice("patients")


def test_a_place_that_cannot_be_written_is_told(project, judged):
    judged("mon", (1, 60))
    (project / "file").write_text("")
    with pytest.raises(SettingError, match="cannot be written"):
        sluice("clinic.patients", "--output", project / "file" / "x.html")


def test_open_shows_it_in_the_browser(place, judged):
    judged("mon", (1, 60))
    shown = place / "shown"
    browser = place / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {shown}\n')
    browser.chmod(0o755)
    finished = subprocess.run(
        [sys.executable, "-m", "dagster_sluice", "report", "clinic.patients", "--open"],
        env={**os.environ, "BROWSER": f"{browser} %s", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert shown.read_text() == Path(finished.stdout.strip()).as_uri()

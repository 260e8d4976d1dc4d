"""``sluice quarantine`` in a project of its own: what it shows, what it changes, what it refuses."""

import csv
import json
import textwrap

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner
from ward import ADDRESS, Ward, promise

from dagster_sluice.cli import app as cli
from dagster_sluice.errors import FrameError, SettingError, TableError

SICK = [(1, 60), (2, 70), (3, 300), (4, "none"), (5, 260)]
PROJECT = """
    import dagster as dg
    from ward import ADDRESS, promise
    from dagster_sluice import WarehouseResource, table
    from dagster_sluice.quarantine import replay_job

    DAYS = dg.StaticPartitionsDefinition(["day", "night"])

    @table(
        contract=promise(pulse_possible={"max_value": 200}),
        key=[ADDRESS.schema, ADDRESS.table],
        partitions_def=DAYS,
    )
    def patients(context):
        raise AssertionError("a replay computes nothing")

    defs = dg.Definitions(
        assets=[patients], jobs=[replay_job([patients])], resources={"warehouse": WarehouseResource()}
    )
"""


@pytest.fixture
def project(tmp_path, monkeypatch, database_url):
    """A project with one table, in the working directory."""
    (tmp_path / "place.py").write_text(textwrap.dedent(PROJECT))
    (tmp_path / "workspace.yaml").write_text("load_from:\n  - python_file: place.py\n")
    (tmp_path / "dagster").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "sluice"))
    monkeypatch.setenv("SLUICE_DAGSTER_URL", "")
    return tmp_path


@pytest.fixture
def ward(project, warehouse):
    made = Ward(warehouse)
    made.publish(SICK)
    return made


def sluice(*words, code=0):
    if not cli.app.registered_commands:
        cli._assemble()
    result = CliRunner().invoke(cli.app, ["quarantine", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def told(*words, **settings):
    return json.loads(sluice(*words, "--json", **settings))


def test_list_and_count(ward):
    assert "pulse_possible (pulse=300)" in sluice("list")
    assert [row["payload"]["id"] for row in told("list", ADDRESS)] == [5, 4, 3]
    assert told("list", "--counts")[0] | {"oldest": 0, "newest": 0} == {
        "table": "ward.patients",
        "status": "open",
        "rows": 3,
        "oldest": 0,
        "newest": 0,
    }
    assert told("list", "--status", "discarded") == []
    assert told("list", "other.table", "--counts") == []


def test_show(ward):
    row = ward.open()[1]
    text = sluice("show", row.id)
    for word in ("'none'", "is not an integer", "cause", "Größe 🦆", "<- why"):
        assert word in text
    found = told("show", row.id)
    assert (found["id"], found["payload"], found["status"]) == (row.id, row.payload, "open")
    with pytest.raises(SettingError, match="row 999"):
        sluice("show", 999)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_export(ward, project, ending):
    file = project / f"rows.{ending}"
    sluice("export", ADDRESS, "-o", file, "--partition", "day")
    if ending == "parquet":
        rows = pq.read_table(file).to_pylist()
        assert [str(row["pulse"]) for row in rows] == ["300", "none", "260"]
        assert [row["id"] for row in rows] == [3, 4, 5]
    else:
        rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
        assert [(row["id"], row["pulse"]) for row in rows] == [("3", "300"), ("4", "none"), ("5", "260")]
    assert rows[0]["_reasons"] == "pulse_possible (pulse=300)"
    with pytest.raises(SettingError, match="overwrite"):
        sluice("export", ADDRESS, "-o", file)
    sluice("export", ADDRESS, "-o", file, "--status", "discarded", "--force")
    with pytest.raises(SettingError, match="CSV or Parquet"):
        sluice("export", ADDRESS, "-o", project / "rows.xlsx")


def test_mend_in_a_file_and_replay(ward, project):
    sluice("export", ADDRESS, "-o", "rows.csv")
    file = project / "rows.csv"
    file.write_text(
        file.read_text(encoding="utf-8").replace(",none,", ",66,").replace(",300,", ",1,"), encoding="utf-8"
    )
    (found,) = told("replay", "--from", "rows.csv", "--dry-run", code=1)
    assert (found["passed"], found["still_failing"], found["dry_run"]) == (2, 1, True)
    assert len(ward.open()) == 3
    (found,) = told("replay", "--from", "rows.csv", "--why", "by hand", code=1)
    assert (found["passed"], found["still_failing"], found["rows_published"]) == (2, 1, 4)
    assert ward.published() == [(1, 60), (2, 70), (3, 1), (4, 66)]
    (row,) = ward.open()
    assert row.payload["pulse"] == 260
    assert told("show", found["added"][0])["why"] == "by hand"
    assert "replayed as" in sluice("show", found["added"][0])
    again = told("replay", "--from", "rows.csv", code=1)
    assert (again[0]["passed"], again[0]["still_failing"]) == (0, 1)
    assert ward.published() == [(1, 60), (2, 70), (3, 1), (4, 66)]


def test_dagster_is_told(ward, project):
    import dagster as dg

    ward.contract = promise(pulse_possible={"max_value": 1})
    ward.publish([(1, 1), (2, 60)], "night")
    assert told("replay", "--table", ADDRESS, "--partition", "night")[0]["passed"] == 1
    with dg.DagsterInstance.get() as instance:
        (record,) = instance.fetch_materializations(dg.AssetKey(["ward", "patients"]), limit=9).records
    event = record.asset_materialization
    assert event.partition == "night"
    assert event.metadata["sluice/rows_replayed"].value == 1
    assert event.tags["dagster/data_version"] == ward.warehouse.current(ADDRESS)["night"].content_hash


def test_nothing_is_open(ward):
    ward.warehouse.discard([row.id for row in ward.open()], why="x")
    assert told("replay", "--table", ADDRESS) == []
    assert "nothing to replay" in sluice("replay", "--table", ADDRESS)


def test_what_cannot_be_meant(ward, project):
    for words in (
        ["replay"],
        ["replay", "1", "--table", ADDRESS],
        ["replay", "--partition", "day"],
        ["replay", "99999"],
        ["replay", "--table", "patients"],
        ["discard", "--why", "x"],
        ["discard", "1", "--why", " "],
        ["prune"],
        ["prune", "--older-than", "90"],
        ["prune", "--older-than", "999999w"],
    ):
        with pytest.raises(SettingError):
            sluice(*words)
    with pytest.raises(FrameError):
        sluice("replay", "--from", "absent.csv")
    before = ward.open()
    (project / "new.csv").write_text(f"_quarantine_id,colour\n{before[0].id},red\n")
    with pytest.raises(FrameError, match="colour"):
        sluice("replay", "--from", "new.csv")
    assert ward.open() == before


def test_a_table_of_another_project(project, warehouse):
    import dataclasses

    from ward import ADDRESS as OURS

    other = Ward(warehouse, address=dataclasses.replace(OURS, table="strangers"))
    other.publish(SICK)
    with pytest.raises(TableError, match=r"ward\.strangers"):
        sluice("replay", "--table", other.address)


def test_discard(ward):
    three, four, _ = ward.open()
    assert "Discarded 2 rows" in sluice("discard", three.id, four.id, "--why", "test data")
    assert ward.held(status="discarded") == {("3", "300"): 1, ("4", "none"): 1}
    assert "Discarded 0 rows" in sluice("discard", three.id, "--why", "again")
    ward.contract = promise(pulse_possible={"max_value": 1})
    ward.publish([(0, 0), *((number, 60) for number in range(1, 20))], "night")
    with pytest.raises(SettingError, match="19 rows"):
        sluice("discard", "--table", ADDRESS, "--partition", "night", "--why", "x")
    sluice("discard", "--table", ADDRESS, "--partition", "night", "--why", "x", "--yes")
    assert len(ward.open()) == 1


def test_prune(ward):
    ward.warehouse.discard([ward.open()[0].id], why="x")
    assert told("prune", "--older-than", "1d") == []
    (would,) = told("prune", "--max-rows", 0, "--dry-run")
    assert (would["status"], would["rows"]) == ("discarded", 1)
    assert told("list", "--status", "discarded") != []
    assert told("prune", "--max-rows", 0)[0]["rows"] == 1
    assert [row["status"] for row in told("list", "--status", "all")] == ["open", "open"]
    sluice("prune", "--max-rows", 0, "--include-open")
    assert ward.open() == []


# The same from the UI


def job(config, project):
    import dagster as dg

    from dagster_sluice.cli.location import load_location

    repository = load_location(project).repository
    with dg.DagsterInstance.ephemeral() as instance:
        found = repository.get_job("replay_quarantine").execute_in_process(
            run_config={"ops": {"replay_quarantine_rows": {"config": config}}},
            instance=instance,
            raise_on_error=False,
        )
        records = instance.fetch_materializations(dg.AssetKey(["ward", "patients"]), limit=9).records
    return found.success, [record.asset_materialization for record in records]


def test_the_job_replays_and_tells(ward, project):
    ward.contract = promise(pulse_possible={"max_value": 1})
    ward.publish([(1, 1), (2, 60), (3, 300)], "night")
    success, events = job({"table": "ward.patients", "partition": "night", "why": "from the UI"}, project)
    assert success
    assert ward.published("night") == [(1, 1), (2, 60)]
    (event,) = events
    assert (event.partition, event.metadata["dagster/partition_row_count"].value) == ("night", 2)
    success, events = job({"table": "ward.patients", "partition": "night"}, project)
    assert (success, events) == (True, [])
    assert ward.published("night") == [(1, 1), (2, 60)]


def test_the_job_fails_where_something_blocks(ward, project):
    ward.contract = promise(not_crowded={"max_value": 5000}, pulse_possible={"max_value": 1})
    ward.publish([(number, 60 if number == 1500 else 1) for number in range(1, 1501)], "night")
    success, _ = job({"table": "ward.patients", "partition": "night"}, project)
    assert not success
    success, _ = job({}, project)
    assert not success

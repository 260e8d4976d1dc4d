"""``sluice hold`` in a project of its own: what it shows, what it changes, what it tells Dagster, what it refuses."""

import json
import textwrap

import dagster as dg
import pytest
from gatehouse import ADDRESS, Gatehouse, parcels
from typer.testing import CliRunner

from dagster_sluice.cli import app as cli
from dagster_sluice.errors import SettingError, TableError
from dagster_sluice.warehouse import Address

PROJECT = """
    import dagster as dg
    from gatehouse import ADDRESS, PROMISE
    from dagster_sluice import WarehouseResource, table
    from dagster_sluice.holds import hold_job

    DAYS = dg.StaticPartitionsDefinition(["day", "night"])

    @table(contract=PROMISE, key=[ADDRESS.schema, ADDRESS.table], partitions_def=DAYS)
    def parcels(context):
        raise AssertionError("a decision computes nothing")

    defs = dg.Definitions(assets=[parcels], jobs=[hold_job([parcels])], resources={"warehouse": WarehouseResource()})
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
def gatehouse(project, warehouse):
    made = Gatehouse(warehouse)
    made.bring(parcels(1, 2))
    return made


def sluice(*words, code=0):
    if not cli.app.registered_commands:
        cli._assemble()
    result = CliRunner().invoke(cli.app, [*map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def told(*words, **settings):
    return json.loads(sluice("hold", *words, "--json", **settings).stdout)


def events(kind):
    with dg.DagsterInstance.get() as instance:
        if kind == "materialized":
            records = instance.fetch_materializations(dg.AssetKey(["gate", "parcels"]), limit=9).records
            return [record.asset_materialization for record in records]
        keys = [dg.AssetCheckKey(dg.AssetKey(["gate", "parcels"]), name) for name in ("not_many", "weight_possible")]
        return {
            (info.check_key.name, info.partition_key): info
            for info in instance.event_log_storage.get_asset_check_partition_info(keys)
        }


def test_list(gatehouse):
    assert "Nothing waits" in sluice("hold", "list").stdout
    first, second = gatehouse.held(1, 2, 3, 4), gatehouse.held(5, 6, 7, 8, partition="night")
    assert [hold["id"] for hold in told("list")] == [second.id, first.id]
    assert [hold["id"] for hold in told("list", ADDRESS, "--partition", "day")] == [first.id]
    assert told("list", "gate.other") == []
    assert told("list", "--status", "released") == []
    assert len(told("list", "--status", "all", "--limit", "1")) == 1
    text = sluice("hold", "list").stdout
    for word in ("not_many failed: observed 4.", "gate.parcels", "night"):
        assert word in text
    with pytest.raises(SettingError, match="has no schema"):
        sluice("hold", "list", "parcels")


def test_show_tells_what_failed_and_how_much_differs_and_masks_what_is_personal(gatehouse):
    hold = gatehouse.held(1, 2, 3, 4, 5, bad=1)
    found = told("show", hold.id)
    assert {item["expectation"]: item["policy"] for item in found["failed"]} == {
        "not_many": "hold",
        "weight_possible": "quarantine",
    }
    assert (found["rows_held"], found["rows_published_now"], found["difference"]) == (4, 2, 2)
    assert (found["rows_to_quarantine"], found["can_be_released"], found["same_content"]) == (1, True, False)
    assert [(row["id"], row["receiver"]) for row in found["sample"]] == [(number, "•••") for number in (2, 3, 4, 5)]
    assert len(told("show", hold.id, "--rows", 2)["sample"]) == 2
    assert told("show", hold.id, "--rows", 0)["sample"] == []
    text = sluice("hold", "show", hold.id).output
    for word in ("not_many", "The first of 4 rows", "•••", f"sluice hold release {hold.id}", "difference"):
        assert word in text
    assert "Zoë" not in text + json.dumps(found, ensure_ascii=False)


def test_show_what_waits_no_more(gatehouse):
    hold = gatehouse.held(1, 2, 3, 4)
    gatehouse.warehouse.reject(hold.id, by="bob", why="wrong file")
    found = told("show", hold.id)
    assert (found["status"], found["decided_by"], found["why"]) == ("rejected", "bob", "wrong file")
    assert (found["sample"], found["can_be_released"]) == (None, False)
    assert "wrong file" in sluice("hold", "show", hold.id).output


def test_show_what_cannot_be_released_any_more(gatehouse):
    """A replay changes the partition, and does not judge the batch that waits."""
    gatehouse.bring(parcels(9, 1, bad=1))
    hold = gatehouse.held(1, 2, 3, 4)
    gatehouse.mend(weight=2.0)
    assert gatehouse.published() == [1, 9]
    assert told("show", hold.id)["can_be_released"] is False
    assert "cannot be released" in sluice("hold", "show", hold.id).output
    (refused,) = told("release", hold.id, "--why", "x", code=1)
    assert "published since" in refused["refused"]
    assert gatehouse.status(hold) == "open"
    assert events("materialized") == []


def test_release_publishes_and_tells_dagster(gatehouse):
    hold = gatehouse.held(1, 2, 3, 4, 5, bad=1)
    (found,) = told("release", hold.id, "--why", "a sale", "--by", "ann")
    assert (found["status"], found["rows_published"], found["rows_quarantined"]) == ("released", 4, 1)
    assert gatehouse.published() == [2, 3, 4, 5]
    (after,) = gatehouse.warehouse.numbered_holds([hold.id])
    assert (after.decided_by, after.why) == ("ann", "a sale")
    (event,) = events("materialized")
    assert (event.partition, event.metadata["dagster/row_count"].value) == ("day", 4)
    assert event.metadata["sluice/why"].value == "a sale"
    assert event.tags["dagster/data_version"] == hold.content_hash
    checks = events("checks")
    assert set(checks) == {("not_many", "day"), ("weight_possible", "day")}
    assert all(info.is_current for info in checks.values())


def test_release_says_who_by_itself(gatehouse, monkeypatch):
    monkeypatch.setenv("LOGNAME", "zoe")
    hold = gatehouse.held(1, 2, 3, 4)
    told("release", hold.id, "--why", "x")
    assert gatehouse.warehouse.numbered_holds([hold.id])[0].decided_by == "zoe"


def test_several_of_which_one_is_refused(gatehouse):
    first, second = gatehouse.held(1, 2, 3, 4), gatehouse.held(5, 6, 7, 8, partition="night")
    gatehouse.warehouse.reject(first.id, by="bob", why="x")
    refused, released = told("release", first.id, second.id, "--why", "x", code=1)
    assert "rejected by bob" in refused["refused"]
    assert (released["status"], released["refused"]) == ("released", "")
    assert gatehouse.published("night") == [5, 6, 7, 8]
    assert gatehouse.published() == [1, 2]
    assert [event.partition for event in events("materialized")] == ["night"]


def test_release_twice_and_one_of_which_dagster_has_not_heard(gatehouse):
    hold = gatehouse.held(1, 2, 3, 4)
    gatehouse.warehouse.release(hold.id, by="ann", why="killed after this")
    assert told("release", hold.id, "--why", "again", "--by", "bob")[0]["refused"] == ""
    (event,) = events("materialized")
    assert event.metadata["sluice/released_by"].value == "ann"
    (refused,) = told("release", hold.id, "--why", "again", code=1)
    assert "released by ann" in refused["refused"]
    assert len(events("materialized")) == 1


def test_reject(gatehouse):
    hold = gatehouse.held(1, 2, 3, 4)
    (found,) = told("reject", hold.id, "--why", "wrong file", "--by", "bob")
    assert (found["status"], found["rows_published"]) == ("rejected", None)
    assert gatehouse.published() == [1, 2]
    assert events("materialized") == []
    assert "rejected by bob" in told("reject", hold.id, "--why", "x", code=1)[0]["refused"]


def test_what_cannot_be_meant(gatehouse):
    hold = gatehouse.held(1, 2, 3, 4)
    for words in (
        ["release", hold.id, "--why", " "],
        ["reject", hold.id, "--why", ""],
        ["release", hold.id, "--why", "x", "--by", " "],
        ["release", 99, "--why", "x"],
        ["reject", hold.id, 99, "--why", "x"],
        ["show", 99],
    ):
        with pytest.raises(SettingError):
            sluice("hold", *words)
    sluice("hold", "release", hold.id, code=2)
    sluice("hold", "release", "--why", "x", code=2)
    assert gatehouse.status(hold) == "open"


def test_a_table_of_another_project_is_not_released(gatehouse):
    other = Gatehouse(gatehouse.warehouse, address=Address(schema="gate", table="strangers"))
    hold = other.held(1, 2, 3, 4)
    with pytest.raises(TableError, match=r"gate\.strangers"):
        sluice("hold", "release", hold.id, "--why", "x")
    assert other.status(hold) == "open"
    assert told("reject", hold.id, "--why", "x")[0]["status"] == "rejected"


def test_tables_say_what_waits(gatehouse):
    gatehouse.held(1, 2, 3, 4)
    gatehouse.held(1, 2, 3, 4, partition="night")
    (row,) = json.loads(sluice("tables", "--json").stdout)
    assert row["held"] == 2
    assert "2 batches wait" in sluice("tables").output

"""A project whose warehouse is a DuckDB file: materialize, look, replay, read, judge in place, two processes at once."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import market
import pytest
from typer.testing import CliRunner

from dagster_sluice import WarehouseIOManager, WarehouseResource, gate
from dagster_sluice.cli import app as cli
from dagster_sluice.errors import DatabaseUnreachable, SettingError
from dagster_sluice.warehouse import Address, Result
from dagster_sluice.warehouse.duckdb import DuckDBWarehouse
from dagster_sluice.warehouse.opening import open_warehouse, warehouse_url
from dagster_sluice.warehouse.postgres import PostgresWarehouse

SALES = Address(schema="market", table="sales")
FIRST, SECOND = "2026-03-01", "2026-03-02"


@pytest.fixture
def project(tmp_path, monkeypatch, database_url):
    """The project in the working directory; its warehouse is a file there, Dagster's storage is in Postgres."""
    (tmp_path / "workspace.yaml").write_text(f"load_from:\n  - python_file: {market.__file__}\n")
    (tmp_path / "dagster").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "sluice"))
    monkeypatch.setenv("SLUICE_DAGSTER_URL", "")
    monkeypatch.setenv("SLUICE_WAREHOUSE_URL", "duckdb:///market.duckdb")
    monkeypatch.setattr(market, "BATCHES", {})
    return tmp_path


@pytest.fixture
def warehouse(project):
    return DuckDBWarehouse(f"duckdb:///{project}/market.duckdb")


def materialize(*assets, day=None, **options):
    return dg.materialize(
        assets,
        partition_key=day,
        resources={"warehouse": WarehouseResource(), "io_manager": WarehouseIOManager()},
        raise_on_error=False,
        **options,
    )


def sluice(*words):
    """What a command prints; it must end well."""
    if not cli.app.registered_commands:
        cli._assemble()
    result = CliRunner().invoke(cli.app, list(map(str, words)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def told(*words):
    return json.loads(sluice(*words, "--json"))


def test_publish_look_and_replay(project, warehouse):
    market.BATCHES[FIRST] = market.batch(range(1, 11), {3: -5.0})
    assert materialize(market.sales, day=FIRST).success
    assert (project / "market.duckdb").is_file()
    assert warehouse.read(SALES).num_rows == 9
    assert warehouse.columns(SALES)["sold_at"] == "timestamp with time zone"

    (found,) = told("tables")
    assert (found["location"], found["rows"], found["quarantined"]) == ("market.sales", 9, 1)
    (row,) = told("quarantine", "list")
    assert row["payload"]["number"] == 3

    file = project / "rows.csv"
    sluice("quarantine", "export", SALES, "-o", file)
    file.write_text(file.read_text(encoding="utf-8").replace("-5.0", "5.0"), encoding="utf-8")
    (replayed,) = told("quarantine", "replay", "--from", file, "--why", "typed wrongly")
    assert (replayed["passed"], replayed["still_failing"], replayed["rows_published"]) == (1, 0, 10)
    assert sorted(warehouse.read(SALES).column("number").to_pylist()) == list(range(1, 11))

    assert materialize(market.sales, day=FIRST).success
    assert warehouse.read(SALES).num_rows == 10
    assert [audit.result for audit in warehouse.history(SALES)] == [Result.UNCHANGED]
    assert told("quarantine", "list") == []


def test_a_blocked_day_leaves_what_is_published(warehouse):
    market.BATCHES[FIRST] = market.batch(range(4))
    assert materialize(market.sales, day=FIRST).success
    market.BATCHES[FIRST] = market.batch(range(4), {0: -1.0, 1: -1.0, 2: -1.0})
    assert not materialize(market.sales, day=FIRST).success
    assert warehouse.read(SALES).num_rows == 4
    assert [audit.result for audit in warehouse.history(SALES)] == [Result.BLOCKED]


def test_an_ordinary_asset_reads_and_publishes(warehouse):
    for day, numbers in ((FIRST, range(3)), (SECOND, range(3, 5))):
        market.BATCHES[day] = market.batch(numbers, {4: 20.0})
        assert materialize(market.sales, day=day).success
    for _ in range(2):
        assert materialize(market.takings, market.sales, selection=[market.takings]).success
        rows = warehouse.read(Address(schema="market", table="takings")).to_pylist()
        assert rows == [{"price": 10.0, "size": 4}, {"price": 20.0, "size": 1}]


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR"])
def test_a_table_that_others_write_is_judged_in_place(warehouse, monkeypatch, kind):
    monkeypatch.setattr(market, "KIND", [kind])
    checks = gate(market.stalls, market.FOREIGN)
    for day, good in ((FIRST, True), (SECOND, False)):
        result = materialize(market.stalls, checks, day=day)
        (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "stall_once"]
        assert (found.passed, found.metadata["rows"].value, result.success) == (good, 2, good)
    assert warehouse.tables() == []


def test_two_processes_that_publish_at_once(project, warehouse):
    """Each has the whole of Dagster; both publish two days of one table, which neither has made."""
    days = [(FIRST, 1, 40), (SECOND, 41, 80)]
    processes = [
        subprocess.Popen(
            [sys.executable, market.__file__, *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in days
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert sorted(warehouse.read(SALES).column("number").to_pylist()) == [
        number for number in range(1, 81) if number not in (1, 41)
    ]
    assert [row.payload["number"] for row in reversed(warehouse.quarantined(SALES))] in ([1, 41], [41, 1])
    assert set(warehouse.current(SALES)) == {FIRST, SECOND}


# Which warehouse is meant


def test_the_environment_names_the_warehouse(project, database_url, monkeypatch):
    assert isinstance(open_warehouse(), DuckDBWarehouse)
    assert isinstance(open_warehouse(database_url), PostgresWarehouse)
    assert WarehouseResource(url="duckdb:///other.duckdb").address == "duckdb:///other.duckdb"
    monkeypatch.setenv("SLUICE_WAREHOUSE_URL", "postgresql+psycopg2://bob:pw@host:5432/db")
    assert warehouse_url() == "postgresql://bob:pw@host:5432/db"
    monkeypatch.delenv("SLUICE_WAREHOUSE_URL")
    assert warehouse_url() == database_url
    monkeypatch.setenv("SLUICE_WAREHOUSE_URL", "sqlite:///hunter2.db")
    with pytest.raises(SettingError, match="SLUICE_WAREHOUSE_URL") as caught:
        warehouse_url()
    assert "hunter2" not in str(caught.value)


def test_a_wrong_setting_is_one_message(project, monkeypatch):
    monkeypatch.setenv("SLUICE_WAREHOUSE_URL", "duckdb:///:memory:")
    with pytest.raises(SettingError, match="no other process can see"):
        sluice("tables")
    monkeypatch.setenv("SLUICE_WAREHOUSE_URL", "duckdb:///absent/market.duckdb")
    with pytest.raises(DatabaseUnreachable, match="no directory"):
        sluice("tables")
    market.BATCHES[FIRST] = market.batch(range(3))
    failed = materialize(market.sales, day=FIRST)
    (event,) = [event for event in failed.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "no directory" in event.step_failure_data.user_failure_data.description


def test_dbt_says_that_it_needs_postgres():
    from dagster_sluice.dbt.environment import connection

    with pytest.raises(SettingError, match="DuckDB"):
        connection("duckdb:///market.duckdb")


def test_a_contract_from_a_published_table(project):
    market.BATCHES[FIRST] = market.batch(range(3))
    assert materialize(market.sales, day=FIRST).success
    sluice("contract", "init", "market.sales", "-o", "sales.yaml")
    text = Path("sales.yaml").read_text(encoding="utf-8")
    assert "physicalType: table" in text
    assert text.count("physicalType") == 1
    assert "sold_at" in text

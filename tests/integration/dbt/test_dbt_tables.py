"""What dbt is told of the database and the days, and its manifest: made by a real dbt, once, and again if need be."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from dagster_sluice.dbt.environment import connection, environment
from dagster_sluice.errors import SettingError, TableError

PROJECT = Path(__file__).parents[3] / "assets" / "flights" / "dbt_project"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgresql://u:p%40s%2F@db.example:6543/w%20h", ("db.example", "6543", "u", "p@s/", "w h")),
        ("postgresql://postgres@/sluice?host=/tmp/a%20b&port=5432", ("/tmp/a b", "5432", "postgres", "", "sluice")),
        ("postgresql://localhost/db", ("localhost", "5432", "postgres", "", "db")),
    ],
)
def test_the_profile_reaches_the_same_database(url, wanted) -> None:
    found = connection(url)
    assert tuple(found[f"SLUICE_DBT_{name}"] for name in ("HOST", "PORT", "USER", "PASSWORD", "DBNAME")) == wanted


def test_the_environment_is_put_back(monkeypatch) -> None:
    monkeypatch.setenv("SLUICE_DBT_HOST", "before")
    monkeypatch.delenv("SLUICE_DBT_MIN_DATE", raising=False)
    with environment({"SLUICE_DBT_HOST": "during", "SLUICE_DBT_MIN_DATE": "2026-01-01"}):
        assert os.environ["SLUICE_DBT_HOST"] == "during"
    assert os.environ["SLUICE_DBT_HOST"] == "before"
    assert "SLUICE_DBT_MIN_DATE" not in os.environ


def test_a_directory_without_a_project(tmp_path) -> None:
    from dagster_sluice.dbt.project import prepared

    with pytest.raises(SettingError, match=r"holds no dbt_project\.yml"):
        prepared(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_the_manifest_is_made_once_and_again_when_a_model_changes(tmp_path) -> None:
    from dagster_sluice.dbt.assets import _without_database
    from dagster_sluice.dbt.project import prepared

    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(prepared, [project, project])
    made = first.manifest_path.stat().st_mtime_ns
    assert second.manifest_path == first.manifest_path
    prepared(project)
    assert first.manifest_path.stat().st_mtime_ns == made

    manifest = json.loads(first.manifest_path.read_text())
    _without_database(manifest)
    names = {node["relation_name"] for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    assert names == {f'"marts"."{name}"' for name in ("daily_delays", "carrier_performance", "route_reliability")}

    (project / "models" / "marts" / "broken.sql").write_text("select * from {{ ref('nothing') }}")
    with pytest.raises(TableError, match="nothing"):
        prepared(project)
    (project / "models" / "marts" / "broken.sql").unlink()
    prepared(project)


def test_builds_of_one_project_take_turns_and_others_do_not_wait(database_url) -> None:
    from dagster_sluice.dbt.turns import in_turn

    told: list[str] = []

    def second() -> None:
        with in_turn(database_url, "flights"):
            told.append("second")

    with ThreadPoolExecutor(1) as pool:
        with in_turn(database_url, "flights"):
            waiting = pool.submit(second)
            with in_turn(database_url, "another"):
                told.append("another")
            while not _waits(database_url):
                assert not waiting.done()
            told.append("first")
        waiting.result(timeout=60)
    assert told == ["another", "first", "second"]


def _waits(url: str) -> bool:
    with psycopg.connect(url) as session:
        found = session.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone()
    return found is not None and found[0] > 0


def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    from dagster_sluice.dbt.turns import in_turn
    from dagster_sluice.errors import DatabaseUnreachable

    with pytest.raises(DatabaseUnreachable) as caught, in_turn("postgresql://u:secret@127.0.0.1:1/db", "flights"):
        pass
    assert "secret" not in str(caught.value)

"""What dbt is told of the database and the days, and its manifest: made by a real dbt, once, and again if need be."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from dagster_sluice.dbt.environment import connection
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


def test_a_directory_without_a_project(tmp_path) -> None:
    from dagster_sluice.dbt.project import prepared

    with pytest.raises(SettingError, match=r"holds no dbt_project\.yml"):
        prepared(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_the_manifest_is_made_once_and_again_when_a_model_changes(tmp_path) -> None:
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
    names = {node["relation_name"] for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    wanted = ("daily_delays", "carrier_performance", "route_reliability")
    assert names == {f'"postgres"."marts"."{name}"' for name in wanted}

    (project / "models" / "marts" / "broken.sql").write_text("select * from {{ ref('nothing') }}")
    with pytest.raises(TableError, match="nothing"):
        prepared(project)
    (project / "models" / "marts" / "broken.sql").unlink()
    prepared(project)


def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    from dagster_sluice.dbt.staging import build_turn
    from dagster_sluice.errors import DatabaseUnreachable

    with pytest.raises(DatabaseUnreachable) as caught, build_turn("postgresql://u:secret@127.0.0.1:1/db", {"marts"}):
        pass
    assert "secret" not in str(caught.value)


def test_a_project_with_a_schema_gets_a_profile_that_holds_no_secret(tmp_path, monkeypatch) -> None:
    from dagster_sluice.dbt.profiles import profiles_of

    monkeypatch.setenv("SLUICE_DBT_PASSWORD", "p-w-d")
    shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("target", "logs"))
    assert profiles_of(tmp_path / "project", None) == tmp_path / "project"
    made = profiles_of(tmp_path / "project", 'my "schema"')
    text = (made / "profiles.yml").read_text()
    assert "p-w-d" not in text
    assert yaml.safe_load(text)["sluice"]["outputs"]["warehouse"]["schema"] == 'my "schema"'
    assert made.parent == tmp_path / "project" / "target"


@pytest.mark.parametrize("text", ["- a list", "name: [", ""])
def test_a_project_file_that_cannot_be_read(tmp_path, text) -> None:
    from dagster_sluice.dbt.profiles import profiles_of

    (tmp_path / "dbt_project.yml").write_text(text)
    with pytest.raises(SettingError, match=r"dbt_project\.yml"):
        profiles_of(tmp_path, None)

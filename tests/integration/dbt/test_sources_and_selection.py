"""``dbt source freshness`` as checks, and what has changed since a deployment: a real dbt over ``shop``."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from test_gated_builds import SOURCES
from typer.testing import CliRunner

from dagster_sluice import WarehouseResource
from dagster_sluice.errors import SettingError, TableError

pytestmark = pytest.mark.filterwarnings("ignore")

SHOP = Path(__file__).parent / "shop"


@pytest.fixture
def project(tmp_path):
    shutil.copytree(SHOP, tmp_path / "shop", ignore=shutil.ignore_patterns("target", "logs"))
    return tmp_path / "shop"


def test_each_source_is_judged_by_its_own_rule(project, database_url):
    from dagster_sluice.dbt import dbt_source_checks

    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute(SOURCES)
        session.execute("INSERT INTO raw_shop.payments VALUES (1, 1, now() - interval '14 minutes'), (2, 1, now())")
        session.execute("UPDATE raw_shop.payments SET amount = -1 WHERE loaded_at > now() - interval '1 hour'")
        session.execute("DELETE FROM raw_shop.payments WHERE order_id = 1 AND amount = -1")
    checks = dbt_source_checks(project, schema="shop")
    with dg.DagsterInstance.ephemeral() as instance:
        defs = dg.Definitions(asset_checks=[checks], resources={"warehouse": WarehouseResource(url=database_url)})
        job = defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    found = {check.asset_key.path[-1]: check for check in result.get_asset_check_evaluations()}
    assert result.success
    assert {name: (check.passed, check.severity.value) for name, check in found.items()} == {
        "payments": (True, "ERROR"),
        "payments_by_query": (False, "WARN"),
        "payments_filtered": (False, "ERROR"),
        "missing": (False, "ERROR"),
    }
    assert 'relation "raw_shop.missing" does not exist' in found["missing"].description
    assert found["payments_filtered"].metadata["sluice/age_seconds"].value > 14 * 3600
    assert "order_id = 1" in found["payments_filtered"].description
    assert found["payments_by_query"].metadata["sluice/newest_row"].value > 0


def test_a_project_that_says_nothing_of_freshness(project):
    from dagster_sluice.dbt import dbt_source_checks

    (project / "models" / "sources.yml").write_text(
        "sources: [{name: raw, schema: raw_shop, tables: [{name: people}, {name: payments}, {name: sales}]}]"
    )
    with pytest.raises(SettingError, match="no source with a freshness"):
        dbt_source_checks(project, schema="shop")


def test_what_has_changed_since_the_deployment(project, database_url):
    from dagster_sluice.cli.dbt import app
    from dagster_sluice.dbt.deployed import modified, modified_assets, remember
    from dagster_sluice.state import State

    with closing(State(database_url)) as state:
        with pytest.raises(SettingError, match="No deployment of the dbt project shop to 'production'"):
            modified_assets(project, schema="shop", state=state)
        first = remember(project, schema="shop", state=state)
        assert (first.project, first.environment) == ("shop", "production")
        assert modified_assets(project, schema="shop", state=state) == set()
        remember(project, environment="staging", schema="shop", state=state)

        file = project / "models" / "marts" / "customers.sql"
        file.write_text(file.read_text() + "where true\n")
        found = modified(project, schema="shop", state=state)
        assert {one.name for one in found if one.kind == "model"} == {"customers", "customer_value"}
        of_checks = {one.name: one.asset for one in found if one.kind == "test"}
        assert of_checks["not_null_customers_email"] == dg.AssetKey(["marts", "customers"])
        assert modified_assets(project, schema="shop", state=state) >= {
            dg.AssetKey(["marts", "customers"]),
            dg.AssetKey(["marts", "customer_value"]),
        }
        only = modified(project, schema="shop", state=state, select="state:modified")
        assert [one.name for one in only if one.kind == "model"] == ["customers"]
        with pytest.raises(TableError, match="nonsense"):
            modified(project, schema="shop", state=state, select="nonsense:x")

    command = CliRunner()
    listed = command.invoke(app, ["modified", str(project), "--schema", "shop", "--json", "--exit-code"])
    assert listed.exit_code == 1
    assert {row["name"] for row in json.loads(listed.stdout) if row["kind"] == "model"} == {
        "customers",
        "customer_value",
    }
    told = command.invoke(app, ["deployed", str(project), "--schema", "shop", "--json"])
    assert json.loads(told.stdout)[0]["environment"] == "production"
    listed = command.invoke(app, ["modified", str(project), "--schema", "shop", "--exit-code"])
    assert (listed.exit_code, listed.stdout.strip()) == (0, "Nothing has changed.")
    other = command.invoke(app, ["modified", str(project), "--schema", "shop", "--json", "-e", "staging"])
    assert (other.exit_code, len(json.loads(other.stdout)) > 0) == (0, True)


def test_a_duckdb_file_is_refused_clearly(project, tmp_path):
    from dagster_sluice.dbt import dbt_tables

    tables = dbt_tables(project, name="shop", schema="shop")
    resources = {"warehouse": WarehouseResource(url=f"duckdb:///{tmp_path}/shop.duckdb")}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([tables], resources=resources, instance=instance, raise_on_error=False)
    (failure,) = [event.event_specific_data for event in result.all_events if event.is_step_failure]
    assert "this one is a DuckDB file" in failure.user_failure_data.description

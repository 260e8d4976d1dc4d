"""What we lean on of dagster-dbt and of dbt, beyond what they promise (docs/decisions/0018-dbt-audit-before-publish.md)."""

import inspect
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import dagster as dg
import pytest

pytestmark = pytest.mark.filterwarnings("ignore")

FILES = {
    "dbt_project.yml": "name: pinned\nprofile: pinned\n",
    "profiles.yml": """
        pinned:
          target: it
          outputs:
            it: {type: postgres, host: nowhere, port: 1, user: u, password: p, dbname: d, schema: s, threads: 1}
    """,
    "models/a.sql": "select 1 as n",
    "models/b.sql": "select n from {{ ref('a') }}",
    "models/schema.yml": "models: [{name: b, columns: [{name: n, data_tests: [not_null]}]}]\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pinned")
    for name, text in FILES.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(textwrap.dedent(text))
    asked = """
        import json, sys
        from dbt.cli.main import dbtRunner
        manifest = dbtRunner().invoke(["--quiet", "parse"]).result
        node = manifest.nodes["model.pinned.a"]
        node.schema = "elsewhere"
        manifest.rebuild_ref_lookup()
        ran = dbtRunner(manifest=manifest).invoke(["--quiet", "compile"])
        results = [(one.node.unique_id, str(one.status)) for one in (ran.result or [])]
        listed = dbtRunner(manifest=manifest).invoke(["--quiet", "ls", "--output", "json", "--output-keys", "unique_id schema"])
        print("\\nFOUND " + json.dumps({"relation": node.relation_name, "listed": listed.result, "kept": node.schema}))
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(asked)],
        cwd=directory,
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_PROFILES_DIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = [line for line in ran.stdout.splitlines() if line.startswith("FOUND ")] or [ran.stdout + ran.stderr]
    return directory, json.loads(line.removeprefix("FOUND "))


def test_a_runner_uses_the_manifest_that_it_is_given(project):
    """Models are built elsewhere by another schema in the manifest: no parse, no edit of the project."""
    _, found = project
    schemas = {one["unique_id"]: one["schema"] for one in map(json.loads, found["listed"]) if "schema" in one}
    assert schemas["model.pinned.a"] == found["kept"] == "elsewhere"
    assert schemas["model.pinned.b"] == "s"


def test_a_relation_is_written_with_its_database_schema_and_name(project):
    """The runner replaces the schema in it."""
    assert project[1]["relation"] == '"d"."s"."a"'


def test_the_statuses_that_dbt_knows():
    """`nodes.rule` says of each what it means; a new one would block."""
    from dbt.artifacts.schemas.results import NodeStatus

    assert {status.value for status in NodeStatus} == {
        "success", "error", "fail", "warn", "skipped", "partial success", "pass", "runtime error", "no-op"
    }  # fmt: skip


def test_what_is_asked_of_the_manifest(project):
    manifest = json.loads((project[0] / "target" / "manifest.json").read_text())
    assert manifest["metadata"]["dbt_schema_version"].endswith("/v12.json")
    model = manifest["nodes"]["model.pinned.b"]
    assert {"resource_type", "schema", "alias", "name", "config", "depends_on", "unique_id"} <= {*model}
    assert {"materialized", "meta", "grants", "event_time"} <= {*model["config"]}
    (test,) = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    assert test["attached_node"] == "model.pinned.b"
    assert test["config"]["severity"].lower() == "error"
    assert {"nodes", "sources", "unit_tests"} <= {*manifest}


def test_assets_know_their_dbt_nodes_and_their_selection(project):
    """The step asks which nodes are selected, and lets dagster-dbt put that in dbt's words."""
    from dagster_dbt import DagsterDbtTranslator, dbt_assets
    from dagster_dbt.asset_utils import (
        DAGSTER_DBT_UNIQUE_ID_METADATA_KEY,
        get_updated_cli_invocation_params_for_context,
    )

    manifest = json.loads((project[0] / "target" / "manifest.json").read_text())
    seen = {}

    @dbt_assets(manifest=manifest)
    def models(context: dg.AssetExecutionContext):
        seen["ids"] = {
            context.assets_def.get_asset_spec(key).metadata[DAGSTER_DBT_UNIQUE_ID_METADATA_KEY]
            for key in context.selected_asset_keys
        }
        chosen = get_updated_cli_invocation_params_for_context(context, manifest, DagsterDbtTranslator())
        seen["arguments"] = [*chosen.selection_args]
        seen["indirect"] = chosen.indirect_selection
        seen["project"] = chosen.dbt_project
        seen["events"] = list(_events(context, manifest))
        yield from [event for event in seen["events"] if isinstance(event, (dg.Output, dg.AssetCheckResult))]

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [models], selection=dg.AssetSelection.assets("b"), instance=instance, raise_on_error=False
        )
    # A failed check that blocks fails the step at its end.
    assert not result.success
    assert seen["ids"] == {"model.pinned.b"}
    assert seen["arguments"][0] == "--select"
    assert "pinned.b" in " ".join(seen["arguments"])
    assert seen["indirect"] in (None, "cautious", "buildable", "eager", "empty")
    output, check = seen["events"]
    assert (type(output), output.output_name) == (dg.Output, "b")
    assert (type(check), check.asset_key, check.passed) == (dg.AssetCheckResult, dg.AssetKey("b"), False)


def _events(context, manifest):
    """A model's end and a test's, as dbt's structured log tells them."""
    from dagster_dbt import DagsterDbtTranslator
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

    (test,) = [id_ for id_ in manifest["nodes"] if id_.startswith("test.")]
    for name, id_, status, kind in (
        ("LogModelResult", "model.pinned.b", "success", "model"),
        ("LogTestResult", test, "fail", "test"),
    ):
        node = {
            "unique_id": id_,
            "resource_type": kind,
            "node_status": status,
            "node_started_at": "2024-03-10T01:00:00.000000",
            "node_finished_at": "2024-03-10T01:00:01.000000",
            "materialized": "view" if kind == "model" else "test",
            "node_path": "x",
            "node_name": "x",
            "node_relation": {},
            "meta": {},
        }
        raw = {
            "info": {"name": name, "level": "info", "msg": "", "invocation_id": "x", "code": "", "ts": "", "pid": 1},
            "data": {"node_info": node, "status": status, "num_failures": 1, "execution_time": 1.0},
        }
        message = DbtCoreCliEventMessage(raw_event=raw, event_history_metadata={})
        yield from message.to_default_asset_events(manifest, DagsterDbtTranslator(), context, None, None)


def test_events_take_what_we_give_them():
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

    names = [*inspect.signature(DbtCoreCliEventMessage.to_default_asset_events).parameters]
    assert names == ["self", "manifest", "dagster_dbt_translator", "context", "target_path", "project"]
    assert [*inspect.signature(DbtCoreCliEventMessage).parameters][:2] == ["raw_event", "event_history_metadata"]


def test_a_translator_makes_check_specs():
    from dagster_dbt import DagsterDbtTranslator

    names = [*inspect.signature(DagsterDbtTranslator.get_asset_check_spec).parameters]
    assert names == ["self", "asset_spec", "manifest", "unique_id", "project"]


def test_where_dbt_leaves_its_parse():
    """A build copies it, so that its own parse costs little."""
    from dbt.constants import PARTIAL_PARSE_FILE_NAME

    from dagster_sluice.dbt.building import PARTIAL_PARSE

    assert PARTIAL_PARSE_FILE_NAME == PARTIAL_PARSE


def test_the_package_is_found_where_it_is_run(project):
    """`python -m dagster_sluice.dbt.runner` works from a project's directory."""
    assert Path(project[0]).is_dir()
    found = subprocess.run(
        [sys.executable, "-c", "import dagster_sluice.dbt.runner as r; print(r.STAGED)"],
        cwd=project[0],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.strip() == "SLUICE_DBT_STAGED"

"""Dagster's private names as we found them. What rests on it: ``dagster_sluice/cli/location.py``, ``cli/worker.py``,
and decision 0005: a headless run is an ordinary Dagster run, made without a server.
"""

import inspect
import os
import subprocess
import sys
from textwrap import dedent

import dagster as dg
import pytest


def parameters(function):
    return set(inspect.signature(function).parameters)


def test_the_names_that_read_a_workspace():
    from dagster._core.workspace.load_target import PyProjectFileTarget, WorkspaceFileTarget

    for target in (WorkspaceFileTarget(paths=["workspace.yaml"]), PyProjectFileTarget(path="pyproject.toml")):
        assert callable(target.create_origins)


def test_the_names_that_load_a_location():
    from dagster._core.code_pointer import CodePointer
    from dagster._core.definitions.reconstruct import ReconstructableRepository
    from dagster._grpc.utils import get_loadable_targets

    assert {
        "python_file",
        "module_name",
        "package_name",
        "autoload_defs_module_name",
        "working_directory",
        "attribute",
        "resolve_lazy_defs",
    } <= parameters(get_loadable_targets)
    for maker, count in ((CodePointer.from_python_file, 3), (CodePointer.from_python_package, 3)):
        assert len(parameters(maker)) == count
    assert len(parameters(CodePointer.from_module)) == 3
    assert callable(ReconstructableRepository.get_definition)


def test_the_names_that_make_a_run():
    from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
    from dagster._grpc.types import ExecuteRunArgs

    assert {"job_name", "repository_origin"} <= parameters(JobPythonOrigin)
    assert {
        "executable_path",
        "code_pointer",
        "container_image",
        "entry_point",
        "container_context",
    } <= parameters(RepositoryPythonOrigin)
    assert {"job_origin", "run_id", "instance_ref", "set_exit_code_on_failure"} <= parameters(ExecuteRunArgs)
    assert callable(ExecuteRunArgs.get_command_args)
    assert {"tags", "asset_selection", "remote_job_origin", "job_code_origin"} <= parameters(
        dg.DagsterInstance.create_run_for_job
    )
    assert {"report_run_failed", "report_run_canceled", "add_run_tags", "get_ref"} <= set(dir(dg.DagsterInstance))
    assert callable(dg.RepositoryDefinition.get_implicit_job_def_for_assets)


PROJECT = {
    "workspace.yaml": """\
        load_from:
          - python_module:
              module_name: small_project
              working_directory: .
              location_name: small
        """,
    "small_project.py": """\
        import dagster as dg

        @dg.asset
        def first(context: dg.AssetExecutionContext) -> None:
            context.log.info("first")

        @dg.asset(deps=[first])
        def second() -> None:
            if SPOILED:
                raise ValueError("spoiled")

        SPOILED = False
        defs = dg.Definitions([first, second], executor=dg.in_process_executor)
        """,
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    place = tmp_path / "project"
    place.mkdir()
    for name, text in PROJECT.items():
        (place / name).write_text(dedent(text))
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(sys.modules, "small_project", raising=False)
    return place


@pytest.fixture
def instance(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as opened:
        yield opened


@pytest.mark.parametrize("spoiled", [False, True])
def test_a_run_made_this_way_is_executed_by_dagsters_own_worker(project, instance, spoiled):
    """The same steps as ``worker.start``, with Dagster's names alone."""
    from dagster._core.code_pointer import CodePointer
    from dagster._core.definitions.reconstruct import ReconstructableRepository
    from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
    from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster._grpc.types import ExecuteRunArgs

    if spoiled:
        text = (project / "small_project.py").read_text()
        (project / "small_project.py").write_text(text.replace("SPOILED = False", "SPOILED = True"))
    (origin,) = WorkspaceFileTarget(paths=[str(project / "workspace.yaml")]).create_origins()
    assert origin.location_name == "small"
    pointer = CodePointer.from_module("small_project", "defs", str(project))
    repository = ReconstructableRepository(pointer).get_definition()
    assets = {dg.AssetKey("first"), dg.AssetKey("second")}
    job = repository.get_implicit_job_def_for_assets(list(assets))
    code = JobPythonOrigin(
        job_name=job.name,
        repository_origin=RepositoryPythonOrigin(
            executable_path=sys.executable,
            code_pointer=pointer,
            container_image=None,
            entry_point=None,
            container_context=None,
        ),
    )
    run = instance.create_run_for_job(
        job.get_subset(asset_selection=assets),
        tags={"sluice/test": "yes"},
        asset_selection=assets,
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(origin, repository.name), job_name=job.name),
        job_code_origin=code,
    )
    assert run.status is dg.DagsterRunStatus.NOT_STARTED
    command = ExecuteRunArgs(
        job_origin=code, run_id=run.run_id, instance_ref=instance.get_ref(), set_exit_code_on_failure=True
    ).get_command_args()
    assert command[:3] == [sys.executable, "-m", "dagster"] or command[0] == "dagster"
    finished = subprocess.run(
        [sys.executable, "-m", *command] if command[0] == "dagster" else list(command),
        cwd=project,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode == 0) is not spoiled, finished.stderr
    run = instance.get_run_by_id(run.run_id)
    assert run.status is (dg.DagsterRunStatus.FAILURE if spoiled else dg.DagsterRunStatus.SUCCESS)
    assert run.tags["sluice/test"] == "yes"
    latest = {key: instance.get_latest_materialization_event(key) is not None for key in assets}
    assert latest == {dg.AssetKey("first"): True, dg.AssetKey("second"): not spoiled}


def test_our_location_is_what_dagster_would_load(project):
    from dagster_sluice.cli.location import load_location

    location = load_location(project)
    assert location.name == "small"
    assert {key.to_user_string() for key in location.repository.asset_graph.get_all_asset_keys()} == {"first", "second"}
    assert location.origin.location_name == "small"

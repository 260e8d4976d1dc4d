"""One Dagster run in a worker process of its own, headless: created, started, watched, stopped.

The worker is Dagster's own (``dagster api execute_run``, what its run launchers start), so the run is an ordinary one:
in the UI, with its logs, of the same code location. The private names this takes are pinned in
``tests/upstream/test_dagster_location.py``.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.events import AssetKey

from dagster_sluice.backfills.headless import LAUNCHER_TAG, PROCESS_TAG, identity
from dagster_sluice.cli.location import Location
from dagster_sluice.failpoints import failpoint
from dagster_sluice.tables.event_log import open_event_log

__all__ = ["Worker", "create_run", "start", "start_run"]

_WHEN_NOTED = 'read -r go && exec "$@" </dev/null'
"""Becomes the worker when it is told to. If we die before the process is noted, nobody tells it, and it ends: otherwise
it would work on a run that the next command takes for abandoned."""

_GRACE_SECONDS = 30.0


@dataclass(kw_only=True)
class Worker:
    """A run under way.

    Attributes:
        run_id: The run.
        log: Where the worker's output goes.
    """

    run_id: str
    log: Path
    _instance: dg.DagsterInstance
    _process: subprocess.Popen[bytes]

    def ticks(self, seconds: float) -> Iterator[None]:
        """Yield every so often for as long as the worker lives."""
        while True:
            try:
                self._process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                yield
            else:
                return

    def finish(self) -> dg.DagsterRun:
        """The run as it ended. One whose worker died without a word is marked as failed."""
        run = self._run()
        if not run.is_finished:
            how = f"exit code {self._process.returncode}"
            if self._process.returncode is not None and self._process.returncode < 0:
                how = f"signal {signal.Signals(-self._process.returncode).name}"
            self._instance.report_run_failed(run, f"The run's process died ({how}).")
            run = self._run()
        return run

    def stop(self) -> None:
        """Interrupt the worker, and kill it if it does not end in time."""
        if self._process.poll() is None:
            run = self._run()
            if not run.is_finished:
                # Without this word, the worker would take the interrupt for an accident and the run for failed.
                self._instance.report_run_canceling(run, message="Stopped at the terminal.")
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout=_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        run = self._run()
        if not run.is_finished:
            self._instance.report_run_canceled(run, message="Stopped at the terminal.")

    def _run(self) -> dg.DagsterRun:
        run = self._instance.get_run_by_id(self.run_id)
        if run is None:
            raise RuntimeError(f"run {self.run_id} has vanished from the instance")
        return run


def start(
    location: Location, instance: dg.DagsterInstance, assets: set[AssetKey], tags: Mapping[str, str], logs: Path
) -> Worker:
    """Create a run over these assets and start its worker.

    Args:
        location: The code location that defines them.
        instance: Dagster's instance.
        assets: What to materialize, with all its checks.
        tags: The run's tags; the partition or the range of partitions is among them.
        logs: Directory for the worker's output.
    """
    return start_run(location, instance, create_run(location, instance, assets, tags), logs)


def create_run(
    location: Location, instance: dg.DagsterInstance, assets: set[AssetKey], tags: Mapping[str, str]
) -> dg.DagsterRun:
    """Create a run over these assets, for this process to start."""
    from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin

    repository = location.repository
    job = repository.get_implicit_job_def_for_assets(list(assets))
    if job is None:
        raise ValueError(f"no one job can hold {sorted(key.to_user_string() for key in assets)}")
    with open_event_log(instance):
        run = instance.create_run_for_job(
            job.get_subset(asset_selection=assets),
            tags={**tags, LAUNCHER_TAG: identity(os.getpid())},
            asset_selection=assets,
            remote_job_origin=RemoteJobOrigin(
                RemoteRepositoryOrigin(location.origin, repository.name), job_name=job.name
            ),
            job_code_origin=_code(location, job.name),
        )
    failpoint("run.created")
    return run


def start_run(location: Location, instance: dg.DagsterInstance, run: dg.DagsterRun, logs: Path) -> Worker:
    """Start the worker of a run that was created."""
    from dagster._grpc.types import ExecuteRunArgs

    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{run.run_id}.log"
    command = ExecuteRunArgs(
        job_origin=_code(location, run.job_name),
        run_id=run.run_id,
        instance_ref=instance.get_ref(),
        set_exit_code_on_failure=True,
    ).get_command_args()
    wanted = [sys.executable, "-m", *command] if command[0] == "dagster" else list(command)
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _WHEN_NOTED, "sh", *wanted],
            cwd=location.directory,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A session of its own: Ctrl-C reaches it through stop(), once, and not twice.
            start_new_session=True,
            # A shell that starts a job in the background leaves SIGINT ignored, which a child would inherit.
            preexec_fn=_mind_interrupts,  # noqa: PLW1509 (the parent has no other thread yet)
        )
    failpoint("run.launched")
    instance.add_run_tags(run.run_id, {PROCESS_TAG: identity(process.pid)})
    failpoint("run.noted")
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin as go:
            go.write(b"go\n")
    return Worker(run_id=run.run_id, log=log, _instance=instance, _process=process)


def _code(location: Location, job: str) -> Any:
    from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

    return JobPythonOrigin(
        job_name=job,
        repository_origin=RepositoryPythonOrigin(
            executable_path=sys.executable,
            code_pointer=location.pointer,
            container_image=None,
            entry_point=None,
            container_context=None,
        ),
    )


def _mind_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

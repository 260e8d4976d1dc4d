"""A copy of the project in a directory of its own, with its own SLUICE_HOME, and the processes that work in it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from dagster_sluice.embedded import EmbeddedPostgres
from dagster_sluice.embedded.processes import postgres_in

ROOT = Path(__file__).parents[1]
SLUICE = str(Path(sys.executable).with_name("sluice"))
PATIENCE = 900.0
"""Seconds after which a command is given up; none takes so long unless it fails, however slow the machine."""
_LEFT_BEHIND = {"dagster_sluice", "tests", "docs"}
"""The package is installed; a copy beside the project would be a second one."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """All that it said, without line breaks."""
        return " ".join(f"{self.out} {self.err}".split())


@dataclass
class Checkout:
    """A project that may be changed, run and thrown away.

    Attributes:
        directory: The project.
        home: Its ``SLUICE_HOME``.
        settings: Environment variables of every command; ``None`` takes one away.
    """

    directory: Path
    home: Path
    settings: dict[str, str | None] = field(default_factory=dict)

    def environment(self, **changes: str | None) -> dict[str, str]:
        """This process's environment, without what belongs to other projects."""
        found = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SLUICE_", "DAGSTER_", "DBT_"))
            and name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
        }
        values: Mapping[str, str | None] = {"SLUICE_HOME": str(self.home), **self.settings, **changes}
        for name, value in values.items():
            if value is None:
                found.pop(name, None)
            else:
                found[name] = value
        return found

    def start(self, *command: str, **changes: str | None) -> "subprocess.Popen[str]":
        """Start a command in a process group of its own, as a terminal does."""
        return subprocess.Popen(
            command,
            cwd=self.directory,
            env=self.environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )

    def sluice(self, *arguments: str, timeout: float = PATIENCE, **changes: str | None) -> Finished:
        """Run ``sluice`` to its end."""
        return finished(self.start(SLUICE, *arguments, **changes), timeout=timeout)

    def change(self, path: str, before: str, after: str) -> Path:
        """Edit a file of the project."""
        file = self.directory / path
        text = file.read_text(encoding="utf-8")
        assert before in text, f"{path} has no {before!r}"
        file.write_text(text.replace(before, after, 1), encoding="utf-8")
        return file

    @property
    def server(self) -> EmbeddedPostgres:
        return EmbeddedPostgres(self.home / "postgres")

    def processes(self) -> list[str]:
        """What still runs of this checkout, the server included."""
        found = [f"postgres {pid}" for pid in postgres_in(self.home / "postgres" / "data")]
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                    continue
                command = process.cmdline()
                if process.environ().get("SLUICE_HOME") == str(self.home) or str(self.home) in " ".join(command):
                    found.append(f"{process.pid} {' '.join(command)}")
        return found

    def worker(self) -> int | None:
        """The process of a run under way."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                command = process.cmdline()
                if "execute_run" in command and process.environ().get("SLUICE_HOME") == str(self.home):
                    return process.pid
        return None


def finished(process: "subprocess.Popen[str]", *, timeout: float = PATIENCE) -> Finished:
    """Wait for a command; one that does not end in time is killed."""
    began = time.monotonic()
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"{process.args} did not end in {timeout} seconds:\n{out}\n{err}") from None
    return Finished(code=process.returncode, out=out, err=err, seconds=time.monotonic() - began)


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait for something to be true and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def copied(*, like: Checkout | None = None) -> Iterator[Checkout]:
    """A copy of the project as it is in the working tree; with ``like``, of another copy, dbt's manifest included."""
    # Not pytest's directory: too long for a socket, and closed to the user as whom root runs Postgres.
    with tempfile.TemporaryDirectory(prefix="co-", ignore_cleanup_errors=True) as base:
        made = Checkout(Path(base).resolve() / "project", Path(base).resolve() / "home")
        if like is None:
            for name in _files():
                target = made.directory / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
        else:
            shutil.copytree(like.directory, made.directory, ignore=shutil.ignore_patterns("__pycache__"))
        try:
            yield made
        finally:
            _sweep(made)


def _files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return [
        name
        for name in listed
        if name and name.partition("/")[0] not in _LEFT_BEHIND and not name.startswith(".") and (ROOT / name).is_file()
    ]


def _sweep(made: Checkout) -> None:
    """Whatever a failed test left behind."""
    made.server.stop()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("SLUICE_HOME") == str(made.home):
                process.kill()

"""A short directory per test, and processes that use its server; whatever a test starts is gone at its end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from dagster_sluice.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[3]
AS_ROOT = os.geteuid() == 0


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def execute(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        cursor = connection.execute(query)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


@dataclass
class Place:
    """A directory for servers, and the programs that were started to use them."""

    base: Path
    template: Path | None = None
    servers: list[EmbeddedPostgres] = field(default_factory=list)
    programs: list[subprocess.Popen[str]] = field(default_factory=list)

    def server(self, name: str = "pg") -> EmbeddedPostgres:
        server = EmbeddedPostgres(self.base / name)
        self.servers.append(server)
        self.fill(server.directory)
        return server

    def fill(self, directory: Path) -> None:
        """Saves the second that the creation of the data takes: copies data made before, where there is a template."""
        if self.template is not None and not directory.exists():
            subprocess.run(["cp", "-a", str(self.template), str(directory)], check=True)

    def environment(self, **settings: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "SLUICE_HOME": str(self.base / "home"), **settings}

    def python(self, script: str, *arguments: str, failpoints: str = "") -> subprocess.Popen[str]:
        """Runs a program in its own process group; it finds the default server of the place in ``server``."""
        head = (
            "import os, sys, time, signal, subprocess\nfrom pathlib import Path\n"
            "from dagster_sluice.embedded.server import EmbeddedPostgres\n"
            f"server = EmbeddedPostgres(Path({str(self.base / 'pg')!r}))\n"
        )
        program = subprocess.Popen(
            [sys.executable, "-c", head + script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(SLUICE_FAILPOINTS=failpoints),
            start_new_session=True,
        )
        self.programs.append(program)
        return program

    def user(self) -> subprocess.Popen[str]:
        """A program that holds a lease until its standard input ends. Returns when it has it."""
        program = self.python("server.acquire()\nprint(server.status().pid, flush=True)\nsys.stdin.read()")
        first = program.stdout.readline()  # type: ignore[union-attr]
        assert first.strip().isdecimal(), program.communicate()[1]
        program.postmaster = int(first)  # type: ignore[attr-defined]
        return program


def end(program: subprocess.Popen[str]) -> str:
    """Lets a program end in order; returns what it wrote."""
    out, err = program.communicate(timeout=120)
    assert program.returncode == 0, err
    return out


def kill(program: subprocess.Popen[str]) -> None:
    program.kill()
    program.communicate(timeout=120)

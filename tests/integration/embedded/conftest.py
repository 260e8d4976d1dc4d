"""The fixture of the tests of the embedded server."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_sluice.embedded import EmbeddedPostgres
from dagster_sluice.embedded.processes import postgres_in

from .place import Place, kill, wait_until


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sl-") as base:
        server = EmbeddedPostgres(Path(base) / "pg")
        with server.lease():
            pass
        yield server.directory


@pytest.fixture
def empty_place() -> Iterator[Place]:
    """A place where no server has ever been."""
    with _place(None) as found:
        yield found


@pytest.fixture
def place(template: Path) -> Iterator[Place]:
    """A place with the data of a server that was stopped."""
    with _place(template) as found:
        found.fill(found.base / "pg")
        yield found


@contextlib.contextmanager
def _place(template: Path | None) -> Iterator[Place]:
    # Not tmp_path: too long for a socket, and pytest closes its directories for the user that root runs Postgres as.
    with tempfile.TemporaryDirectory(prefix="sl-", ignore_cleanup_errors=True) as base:
        found = Place(Path(base).resolve(), template)
        try:
            yield found
        finally:
            for program in found.programs:
                if program.poll() is None:
                    kill(program)
            for server in found.servers:
                # Not those of other tests, which this process may be using too.
                server._is_held, server._depth = False, 0
                server._leave()
            datas = {server.directory / "data" for server in found.servers} | set(found.base.glob("**/data"))
            for data in datas:
                for pid in postgres_in(data):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGQUIT)
            wait_until(lambda: not any(postgres_in(data) for data in datas))

"""Processes that die at failpoints: how a test starts them, where they stop, and what they passed until then.

`serve` is the inside: a program that forks a fresh child for each order, so that a kill costs no imports. `Workers` is
the outside. Nothing here depends on how fast the machine is: a child is killed by itself, at a place that has a name.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from checkout import PATIENCE, wait_until

from dagster_sluice.embedded import EmbeddedPostgres
from dagster_sluice.embedded.processes import postgres_in
from dagster_sluice.failpoints import armed


def serve(work: Callable[..., Any]) -> None:
    """Fork a child for each order on standard input; the child arms its failpoints and does the work."""
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            code = 1
            try:
                with armed(order.pop("failpoints")):
                    work(**order)
                code = 0
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
                if ended.code != code:
                    print(ended, file=sys.stderr)
            except Exception:  # noqa: BLE001 (whatever it is, the test is told)
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(code)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A child that has ended.

    Attributes:
        code: Its exit code; minus nine if it was killed.
        passed: The failpoints that it reached, in order.
        said: What it and those before it wrote on standard error.
    """

    code: int
    passed: list[str]
    said: str

    @property
    def last(self) -> str:
        """Where it died, if it died at a failpoint."""
        return self.passed[-1] if self.passed else ""

    @property
    def commits(self) -> int:
        """How many publishes, replays and blocks it committed, the one it may have died right after included."""
        count, due = 0, False
        for name in self.passed:
            if name in ("publish.before_commit", "replay.before_commit", "block.before_commit"):
                due = True
            elif name == "bulk.committed" and due:
                count, due = count + 1, False
        return count


class Workers:
    """A program that serves orders, one child at a time.

    Args:
        program: The Python file that calls `serve`.
        directory: For its standard error and for what its children passed.
    """

    def __init__(self, program: Path, directory: Path) -> None:
        self._errors = directory / f"{program.stem}-{id(self)}.err"
        self._passed = directory / f"{program.stem}-{id(self)}.passed"
        path = (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))
        with self._errors.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, str(program)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
            )

    def begin(self, failpoints: str = "", **order: Any) -> int:
        """Give an order; returns the process that carries it out."""
        self._passed.unlink(missing_ok=True)
        assert self._process.stdin
        order["failpoints"] = f"*=tell({self._passed});{failpoints}"
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def end(self) -> Ended:
        """Wait for what was begun."""
        code = int(self._line())
        lines = self._passed.read_text().splitlines() if self._passed.exists() else []
        return Ended(code=code, passed=[line.split()[1] for line in lines], said=self.said)

    def run(self, failpoints: str = "", **order: Any) -> Ended:
        """Give an order and wait for its end."""
        self.begin(failpoints, **order)
        return self.end()

    def die(self, failpoint: str, count: int = 1, **order: Any) -> Ended:
        """Give an order whose child dies at a failpoint, and prove that it did."""
        ended = self.run(f"{failpoint}=kill@{count}", **order)
        assert ended.code == -signal.SIGKILL, (failpoint, count, ended)
        assert Counter(ended.passed)[failpoint] == count, (failpoint, count, ended.passed)
        assert ended.last == failpoint
        return ended

    @property
    def said(self) -> str:
        """What its children wrote on standard error, all of them."""
        return self._errors.read_text()

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, self.said
        return line


@contextlib.contextmanager
def workers(program: Path, directory: Path) -> Iterator[Workers]:
    """`Workers` for the length of a ``with`` block."""
    opened = Workers(program, directory)
    try:
        yield opened
    finally:
        opened.close()


class Hand:
    """Holds a process at a failpoint that is armed with ``pause``, for as long as the test likes."""

    def __init__(self) -> None:
        # Short, for a socket's path may have a hundred bytes.
        self._directory = tempfile.mkdtemp(prefix="hand-")
        self.path = f"{self._directory}/socket"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._listener.settimeout(PATIENCE)
        self._held: socket.socket | None = None

    def pause(self, failpoint: str, count: int = 1) -> str:
        """What arms a failpoint so that this hand holds it."""
        return f"{failpoint}=pause({self.path})@{count}"

    def hold(self) -> tuple[str, int]:
        """Wait until a process is there: the failpoint's name and the process."""
        self._held, _ = self._listener.accept()
        self._held.settimeout(PATIENCE)
        name, pid = self._held.makefile().readline().split()
        return name, int(pid)

    def let_go(self) -> None:
        """Let the process that is held go on."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def close(self) -> None:
        self.let_go()
        self._listener.close()
        shutil.rmtree(self._directory, ignore_errors=True)


@contextlib.contextmanager
def hand() -> Iterator[Hand]:
    """A `Hand` for the length of a ``with`` block."""
    opened = Hand()
    try:
        yield opened
    finally:
        opened.close()


def crash(server: EmbeddedPostgres) -> None:
    """kill -9 of a whole server at once, as when its machine loses power; ``server.acquire()`` starts it again."""
    postmaster, data = server.status().pid, server.directory / "data"
    assert postmaster
    # The postmaster first, so that it can start nobody.
    for pid in [postmaster, *postgres_in(data)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not postgres_in(data), PATIENCE, "the end of the server")


@contextlib.contextmanager
def unanswered(server: EmbeddedPostgres) -> Iterator[Callable[[int], None]]:
    """Let the server make commits durable and not answer them; gives a function that waits for so many of them.

    It waits for a standby that does not exist, as it waits for one that is slow. It can only be killed then.
    """
    with psycopg.connect(server.url(), autocommit=True) as session:
        session.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        session.execute("SELECT pg_reload_conf()")

        def wait(count: int) -> None:
            query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            wait_until(lambda: session.execute(query).fetchone() == (count,), PATIENCE, f"{count} commits")

        # The setting takes effect somewhat later: when the first of these is not answered.
        probe = threading.Thread(target=_commit_until_lost, args=[server.url()], daemon=True)
        probe.start()
        wait(1)
        # For the server that is started after this one.
        (server.directory / "data" / "postgresql.auto.conf").write_text("")
        yield lambda count: wait(count + 1)
        session.close()
    probe.join(PATIENCE)


def _commit_until_lost(url: str) -> None:
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True) as session:
        while True:
            # One may be there from the last time.
            session.execute("CREATE TABLE IF NOT EXISTS probe ()")
            session.execute("DROP TABLE probe")


@contextlib.contextmanager
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server that nobody else uses, to be killed."""
    with tempfile.TemporaryDirectory(prefix="sl-", ignore_cleanup_errors=True) as base:
        server = EmbeddedPostgres(Path(base) / "postgres")
        with server.lease():
            try:
                yield server
            finally:
                server.release()

"""A small project (`night_platform`) on a database of its own, Dagster's servers on it, and what stands in it."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
from checkout import PATIENCE, Checkout, finished, wait_until

HERE = Path(__file__).parent
WORKSPACE = """\
load_from:
  - python_file:
      relative_path: definitions.py
      working_directory: .
      location_name: night
"""
SERVED = """\
load_from:
  - grpc_server:
      socket: {socket}
      location_name: night
"""
CONTENTS = {
    "raw": "SELECT * FROM air.raw ORDER BY id",
    "flights": "SELECT * FROM air.flights ORDER BY id",
    "totals": "SELECT * FROM air.totals ORDER BY carrier",
    "quarantine": """SELECT table_name, partition, row_hash, occurrence, payload::text, reasons::text, status
        FROM sluice.quarantine ORDER BY 1, 2, 3, 4""",
    "standing": """SELECT table_name, partition, content_hash, rows_in, rows_published, rows_quarantined
        FROM sluice.publications WHERE superseded_at IS NULL ORDER BY 1, 2""",
}


@dataclass
class Project(Checkout):
    """The project and its database.

    Attributes:
        url: The database.
        servers: Dagster's processes on it.
    """

    url: str = ""
    servers: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def ask(self, query: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.url) as session:
            return session.execute(query, values).fetchall()

    def contents(self) -> dict[str, list[Any]]:
        """What a reader finds: rows, quarantine and what the ledger says of both."""
        return {name: self.ask(query) for name, query in CONTENTS.items()}

    def runs(self) -> dict[str, int]:
        return dict(self.ask("SELECT status, count(*) FROM dagster.runs GROUP BY 1"))

    def backfills(self) -> dict[str, str]:
        """Dagster's backfills and their status."""
        return dict(self.ask("SELECT key, status FROM dagster.bulk_actions ORDER BY id"))

    def serve(self, *command: str, **changes: str | None) -> "subprocess.Popen[bytes]":
        """Start one of Dagster's servers."""
        with (self.home / f"{command[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(HERE / "night_server.py"), *command],
                cwd=self.directory,
                env=self.environment(**changes),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.servers.append(process)
        return process

    def code_server(self, **changes: str | None) -> "subprocess.Popen[bytes]":
        """The code server, once it answers; runs are its children."""
        socket = self.home / "code.sock"
        (self.directory / "served.yaml").write_text(SERVED.format(socket=socket))
        socket.unlink(missing_ok=True)
        process = self.serve(
            *("api", "api", "grpc", "--python-file", "definitions.py", "--working-directory", "."),
            *("--location-name", "night", "--socket", str(socket)),
            **changes,
        )
        wait_until(lambda: socket.exists() or process.poll() is not None, PATIENCE, "the code server")
        assert process.poll() is None, self.log("api")
        return process

    def daemon(self, **changes: str | None) -> "subprocess.Popen[bytes]":
        """The daemon, on that code server, once it lives."""
        before = self.heartbeats()
        process = self.serve("daemon", "run", "-w", "served.yaml", **changes)
        wait_until(
            lambda: process.poll() is not None or self.heartbeats().items() - before.items(), PATIENCE, "the daemon"
        )
        assert process.poll() is None, self.log("daemon")
        return process

    def heartbeats(self) -> dict[str, Any]:
        if self.ask("SELECT to_regclass('dagster.daemon_heartbeats')") == [(None,)]:
            return {}
        return dict(
            self.ask("SELECT daemon_type, daemon_id FROM dagster.daemon_heartbeats WHERE daemon_type='BACKFILL'")
        )

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text(errors="replace")


@contextlib.contextmanager
def project(url: str) -> Iterator[Project]:
    """A project of its own on an empty database."""
    with tempfile.TemporaryDirectory(prefix="co-", ignore_cleanup_errors=True) as base:
        made = Project(Path(base).resolve() / "project", Path(base).resolve() / "home", url=url)
        made.settings["SLUICE_DATABASE_URL"] = url
        made.directory.mkdir()
        made.home.mkdir()
        shutil.copy(HERE / "night_platform.py", made.directory / "definitions.py")
        (made.directory / "workspace.yaml").write_text(WORKSPACE)
        try:
            yield made
        finally:
            _sweep(made)


def _sweep(made: Project) -> None:
    for server in made.servers:
        if server.poll() is None:
            server.kill()
        server.wait()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("SLUICE_HOME") == str(made.home):
                process.kill()


def doubled(made: Project) -> list[Any]:
    """Partitions that two transactions published at once, and batches or rows that were written down twice.

    A batch is judged once in a run; a publication ends when the next one begins.
    """
    return [
        *made.ask(
            """SELECT table_name, partition, run_id, count(*) FROM sluice.audits
            GROUP BY 1, 2, 3 HAVING count(*) > 1"""
        ),
        *made.ask(
            """SELECT one.table_name, one.partition, one.id, two.id FROM sluice.publications AS one
            JOIN sluice.publications AS two USING (table_schema, table_name)
            WHERE one.partition IS NOT DISTINCT FROM two.partition AND one.id < two.id
            AND coalesce(one.superseded_at, 'infinity') > two.published_at"""
        ),
        *made.ask(
            """SELECT publication_id, count(*) FROM sluice.audits WHERE result = 'published'
            GROUP BY 1 HAVING count(*) > 1"""
        ),
    ]


def failed(made: Project) -> list[tuple[str, str, str, int, bool]]:
    """What is remembered: table, partition, class, failures, whether it is parked."""
    return made.ask(
        """SELECT asset, partition, kind, failures, parked_at IS NOT NULL FROM sluice_state.attempts ORDER BY 1, 2"""
    )


__all__ = ["Project", "doubled", "failed", "finished", "project"]

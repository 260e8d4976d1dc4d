"""kill -9 of the process that publishes, and of the server: every partition is wholly old or wholly new."""

import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from publisher import CONTRACT, PARTITIONS, batch

from dagster_sluice.embedded import EmbeddedPostgres
from dagster_sluice.tables.conform import conform
from dagster_sluice.tables.content import content_hash

KILLS = 15
SEED = 20130208


@dataclass
class Publisher:
    """`publisher.py` in a process of its own."""

    process: subprocess.Popen[str]
    url: str

    def begin(self, first: int, last: int) -> int:
        """Start to publish these generations; returns the process to kill."""
        assert self.process.stdin
        self.process.stdin.write(f"{self.url} {first} {last}\n")
        self.process.stdin.flush()
        return int(self._line())

    def end(self) -> int:
        """The exit code of what was begun."""
        return int(self._line())

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()


@contextlib.contextmanager
def publishing(url: str, errors: Path) -> Iterator[Publisher]:
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("publisher.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        yield Publisher(process, url)
        assert process.stdin
        process.stdin.close()
        process.wait(30)


def seen(url: str) -> dict[str, int]:
    """The generation that readers see of each partition, after proof that it is whole."""
    with psycopg.connect(url) as session:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        publications = session.execute(
            "SELECT partition, rows_published, rows_quarantined, content_hash FROM sluice.publications"
            " WHERE superseded_at IS NULL"
        ).fetchall()
        rows = session.execute("SELECT _partition, generation, number, text FROM kill.ledger").fetchall()
        kept = session.execute("SELECT partition, payload FROM sluice.quarantine WHERE status = 'open'").fetchall()
        audits = session.execute("SELECT count(*) FROM sluice.audits a WHERE publication_id IS NULL").fetchone()
    assert audits == (0,)
    found = {}
    by_partition = collections.defaultdict(list)
    for partition, *row in rows:
        by_partition[partition].append(row)
    assert set(by_partition) == {partition for partition, *_ in publications}
    for partition, published, quarantined, fingerprint in publications:
        (generation,) = {row[0] for row in by_partition[partition]}
        assert len(by_partition[partition]) == published
        wanted = conform(pa.Table.from_pandas(batch(generation, partition), preserve_index=False), CONTRACT)
        bad = {misfit.row for misfit in wanted.misfits}
        good = wanted.rows.filter([number not in bad for number in range(wanted.rows.num_rows)])
        assert sorted(by_partition[partition]) == sorted(map(list, zip(*good.to_pydict().values(), strict=True)))
        assert content_hash(good) == fingerprint
        payloads = [payload for kept_partition, payload in kept if kept_partition == partition]
        assert len(payloads) == quarantined == len(bad)
        assert {payload["generation"] for payload in payloads} == {generation}
        found[partition] = generation
    return found


def in_transaction(session: psycopg.Connection) -> bool:
    """Whether somebody else has changed something and not yet said whether to keep it."""
    row = session.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_xid IS NOT NULL"
    ).fetchone()
    return row is not None and row[0] > 0


def publications(session: psycopg.Connection) -> int:
    """How many publishes there have been."""
    row = session.execute("SELECT count(*) FROM sluice.publications").fetchone()
    assert row
    return row[0]


@pytest.fixture
def errors(tmp_path) -> Path:
    return tmp_path / "errors.log"


def test_kill_9_of_the_publisher_leaves_each_partition_wholly_old_or_new(database_url, errors) -> None:
    chance = random.Random(SEED)
    interrupted = mixed = 0
    with psycopg.connect(database_url, autocommit=True) as watch, publishing(database_url, errors) as publisher:
        publisher.begin(1, 1)
        assert publisher.end() == 0, errors.read_text()
        before = seen(database_url)
        assert before == dict.fromkeys(PARTITIONS, 1)
        for number in range(1, KILLS + 1):
            # So many publishes may end first: however slow the machine is, it comes to that, and not all days alike.
            wanted = publications(watch) + chance.randrange(1, 2 * len(PARTITIONS))
            pid = publisher.begin(number * 1000, number * 1000 + 999)
            until = time.monotonic() + 60
            while time.monotonic() < until and publications(watch) < wanted:
                time.sleep(0.002)
            # Every second kill is aimed at a publish that is under way.
            until = time.monotonic() + (10 if number % 2 else 0)
            while time.monotonic() < until and not in_transaction(watch):
                pass
            # Stopped first, so that it can be seen what the kill interrupts.
            os.kill(pid, signal.SIGSTOP)
            interrupted += in_transaction(watch)
            os.kill(pid, signal.SIGKILL)
            assert publisher.end() == -signal.SIGKILL, errors.read_text()
            after = seen(database_url)
            assert set(after) == set(PARTITIONS)
            assert all(after[day] == before[day] or after[day] >= number * 1000 for day in PARTITIONS)
            mixed += len(set(after.values())) > 1
            before = after
        publisher.begin(99_000, 99_000)
        assert publisher.end() == 0, errors.read_text()
        first = seen(database_url)
        publisher.begin(99_000, 99_000)
        assert publisher.end() == 0, errors.read_text()
    assert first == seen(database_url) == dict.fromkeys(PARTITIONS, 99_000)
    # Otherwise the kills proved nothing.
    assert interrupted >= 3, interrupted
    assert mixed >= 3, mixed


def test_kill_9_of_the_server_leaves_each_partition_wholly_old_or_new(errors) -> None:
    chance = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="sl-", ignore_cleanup_errors=True) as base:
        server = EmbeddedPostgres(Path(base) / "postgres")
        with server.lease(), publishing(server.url(), errors) as publisher:
            publisher.begin(1, 1)
            assert publisher.end() == 0, errors.read_text()
            before = seen(server.url())
            for number in (1, 2, 3):
                publisher.begin(number * 1000, number * 1000 + 999)
                time.sleep(chance.uniform(0.1, 1.2))
                postmaster = server.status().pid
                assert postmaster
                os.kill(postmaster, signal.SIGKILL)
                assert publisher.end() == 1
                server.acquire()
                after = seen(server.url())
                assert all(after[day] == before[day] or after[day] >= number * 1000 for day in PARTITIONS)
                before = after
            said = [line for line in errors.read_text().splitlines() if line.startswith("failed ")]
            assert len(said) == 3
            assert all("does not answer" in line for line in said), said
            publisher.begin(99_000, 99_000)
            assert publisher.end() == 0, errors.read_text()
            assert seen(server.url()) == dict.fromkeys(PARTITIONS, 99_000)
            server.release()

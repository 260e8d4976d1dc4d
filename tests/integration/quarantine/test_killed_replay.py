"""kill -9 in the middle of a replay: its rows are wholly in quarantine or wholly published."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from replayer import CHUNK
from ward import ADDRESS, Ward, promise

from dagster_sluice.tables.conform import conform
from dagster_sluice.tables.content import content_hash

KILLS = 6
SEED = 20130208
GOOD, BAD = 300, 1200


def whole(ward):
    """How many rows are still open, after proof that each row is in one place and the records say so."""
    published = ward.published()
    opened = [row.payload["id"] for row in ward.open()]
    assert sorted([one for one, _ in published] + opened) == list(range(GOOD + BAD))
    replayed = ward.warehouse.quarantined(ADDRESS, status="replayed", limit=None)
    assert len(replayed) == len(published) - GOOD
    assert len(replayed) % CHUNK == 0
    assert {(row.replacement["id"], row.replacement["pulse"]) for row in replayed} <= set(published)
    current = ward.warehouse.current(ADDRESS)["day"]
    assert (current.rows_published, current.rows_quarantined) == (len(published), len(opened))
    assert {row.publication for row in replayed} <= set(range(1, current.id + 1))
    rows = ward.warehouse.read(ADDRESS, partitions=["day"])
    assert current.content_hash == content_hash(conform(rows, ward.contract).rows)
    return len(opened)


def in_transaction(session):
    row = session.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_xid IS NOT NULL"
    ).fetchone()
    return row[0] > 0


def publications(session):
    return session.execute("SELECT count(*) FROM sluice.publications").fetchone()[0]


def test_kill_9_of_a_replay_leaves_its_rows_wholly_old_or_new(warehouse, database_url, tmp_path):
    chance = random.Random(SEED)
    ward = Ward(warehouse, contract=promise(not_crowded={"max_value": 10**6}))
    ward.publish([(number, 60 if number < GOOD else 300) for number in range(GOOD + BAD)])
    left = [whole(ward)]
    interrupted = 0
    errors = tmp_path / "errors.log"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("replayer.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
        psycopg.connect(database_url, autocommit=True) as watch,
    ):

        def begin():
            process.stdin.write(f"{database_url}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        for _ in range(KILLS):
            before = publications(watch)
            pid = begin()
            # So many replays may end; the next one is aimed at. However slow the machine is, it comes to that.
            wanted = before + chance.randrange(4)
            until = time.monotonic() + 20
            while time.monotonic() < until and publications(watch) < wanted:
                pass
            while time.monotonic() < until and not in_transaction(watch):
                pass
            time.sleep(chance.uniform(0, 0.004))
            # Stopped first, so that it can be seen what the kill interrupts.
            os.kill(pid, signal.SIGSTOP)
            interrupted += in_transaction(watch)
            os.kill(pid, signal.SIGKILL)
            assert int(process.stdout.readline()) == -signal.SIGKILL, errors.read_text()
            left.append(whole(ward))
        begin()
        assert int(process.stdout.readline()) == 0, errors.read_text()
        process.stdin.close()
        process.wait(30)
    assert whole(ward) == 0
    # Otherwise the kills proved nothing.
    assert interrupted >= 2, interrupted
    assert len(set(left)) >= 3, left
    ward.publish([(number, 60 if number < GOOD else 300) for number in range(GOOD + BAD)])
    assert whole(ward) == 0

"""kill -9 in the middle of holding, releasing, rejecting: a batch waits wholly or not, and is decided wholly or not.

Each kill is at a named failpoint, so it is known beforehand which of the two it must be.
"""

from pathlib import Path

import psycopg
import pytest
from gatehouse import ADDRESS, Gatehouse, parcels
from killed import hand, workers

from dagster_sluice.errors import PublishError

HOLDING = ["hold.locked", "hold.recorded", "hold.staged", "hold.before_commit"]
RELEASING = [
    "release.claimed",
    "publish.removed",
    "publish.rows_written",
    "publish.recorded",
    "publish.quarantined",
    "release.published",
    "hold.decided",
    "release.before_commit",
]
REJECTING = ["hold.decided", "reject.before_commit"]


@pytest.fixture(scope="module")
def holder(tmp_path_factory):
    with workers(Path(__file__).with_name("holder.py"), tmp_path_factory.mktemp("holder")) as opened:
        yield opened


@pytest.fixture
def gatehouse(warehouse):
    made = Gatehouse(warehouse)
    made.bring(parcels(1, 2))
    return made


def state(gatehouse, url):
    """What is published, in quarantine and waiting, after proof that what is staged is what waits."""
    current = gatehouse.warehouse.current(ADDRESS)["day"]
    published = gatehouse.published()
    assert current.rows_published == len(published)
    holds = gatehouse.warehouse.holds(status=None)
    waiting = {hold.id: hold for hold in holds if hold.status == "open"}
    with psycopg.connect(url) as session:
        staged = {
            row[0]
            for row in session.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'sluice_staging'"
            )
        }
        kept = dict(session.execute("SELECT hold_id, count(*) FROM sluice.held_rejections GROUP BY 1").fetchall())
        audits = session.execute("SELECT count(*) FROM sluice.audits").fetchone()[0]
    assert staged == {f"hold_{number}" for number in waiting}
    assert kept == {number: hold.rows_quarantined for number, hold in waiting.items() if hold.rows_quarantined}
    for number, hold in waiting.items():
        assert gatehouse.warehouse.held_rows(number).num_rows == hold.rows
    released = [hold for hold in holds if hold.status == "released"]
    assert all(hold.publication is not None for hold in released)
    bad = sorted(row.payload["id"] for row in gatehouse.warehouse.quarantined(ADDRESS, limit=None))
    return published, bad, [(hold.id, hold.status) for hold in holds], audits


@pytest.mark.parametrize("already", [False, True])
def test_kill_9_of_holding_leaves_the_batch_waiting_or_not(holder, gatehouse, database_url, already) -> None:
    old = [gatehouse.held(21, 22, 23, 24, bad=1)] if already else []
    before = state(gatehouse, database_url)
    order = {"url": database_url, "deed": "bring", "numbers": [11, 12, 13, 14, 15]}
    for failpoint in HOLDING + (["hold.decided"] if already else []):
        holder.die(failpoint, **order)
        assert state(gatehouse, database_url) == before, failpoint
    holder.die("hold.committed", **order)
    published, bad, holds, audits = state(gatehouse, database_url)
    (number, status), *superseded = holds
    assert (published, bad, status, audits) == ([1, 2], [], "open", before[3] + 1)
    assert superseded == [(hold.id, "superseded") for hold in old]
    assert holder.run(**order).code == 0, holder.said
    assert state(gatehouse, database_url) == ([1, 2], [], holds, audits + 1)
    gatehouse.warehouse.release(number, by="ann", why="x")
    assert gatehouse.published() == [12, 13, 14, 15]


def test_kill_9_of_a_release_publishes_all_of_it_or_nothing(holder, gatehouse, database_url) -> None:
    hold = gatehouse.held(11, 12, 13, 14, 15, bad=1)
    before = state(gatehouse, database_url)
    order = {"url": database_url, "deed": "release", "numbers": [hold.id]}
    for failpoint in RELEASING:
        holder.die(failpoint, **order)
        assert state(gatehouse, database_url) == before, failpoint
    holder.die("release.committed", **order)
    after = ([12, 13, 14, 15], [11], [(hold.id, "released")], before[3] + 1)
    assert state(gatehouse, database_url) == after
    assert holder.run(**order).code == 1
    assert "released by ann" in holder.said
    assert state(gatehouse, database_url) == after


def test_kill_9_of_a_reject_gives_up_all_of_it_or_nothing(holder, gatehouse, database_url) -> None:
    hold = gatehouse.held(11, 12, 13, 14, 15, bad=1)
    before = state(gatehouse, database_url)
    order = {"url": database_url, "deed": "reject", "numbers": [hold.id]}
    for failpoint in REJECTING:
        holder.die(failpoint, **order)
        assert state(gatehouse, database_url) == before, failpoint
    holder.die("reject.committed", **order)
    assert state(gatehouse, database_url) == ([1, 2], [], [(hold.id, "rejected")], before[3])


def test_kill_9_of_a_publish_that_supersedes_a_hold_changes_both_or_none(holder, gatehouse, database_url) -> None:
    hold = gatehouse.held(11, 12, 13, 14, 15, bad=1)
    before = state(gatehouse, database_url)
    order = {"url": database_url, "deed": "bring", "numbers": [7, 8, 9]}
    for failpoint in ("publish.before_commit", "hold.decided"):
        holder.die(failpoint, **order)
        assert state(gatehouse, database_url) == before, failpoint
    holder.die("publish.committed", **order)
    assert state(gatehouse, database_url) == ([8, 9], [7], [(hold.id, "superseded")], before[3] + 1)


@pytest.mark.parametrize("second", ["release", "reject"])
def test_who_decides_second_waits_and_reads_what_the_first_one_did(holder, gatehouse, database_url, second) -> None:
    """The first one is held between its claim and its commit; the second one cannot decide meanwhile."""
    hold = gatehouse.held(11, 12, 13, 14)
    with hand() as stopped, psycopg.connect(database_url, autocommit=True) as session:
        holder.begin(stopped.pause("release.published"), url=database_url, deed="release", numbers=[hold.id])
        stopped.hold()
        session.execute("SET lock_timeout = '1ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            session.execute("SELECT FROM sluice.holds WHERE id = %s FOR UPDATE", [hold.id])
        assert gatehouse.status(hold) == "open"
        assert gatehouse.published() == [1, 2]
        stopped.let_go()
        assert holder.end().code == 0, holder.said
    with pytest.raises(PublishError, match="released by ann"):
        getattr(gatehouse.warehouse, second)(hold.id, by="bob", why="x")
    assert gatehouse.published() == [11, 12, 13, 14]

"""kill -9 in the middle of a replay: its rows are wholly in quarantine or wholly published.

Each kill is at a named failpoint, so it is known beforehand which of the two they must be.
"""

from pathlib import Path

import psycopg
import pytest
from killed import workers
from replayer import BAD, GOOD, mendable, source
from ward import ADDRESS, Ward, promise

from dagster_sluice.tables.conform import conform
from dagster_sluice.tables.content import content_hash

BEFORE = ["replay.locked", "replay.rows_written", "replay.recorded", "replay.settled", "replay.before_commit"]
CHUNK = 20


@pytest.fixture(scope="module")
def replayer(tmp_path_factory):
    with workers(Path(__file__).with_name("replayer.py"), tmp_path_factory.mktemp("replayer")) as opened:
        yield opened


@pytest.fixture
def ward(warehouse):
    made = Ward(warehouse, contract=promise(not_crowded={"max_value": 10**6}))
    made.publish(source())
    return made


def chunk(place):
    """The numbers of one replay's rows."""
    return list(range(GOOD + place * CHUNK, GOOD + (place + 1) * CHUNK))


def added(numbers):
    return {number for number in numbers if mendable(number)}


def replayed(ward):
    """The numbers of the rows that were replayed, after proof that each row is in one place and the records say so."""
    published = ward.published()
    opened = [row.payload["id"] for row in ward.open()]
    discarded = [row.payload["id"] for row in ward.warehouse.quarantined(ADDRESS, status="discarded", limit=None)]
    assert sorted([*(number for number, _ in published), *opened, *discarded]) == list(range(GOOD + BAD))
    rows = ward.warehouse.quarantined(ADDRESS, status="replayed", limit=None)
    assert len(rows) == len(published) - GOOD
    assert {(row.replacement["id"], row.replacement["pulse"]) for row in rows} <= set(published)
    current = ward.warehouse.current(ADDRESS)["day"]
    assert current.rows_published == len(published)
    assert current.rows_quarantined in (len(opened), len(opened) + len(discarded))
    assert {row.publication for row in rows} <= set(range(1, current.id + 1))
    standing = ward.warehouse.read(ADDRESS, partitions=["day"])
    assert current.content_hash == content_hash(conform(standing, ward.contract).rows)
    return {row.payload["id"] for row in rows}


def audits(url):
    """How many audits there are of each result."""
    with psycopg.connect(url) as session:
        return dict(session.execute("SELECT result, count(*) FROM sluice.audits GROUP BY 1").fetchall())


def test_kill_9_of_a_replay_leaves_its_rows_wholly_old_or_new(replayer, ward, database_url) -> None:
    done = set()
    for place, failpoint in enumerate([*BEFORE, "replay.committed"]):
        replayer.die(failpoint, url=database_url, deed="replay", numbers=chunk(place))
        done |= added(chunk(place)) if failpoint not in BEFORE else set()
        assert replayed(ward) == done, failpoint
    everything = list(range(GOOD, GOOD + BAD))
    for _ in range(2):
        assert replayer.run(url=database_url, deed="replay", numbers=everything).code == 0, replayer.said
        assert replayed(ward) == added(everything)


def test_kill_9_of_a_publish_that_restores_mended_rows_changes_nothing(replayer, ward, database_url) -> None:
    assert replayer.run(url=database_url, deed="replay", numbers=chunk(0)).code == 0, replayer.said
    for failpoint in ("publish.restored", "publish.before_commit", "publish.committed"):
        replayer.die(failpoint, url=database_url, deed="publish", numbers=[])
        assert replayed(ward) == added(chunk(0)), failpoint


def test_kill_9_of_a_replay_that_only_tells_why_rows_stay_open(replayer, ward, database_url) -> None:
    hopeless = [number for number in chunk(0) if not mendable(number)]
    before = audits(database_url)
    replayer.die("replay.before_commit", url=database_url, deed="replay", numbers=hopeless)
    assert audits(database_url) == before
    replayer.die("replay.committed", url=database_url, deed="replay", numbers=hopeless)
    assert audits(database_url) == {**before, "unchanged": 1}
    assert replayed(ward) == set()


def test_kill_9_of_a_block_keeps_its_record_or_does_not(replayer, ward, database_url) -> None:
    before = audits(database_url)
    for deed in ("replay", "publish"):
        order = {"url": database_url, "deed": deed, "numbers": chunk(0), "most": GOOD - 1}
        replayer.die("block.before_commit", **order)
        assert audits(database_url) == before
        replayer.die("block.committed", **order)
        before["blocked"] = before.get("blocked", 0) + 1
        assert audits(database_url) == before
    assert replayed(ward) == set()


def sessions(ended):
    """How many transactions of the connection for questions it committed."""
    return ended.passed.count("session.before_commit")


def test_kill_9_of_a_discard_discards_all_of_its_rows_or_none(replayer, ward, database_url) -> None:
    order = {"url": database_url, "deed": "discard", "numbers": chunk(0)}
    # How many questions it asks before is no business of this test.
    last = sessions(replayer.run(**{**order, "numbers": []}))
    replayer.die("session.before_commit", last, **order)
    assert len(ward.open()) == BAD
    replayer.die("discard.committed", **order)
    assert {row.payload["id"] for row in ward.open()} == set(range(GOOD + CHUNK, GOOD + BAD))
    assert replayed(ward) == set()


def test_kill_9_of_a_prune_drops_all_of_its_rows_or_none(replayer, ward, database_url) -> None:
    order = {"url": database_url, "deed": "prune", "numbers": []}
    last = sessions(replayer.run(**order))
    ward.warehouse.discard([row.id for row in ward.open()[:CHUNK]], why="not wanted")
    replayer.die("session.before_commit", last, **order)
    assert len(ward.warehouse.quarantined(ADDRESS, status="discarded")) == CHUNK
    replayer.die("prune.committed", **order)
    assert not ward.warehouse.quarantined(ADDRESS, status="discarded")
    assert len(ward.open()) == BAD - CHUNK

"""kill -9 of the process that publishes, and of the server: every partition is wholly old or wholly new.

Each kill is at a named failpoint, so it is known beforehand which of the two a partition must be.
"""

import collections
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from killed import Workers, crash, hand, own_server, unanswered, workers
from publisher import CONTRACT, PARTITIONS, batch

from dagster_sluice.tables.conform import conform
from dagster_sluice.tables.content import content_hash

BEFORE = [
    "table.computed",
    "table.judged",
    "publish.locked",
    "publish.removed",
    "publish.rows_written",
    "publish.superseded",
    "publish.recorded",
    "publish.quarantined",
    "publish.released",
    "publish.before_commit",
]
"""Failpoints on the way to a commit, in order."""
AFTER = ["publish.committed", "events.materialized", "events.checked"]


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    with workers(Path(__file__).with_name("publisher.py"), tmp_path_factory.mktemp("publisher")) as opened:
        yield opened


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
        audits = session.execute(
            "SELECT count(*) FILTER (WHERE publication_id IS NULL),"
            " count(*) FILTER (WHERE result = 'published') - (SELECT count(*) FROM sluice.publications)"
            " FROM sluice.audits"
        ).fetchone()
    assert audits == (0, 0)
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


def published(publisher: Workers, url: str, generation: int) -> None:
    ended = publisher.run(url=url, generation=generation)
    assert ended.code == 0, ended.said
    assert seen(url) == dict.fromkeys(PARTITIONS, generation)


def test_kill_9_of_the_publisher_leaves_what_it_committed_and_nothing_else(publisher, database_url) -> None:
    first, second, third = PARTITIONS
    published(publisher, database_url, 1)
    found = seen(database_url)
    for generation, failpoint in enumerate([*BEFORE, *AFTER], 2):
        publisher.die(failpoint, 2, url=database_url, generation=generation)
        found[first] = generation
        if failpoint in AFTER:
            found[second] = generation
        assert seen(database_url) == found, failpoint
    assert found[third] == 1
    published(publisher, database_url, 99)
    unchanged = publisher.die("publish.reaffirmed", 2, url=database_url, generation=99)
    assert unchanged.commits == 1
    assert seen(database_url) == dict.fromkeys(PARTITIONS, 99)


def test_kill_9_of_a_first_publish_leaves_nothing_of_the_partition_it_was_at(publisher, database_url) -> None:
    publisher.die("ledger.prepared", url=database_url, generation=1)
    publisher.die("table.shaped", url=database_url, generation=1)
    publisher.die("publish.before_commit", url=database_url, generation=1)
    assert seen(database_url) == {}
    publisher.die("publish.before_commit", 2, url=database_url, generation=1)
    assert seen(database_url) == {PARTITIONS[0]: 1}
    published(publisher, database_url, 1)


def test_every_failpoint_of_a_publish_is_among_those_killed_here(publisher, database_url) -> None:
    changed = publisher.run(url=database_url, generation=1).passed
    unchanged = publisher.run(url=database_url, generation=1).passed
    killed = {*BEFORE, *AFTER, "ledger.prepared", "table.shaped", "publish.reaffirmed"}
    connections = {name for name in (*changed, *unchanged) if name.startswith(("bulk.", "session."))}
    assert {*changed, *unchanged} - connections == killed


def test_kill_9_of_the_server_leaves_each_partition_wholly_old_or_new(publisher) -> None:
    """Also where it dies after the publish is durable and before the publisher hears of it."""
    first, second, _ = PARTITIONS
    with own_server() as server, hand() as held:
        url = server.url()
        published(publisher, url, 1)
        found = seen(url)
        deaths = ["publish.rows_written", "publish.before_commit", "bulk.before_commit", "publish.committed", "answer"]
        for generation, death in enumerate(deaths, 2):
            failpoint = "bulk.before_commit" if death == "answer" else death
            publisher.begin(held.pause(failpoint, 2), url=url, generation=generation)
            assert held.hold()[0] == failpoint
            if death == "answer":
                with unanswered(server) as wait:
                    held.let_go()
                    wait(1)
                    crash(server)
            else:
                crash(server)
                held.let_go()
            ended = publisher.end()
            assert ended.code == 1, ended.said
            server.acquire()
            found[first] = generation
            if death in ("publish.committed", "answer"):
                found[second] = generation
            assert seen(url) == found, death
        told = [line.split()[1] for line in publisher.said.splitlines() if line.startswith("failed ")]
        lost = "DatabaseUnreachable"
        assert told == [lost, lost, "OutcomeUnknown", lost, "OutcomeUnknown"], publisher.said
        unknown = [line for line in publisher.said.splitlines() if line.startswith("failed OutcomeUnknown")]
        assert all("it is not known whether the change took place" in line for line in unknown)
        published(publisher, url, generation)
        published(publisher, url, 99)

"""kill -9 of a process that publishes into a DuckDB file: every partition is wholly old or wholly new."""

import collections
from pathlib import Path

import pyarrow as pa
import pytest
from killed import Workers, workers
from publisher import CONTRACT, PARTITIONS, batch

from dagster_sluice.tables.conform import conform
from dagster_sluice.tables.content import content_hash
from dagster_sluice.warehouse import Address
from dagster_sluice.warehouse.duckdb import DuckDBWarehouse

LEDGER = Address(schema="kill", table="ledger")
BEFORE = [
    "publish.locked",
    "publish.removed",
    "publish.rows_written",
    "publish.superseded",
    "publish.recorded",
    "publish.quarantined",
    "publish.released",
    "publish.before_commit",
    "bulk.before_commit",
]
"""Failpoints on the way to a commit, in order."""
AFTER = ["bulk.committed", "publish.committed"]
"""After the first of these the commit is in the log beside the file, and not yet in the file."""


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    with workers(Path(__file__).with_name("publisher.py"), tmp_path_factory.mktemp("publisher")) as opened:
        yield opened


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "warehouse.duckdb"


def url(file: Path) -> str:
    return f"duckdb:///{file}"


def seen(file: Path) -> dict[str | None, int]:
    """The generation that readers see of each partition, after proof that it is whole."""
    warehouse = DuckDBWarehouse(url(file))
    publications = warehouse.current(LEDGER)
    kept = collections.defaultdict(list)
    for row in warehouse.quarantined(LEDGER, limit=None):
        kept[row.partition].append(row.payload)
    if not publications:
        assert not kept
        assert not warehouse.columns(LEDGER)
        return {}
    assert {audit.publication for audit in warehouse.history(LEDGER)} == {one.id for one in publications.values()}
    assert warehouse.read(LEDGER).num_rows == sum(one.rows_published for one in publications.values())
    found = {}
    for partition, publication in publications.items():
        assert partition is not None
        rows = warehouse.read(LEDGER, partitions=[partition])
        (generation,) = set(rows.column("generation").to_pylist())
        wanted = conform(pa.Table.from_pandas(batch(generation, partition), preserve_index=False), CONTRACT)
        bad = {misfit.row for misfit in wanted.misfits}
        good = wanted.rows.filter([number not in bad for number in range(wanted.rows.num_rows)])
        assert content_hash(rows) == content_hash(good) == publication.content_hash
        assert len(kept[partition]) == publication.rows_quarantined == len(bad)
        assert {payload["generation"] for payload in kept[partition]} == {generation}
        found[partition] = generation
    return found


def published(publisher: Workers, file: Path, generation: int) -> None:
    ended = publisher.run(url=url(file), generation=generation)
    assert ended.code == 0, ended.said
    assert seen(file) == dict.fromkeys(PARTITIONS, generation)


def test_kill_9_of_the_publisher_leaves_what_it_committed_and_nothing_else(publisher, file) -> None:
    first, second, third = PARTITIONS
    published(publisher, file, 1)
    found = seen(file)
    for generation, failpoint in enumerate([*BEFORE, *AFTER], 2):
        publisher.die(failpoint, 2, url=url(file), generation=generation)
        found[first] = generation
        if failpoint in AFTER:
            found[second] = generation
        assert seen(file) == found, failpoint
    assert found[third] == 1
    published(publisher, file, 99)
    publisher.die("publish.reaffirmed", 2, url=url(file), generation=99)
    assert seen(file) == dict.fromkeys(PARTITIONS, 99)


def test_kill_9_of_a_first_publish_leaves_nothing_or_the_partition(publisher, file) -> None:
    for failpoint in ("ledger.prepared", "table.shaped", "publish.before_commit", "bulk.before_commit"):
        publisher.die(failpoint, url=url(file), generation=1)
        assert seen(file) == {}
    publisher.die("bulk.committed", url=url(file), generation=1)
    assert seen(file) == {PARTITIONS[0]: 1}
    published(publisher, file, 1)
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name]


def test_every_failpoint_of_a_publish_is_among_those_killed_here(publisher, file) -> None:
    passed = {*publisher.run(url=url(file), generation=1).passed, *publisher.run(url=url(file), generation=1).passed}
    killed = {*BEFORE, *AFTER, "ledger.prepared", "table.shaped", "publish.reaffirmed"}
    assert {name for name in passed if name.startswith(("bulk.", "ledger.", "publish.", "session."))} | {
        "table.shaped"
    } == killed

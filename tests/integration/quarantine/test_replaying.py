"""Quarantined rows through the gate again: what passes is published once, what does not stays, a mend survives."""

import dataclasses
from collections import Counter

import pytest
import scenario
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ward import PROMISE, Ward, promise

from dagster_sluice.tables.conform import conform
from dagster_sluice.tables.content import content_hash
from dagster_sluice.tables.payload import row_payloads
from dagster_sluice.warehouse import Address, AuditRecord, Batch, RejectedRow, Result

SICK = [(1, 60), (2, 70), (3, 300), (4, "none")]


@pytest.fixture
def ward(warehouse):
    return Ward(warehouse)


def hashed(ward, partition="day"):
    """The content of a partition as it would be hashed if it were computed anew."""
    rows = ward.warehouse.read(ward.address, partitions=None if partition is None else [partition])
    return content_hash(conform(rows, ward.contract).rows)


@pytest.mark.parametrize("partition", [None, "day"])
def test_rows_as_kept_fail_again_and_stay(ward, partition):
    ward.publish(SICK, partition)
    before = ward.warehouse.current(ward.address)
    (found,) = ward.replay()
    assert len(found.failed) == 2
    assert not found.good
    assert found.publication is None
    assert ward.warehouse.current(ward.address) == before
    assert len(ward.open()) == 2


@pytest.mark.parametrize("partition", [None, "day"])
def test_a_changed_contract_lets_them_through_once(ward, partition):
    ward.publish(SICK, partition)
    ward.contract = promise(pulse_possible={"max_value": 400})
    (found,) = ward.replay()
    assert len(found.added) == 1
    assert ward.published(partition) == [(1, 60), (2, 70), (3, 300)]
    assert found.publication.content_hash == hashed(ward, partition)
    assert found.publication.rows_published == 3
    added = found.added
    (found,) = ward.replay()
    assert (found.added, len(found.failed)) == ((), 1)
    assert ward.replay(*ward.warehouse.quarantine_rows(added)) == []
    assert ward.published(partition) == [(1, 60), (2, 70), (3, 300)]


def test_mended_rows_are_added(ward):
    ward.publish(SICK)
    three, four = ward.open()
    assert ward.mend(three, pulse=65).good
    assert ward.mend(four, pulse="66").good
    assert ward.published() == [(1, 60), (2, 70), (3, 65), (4, 66)]
    assert ward.open() == []


def test_a_row_that_is_there_already_stays_out(ward):
    ward.publish(SICK)
    three, _ = ward.open()
    found = ward.mend(three, id=1, pulse=65)
    assert [reason["expectation"] for reason in found.failed[three.id]] == ["id_once"]
    assert [reason["expectation"] for reason in ward.open()[0].reasons] == ["id_once"]
    assert ward.published() == [(1, 60), (2, 70)]


def test_a_block_leaves_everything_as_it_was(ward):
    ward.publish(SICK)
    ward.contract = promise(pulse_possible={"max_value": 400}, not_crowded={"max_value": 2})
    before = ward.warehouse.current(ward.address), ward.open()
    (found,) = ward.replay()
    assert "not_crowded" in found.blocked[0]
    assert (ward.warehouse.current(ward.address), ward.open()) == before
    assert ward.warehouse.audits("replay")[0].result is Result.BLOCKED


def test_a_dry_run_tells_and_changes_nothing(ward):
    ward.publish(SICK)
    ward.contract = promise(pulse_possible={"max_value": 400})
    before = ward.warehouse.current(ward.address), ward.open(), ward.published()
    (found,) = ward.replay(dry_run=True)
    assert (len(found.added), len(found.failed)) == (1, 1)
    assert (ward.warehouse.current(ward.address), ward.open(), ward.published()) == before
    assert ward.warehouse.audits("replay") == []


def test_partitions_are_replayed_each_by_itself(ward):
    ward.publish(SICK, "a")
    ward.publish([(5, 50), (6, 350)], "b")
    ward.contract = promise(pulse_possible={"max_value": 310})
    found = {item.partition: item for item in ward.replay()}
    assert (len(found["a"].added), len(found["b"].added)) == (1, 0)
    assert ward.published("b") == [(5, 50)]


def test_a_mend_survives_the_night(ward):
    ward.publish(SICK)
    three, four = ward.open()
    ward.mend(three, pulse=65)
    judged = ward.publish([*SICK, (9, 90)])
    assert judged.restored == 1
    assert judged.publication.rows_published == 4
    assert ward.published() == [(1, 60), (2, 70), (3, 65), (9, 90)]
    assert [row.id for row in ward.open()] == [four.id]
    again = ward.publish([*SICK, (9, 90)])
    assert again.publication.result is Result.UNCHANGED


def test_the_night_after_a_replay_finds_nothing_new(ward):
    ward.publish(SICK)
    ward.mend(ward.open()[0], pulse=65)
    assert ward.publish(SICK).publication.result is Result.UNCHANGED


def test_a_source_that_is_mended_wins(ward):
    ward.publish(SICK)
    ward.mend(ward.open()[0], pulse=65)
    ward.publish([(1, 60), (2, 70), (3, 64), (4, "none")])
    assert ward.published() == [(1, 60), (2, 70), (3, 64)]


def test_a_mend_that_passes_no_more_opens_its_row_again(ward):
    ward.publish(SICK)
    three, _ = ward.open()
    ward.mend(three, pulse=150)
    ward.contract = promise(pulse_possible={"max_value": 100})
    ward.publish(SICK)
    opened = next(row for row in ward.open() if row.id == three.id)
    assert opened.reasons[-1]["expectation"] == "replacement_passes"
    assert ward.published() == [(1, 60), (2, 70)]


def test_a_publish_meanwhile_is_told_and_changes_nothing(ward, monkeypatch):
    ward.publish(SICK)
    row = ward.open()[0]
    inner = ward.warehouse.replay

    def late(request):
        ward.publish([*SICK, (9, 90)])
        return inner(request)

    monkeypatch.setattr(ward.warehouse, "replay", late)
    found = ward.mend(row, pulse=65)
    assert "somebody else" in found.blocked[0]
    assert ward.published() == [(1, 60), (2, 70), (9, 90)]
    assert len(ward.open()) == 2


def test_what_was_never_published_takes_no_rows(ward, database_url):
    import psycopg

    ward.publish(SICK)
    with psycopg.connect(database_url) as session:
        session.execute("UPDATE sluice.publications SET superseded_at = now()")
    (found,) = ward.replay()
    assert "Nothing is published" in found.blocked[0]


def test_many_rows(ward):
    ward.contract = dataclasses.replace(PROMISE, expectations=PROMISE.expectations[:2])
    ward.publish([(number, 300 if number % 2 else 60) for number in range(4000)])
    rows = ward.open()
    (found,) = ward.replay(*rows, mends={row.id: {**row.payload, "pulse": 61} for row in rows})
    assert len(found.added) == 2000
    assert len(ward.published()) == 4000


def test_values_of_every_type_come_out_as_they_went_in(warehouse):
    address = Address(schema="ward", table="awkward")
    contract = dataclasses.replace(scenario.CONTRACT, expectations=())
    ward = Ward(warehouse, contract=contract, address=address)
    batch = scenario.rows()
    audit = AuditRecord(
        run_id="", correlation_id="", contract_version="", contract_fingerprint="", code_version="", rows_in=12,
        passed=0, warned=0, failed=0, seconds=0.0,
    )  # fmt: skip
    warehouse.publish(
        Batch(
            address=address,
            columns=contract.columns,
            partition="day",
            rows=batch.slice(0, 0),
            rejected=[RejectedRow(payload=row, reasons=[]) for row in row_payloads(batch, range(batch.num_rows))],
            content_hash="",
            base=None,
            audit=audit,
        )
    )
    (found,) = ward.replay()
    assert (len(found.added), found.failed) == (12, {})
    back = warehouse.read(address).to_pylist()
    assert sorted(map(repr, back)) == sorted(map(repr, batch.to_pylist()))


# Nothing is lost and nothing is doubled, whatever happens in whatever order

ROWS = st.lists(st.tuples(st.integers(1, 6), st.sampled_from([60, 150, 300, "none"])), min_size=1, max_size=8)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), ROWS),
        st.tuples(st.just("rerun"), st.just(None)),
        st.tuples(st.just("limit"), st.sampled_from([100, 200, 400])),
        st.tuples(st.just("replay"), st.integers(0, 7)),
        st.tuples(st.just("replay all"), st.just(None)),
        st.tuples(st.just("discard"), st.integers(0, 7)),
    ),
    max_size=8,
)
_number = iter(range(10**6))


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)
@given(first=ROWS, steps=STEPS)
def test_published_open_and_discarded_rows_are_the_source(warehouse, first, steps):
    ward = Ward(warehouse, address=dataclasses.replace(Ward(warehouse).address, table=f"t{next(_number)}"))
    source = None
    for kind, value in [("publish", first), *steps]:
        if kind in ("publish", "rerun"):
            wanted = value if kind == "publish" else source
            if wanted is not None and ward.publish(wanted).publication is not None:
                source = wanted
        elif kind == "limit":
            ward.contract = promise(pulse_possible={"max_value": value})
        elif rows := ward.open():
            if kind == "discard":
                warehouse.discard([rows[value % len(rows)].id], why="x")
            else:
                ward.replay(*(rows if kind == "replay all" else [rows[value % len(rows)]]))
        if source is not None:
            held = ward.everything()
            assert held - ward.held(status="discarded") <= tally(source) <= held
            current = warehouse.current(ward.address)["day"]
            assert current.rows_published == len(ward.published())
            assert current.content_hash == hashed(ward)


def tally(rows):
    return Counter((str(one), str(pulse)) for one, pulse in rows)

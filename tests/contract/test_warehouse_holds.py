"""What a warehouse must do with batches that wait for a person, whatever the database; one suite over all."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
import scenario
from adapters import ADAPTERS
from test_warehouse import (
    COLUMNS,
    FLIGHTS,
    ROUNDTRIPS,
    audit_record,
    batch,
    flights,
    ids,
    open_rows,
    publish,
    row,
    typed,
)

from dagster_sluice.contracts import Column, LogicalType
from dagster_sluice.errors import DatabaseUnreachable, PublishError, TableError
from dagster_sluice.warehouse import Address, Result

ELSEWHERE = Address(schema="raw", table="other")


def held(warehouse, rows, *, partition="day", restored=(), **settings):
    """Hold on top of whatever stands there."""
    address = settings.get("address", FLIGHTS)
    standing = warehouse.current(address).get(partition)
    made = batch(rows, partition=partition, base=standing.id if standing else None, **settings)
    return warehouse.hold(dataclasses.replace(made, restored=restored))


def release(warehouse, number, by="ann", why="looked at it"):
    return warehouse.release(number, by=by, why=why)


def statuses(warehouse):
    return {hold.id: hold.status for hold in warehouse.holds(status=None, limit=None)}


# Holding


@pytest.mark.parametrize("partition", [None, "day"])
@pytest.mark.parametrize("first", [False, True])
def test_a_hold_changes_nothing_that_is_published(warehouse, partition, first):
    if not first:
        publish(warehouse, flights(1), partition=partition)
    before, columns = warehouse.current(FLIGHTS), warehouse.columns(FLIGHTS)
    found = held(warehouse, flights(2, 3), partition=partition, rejected=[row(7)], correlation_id="held", failed=1)
    assert warehouse.current(FLIGHTS) == before
    assert warehouse.columns(FLIGHTS) == columns
    assert warehouse.quarantined(status=None) == []
    assert (found.address, found.partition, found.status) == (FLIGHTS, partition, "open")
    assert (found.rows, found.rows_quarantined, found.base) == (2, 1, None if first else before[partition].id)
    assert found.audit == audit_record(correlation_id="held", failed=1)
    assert found.held_at.tzinfo is not None
    assert (found.decided_by, found.why, found.decided_at, found.publication) == ("", "", None, None)
    assert warehouse.held_rows(found.id).equals(flights(2, 3))
    (audit,) = warehouse.audits("held")
    assert (audit.result, audit.hold, audit.partition) == (Result.HELD, found.id, partition)
    assert (audit.rows_in, audit.rows_published, audit.rows_quarantined, audit.failed) == (3, 0, 0, 1)


def test_holds_are_found_by_table_partition_status_and_number(warehouse):
    first, second = held(warehouse, flights(1), partition="a"), held(warehouse, flights(2), partition="b")
    other = held(warehouse, flights(3), partition=None, address=ELSEWHERE)
    warehouse.reject(second.id, by="ann", why="no")
    assert [hold.id for hold in warehouse.holds()] == [other.id, first.id]
    assert [hold.id for hold in warehouse.holds(FLIGHTS)] == [first.id]
    assert [hold.id for hold in warehouse.holds(FLIGHTS, status=None)] == [second.id, first.id]
    assert [hold.id for hold in warehouse.holds(FLIGHTS, "b", status="rejected")] == [second.id]
    assert [hold.id for hold in warehouse.holds(status=None, limit=1)] == [other.id]
    assert warehouse.holds(Address(schema="no", table="thing")) == []
    assert warehouse.numbered_holds([other.id, first.id, 10**6, -1, 2**70]) == [first, other]
    assert warehouse.numbered_holds([]) == []


def test_the_same_batch_held_again_is_the_same_hold(warehouse):
    publish(warehouse, flights(1), partition="day")
    first = held(warehouse, flights(2), rejected=[row(7)], run_id="first")
    again = held(warehouse, flights(2), rejected=[row(7)], run_id="again", correlation_id="again")
    assert again == first
    assert [audit.hold for audit in warehouse.audits("again")] == [first.id]
    assert release(warehouse, first.id).rows_published == 1
    assert open_rows(warehouse) == [(7, "open")]


@pytest.mark.parametrize("change", ["rows", "rejected", "contract"])
def test_a_newer_batch_supersedes_an_open_hold(warehouse, change):
    old = held(warehouse, flights(2), rejected=[row(7)])
    new = held(
        warehouse,
        flights(3) if change == "rows" else flights(2),
        rejected=[row(8)] if change == "rejected" else [row(7)],
        contract_fingerprint="new" if change == "contract" else "print",
    )
    assert statuses(warehouse) == {old.id: "superseded", new.id: "open"}
    (before,) = warehouse.numbered_holds([old.id])
    assert before.decided_at is not None
    assert before.why
    with pytest.raises(PublishError, match=f"Hold {old.id} .*superseded"):
        warehouse.held_rows(old.id)
    assert warehouse.held_rows(new.id).num_rows == 1
    release(warehouse, new.id)
    assert open_rows(warehouse) == [(8 if change == "rejected" else 7, "open")]


def test_other_partitions_and_tables_keep_their_holds(warehouse):
    first, second = held(warehouse, flights(1), partition="a"), held(warehouse, flights(2), partition="b")
    third = held(warehouse, flights(3), partition=None, address=ELSEWHERE)
    publish(warehouse, flights(4), partition="c")
    assert set(statuses(warehouse).values()) == {"open"}
    release(warehouse, second.id)
    assert ids(warehouse, partitions=["b"]) == [2]
    assert warehouse.held_rows(first.id).equals(flights(1))
    assert warehouse.held_rows(third.id).equals(flights(3))


@pytest.mark.parametrize("same", [False, True])
def test_a_later_publish_supersedes_an_open_hold(warehouse, same):
    publish(warehouse, flights(1), partition="day")
    old = held(warehouse, flights(2))
    published = publish(warehouse, flights(1) if same else flights(3), partition="day")
    assert published.result is (Result.UNCHANGED if same else Result.PUBLISHED)
    (found,) = warehouse.numbered_holds([old.id])
    assert (found.status, found.publication) == ("superseded", None)
    assert str(published.id) in found.why
    with pytest.raises(PublishError, match="superseded"):
        release(warehouse, old.id)
    assert ids(warehouse) == [1 if same else 3]


def test_a_refused_publish_supersedes_nothing(warehouse):
    publish(warehouse, flights(1), partition="day")
    old = held(warehouse, flights(2))
    with pytest.raises(PublishError):
        warehouse.publish(batch(flights(3), partition="day", base=None))
    assert statuses(warehouse) == {old.id: "open"}


def test_a_batch_on_a_stale_base_is_not_held(warehouse):
    """It could never be released."""
    publish(warehouse, flights(1), partition="day")
    with pytest.raises(PublishError, match="somebody else"):
        warehouse.hold(batch(flights(2), partition="day", base=None))
    assert warehouse.holds(status=None) == []


def test_a_value_that_the_physical_type_refuses_is_not_held(warehouse):
    columns, rows = typed(LogicalType.STRING, ["much too long"], physical_type="varchar(5)")
    with pytest.raises(PublishError, match="too long"):
        held(warehouse, rows, columns=columns)
    assert warehouse.holds(status=None) == []


@pytest.mark.parametrize("name", ["", "x" * 64, "nul\0", "_partition"])
def test_a_column_name_that_cannot_be_had_is_refused(warehouse, name):
    with pytest.raises(PublishError) as caught:
        held(warehouse, pa.table({name: [1]}), columns=(Column(name=name, type=LogicalType.INTEGER),))
    assert len(caught.value.culprits) == 1
    assert warehouse.holds(status=None) == []


def test_where_rows_are_staged_is_nobodys_table():
    with pytest.raises(TableError, match="own records"):
        Address(schema="sluice_staging", table="hold_1")


# Staged rows


@pytest.mark.parametrize("kind", LogicalType)
def test_values_come_back_as_they_went(warehouse, kind):
    columns, rows = typed(kind, [*ROUNDTRIPS[kind], None])
    found = held(warehouse, rows, columns=columns)
    staged = warehouse.held_rows(found.id)
    assert staged.schema.equals(rows.schema)
    assert list(map(repr, staged.column("c").to_pylist())) == list(map(repr, rows.column("c").to_pylist()))
    assert warehouse.held_rows(found.id, limit=1).num_rows == 1
    release(warehouse, found.id)
    back = warehouse.read(FLIGHTS)
    assert list(map(repr, back.column("c").to_pylist())) == list(map(repr, rows.column("c").to_pylist()))


@pytest.mark.parametrize(
    ("physical", "kind", "value"),
    [
        ("numeric(12,2)", LogicalType.NUMBER, 1.25),
        ("varchar(10)", LogicalType.STRING, "x"),
        ("char(5)", LogicalType.STRING, "x"),
        ("smallint", LogicalType.INTEGER, 7),
        ("real", LogicalType.NUMBER, 0.5),
        ("uuid", LogicalType.STRING, "00000000-0000-0000-0000-000000000001"),
        ("text", LogicalType.OBJECT, '{"b": 1,  "a": 2}'),
    ],
)
def test_a_physical_type_is_used(warehouse, physical, kind, value):
    columns, rows = typed(kind, [value, None], physical_type=physical)
    found = held(warehouse, rows, columns=columns)
    assert warehouse.numbered_holds([found.id])[0].columns == columns
    release(warehouse, found.id)
    assert publish(warehouse, rows, columns=columns, partition="day").result is Result.UNCHANGED


@pytest.mark.parametrize("partition", scenario.AWKWARD_KEYS)
def test_the_awkward_batch_waits_and_is_published(warehouse, partition):
    rows = scenario.rows()
    address = Address(schema=scenario.QUOTED, table="{staging}")
    found = held(warehouse, rows, columns=scenario.COLUMNS, partition=partition, address=address)
    release(warehouse, found.id, by=scenario.AWKWARD_TEXTS[3], why="🦆 %s {staging} $1")
    back = warehouse.read(address, partitions=[partition])
    assert list(map(repr, back.to_pylist())) == list(map(repr, rows.to_pylist()))
    (after,) = warehouse.numbered_holds([found.id])
    assert (after.decided_by, after.why) == (scenario.AWKWARD_TEXTS[3], "🦆 %s {staging} $1")


def test_names_that_look_like_sql_are_names(warehouse, place):
    names = place.distinct(scenario.AWKWARD_NAMES)
    columns = tuple(Column(name=name, type=LogicalType.STRING) for name in names)
    rows = pa.table({name: [name] for name in names})
    found = held(warehouse, rows, columns=columns)
    assert warehouse.held_rows(found.id).equals(rows)
    release(warehouse, found.id)
    assert warehouse.read(FLIGHTS).equals(rows)


def test_an_empty_batch_can_wait_too(warehouse):
    publish(warehouse, flights(1), partition="day")
    found = held(warehouse, flights())
    assert warehouse.held_rows(found.id).num_rows == 0
    assert release(warehouse, found.id).rows_published == 0
    assert ids(warehouse) == []


# Releasing


@pytest.mark.parametrize("partition", [None, "day"])
@pytest.mark.parametrize("first", [False, True])
def test_a_release_publishes_rows_quarantine_and_record_together(warehouse, partition, first):
    if not first:
        publish(warehouse, flights(1), partition=partition, rejected=[row(6)])
    found = held(warehouse, flights(2, 3), partition=partition, rejected=[row(7), row(7)], correlation_id="c")
    published = release(warehouse, found.id)
    assert warehouse.current(FLIGHTS) == {partition: published}
    assert (published.result, published.rows_published, published.rows_quarantined) == (Result.PUBLISHED, 2, 2)
    assert published.content_hash == found.content_hash
    assert published.run_id == found.audit.run_id
    assert ids(warehouse) == [2, 3]
    assert open_rows(warehouse) == [(7, "open"), (7, "open")]
    assert open_rows(warehouse, status="passed") == ([] if first else [(6, "passed")])
    (after,) = warehouse.numbered_holds([found.id])
    assert (after.status, after.publication) == ("released", published.id)
    assert (after.decided_by, after.why) == ("ann", "looked at it")
    assert after.decided_at >= after.held_at
    audits = warehouse.audits("c")
    assert [audit.result for audit in audits] == [Result.HELD, Result.PUBLISHED]
    assert "ann" in audits[-1].reasons[-1]
    assert "looked at it" in audits[-1].reasons[-1]
    with pytest.raises(PublishError, match="released by ann"):
        warehouse.held_rows(found.id)


def test_what_is_published_since_its_base_is_not_replaced(warehouse):
    """A replay changes the partition and does not judge the batch anew, so the hold stays open."""
    from test_warehouse_quarantine import kept, request_for

    seven, _ = kept(warehouse)
    found = held(warehouse, flights(2))
    warehouse.replay(request_for(warehouse, [70], [seven]))
    before = warehouse.current(FLIGHTS)
    with pytest.raises(PublishError, match=r"published since hold \d+ was staged"):
        release(warehouse, found.id)
    assert warehouse.current(FLIGHTS) == before
    assert ids(warehouse) == [1, 70]
    assert statuses(warehouse) == {found.id: "open"}
    assert warehouse.held_rows(found.id).equals(flights(2))
    warehouse.reject(found.id, by="ann", why="stale")


def test_content_that_is_published_already_is_released_unchanged(warehouse):
    before = publish(warehouse, flights(1), partition="day")
    found = held(warehouse, flights(1))
    after = release(warehouse, found.id)
    assert (after.id, after.result) == (before.id, Result.UNCHANGED)
    assert warehouse.numbered_holds([found.id])[0].publication == before.id


def test_a_type_that_the_table_does_not_have_leaves_the_hold_open(warehouse):
    publish(warehouse, flights(1), partition="day")
    columns = (COLUMNS[0], dataclasses.replace(COLUMNS[1], physical_type="varchar(10)"))
    found = held(warehouse, flights(2), columns=columns)
    with pytest.raises(PublishError, match="other column types"):
        release(warehouse, found.id)
    assert statuses(warehouse) == {found.id: "open"}
    assert ids(warehouse) == [1]


def test_mended_rows_of_a_held_batch_are_still_needed(warehouse):
    from test_warehouse_quarantine import kept, request_for

    seven, _ = kept(warehouse)
    warehouse.replay(request_for(warehouse, [7], [seven]))
    (before,) = warehouse.quarantine_rows([seven])
    rejected = [dataclasses.replace(row(8), occurrence=1)]
    found = held(warehouse, flights(1, 7, 9), rejected=rejected, restored=[seven])
    release(warehouse, found.id)
    (after,) = warehouse.quarantine_rows([seven])
    assert (after.status, after.last_seen > before.last_seen) == ("replayed", True)


# Rejecting


def test_a_reject_drops_what_was_staged_and_keeps_the_record(warehouse):
    before = publish(warehouse, flights(1), partition="day")
    found = held(warehouse, flights(2), rejected=[row(7)])
    after = warehouse.reject(found.id, by="bob", why="wrong file")
    assert (after.status, after.decided_by, after.why, after.publication) == ("rejected", "bob", "wrong file", None)
    assert after.decided_at is not None
    assert warehouse.current(FLIGHTS) == {"day": before}
    assert warehouse.quarantined(status=None) == []
    with pytest.raises(PublishError, match="rejected by bob"):
        warehouse.held_rows(found.id)
    again = held(warehouse, flights(2), rejected=[row(7)])
    assert again.id > found.id


# Deciding twice, two at once


@pytest.mark.parametrize("second", ["release", "reject"])
@pytest.mark.parametrize("first", ["release", "reject"])
def test_what_is_decided_is_decided(warehouse, first, second):
    found = held(warehouse, flights(2))
    getattr(warehouse, first)(found.id, by="ann", why="x")
    (before,) = warehouse.numbered_holds([found.id])
    with pytest.raises(PublishError, match=f"Hold {found.id} is not open any more: it was {before.status} by ann"):
        getattr(warehouse, second)(found.id, by="bob", why="y")
    assert warehouse.numbered_holds([found.id]) == [before]


@pytest.mark.parametrize("number", [1, -1, 2**70])
def test_a_hold_that_is_not_there_is_told(warehouse, number):
    for call in (
        lambda: warehouse.held_rows(number),
        lambda: release(warehouse, number),
        lambda: warehouse.reject(number, by="ann", why="x"),
    ):
        with pytest.raises(PublishError, match=f"no hold {number}"):
            call()


def _at_once(opened, calls):
    barrier = threading.Barrier(len(calls))

    def run(numbered):
        number, (call, warehouse) = numbered
        barrier.wait()
        try:
            return call(warehouse, str(number))
        except PublishError as failure:
            return failure

    pairs = [(call, opened()) for call in calls]
    for _, warehouse in pairs:
        warehouse.prepare()
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, enumerate(pairs)))


def test_of_many_who_decide_at_once_exactly_one_wins(opened):
    warehouse = opened()
    for generation in range(3):
        publish(warehouse, flights(0), partition="day")
        found = held(warehouse, flights(generation + 1))
        release_it = lambda w, who, n=found.id: w.release(n, by=who, why="yes")  # noqa: E731
        reject_it = lambda w, who, n=found.id: w.reject(n, by=who, why="no")  # noqa: E731
        told = _at_once(opened, [release_it, reject_it, release_it, reject_it])
        won = [place for place, outcome in enumerate(told) if not isinstance(outcome, PublishError)]
        assert len(won) == 1
        (after,) = warehouse.numbered_holds([found.id])
        assert (after.status, after.decided_by) == ("rejected" if won[0] % 2 else "released", str(won[0]))
        assert ids(warehouse) == [0 if won[0] % 2 else generation + 1]
        for place, outcome in enumerate(told):
            if place not in won:
                assert f"it was {after.status} by {won[0]}" in str(outcome)


def test_a_release_and_a_publish_at_once_are_one_after_the_other(opened):
    warehouse = opened()
    for generation in range(3):
        publish(warehouse, flights(0), partition="day")
        found = held(warehouse, flights(1, generation))
        standing = warehouse.current(FLIGHTS)["day"].id
        told = _at_once(
            opened,
            [
                lambda w, who, n=found.id: w.release(n, by=who, why="yes"),
                lambda w, _, base=standing: w.publish(batch(flights(2), partition="day", base=base)),
            ],
        )
        won = [place for place, outcome in enumerate(told) if not isinstance(outcome, PublishError)]
        assert len(won) == 1
        assert statuses(warehouse)[found.id] == ("superseded" if won == [1] else "released")
        assert ids(warehouse) == ([2] if won == [1] else sorted([1, generation]))


def test_batches_that_are_held_at_once_leave_one_hold_open(opened):
    warehouse = opened()
    calls = [lambda w, who: held(w, flights(*range(int(who) + 1)))] * 6
    told = _at_once(opened, calls)
    assert not [outcome for outcome in told if isinstance(outcome, PublishError)]
    (standing,) = warehouse.holds()
    assert standing.id == max(outcome.id for outcome in told)
    assert warehouse.held_rows(standing.id).num_rows == standing.rows
    assert len(statuses(warehouse)) == 6


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_what_does_not_answer_is_told(adapter, tmp_path):
    url, *_ = ADAPTERS[adapter].unreachable(tmp_path).values()
    warehouse = ADAPTERS[adapter](url).open()
    for call in (
        warehouse.holds,
        lambda: warehouse.numbered_holds([1]),
        lambda: warehouse.held_rows(1),
        lambda: warehouse.hold(batch(flights(1))),
        lambda: warehouse.release(1, by="x", why="x"),
        lambda: warehouse.reject(1, by="x", why="x"),
    ):
        with pytest.raises(DatabaseUnreachable):
            call()

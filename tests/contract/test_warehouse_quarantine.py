"""What a warehouse must do with its quarantine, whatever the database: replay, discard, prune; one suite over all."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from adapters import ADAPTERS
from test_warehouse import COLUMNS, FLIGHTS, audit_record, flights, ids, publish, row

from dagster_sluice.errors import DatabaseUnreachable, PublishError
from dagster_sluice.tables.content import content_hash
from dagster_sluice.warehouse import Address, Replay, Result

ELSEWHERE = Address(schema="raw", table="other")


def request_for(warehouse, added, passed, failed=(), *, partition="day", base=None, **audit):
    standing = warehouse.current(FLIGHTS).get(partition)
    rows = flights(*added)
    whole = pa.concat_tables([warehouse.read(FLIGHTS, partitions=[partition] if partition else None), rows])
    return Replay(
        address=FLIGHTS,
        columns=COLUMNS,
        partition=partition,
        rows=rows,
        passed=[(number, {"id": value, "who": "x"}) for number, value in zip(passed, added, strict=True)],
        failed=[(number, [{"expectation": "still"}]) for number in failed],
        content_hash=content_hash(whole),
        base=base if base is not None else standing.id,
        audit=audit_record(**audit),
        why="mended by hand",
    )


def numbers(warehouse, status="open"):
    return sorted(found.id for found in warehouse.quarantined(FLIGHTS, status=status, limit=None))


def kept(warehouse, *, partition="day", rejected=(7, 8)):
    """One good row and some quarantined ones; returns their numbers."""
    publish(warehouse, flights(1), partition=partition, rejected=[row(number) for number in rejected])
    found = warehouse.quarantined(FLIGHTS, partition, limit=None)
    return [item.id for item in sorted(found, key=lambda item: item.payload["id"])]


# The shape of tables


def test_the_columns_of_a_table_and_their_types(warehouse):
    assert warehouse.columns(FLIGHTS) == {}
    publish(warehouse, flights(1), partition="day")
    assert list(warehouse.columns(FLIGHTS)) == ["id", "who", "_partition"]
    publish(warehouse, flights(1), address=ELSEWHERE)
    assert list(warehouse.columns(ELSEWHERE)) == ["id", "who"]


# Looking


def test_rows_by_number(warehouse):
    seven, eight = kept(warehouse)
    assert [found.id for found in warehouse.quarantine_rows([eight, seven, 10**6, -1, 2**70])] == [seven, eight]
    assert warehouse.quarantine_rows([]) == []


def test_counts_by_table_and_status(warehouse):
    seven, _ = kept(warehouse)
    publish(warehouse, flights(1), address=ELSEWHERE, rejected=[row(1)])
    warehouse.discard([seven], why="x")
    found = [(str(count.address), count.status, count.rows) for count in warehouse.quarantine_counts()]
    assert found == [("raw.flights", "discarded", 1), ("raw.flights", "open", 1), ("raw.other", "open", 1)]


def test_all_rows_without_a_limit(warehouse):
    kept(warehouse, rejected=range(150))
    assert len(warehouse.quarantined(FLIGHTS, limit=None)) == 150


# Replaying


@pytest.mark.parametrize("partition", [None, "day"])
def test_what_passes_is_added_and_what_fails_stays_open(warehouse, partition):
    seven, eight = kept(warehouse, partition=partition)
    before = warehouse.current(FLIGHTS)[partition]
    request = request_for(warehouse, [70], [seven], [eight], partition=partition, correlation_id="replay")
    after = warehouse.replay(request)
    assert ids(warehouse) == [1, 70]
    assert after.id > before.id
    assert (after.result, after.rows_published, after.content_hash) == (Result.PUBLISHED, 2, request.content_hash)
    current = warehouse.current(FLIGHTS)[partition]
    assert (current.id, current.rows_published, current.rows_quarantined) == (after.id, 2, 1)
    replayed, still = warehouse.quarantine_rows([seven, eight])
    assert (replayed.status, replayed.why, replayed.publication) == ("replayed", "mended by hand", after.id)
    assert replayed.replacement == {"id": 70, "who": "x"}
    assert replayed.payload["id"] == 7
    assert replayed.settled_at is not None
    assert (still.status, still.reasons) == ("open", [{"expectation": "still"}])
    (audit,) = warehouse.audits("replay")
    assert (audit.rows_in, audit.rows_published, audit.rows_quarantined) == (2, 1, 1)
    assert [(item.id, item.payload) for item in warehouse.mended(FLIGHTS, partition)] == [(seven, replayed.replacement)]


def test_a_replay_that_adds_nothing_only_tells_why(warehouse):
    seven, _ = kept(warehouse)
    before = warehouse.current(FLIGHTS)
    assert warehouse.replay(request_for(warehouse, [], [], [seven])) is None
    assert warehouse.current(FLIGHTS) == before
    assert warehouse.quarantine_rows([seven])[0].reasons == [{"expectation": "still"}]


def test_the_same_content_afterwards_is_unchanged(warehouse):
    seven, eight = kept(warehouse)
    after = warehouse.replay(request_for(warehouse, [7], [seven]))
    again = publish(warehouse, flights(7, 1), partition="day", rejected=[row(8)])
    assert (again.result, again.id) == (Result.UNCHANGED, after.id)
    assert numbers(warehouse) == [eight]
    assert numbers(warehouse, "replayed") == [seven]


def refused(warehouse, request, words):
    before = warehouse.current(FLIGHTS), ids(warehouse), warehouse.quarantined(status=None)
    with pytest.raises(PublishError, match=words):
        warehouse.replay(request)
    assert (warehouse.current(FLIGHTS), ids(warehouse), warehouse.quarantined(status=None)) == before


def test_a_replay_on_a_stale_base_changes_nothing(warehouse):
    seven, _ = kept(warehouse)
    request = request_for(warehouse, [7], [seven])
    publish(warehouse, flights(1, 2), partition="day", rejected=[row(7), row(8)])
    refused(warehouse, request, "somebody else")


def test_a_second_replay_of_a_row_changes_nothing(warehouse):
    seven, _ = kept(warehouse)
    warehouse.replay(request_for(warehouse, [7], [seven]))
    refused(warehouse, request_for(warehouse, [7], [seven]), "replayed or discarded")


def test_a_discarded_row_is_not_replayed(warehouse):
    seven, eight = kept(warehouse)
    request = request_for(warehouse, [7, 8], [seven, eight])
    warehouse.discard([seven], why="x")
    refused(warehouse, request, "replayed or discarded")


def test_a_row_of_another_partition_is_not_replayed(warehouse):
    (other,) = kept(warehouse, partition="night", rejected=[9])
    kept(warehouse)
    refused(warehouse, request_for(warehouse, [9], [other]), "replayed or discarded")


def test_a_partition_that_was_changed_by_hand_takes_no_rows(warehouse, place):
    seven, _ = kept(warehouse)
    request = request_for(warehouse, [7], [seven])
    place.by_hand("DELETE FROM raw.flights")
    refused(warehouse, request, "by hand")


def test_one_of_many_replays_at_once_wins(opened):
    first = opened()
    seven, _ = kept(first)
    warehouses = [opened() for _ in range(5)]
    requests = [request_for(warehouse, [7], [seven]) for warehouse in warehouses]
    barrier = threading.Barrier(5)

    def race(one):
        warehouse, request = one
        barrier.wait()
        try:
            return warehouse.replay(request)
        except PublishError:
            return None

    with ThreadPoolExecutor(5) as pool:
        outcomes = list(pool.map(race, zip(warehouses, requests, strict=True)))
    assert len([outcome for outcome in outcomes if outcome is not None]) == 1
    assert ids(first) == [1, 7]


def test_a_replayed_row_that_is_rejected_again_is_open_again(warehouse):
    seven, _ = kept(warehouse)
    warehouse.replay(request_for(warehouse, [7], [seven]))
    publish(warehouse, flights(1), partition="day", rejected=[row(7), row(8)])
    assert ids(warehouse) == [1]
    assert seven in numbers(warehouse)


# Discarding


def test_discarded_rows_say_why_and_stay_discarded(warehouse):
    seven, eight = kept(warehouse)
    assert warehouse.discard([seven, eight, 10**6], why="test data") == [seven, eight]
    assert warehouse.discard([seven], why="again") == []
    publish(warehouse, flights(2), partition="day", rejected=[row(7), row(8)])
    assert numbers(warehouse) == []
    (found,) = warehouse.quarantine_rows([seven])
    assert (found.status, found.why) == ("discarded", "test data")
    assert warehouse.discard([], why="x") == []


# Pruning


def pruned(warehouse, **settings):
    would = warehouse.prune(dry_run=True, **settings)
    before = len(warehouse.quarantined(status=None, limit=None))
    went = warehouse.prune(**settings)
    assert went == would
    assert before - len(warehouse.quarantined(status=None, limit=None)) == sum(count.rows for count in went)
    return {count.status: count.rows for count in went}


def test_only_what_needs_nobody_goes_by_age(warehouse):
    seven, eight = kept(warehouse)
    warehouse.replay(request_for(warehouse, [7], [seven]))
    later = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1)
    assert pruned(warehouse, before=later - dt.timedelta(hours=2)) == {}
    assert pruned(warehouse, before=later) == {"replayed": 1}
    assert numbers(warehouse) == [eight]
    assert pruned(warehouse, before=later, include_open=True) == {"open": 1}


def test_of_too_many_the_oldest_go_and_open_rows_last(warehouse):
    found = kept(warehouse, rejected=range(10))
    warehouse.discard(found[:5], why="x")
    assert pruned(warehouse, keep=10) == {}
    assert pruned(warehouse, keep=8) == {"discarded": 2}
    assert pruned(warehouse, keep=2) == {"discarded": 3}
    assert pruned(warehouse, keep=2, include_open=True) == {"open": 3}
    assert len(numbers(warehouse)) == 2


def test_age_goes_before_number(warehouse):
    found = kept(warehouse, rejected=range(4))
    warehouse.discard(found[:2], why="x")
    later = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1)
    assert pruned(warehouse, before=later, keep=2) == {"discarded": 2}


def test_a_restored_row_does_not_age(warehouse):
    from test_warehouse import batch

    seven, _ = kept(warehouse)
    warehouse.replay(request_for(warehouse, [7], [seven]))
    (before,) = warehouse.quarantine_rows([seven])
    import dataclasses

    again = batch(flights(1, 7), partition="day", rejected=[dataclasses.replace(row(8), occurrence=1)])
    warehouse.publish(dataclasses.replace(again, restored=[seven]))
    (after,) = warehouse.quarantine_rows([seven])
    assert (after.status, after.last_seen > before.last_seen) == ("replayed", True)


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_what_does_not_answer_is_told(adapter, tmp_path):
    url, *_ = ADAPTERS[adapter].unreachable(tmp_path).values()
    warehouse = ADAPTERS[adapter](url).open()
    for call in (
        warehouse.quarantine_counts,
        lambda: warehouse.quarantine_rows([1]),
        lambda: warehouse.mended(FLIGHTS, None),
        lambda: warehouse.discard([1], why="x"),
        lambda: warehouse.prune(keep=0),
        lambda: warehouse.columns(FLIGHTS),
    ):
        with pytest.raises(DatabaseUnreachable):
            call()

"""What a warehouse must remember of past audits, whatever the database; one suite over all adapters."""

from test_warehouse import FLIGHTS, audit_record, flights, publish, row
from test_warehouse_quarantine import request_for

from dagster_sluice.warehouse import Address, Result

DAYS = ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"]


def told(warehouse, **asked):
    return [(audit.partition, audit.rows_in) for audit in warehouse.history(FLIGHTS, **asked)]


def filled(warehouse, keys=DAYS):
    for rows_in, key in enumerate(keys, start=1):
        publish(warehouse, flights(rows_in), partition=key, rows_in=rows_in)


def test_a_table_nobody_judged_has_no_history(warehouse):
    assert warehouse.history(FLIGHTS) == []


def test_an_audit_with_all_its_details(warehouse):
    result = {"name": "x", "success": False, "unexpected_count": 2, "observed_value": {"größe": [1, None, 2.5]}}
    made = publish(
        warehouse,
        flights(1, 2),
        partition="day",
        rejected=[row(7)],
        results=(result,),
        run_id="a run",
        correlation_id="a cause",
        contract_version="2.0.0",
        contract_fingerprint="its hash",
    )
    (found,) = warehouse.history(FLIGHTS)
    assert (found.address, found.partition, found.result) == (FLIGHTS, "day", Result.PUBLISHED)
    assert (found.rows_in, found.rows_published, found.rows_quarantined) == (3, 2, 1)
    assert (found.passed, found.warned, found.failed, found.seconds) == (2, 1, 0, 0.5)
    assert (found.run_id, found.correlation_id) == ("a run", "a cause")
    assert (found.contract_version, found.contract_fingerprint) == ("2.0.0", "its hash")
    assert found.publication == made.id
    assert found.results == (result,)
    assert found.reasons == ()
    assert found.judged_at.tzinfo is not None


def test_partitions_come_in_the_order_of_their_keys(warehouse):
    filled(warehouse, [DAYS[2], DAYS[0], DAYS[3], DAYS[1]])
    assert [key for key, _ in told(warehouse)] == DAYS


def test_keys_are_ordered_by_code_point(warehouse):
    filled(warehouse, ["b", "_", "A", "é", "B", "a"])
    assert [key for key, _ in told(warehouse)] == ["A", "B", "_", "a", "b", "é"]
    assert [key for key, _ in told(warehouse, until="_")] == ["A", "B", "_"]


def test_the_last_partitions_only(warehouse):
    filled(warehouse)
    assert told(warehouse, limit=2) == [(DAYS[2], 3), (DAYS[3], 4)]
    assert told(warehouse, limit=2, until=DAYS[2]) == [(DAYS[1], 2), (DAYS[2], 3)]
    assert told(warehouse, until="2026-02-28") == []


def test_these_partitions_only(warehouse):
    filled(warehouse)
    assert told(warehouse, partitions=[DAYS[3], DAYS[1], "never"]) == [(DAYS[1], 2), (DAYS[3], 4)]
    assert told(warehouse, partitions=[]) == []


def test_of_each_partition_the_latest_audit_whatever_became_of_it(warehouse):
    publish(warehouse, flights(1), partition=DAYS[0], rows_in=10)
    publish(warehouse, flights(2), partition=DAYS[0], rows_in=20)
    publish(warehouse, flights(1), partition=DAYS[1], rows_in=30)
    warehouse.record_block(FLIGHTS, DAYS[1], audit_record(rows_in=40, reasons=("too many",)))
    first, second = warehouse.history(FLIGHTS)
    assert (first.rows_in, first.result) == (20, Result.PUBLISHED)
    assert (second.rows_in, second.result, second.publication) == (40, Result.BLOCKED, None)
    assert second.reasons == ("too many",)
    publish(warehouse, flights(1), partition=DAYS[1], rows_in=30)
    assert [audit.result for audit in warehouse.history(FLIGHTS)] == [Result.PUBLISHED, Result.UNCHANGED]


def test_what_one_run_judged(warehouse):
    publish(warehouse, flights(1), partition=DAYS[0], rows_in=10, run_id="first")
    publish(warehouse, flights(1), partition=DAYS[1], rows_in=11, run_id="first")
    publish(warehouse, flights(2), partition=DAYS[0], rows_in=20, run_id="second")
    assert told(warehouse, run_id="first") == [(DAYS[0], 10), (DAYS[1], 11)]
    assert told(warehouse, run_id="second", partitions=[DAYS[0]]) == [(DAYS[0], 20)]
    assert told(warehouse, run_id="third") == []


def test_a_table_without_partitions_has_every_audit(warehouse):
    for rows_in in (1, 2, 3):
        publish(warehouse, flights(rows_in), rows_in=rows_in)
    warehouse.record_block(FLIGHTS, None, audit_record(rows_in=4))
    assert told(warehouse) == [(None, 1), (None, 2), (None, 3), (None, 4)]
    assert told(warehouse, limit=2) == [(None, 3), (None, 4)]


def test_each_table_has_its_own_history(warehouse):
    filled(warehouse)
    publish(warehouse, flights(1), address=Address(schema="raw", table="other"), partition="x")
    assert len(told(warehouse)) == len(DAYS)


def test_a_replay_is_not_the_audit_of_a_batch(warehouse):
    publish(warehouse, flights(1), partition="day", rejected=[row(7), row(8)], rows_in=3)
    seven, eight = sorted(found.id for found in warehouse.quarantined(FLIGHTS))
    warehouse.replay(request_for(warehouse, [7], [seven], [eight]))
    warehouse.replay(request_for(warehouse, [], [], [eight]))
    assert told(warehouse) == [("day", 3)]

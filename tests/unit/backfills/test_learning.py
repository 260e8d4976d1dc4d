"""What failures teach: when again, when no more, and when a whole table."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_sluice.backfills.attempts import RetryRules, after_failure, released, standing
from dagster_sluice.backfills.circuit import CircuitRules
from dagster_sluice.backfills.faults import FaultClass, classify, fault
from dagster_sluice.backfills.settlement import Outcome, learn

NOW = dt.datetime(2026, 3, 1, 2, tzinfo=dt.timezone.utc)
LOST = fault(["OperationalError"], "server closed the connection")
RULES = RetryRules(park_after=3, jitter=0)


def failed(times, *, inputs="code 1", record=None, rules=RULES):
    for _ in range(times):
        record = after_failure(record, LOST, at=NOW, inputs=inputs, rules=rules, chance=0.5)
    return record


def outcome(partition, wrong=None, *, minute=0, table="flights", inputs="code 1"):
    at = NOW + dt.timedelta(minutes=minute)
    return Outcome(table=table, partition=partition, at=at, fault=wrong, inputs=inputs)


def learned(outcomes, records=None, circuits=None, open_after=3):
    return learn(
        outcomes,
        records=records or {},
        circuits=circuits or {},
        retry=RULES,
        breaker=CircuitRules(open_after=open_after),
        chance=lambda: 0.5,
    )


def test_pauses_double_up_to_a_limit():
    rules = RetryRules(park_after=100, jitter=0, longest_pause=dt.timedelta(hours=1))
    pauses = [(failed(times, rules=rules).next_at - NOW).total_seconds() / 60 for times in (1, 2, 3, 4, 90)]
    assert pauses == [10, 20, 40, 60, 60]


@given(st.floats(0, 1), st.integers(1, 5))
def test_jitter_stays_within_its_share(chance, times):
    rules = RetryRules(jitter=0.2)
    record = None
    for _ in range(times):
        record = after_failure(record, LOST, at=NOW, inputs="", rules=rules, chance=chance)
    plain = rules.pause * 2 ** (times - 1)
    assert plain * 0.799 <= record.next_at - NOW <= plain * 1.201


def test_a_partition_waits_then_may_be_tried_then_is_parked():
    record = failed(1)
    assert standing(record, now=NOW, inputs="code 1").waits_until == NOW + RULES.pause
    assert standing(record, now=NOW + RULES.pause, inputs="code 1").free
    parked = failed(3)
    assert standing(parked, now=NOW + dt.timedelta(days=999), inputs="code 1").parked


def test_other_code_or_other_data_void_the_record():
    parked = failed(3)
    assert standing(parked, now=NOW, inputs="code 2").free
    assert failed(1, inputs="code 2", record=parked).failures == 1


def test_a_release_lets_it_be_tried_as_often_again():
    record = released(failed(3))
    assert standing(record, now=NOW, inputs="code 1").free
    assert failed(2, record=record).parked_at is None
    assert failed(3, record=record).parked_at is not None


def test_parking_is_told_once():
    told = [learned([outcome("a", LOST, minute=n) for n in range(times)]).parked for times in (2, 3, 4, 5)]
    assert told == [[], [("flights", "a")], [("flights", "a")], [("flights", "a")]]
    after = learned([outcome("a", LOST)], records={("flights", "a"): failed(3)})
    assert after.parked == []


def test_a_success_forgets():
    after = learned([outcome("a", minute=1)], records={("flights", "a"): failed(2)})
    assert (after.forgotten, after.records) == ({("flights", "a")}, {})
    again = learned([outcome("a", minute=1), outcome("a", LOST, minute=2)], records={("flights", "a"): failed(2)})
    assert (again.forgotten, again.records["flights", "a"].failures) == (set(), 1)


def test_a_circuit_opens_when_different_partitions_fail_for_one_reason():
    same = [
        outcome(name, fault(["KeyError"], f"no column {name!r} in row {n}"), minute=n) for n, name in enumerate("abc")
    ]
    after = learned(same)
    assert (after.opened, after.circuits["flights"].open) == (["flights"], True)


def test_one_partition_failing_again_and_again_opens_nothing():
    assert learned([outcome("a", LOST, minute=n) for n in range(9)]).opened == []


def test_different_reasons_open_nothing():
    mixed = [
        outcome(name, fault([kind], "x"), minute=n)
        for n, (name, kind) in enumerate(zip("abcd", ["A", "B"] * 2, strict=True))
    ]
    assert learned(mixed).opened == []


def test_a_successful_probe_closes_the_circuit():
    opened = learned([outcome(name, LOST, minute=n) for n, name in enumerate("abc")]).circuits
    assert learned([outcome("d", LOST)], circuits=opened).opened == []
    assert not learned([outcome("d")], circuits=opened).circuits["flights"].open


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["psycopg.OperationalError"], FaultClass.TRANSIENT),
        (["dagster.DagsterExecutionStepExecutionError", "requests.exceptions.ReadTimeout"], FaultClass.TRANSIENT),
        (["Failure", "TypeError"], FaultClass.CODE),
        (["Failure", "FrameError"], FaultClass.DATA),
        (["KeyError"], FaultClass.UNKNOWN),
        ([], FaultClass.UNKNOWN),
    ],
)
def test_failures_are_classed(names, kind):
    assert classify(names) is kind


def test_one_cause_has_one_signature():
    one = fault(["ValueError"], "flights [2013-01-04]: 12 of 842 rows: 'N123' at 0x7f3a\n  again")
    two = fault(["ValueError"], "flights [2013-02-28]: 9 of 1,041 rows: 'N9' at 0x1\n again")
    assert one.signature == two.signature
    assert one.signature != fault(["KeyError"], "dep_time").signature
    assert "\n" not in one.message


@pytest.mark.parametrize(
    "wrong", [{"park_after": 0}, {"jitter": 1.0}, {"pause": dt.timedelta(days=9)}, {"pause": -dt.timedelta(1)}]
)
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RetryRules(**wrong)


def test_a_naive_moment_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        after_failure(None, LOST, at=NOW.replace(tzinfo=None), inputs="", rules=RULES, chance=0)

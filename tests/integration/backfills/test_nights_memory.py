"""What the nights remember: plans have their partitions to themselves, and a settled plan teaches once."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from dagster_sluice.backfills.attempts import RetryRules
from dagster_sluice.backfills.circuit import CircuitRules
from dagster_sluice.backfills.claims import Claim
from dagster_sluice.backfills.faults import fault
from dagster_sluice.backfills.memory import Nights
from dagster_sluice.backfills.settlement import Learned, Outcome, learn
from dagster_sluice.state import State

NOW = dt.datetime(2026, 3, 8, 7, tzinfo=dt.timezone.utc)
ODD = "2026-03-01, a b|ü '\""


def claim(nights, partitions, backfill, *, table="flights", night=NOW):
    wanted = [Claim(table=table, partition=one, reasons=1, inputs="code@0") for one in partitions]
    return nights.claim(
        wanted,
        planner="nightly",
        backfill_id=backfill,
        correlation_id="cause",
        night=night,
        made_at=NOW,
        seconds=1.5 * len(wanted),
        summary={"planned": len(wanted)},
    )


def failing(partitions, table="flights"):
    outcomes = [
        Outcome(table=table, partition=one, at=NOW, fault=fault(["KeyError"], "x"), inputs="code@0")
        for one in partitions
    ]
    return learn(
        outcomes,
        records={},
        circuits={},
        retry=RetryRules(park_after=1),
        breaker=CircuitRules(open_after=2),
        chance=lambda: 0.5,
    )


def test_a_plan_has_its_partitions_to_itself_until_it_is_settled(nights):
    first = claim(nights, ["a", ODD], "one")
    assert sorted(first.partitions["flights"]) == sorted(["a", ODD])
    second = claim(nights, [ODD, "b"], "two")
    assert second.partitions == {"flights": ["b"]}
    assert claim(nights, ["a", "b"], "three") is None
    assert [plan.backfill_id for plan in nights.open_plans()] == ["one", "two"]
    states = {("flights", "a"): "done", ("flights", ODD): "undone"}
    assert nights.settle(first.plan_id, states, Learned(), done=[], at=NOW)
    assert claim(nights, [ODD], "four").partitions == {"flights": [ODD]}


def test_two_planners_at_once_plan_disjoint_sets(database_url):
    keys = [str(number) for number in range(300)]

    def one(number):
        with closing(State(database_url)) as state:
            return claim(Nights(state), keys[number * 20 :] + keys[: number * 20], f"b{number}")

    with closing(State(database_url)) as state:
        state.prepare()
    with ThreadPoolExecutor(4) as pool:
        got = [claimed.partitions["flights"] if claimed else [] for claimed in pool.map(one, range(4))]
    assert sorted(key for some in got for key in some) == sorted(keys)


def test_a_plan_is_settled_once(nights):
    claimed = claim(nights, ["a"], "one")
    states = {("flights", "a"): "failed"}
    assert nights.settle(claimed.plan_id, states, failing(["a"]), done=[], at=NOW)
    assert not nights.settle(claimed.plan_id, {("flights", "a"): "done"}, Learned(), done=[], at=NOW)
    assert nights.attempts()["flights", "a"].failures == 1


def test_what_failed_is_remembered_and_a_success_forgets_it(nights):
    first = claim(nights, ["a", "b"], "one")
    learned = failing(["a", "b"])
    nights.settle(first.plan_id, {("flights", one): "failed" for one in "ab"}, learned, done=[], at=NOW)
    assert nights.attempts(["flights"]) == learned.records
    assert nights.circuits()["flights"] == learned.circuits["flights"]
    assert nights.circuits()["flights"].open
    second = claim(nights, ["a"], "two")
    nights.settle(
        second.plan_id,
        {("flights", "a"): "done"},
        Learned(forgotten={("flights", "a")}),
        done=[("flights", "a")],
        at=NOW,
    )
    assert list(nights.attempts()) == [("flights", "b")]


def test_a_release_frees_and_closes(nights):
    first = claim(nights, ["a", "b"], "one")
    nights.settle(first.plan_id, {("flights", one): "failed" for one in "ab"}, failing(["a", "b"]), done=[], at=NOW)
    assert nights.release("flights", ["b"]) == ["b"]
    parked = {partition: record.parked_at for (_, partition), record in nights.attempts().items()}
    assert parked == {"a": NOW, "b": None}
    assert not nights.circuits()["flights"].open
    assert nights.release("weather") == []


def test_a_request_is_there_until_it_is_done(nights):
    nights.request([("flights", "a"), ("flights", "a"), ("flights", "b")], by="me", why="late", at=NOW)
    nights.request([("flights", "a")], by="you", why="later", at=NOW)
    nights.request([], by="me", why="", at=NOW)
    assert nights.requests(["flights", "weather"]) == {("flights", "a"), ("flights", "b")}
    claimed = claim(nights, ["a"], "one")
    nights.settle(claimed.plan_id, {("flights", "a"): "done"}, Learned(), done=[("flights", "a")], at=NOW)
    assert nights.requests(["flights"]) == {("flights", "b")}


def test_a_night_knows_what_it_has_cost(nights):
    assert nights.spent("nightly", NOW).partitions == 0
    first = claim(nights, ["a", "b"], "one")
    nights.settle(first.plan_id, {("flights", one): "undone" for one in "ab"}, Learned(), done=[], at=NOW)
    claim(nights, ["a"], "two", table="weather")
    claim(nights, ["c"], "three", night=NOW + dt.timedelta(days=1))
    spent = nights.spent("nightly", NOW)
    assert (spent.partitions, spent.seconds) == (3, 4.5)
    assert nights.spent("other", NOW).partitions == 0


def test_what_was_not_begun_probed_nothing(nights):
    first = claim(nights, ["a"], "one")
    assert nights.probed(["flights"], NOW) == {"flights": 1}
    nights.settle(first.plan_id, {("flights", "a"): "undone"}, Learned(), done=[], at=NOW)
    assert nights.probed(["flights"], NOW) == {}

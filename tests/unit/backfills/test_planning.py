"""What a night fills, and what waits."""

import datetime as dt

import numpy as np
import pytest

from dagster_sluice.backfills.attempts import Standing
from dagster_sluice.backfills.budget import Budget, Hours, Order, Spent
from dagster_sluice.backfills.finder import find_gaps
from dagster_sluice.backfills.gaps import Parent, TableFacts
from dagster_sluice.backfills.plan import Decision
from dagster_sluice.backfills.planner import Memory, make_plan

NOW = dt.datetime(2026, 3, 1, 2, tzinfo=dt.timezone.utc)
DAYS = [f"2013-01-{day:02}" for day in range(1, 11)]


def facts(table="flights", keys=DAYS, **known):
    known = {name: np.array(value) if isinstance(value, list) else value for name, value in known.items()}
    return TableFacts.blank(table, keys, **known)


def plan(*tables, partitions=500, **given):
    budget = given.pop("budget", None) or Budget(partitions=partitions)
    return make_plan(find_gaps(tables), budget=budget, now=NOW, **given)


def decided(made, table="flights"):
    return {row.partition: row.decision for row in made.rows() if row.table == table}


def chain(count=10, **known):
    """raw -> flights -> marts, day by day."""
    keys = DAYS[:count]
    return [
        facts("raw", keys),
        facts("flights", keys, parents=(Parent.same("raw", count),), **known),
        facts("marts", keys, parents=(Parent.same("flights", count),)),
    ]


def test_all_gaps_are_planned_if_the_budget_allows():
    made = plan(*chain())
    assert made.partitions() == {"raw": DAYS, "flights": DAYS, "marts": DAYS}
    assert [one.table for one in made.tables] == ["raw", "flights", "marts"]


def test_the_newest_come_first_and_with_all_that_they_are_made_of():
    made = plan(*chain(), partitions=7)
    assert made.partitions() == {"raw": DAYS[-3:], "flights": DAYS[-2:], "marts": DAYS[-2:]}
    assert made.counts() == {Decision.PLANNED: 7, Decision.OVER_BUDGET: 23}


def test_the_oldest_first():
    assert plan(*chain(), partitions=6, order=Order.OLDEST).partitions() == dict.fromkeys(
        ["raw", "flights", "marts"], DAYS[:2]
    )


def test_the_most_wanted_first():
    weeks = facts("weeks", ["w1"], parents=(Parent.of("raw", [[2, 3]]),))
    made = plan(facts("raw"), weeks, partitions=2, order=Order.WANTED)
    assert made.partitions() == {"raw": DAYS[2:4]}


def test_a_long_chain_is_begun_at_its_start():
    """A table made of its own previous partition is filled from the oldest on, however the gaps are ordered."""
    count = 5_000
    balance = facts(
        "balance",
        [str(number) for number in range(count)],
        parents=(Parent.of("balance", [[], *([n] for n in range(count - 1))]),),
    )
    assert plan(balance, partitions=3).partitions() == {"balance": ["0", "1", "2"]}


def test_neighbours_go_into_one_run():
    made = plan(facts(published=[0, 0, 1, 0, 0, 0, 0, 1, 0, 1], computed=[1] * 10), budget=Budget(longest_range=3))
    assert [(one.first[-2:], one.last[-2:], one.count) for one in made.tables[0].runs()] == [
        ("01", "02", 2),
        ("04", "06", 3),
        ("07", "07", 1),
        ("09", "09", 1),
    ]


def test_a_table_that_takes_one_partition_at_a_time():
    assert len(list(plan(facts(ranges=False)).tables[0].runs())) == 10


def test_an_empty_plan_has_no_runs():
    made = plan(facts(published=[1] * 10, computed=[1] * 10))
    assert (made.count, list(made.tables[0].runs()), list(made.rows())) == (0, [], [])


def test_minutes_are_a_budget_too():
    memory = Memory(seconds={"flights": 60.0})
    assert plan(facts(), memory=memory, budget=Budget(minutes=2, runs=2)).count == 4
    assert plan(facts(), memory=memory, budget=Budget(minutes=2, runs=2), spent=Spent(seconds=60)).count == 3
    assert plan(facts(), memory=memory, budget=Budget(minutes=90), seconds_left=30).count == 1


def test_what_the_night_has_spent_counts():
    assert plan(facts(), partitions=4, spent=Spent(partitions=3)).count == 1
    assert plan(facts(), partitions=4, spent=Spent(partitions=9)).count == 0


def test_parked_and_waiting_partitions_are_told_and_left():
    later = NOW + dt.timedelta(hours=1)
    memory = Memory(standings={"raw": {DAYS[0]: Standing(parked=True), DAYS[1]: Standing(waits_until=later)}})
    made = plan(*chain(3), memory=memory)
    assert decided(made, "raw") == {
        DAYS[0]: Decision.PARKED,
        DAYS[1]: Decision.WAITING,
        DAYS[2]: Decision.PLANNED,
    }
    assert [row.note for row in made.rows() if row.note] == ["until 2026-03-01 03:00 UTC"]
    assert decided(made, "marts") == {
        DAYS[0]: Decision.UPSTREAM,
        DAYS[1]: Decision.UPSTREAM,
        DAYS[2]: Decision.PLANNED,
    }


def test_a_request_outweighs_a_parking():
    memory = Memory(standings={"flights": {DAYS[0]: Standing(parked=True)}})
    assert plan(facts(requested=[True] + [False] * 9), memory=memory).count == 10


def test_a_parked_upstream_that_stands_does_not_hold_up_what_is_made_of_it():
    memory = Memory(standings={"raw": {DAYS[0]: Standing(parked=True)}})
    raw = facts("raw", DAYS[:1], published=[5], computed=[5], code_changed=[True])
    made = plan(raw, facts(keys=DAYS[:1], parents=(Parent.same("raw", 1),)), memory=memory)
    assert (decided(made, "raw"), decided(made)) == ({DAYS[0]: Decision.PARKED}, {DAYS[0]: Decision.PLANNED})


def test_a_whole_made_of_whatever_days_there_are():
    """It waits for the first of them, not for all: some may never come."""
    whole = facts("whole", [""], parents=(Parent.shared("flights", range(10), 1, optional=True),))
    days = facts(unfillable={0: "gone"})
    assert plan(days, whole, order=Order.OLDEST).partitions() == {"flights": DAYS[1:], "whole": [""]}
    parked = Memory(standings={"flights": {day: Standing(parked=True) for day in DAYS}})
    assert decided(plan(facts(), whole, memory=parked), "whole") == {"": Decision.UPSTREAM}


def test_a_day_needs_the_whole_that_it_is_made_of():
    days = facts(parents=(Parent.shared("planes", [0], 10),))
    assert plan(facts("planes", [""]), days, partitions=3).partitions() == {"planes": [""], "flights": DAYS[-2:]}


def test_an_open_circuit_lets_one_probe_through():
    made = plan(*chain(), memory=Memory(probes={"flights": 1}))
    assert made.partitions() == {"raw": DAYS, "flights": DAYS[-1:], "marts": DAYS[-1:]}
    assert decided(made)[DAYS[0]] == Decision.CIRCUIT_OPEN
    assert decided(made, "marts")[DAYS[0]] == Decision.UPSTREAM


def test_after_its_probe_a_circuit_lets_nothing_through():
    assert plan(facts(), memory=Memory(probes={"flights": 0})).count == 0


def test_what_runs_is_left_and_what_is_made_of_it_waits():
    running = [True] + [False] * 9
    made = plan(facts("raw", running=running), facts(parents=(Parent.same("raw", 10),)))
    assert decided(made, "raw")[DAYS[0]] == Decision.RUNNING
    assert decided(made)[DAYS[0]] == Decision.UPSTREAM
    assert made.count == 18


def test_what_stands_follows_what_is_renewed():
    raw = facts("raw", published=[5] * 10, computed=[5] * 10, source_changed=[0] * 9 + [6])
    flights = facts(published=[5] * 10, computed=[5] * 10, parents=(Parent.same("raw", 10),))
    made = plan(raw, flights)
    assert [(row.table, row.partition, row.reasons.words) for row in made.rows()] == [
        ("raw", DAYS[-1], ("late_data",)),
        ("flights", DAYS[-1], ("upstream_planned",)),
    ]
    assert made.count == 2
    assert plan(raw, flights, partitions=1).counts() == {Decision.PLANNED: 1, Decision.OVER_BUDGET: 1}


def test_what_can_never_be_filled_is_told():
    made = plan(facts(unfillable={0: "the source keeps 9 days"}))
    first = next(iter(made.rows()))
    assert (first.decision, first.note) == (Decision.UNFILLABLE, "the source keeps 9 days")


@pytest.mark.parametrize("wrong", [{"partitions": -1}, {"minutes": -0.5}, {"runs": 0}, {"longest_range": 0}])
def test_a_budget_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Budget(**wrong)


class TestHours:
    night = Hours(begin=dt.time(22), end=dt.time(6), zone="America/New_York")

    def at(self, text, hours=None):
        return (hours or self.night).night(dt.datetime.fromisoformat(text))

    def test_a_night_goes_over_midnight(self):
        begin, end = self.at("2026-01-10T04:00:00-05:00")
        assert (begin.isoformat(), end.isoformat()) == ("2026-01-10T03:00:00+00:00", "2026-01-10T11:00:00+00:00")
        assert self.at("2026-01-10T12:00:00-05:00") is None
        assert self.at("2026-01-10T06:00:00-05:00") is None

    def test_a_night_is_an_hour_longer_or_shorter_when_the_clocks_change(self):
        for text, hours in (("2026-03-08T01:00:00-05:00", 7), ("2026-11-01T05:00:00-05:00", 9)):
            begin, end = self.at(text)
            assert (end - begin) == dt.timedelta(hours=hours)

    def test_no_hours_are_all_hours(self):
        assert self.at("2026-01-10T12:00:00+00:00", Hours()) is not None

    def test_a_blackout_is_the_night_that_begins_on_that_day(self):
        dark = Hours(begin=dt.time(22), end=dt.time(6), zone="UTC", blackouts={dt.date(2026, 12, 24)})
        assert self.at("2026-12-25T03:00:00+00:00", dark) is None
        assert self.at("2026-12-25T23:00:00+00:00", dark) is not None

    def test_a_moment_without_a_zone_is_refused(self):
        with pytest.raises(ValueError, match="no time zone"):
            self.at("2026-01-10T12:00:00")

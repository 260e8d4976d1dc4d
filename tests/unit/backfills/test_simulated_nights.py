"""Many nights on a virtual clock: faults of every kind, and what must hold whatever happens."""

import datetime as dt
import random
from collections import Counter

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dagster_sluice.backfills.attempts import RetryRules, released, standing
from dagster_sluice.backfills.budget import Budget, Hours, Order, Spent
from dagster_sluice.backfills.circuit import CircuitRules
from dagster_sluice.backfills.faults import fault
from dagster_sluice.backfills.finder import find_gaps
from dagster_sluice.backfills.gaps import Parent, TableFacts
from dagster_sluice.backfills.planner import Memory, make_plan
from dagster_sluice.backfills.settlement import Outcome, learn

DAYS = 14
WEEKS = 2
TABLES = {"raw": DAYS, "flights": DAYS, "weeks": WEEKS}
PARENTS = {
    "raw": (),
    "flights": (Parent.same("raw", DAYS),),
    "weeks": (Parent.of("flights", [range(7), range(7, 14)]),),
}
RETRY = RetryRules(park_after=3)
BREAKER = CircuitRules(open_after=3)
# Over the day on which New York's clocks go forward.
START = dt.datetime(2026, 3, 1, 7, tzinfo=dt.timezone.utc)
HOURS = Hours(begin=dt.time(2), end=dt.time(5), zone="America/New_York")
CRASH = fault(["OperationalError"], "the server closed the connection")

partitions = st.sampled_from([(table, position) for table, count in TABLES.items() for position in range(count)])


class Nights(RuleBasedStateMachine):
    """A warehouse, its source, a planner, and a world that breaks."""

    @initialize(budget=st.integers(1, 20), order=st.sampled_from(Order), seed=st.randoms(use_true_random=False))
    def begin(self, budget, order, seed):
        self.now = START
        self.chance = seed
        self.budget = Budget(partitions=budget)
        self.order = order
        self.published = {table: np.zeros(count, np.int64) for table, count in TABLES.items()}
        self.computed = {table: np.zeros(count, np.int64) for table, count in TABLES.items()}
        self.changed = np.zeros(DAYS, np.int64)
        self.code = Counter(dict.fromkeys(TABLES, 1))
        self.made_by = {table: np.zeros(count, np.int64) for table, count in TABLES.items()}
        self.poisoned = set()
        self.down = False
        self.records, self.circuits = {}, {}
        self.running = set()
        self.attempts = Counter()
        self.spent = Counter()
        self.probed = set()

    # What the world does.

    @rule(position=st.integers(0, DAYS - 1))
    def data_comes_late(self, position):
        self.changed[position] = self.tick()

    @rule(one=partitions)
    def a_partition_is_poisoned(self, one):
        self.poisoned.add(one)

    @rule(one=partitions)
    def a_poison_is_cured_and_released(self, one):
        self.poisoned.discard(one)
        if one in self.records:
            self.records[one] = released(self.records[one])
            self.attempts[one, self.inputs(*one)] = 0

    @rule(table=st.sampled_from(sorted(TABLES)))
    def code_changes(self, table):
        self.code[table] += 1

    @rule(down=st.booleans())
    def the_database_goes_or_comes(self, down):
        self.down = down

    @rule(hours=st.integers(1, 40))
    def time_passes(self, hours):
        self.now += dt.timedelta(hours=hours)

    # What the planner does.

    @rule(reach=st.integers(0, 40), vanish=st.booleans())
    def a_night(self, reach, vanish):
        """Plan and run; a daemon's death, a cancel or a blip ends the backfill after ``reach`` partitions."""
        self.to_night()
        self.night(reach, vanish)

    @rule()
    def two_planners_at_once(self):
        self.to_night()
        first = self.plan()
        self.claim(first)
        second = self.plan()
        assert not first & second
        self.claim(second)
        self.run(sorted(first | second, key=self.depth), 99, vanish=False)

    def night(self, reach=99, vanish=False):
        wanted = self.plan()
        self.claim(wanted)
        self.run(sorted(wanted, key=self.depth), reach, vanish)

    # How it does it.

    def tick(self):
        self.now += dt.timedelta(milliseconds=1)
        return int(self.now.timestamp() * 1e6)

    def to_night(self):
        while HOURS.night(self.now) is None:
            self.now += dt.timedelta(minutes=30)

    def depth(self, one):
        return list(TABLES).index(one[0]), one[1]

    def inputs(self, table, position):
        return f"{self.code[table]}" + (f" {self.changed[position]}" if table == "raw" else "")

    def facts(self):
        for table, count in TABLES.items():
            mask = np.array([(table, position) in self.running for position in range(count)], np.bool_)
            yield TableFacts.blank(
                table,
                [str(position) for position in range(count)],
                published=self.published[table],
                computed=self.computed[table],
                code_changed=self.made_by[table] != self.code[table],
                source_changed=self.changed if table == "raw" else np.zeros(count, np.int64),
                failed=np.array([(table, position) in self.records for position in range(count)], np.bool_),
                running=mask,
                parents=PARENTS[table],
            )

    def plan(self):
        night = HOURS.night(self.now)[0]
        standings = {table: {} for table in TABLES}
        for (table, position), record in self.records.items():
            standings[table][str(position)] = standing(record, now=self.now, inputs=self.inputs(table, position))
        probes = {
            table: 0 if (table, night) in self.probed else 1 for table, circuit in self.circuits.items() if circuit.open
        }
        made = make_plan(
            find_gaps(list(self.facts())),
            budget=self.budget,
            now=self.now,
            order=self.order,
            memory=Memory(standings=standings, probes=probes),
            spent=Spent(partitions=self.spent[night]),
        )
        for table, left in probes.items():
            assert len(made.partitions().get(table, [])) <= left
            if table in made.partitions():
                self.probed.add((table, night))
        self.spent[night] += made.count
        assert self.spent[night] <= self.budget.partitions
        return {(table, int(key)) for table, keys in made.partitions().items() for key in keys}

    def claim(self, wanted):
        assert not wanted & self.running
        self.running |= wanted

    def run(self, wanted, reach, vanish):
        outcomes = []
        broken = set()
        for number, one in enumerate(wanted):
            table, position = one
            self.running.discard(one)
            if number >= reach:
                continue
            above = {(parent.table, int(up)) for parent in PARENTS[table] for up in parent.positions(position)}
            if above & broken:
                broken.add(one)
                continue
            # What it is made of stands by now.
            assert all(self.published[up][place] for up, place in above), one
            begun = self.tick()
            wrong = fault(["ValueError"], "poison") if one in self.poisoned else CRASH if self.down else None
            if vanish and number == reach - 1:
                wrong = fault([], "the run vanished")
            self.attempts[one, self.inputs(*one)] += 1
            if wrong is None:
                self.attempts[one, self.inputs(*one)] = 0
                self.computed[table][position] = begun
                self.published[table][position] = self.tick()
                self.made_by[table][position] = self.code[table]
            else:
                broken.add(one)
            outcomes.append(
                Outcome(table=table, partition=str(position), at=self.now, fault=wrong, inputs=self.inputs(*one))
            )
        records = {(table, str(position)): record for (table, position), record in self.records.items()}
        learned = learn(
            outcomes,
            records=records,
            circuits=self.circuits,
            retry=RETRY,
            breaker=BREAKER,
            chance=self.chance.random,
        )
        for table, key in learned.forgotten:
            del self.records[table, int(key)]
        self.records |= {(table, int(key)): record for (table, key), record in learned.records.items()}
        self.circuits |= learned.circuits

    # What must hold.

    @invariant()
    def no_partition_is_tried_without_end(self):
        if hasattr(self, "attempts"):
            assert max(self.attempts.values(), default=0) <= RETRY.park_after

    def teardown(self):
        """The world mends, a person releases what was parked: then every gap is filled, in so many nights."""
        if not hasattr(self, "now"):
            return
        self.down, self.running = False, set()
        self.poisoned.clear()
        self.attempts.clear()
        self.records = {one: released(record) for one, record in self.records.items()}
        nights = 0
        while any(len(gaps) for gaps in find_gaps(list(self.facts())).values()):
            self.now += dt.timedelta(hours=12)
            self.to_night()
            self.night()
            nights += 1
            assert nights <= 4 + 3 * sum(TABLES.values()), self.records


Nights.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestNights = Nights.TestCase


def test_a_table_that_always_fails_is_tried_a_few_times_and_then_once_a_night():
    """One real deployment made 368,000 failed runs in 14 days of one asset."""
    world = Nights()
    world.begin(500, Order.NEWEST, random.Random(1))
    world.poisoned = {("raw", position) for position in range(DAYS)}
    total = Counter()
    for _ in range(14 * 24):
        world.now += dt.timedelta(hours=1)
        if HOURS.night(world.now) is None:
            continue
        before = world.attempts.total()
        world.night()
        total["attempts"] += world.attempts.total() - before
    # All on the first night, which opens the circuit; then one on each of fifteen nights, each day parked after three.
    assert total["attempts"] <= DAYS + 15
    assert not world.published["flights"].any()

"""Which runs fill what was claimed."""

import datetime as dt

import dagster as dg
import numpy as np

from dagster_sluice.backfills.budget import Budget
from dagster_sluice.backfills.finder import find_gaps
from dagster_sluice.backfills.gaps import Parent, TableFacts
from dagster_sluice.backfills.planner import make_plan
from dagster_sluice.backfills.runs import group_runs
from dagster_sluice.backfills.tables import Fillable

DAYS = [f"2026-01-{day:02}" for day in range(1, 11)]
DAILY = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-11")
NOW = dt.datetime(2026, 3, 1, tzinfo=dt.timezone.utc)


def fillable(name, *parents, definition=DAILY, elsewhere=()):
    keys = tuple(dg.AssetKey(parent) for parent in parents)
    return Fillable(
        key=dg.AssetKey(name),
        definition=definition,
        code_version="1",
        parents=keys,
        declared=None,
        ranges=True,
        elsewhere=frozenset(dg.AssetKey(parent) for parent in elsewhere),
    )


def facts(name, keys=DAYS, parents=(), **known):
    return TableFacts.blank(name, keys, parents=parents, **known)


def groups_of(tables, all_facts, claimed=None, at_once=1, **budget):
    made = make_plan(find_gaps(all_facts), budget=Budget(**budget), now=NOW)
    plans = {table.table: table for table in made.tables}
    return group_runs(tables, plans, made.partitions() if claimed is None else claimed, at_once=at_once)


def grouped(*args, **options):
    groups = groups_of(*args, **options)
    return [([table.name for table in group.tables], list(group.ranges)) for group in groups]


def test_tables_with_the_same_ranges_share_a_run():
    tables = [fillable("planes", definition=None), fillable("raw"), fillable("flights", "planes", "raw")]
    all_facts = [
        facts("planes", [""]),
        facts("raw"),
        facts("flights", parents=(Parent.shared("planes", [0], 10), Parent.same("raw", 10))),
    ]
    assert grouped(tables, all_facts) == [(["planes", "raw", "flights"], [(DAYS[0], DAYS[-1])])]


def test_what_needs_less_has_runs_of_its_own_after_what_it_is_made_of():
    done = np.array([1] * 5 + [0] * 5)
    tables = [fillable("raw"), fillable("flights", "raw")]
    all_facts = [facts("raw", published=done, computed=done), facts("flights", parents=(Parent.same("raw", 10),))]
    assert grouped(tables, all_facts) == [
        (["raw"], [(DAYS[5], DAYS[9])]),
        (["flights"], [(DAYS[0], DAYS[9])]),
    ]


def test_a_whole_does_not_join_what_takes_several_runs():
    tables = [fillable("raw"), fillable("mart", "raw", definition=None)]
    all_facts = [facts("raw"), facts("mart", [""], parents=(Parent.shared("raw", range(10), 1, optional=True),))]
    assert grouped(tables, all_facts, longest_range=5) == [
        (["raw"], [(DAYS[0], DAYS[4]), (DAYS[5], DAYS[9])]),
        (["mart"], [("", "")]),
    ]


def test_what_others_claimed_splits_a_range():
    claimed = {"raw": [day for day in DAYS if day != DAYS[3]]}
    assert grouped([fillable("raw")], [facts("raw")], claimed) == [(["raw"], [(DAYS[0], DAYS[2]), (DAYS[4], DAYS[9])])]


LONG = [f"{dt.date(2026, 1, 1) + dt.timedelta(days=day)}" for day in range(100)]


def test_a_long_stretch_is_cut_for_the_runs_that_may_work_side_by_side():
    tables = [fillable("raw"), fillable("flights", "raw")]
    all_facts = [facts("raw", LONG), facts("flights", LONG, parents=(Parent.same("raw", 100),))]
    assert grouped(tables, all_facts, at_once=2) == [
        (["raw", "flights"], [(LONG[0], LONG[49]), (LONG[50], LONG[99])]),
    ]
    # Of eight pieces none would be worth a run.
    assert [len(ranges) for _, ranges in grouped(tables, all_facts, at_once=8)] == [4]


def test_a_short_stretch_is_not_cut():
    assert grouped([fillable("raw")], [facts("raw")], at_once=4) == [(["raw"], [(DAYS[0], DAYS[-1])])]


def test_what_reads_the_day_before_waits_for_all_pieces_of_it():
    tables = [fillable("raw"), fillable("change", "raw", elsewhere=["raw"])]
    all_facts = [facts("raw", LONG), facts("change", LONG, parents=(Parent.same("raw", 100),))]
    assert [names for names, _ in grouped(tables, all_facts, at_once=2)] == [["raw"], ["change"]]
    # In one run, the steps are in order.
    assert [names for names, _ in grouped(tables, all_facts)] == [["raw", "change"]]


def test_what_reads_its_own_past_is_never_cut_and_goes_one_run_after_the_other():
    tables = [fillable("balance", "balance", elsewhere=["balance"])]
    (group,) = groups_of(tables, [facts("balance", LONG)], at_once=4)
    assert (group.in_turn, group.ranges) == (True, ((LONG[0], LONG[-1]),))
    (group,) = groups_of(tables, [facts("balance", LONG)], at_once=4, longest_range=40)
    assert (group.in_turn, len(group.ranges)) == (True, 3)

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


def fillable(name, *parents, definition=DAILY):
    keys = tuple(dg.AssetKey(parent) for parent in parents)
    return Fillable(
        key=dg.AssetKey(name), definition=definition, code_version="1", parents=keys, declared=None, ranges=True
    )


def facts(name, keys=DAYS, parents=(), **known):
    return TableFacts.blank(name, keys, parents=parents, **known)


def grouped(tables, all_facts, claimed=None, **budget):
    made = make_plan(find_gaps(all_facts), budget=Budget(**budget), now=NOW)
    plans = {table.table: table for table in made.tables}
    groups = group_runs(tables, plans, made.partitions() if claimed is None else claimed)
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

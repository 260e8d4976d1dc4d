"""How the partitions of a plan ended: by what stands, what the gate said, what the runs said."""

import datetime as dt

import pytest

from dagster_sluice.backfills.claims import Claim, OpenPlan
from dagster_sluice.backfills.evidence import Attempt, Evidence, Trouble, endings
from dagster_sluice.backfills.faults import FaultClass

MADE = dt.datetime(2026, 3, 1, 2, tzinfo=dt.timezone.utc)
LATER = MADE + dt.timedelta(minutes=5)
DAYS = ["d1", "d2", "d3", "d4"]


def micro(moment):
    return round(moment.timestamp() * 1_000_000)


def plan(*partitions, table="flights"):
    return OpenPlan(
        id=1,
        planner="nightly",
        backfill_id="b",
        correlation_id="c",
        night=MADE,
        made_at=MADE,
        launched_at=MADE,
        claims=tuple(Claim(table=table, partition=one, reasons=1, inputs="code@0") for one in partitions),
    )


def stands(*partitions, at=LATER, stopped=None, isolates=True):
    return {
        "flights": Evidence(
            numbers={day: number for number, day in enumerate(DAYS)} | {"": 0},
            computed=dict.fromkeys(partitions, micro(at)),
            stopped=stopped or {},
            isolates=isolates,
        )
    }


def attempt(**changes):
    settings = {"tables": frozenset({"flights"}), "first": "d1", "last": "d4", "ended_at": LATER, **changes}
    return Attempt(**settings)


def states(ending):
    return {partition: state for (_, partition), state in ending.states.items()}


def test_what_stands_since_the_plan_is_done():
    ending = endings(plan("d1", "d2"), stands("d1", "d2"), [])
    assert states(ending) == {"d1": "done", "d2": "done"}
    assert all(one.fault is None for one in ending.outcomes)


def test_what_stood_before_is_not():
    assert states(endings(plan("d1"), stands("d1", at=MADE - dt.timedelta(seconds=1)), [])) == {"d1": "undone"}


def test_a_backfill_that_was_canceled_leaves_no_failures():
    ending = endings(plan(*DAYS), stands("d1"), [attempt(canceled=True, begun=frozenset({"flights"}), died="stopped")])
    assert states(ending) == {"d1": "done", "d2": "undone", "d3": "undone", "d4": "undone"}
    assert [one.partition for one in ending.outcomes] == ["d1"]


def test_a_block_is_a_failure_of_the_data():
    blocked = {"d2": (LATER, ("12 of 40 rows have no carrier.",))}
    ending = endings(plan("d1", "d2"), stands("d1", stopped=blocked), [])
    assert states(ending) == {"d1": "done", "d2": "failed"}
    (wrong,) = [one.fault for one in ending.outcomes if one.fault]
    assert (wrong.kind, wrong.message) == (FaultClass.DATA, "12 of 40 rows have no carrier.")


def test_an_old_block_is_not_taken_for_a_new_one():
    blocked = {"d1": (MADE - dt.timedelta(days=1), ("old",))}
    assert states(endings(plan("d1"), stands(stopped=blocked), [])) == {"d1": "undone"}


def test_each_partition_that_raised_has_its_own_reason():
    said = "The table's function raised.\nflights [d2]: KeyError: 'x'\nflights [d4]: psycopg.OperationalError: gone"
    trouble = Trouble(names=("Failure",), message=said, each=True)
    ending = endings(plan(*DAYS), stands("d1", "d3"), [attempt(troubles={"flights": trouble})])
    assert states(ending) == {"d1": "done", "d2": "failed", "d3": "done", "d4": "failed"}
    found = {one.partition: (one.fault.kind, one.fault.message) for one in ending.outcomes if one.fault}
    assert found == {
        "d2": (FaultClass.UNKNOWN, "KeyError: 'x'"),
        "d4": (FaultClass.TRANSIENT, "psycopg.OperationalError: gone"),
    }


def test_a_step_that_gave_up_at_one_partition_says_nothing_of_the_next():
    trouble = Trouble(names=("Failure", "DatabaseUnreachable"), message="the server went away")
    ending = endings(plan(*DAYS), stands("d1"), [attempt(troubles={"flights": trouble})])
    assert states(ending) == {"d1": "done", "d2": "failed", "d3": "undone", "d4": "undone"}


def test_a_step_that_makes_its_range_as_a_whole_fails_as_a_whole():
    trouble = Trouble(names=("Failure",), message="dbt failed")
    ending = endings(plan("d1", "d2"), stands(isolates=False), [attempt(troubles={"flights": trouble})])
    assert states(ending) == {"d1": "failed", "d2": "failed"}


def test_of_a_range_whose_process_died_the_first_that_is_missing_was_being_made():
    ending = endings(plan(*DAYS), stands("d1"), [attempt(begun=frozenset({"flights"}), died="The process died.")])
    assert states(ending) == {"d1": "done", "d2": "failed", "d3": "undone", "d4": "undone"}


def test_a_step_that_never_began_did_not_fail():
    assert states(endings(plan("d1"), stands(), [attempt(died="no worker")])) == {"d1": "undone"}


def test_only_the_runs_that_had_a_partition_say_something_of_it():
    trouble = Trouble(names=("KeyError",), message="x", each=True)
    ending = endings(plan("d1", "d4"), stands(), [attempt(last="d2", troubles={"flights": trouble})])
    assert states(ending) == {"d1": "failed", "d4": "undone"}


def test_a_table_without_partitions():
    trouble = Trouble(names=("KeyError",), message="x")
    ending = endings(plan(""), stands(), [attempt(first="", last="", troubles={"flights": trouble})])
    assert states(ending) == {"": "failed"}


def test_a_table_that_is_no_more_is_undone():
    assert states(endings(plan("d1", table="gone"), stands(), [])) == {"d1": "undone"}


@pytest.mark.parametrize("count", [1, 5])
def test_a_partition_that_ran_several_times_failed_once(count):
    trouble = Trouble(names=("KeyError",), message="x", each=True)
    ending = endings(plan("d1"), stands(), [attempt(troubles={"flights": trouble})] * count)
    assert len(ending.outcomes) == 1

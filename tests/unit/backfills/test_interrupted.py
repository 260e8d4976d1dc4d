"""A run that a person ended: what it interrupted has not failed, what had failed by itself has."""

import datetime as dt

from dagster_sluice.backfills.claims import Claim, OpenPlan
from dagster_sluice.backfills.evidence import Attempt, Evidence, Trouble, endings

MADE = dt.datetime(2026, 3, 1, 2, tzinfo=dt.timezone.utc)
DAYS = ["d1", "d2", "d3"]


def ending(trouble):
    plan = OpenPlan(
        id=1,
        planner="nightly",
        backfill_id="b",
        correlation_id="c",
        night=MADE,
        made_at=MADE,
        launched_at=MADE,
        claims=tuple(Claim(table="flights", partition=one, reasons=1, inputs="code@0") for one in DAYS),
    )
    attempt = Attempt(
        tables=frozenset({"flights"}),
        first="d1",
        last="d3",
        ended_at=MADE + dt.timedelta(minutes=1),
        canceled=True,
        begun=frozenset({"flights"}),
        troubles={"flights": trouble},
    )
    known = Evidence(numbers={day: number for number, day in enumerate(DAYS)}, computed={}, isolates=True)
    return {partition: state for (_, partition), state in endings(plan, {"flights": known}, [attempt]).states.items()}


def test_an_interrupted_step_is_no_failure():
    assert ending(Trouble(names=("DagsterExecutionInterruptedError",), message="")) == dict.fromkeys(DAYS, "undone")


def test_partitions_that_failed_by_themselves_have_failed():
    assert ending(Trouble(names=("KeyError",), message="x", each=True)) == dict.fromkeys(DAYS, "failed")

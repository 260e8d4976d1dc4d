"""Backfills that a command carries out itself: their end, also if the command was killed."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from dagster_sluice.backfills.claims import OpenPlan
from dagster_sluice.backfills.headless import fail_abandoned
from dagster_sluice.backfills.launching import BackfillState, backfill_state, end_backfill
from dagster_sluice.backfills.night import Planner, Settled

__all__ = ["DIRECT_TAG", "settle_all", "settle_direct"]

DIRECT_TAG = "sluice/direct"
"""On a backfill that a `sluice backfill run` carries out itself."""


def settle_all(planner: Planner, now: dt.datetime) -> tuple[list[str], list[Settled]]:
    """Take into memory how all plans ended that are over, those among them whose command was killed.

    Returns:
        The runs that had died without a word, by their ids, and the plans.
    """
    died = fail_abandoned(planner.instance)
    return died, [*_end_abandoned(planner, now), *planner.settle(now)]


def settle_direct(planner: Planner, plan: OpenPlan, *, canceled: bool, now: dt.datetime) -> Settled | None:
    """Close a direct backfill whose runs are over: in the memory, and in Dagster."""
    settled = planner.settle_one(plan, now)
    if settled is None:
        return None
    done: dict[dg.AssetKey, list[str]] = {}
    for (table, partition), state in settled.ending.states.items():
        if state == "done":
            done.setdefault(planner.known_key(table), []).append(partition)
    end_backfill(planner.instance, planner.graph, plan.backfill_id, done=done, canceled=canceled, at=now)
    return settled


def _end_abandoned(planner: Planner, now: dt.datetime) -> list[Settled]:
    """Close the direct backfills of processes that were killed, once their runs are over."""
    found = []
    for plan in planner.nights.open_plans():
        backfill = planner.instance.get_backfill(plan.backfill_id)
        if backfill is None or DIRECT_TAG not in backfill.tags:
            continue
        state = backfill_state(planner.instance, plan.backfill_id)
        if state is BackfillState.ENDED:
            continue
        if _alive(planner.instance, plan.backfill_id):
            continue
        settled = settle_direct(planner, plan, canceled=state is BackfillState.CANCELING, now=now)
        if settled is not None:
            found.append(settled)
    return found


def _alive(instance: dg.DagsterInstance, backfill_id: str) -> bool:
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill_id}))
    return any(not run.is_finished for run in runs)

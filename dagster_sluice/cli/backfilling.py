"""A plan, run here and now: a real backfill whose runs this process starts and watches, without a daemon."""

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import dagster as dg

from dagster_sluice.backfills.claims import Claimed, OpenPlan
from dagster_sluice.backfills.launching import BackfillState, backfill_state, end_backfill, launch
from dagster_sluice.backfills.night import Draft, Planner, Settled
from dagster_sluice.backfills.runs import RunGroup, group_runs
from dagster_sluice.cli.location import Location
from dagster_sluice.cli.work import partition_tags
from dagster_sluice.cli.worker import Worker, create_run, start_run
from dagster_sluice.failpoints import failpoint

__all__ = ["DirectBackfill", "end_abandoned"]

DIRECT_TAG = "sluice/direct"
"""On a backfill that a `sluice backfill run` carries out itself."""

_TICK_SECONDS = 0.3


class DirectBackfill:
    """One plan's backfill.

    Args:
        planner: Whose plan it is.
        draft: The plan.
        claimed: What it got.
        location: The code location.
        backfill_id: Its id.
        correlation_id: Of everything it causes.
        logs: Directory for the workers' output.
    """

    def __init__(
        self,
        planner: Planner,
        draft: Draft,
        claimed: Claimed,
        *,
        location: Location,
        backfill_id: str,
        correlation_id: str,
        logs: Path,
    ) -> None:
        self._planner = planner
        self._instance = planner.instance
        self._draft = draft
        self._claimed = claimed
        self._location = location
        self._id = backfill_id
        self._correlation_id = correlation_id
        self._logs = logs
        self._workers: list[Worker] = []

    def run(self, follow: Callable[[], None]) -> bool:
        """Carry it out, and call ``follow`` every so often; whether it was canceled, here or in the UI."""
        groups = self._groups()
        queues = [deque(self._created(group)) for group in groups]
        failpoint("backfill.runs_created")
        launch(
            self._instance,
            self._planner.graph,
            backfill_id=self._id,
            partitions={self._planner.tables[name].key: keys for name, keys in self._claimed.partitions.items()},
            at=dt.datetime.now(dt.timezone.utc),
            tags={**self._planner.tags(self._claimed, self._correlation_id), DIRECT_TAG: "yes"},
            title=f"{self._planner.name}: {self._claimed.count:,} partitions",
            description="Run by `sluice backfill run`.",
            requested=True,
        )
        failpoint("backfill.launched")
        self._planner.nights.launched(self._claimed.plan_id, at=dt.datetime.now(dt.timezone.utc))
        for queue in queues:
            while queue or self._workers:
                while queue and len(self._workers) < self._planner.rules.budget.runs:
                    self._workers.append(start_run(self._location, self._instance, queue.popleft(), self._logs))
                follow()
                self._workers = [worker for worker in self._workers if not _ended(worker)]
                if backfill_state(self._instance, self._id) is BackfillState.CANCELING:
                    self.stop()
                    self._drop(queues)
                    return True
        follow()
        return False

    def stop(self) -> None:
        """Interrupt what runs."""
        for worker in self._workers:
            worker.stop()
        self._workers = []

    def end(self, *, canceled: bool) -> Settled | None:
        """Write down how it ended, in Dagster and in the memory."""
        now = dt.datetime.now(dt.timezone.utc)
        # Another process may have closed it, once its runs were over.
        ours = [plan for plan in self._planner.nights.open_plans() if plan.id == self._claimed.plan_id]
        return settle_direct(self._planner, ours[0], canceled=canceled, now=now) if ours else None

    def _groups(self) -> list[RunGroup]:
        plans = {table.table: table for table in self._draft.plan.tables}
        return group_runs(list(self._planner.tables.values()), plans, self._claimed.partitions)

    def _created(self, group: RunGroup) -> Iterable[dg.DagsterRun]:
        keys = {table.key for table in group.tables}
        tags = {**self._planner.tags(self._claimed, self._correlation_id), "dagster/backfill": self._id}
        for first, last in group.ranges:
            span = partition_tags(first or None, last or None)
            yield create_run(self._location, self._instance, keys, {**tags, **span})

    def _drop(self, queues: Iterable[Iterable[dg.DagsterRun]]) -> None:
        for queue in queues:
            for run in queue:
                self._instance.report_run_canceled(run, message="Its backfill was canceled.")


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


def end_abandoned(planner: Planner, now: dt.datetime) -> list[Settled]:
    """Close the direct backfills of processes that were killed, once their runs are over."""
    found = []
    for plan in planner.nights.open_plans():
        backfill = planner.instance.get_backfill(plan.backfill_id)
        if backfill is None or DIRECT_TAG not in backfill.tags:
            continue
        if backfill_state(planner.instance, plan.backfill_id) is BackfillState.ENDED:
            continue
        if _alive(planner.instance, plan.backfill_id):
            continue
        settled = settle_direct(planner, plan, canceled=False, now=now)
        if settled is not None:
            found.append(settled)
    return found


def _alive(instance: dg.DagsterInstance, backfill_id: str) -> bool:
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill_id}))
    return any(not run.is_finished for run in runs)


def _ended(worker: Worker) -> bool:
    for _ in worker.ticks(_TICK_SECONDS):
        return False
    worker.finish()
    return True

"""A plan, run here and now: a real backfill whose runs this process starts and watches, without a daemon."""

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import dagster as dg

from dagster_sluice.backfills.claims import Claimed
from dagster_sluice.backfills.direct import DIRECT_TAG, settle_direct
from dagster_sluice.backfills.launching import BackfillState, backfill_state, launch, was_canceled
from dagster_sluice.backfills.night import Draft, Planner, Settled
from dagster_sluice.backfills.runs import RunGroup, group_runs
from dagster_sluice.cli.location import Location
from dagster_sluice.cli.work import partition_tags
from dagster_sluice.cli.worker import Worker, create_run, start_run
from dagster_sluice.failpoints import failpoint

__all__ = ["DirectBackfill"]

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
        self.logs = logs
        self._workers: list[Worker] = []
        self._queues: list[deque[dg.DagsterRun]] = []

    def run(self, follow: Callable[[], None]) -> bool:
        """Carry it out, and call ``follow`` every so often; whether it was canceled, here or in the UI."""
        groups = self._groups()
        for group in groups:
            self._queues.append(deque(self._created(group)))
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
        for group, queue in zip(groups, self._queues, strict=True):
            at_once = 1 if group.in_turn else self._planner.rules.budget.runs
            while queue or self._workers:
                while queue and len(self._workers) < at_once:
                    self._workers.append(start_run(self._location, self._instance, queue.popleft(), self.logs))
                follow()
                self._workers = [worker for worker in self._workers if not _ended(worker)]
                if self._canceled():
                    self.stop()
                    return True
        follow()
        return False

    def stop(self) -> None:
        """Interrupt what runs, and drop what was not started."""
        for worker in self._workers:
            worker.stop()
        self._workers = []
        for queue in self._queues:
            while queue:
                run = self._instance.get_run_by_id(queue.popleft().run_id)
                if run is not None and not run.is_finished:
                    self._instance.report_run_canceled(run, message="Its backfill was canceled.")

    def end(self, *, canceled: bool) -> Settled | None:
        """Write down how it ended, in Dagster and in the memory."""
        now = dt.datetime.now(dt.timezone.utc)
        # Another process may have closed it, once its runs were over.
        ours = [plan for plan in self._planner.nights.open_plans() if plan.id == self._claimed.plan_id]
        return settle_direct(self._planner, ours[0], canceled=canceled, now=now) if ours else None

    def _canceled(self) -> bool:
        state = backfill_state(self._instance, self._id)
        # A daemon that lives beside us may have ended it already.
        return state is BackfillState.CANCELING or (
            state is BackfillState.ENDED and was_canceled(self._instance, self._id)
        )

    def _groups(self) -> list[RunGroup]:
        plans = {table.table: table for table in self._draft.plan.tables}
        tables = list(self._planner.tables.values())
        return group_runs(tables, plans, self._claimed.partitions, at_once=self._planner.rules.budget.runs)

    def _created(self, group: RunGroup) -> Iterable[dg.DagsterRun]:
        keys = {table.key for table in group.tables}
        tags = {
            **self._planner.tags(self._claimed, self._correlation_id),
            "dagster/backfill": self._id,
            # What is tried again, and when, is decided here: a daemon that happens to live leaves these runs alone.
            "dagster/max_retries": "0",
        }
        for first, last in group.ranges:
            span = partition_tags(first or None, last or None)
            yield create_run(self._location, self._instance, keys, {**tags, **span})


def _ended(worker: Worker) -> bool:
    for _ in worker.ticks(_TICK_SECONDS):
        return False
    worker.finish()
    return True

"""``sluice run``: the tables of a project through the gate, then what is built on them."""

import datetime as dt
import fcntl
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
import typer

from dagster_sluice.backfills.headless import fail_abandoned, outliving
from dagster_sluice.cli import display
from dagster_sluice.cli.instance import opened_instance
from dagster_sluice.cli.location import Location, load_location
from dagster_sluice.cli.work import Work, last_change, partition_tags, ranges, stale_partitions, survey
from dagster_sluice.cli.worker import Worker, start
from dagster_sluice.embedded import sluice_home
from dagster_sluice.errors import SettingError
from dagster_sluice.failpoints import failpoint
from dagster_sluice.tables.failing import ERROR
from dagster_sluice.tables.inputs import address_of
from dagster_sluice.tables.naming import CORRELATION_TAG
from dagster_sluice.warehouse import Audit, Result
from dagster_sluice.warehouse.opening import open_warehouse

__all__ = ["run"]


def run(
    last: Annotated[int, typer.Option(min=1, help="How many of the latest complete partitions.")] = 14,
    select: Annotated[str | None, typer.Option(help="Dagster's asset selection; everything by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Run the main job headless: extract, audit, publish, then the marts.

    Exits with 0 if every batch was published or unchanged, 1 if something was blocked, is held, or failed.
    """
    with _only_one(), opened_instance() as instance:
        location = load_location(Path.cwd())
        for abandoned in fail_abandoned(instance):
            display.note(f"Run {abandoned[:8]} of an earlier day had died without a word; it is marked as failed.")
        _outlive(instance)
        session = _Session(location, instance, select, last)
        with _interruptible(session):
            session.tables()
            session.marts()
        warehouse = session.warehouse
        outcome = display.Outcome(
            work=session.work,
            audits=tuple(warehouse.audits(session.correlation_id)),
            marts=session.built,
            marts_current=session.current,
            failures=tuple(session.failures),
            correlation_id=session.correlation_id,
            seconds=session.seconds,
        )
        warehouse.close()
    display.outcome(outcome, as_json=as_json)
    if not outcome.good:
        raise typer.Exit(1)


class _Session:
    """One call of ``sluice run``: its runs share one correlation id."""

    def __init__(self, location: Location, instance: dg.DagsterInstance, select: str | None, last: int) -> None:
        self.location = location
        self.instance = instance
        self.warehouse = open_warehouse()
        self.correlation_id = f"run-{uuid.uuid4().hex[:12]}"
        self._started = dt.datetime.now(dt.timezone.utc)
        self.work: Work = survey(location.repository.asset_graph, select=select, last=last, now=self._started)
        self.built: dict[str, int] = {}
        self.current: list[str] = []
        self.failures: list[display.Failed] = []
        self.worker: Worker | None = None

    @property
    def seconds(self) -> float:
        return (dt.datetime.now(dt.timezone.utc) - self._started).total_seconds()

    def tables(self) -> None:
        """Every table; then, where a blocked partition kept a whole run from going on, the partitions it spared."""
        work = self.work
        wanted = {*work.partitioned, *work.whole}
        if not wanted:
            return
        total = len(work.partitioned) * len(work.partitions) + len(work.whole)
        with display.progress("tables", total) as bar:
            first, final = (work.partitions[0], work.partitions[-1]) if work.partitions else (None, None)
            self._execute(wanted, partition_tags(first, final), bar)
            attempted: set[tuple[dg.AssetKey, str]] = set()
            while spared := self._spared() - attempted:
                attempted |= spared
                for key in work.partitioned:
                    keys = [partition for spared_key, partition in spared if spared_key == key]
                    for start_key, end_key in ranges(keys, work.partitions):
                        self._execute({key}, partition_tags(start_key, end_key), bar)

    def _spared(self) -> set[tuple[dg.AssetKey, str]]:
        """Batches that nobody judged although everything they read is published."""
        judged = {(audit.address, audit.partition): audit.result for audit in self._audits()}
        fine = (Result.PUBLISHED, Result.UNCHANGED)
        found = set()
        for key in self.work.partitioned:
            for partition in self.work.partitions:
                if (address_of(key), partition) in judged:
                    continue
                parents = self.work.parents(key)
                states = [
                    judged.get((address_of(parent), partition if parent in self.work.partitioned else None))
                    for parent in parents
                ]
                if parents and all(state in fine for state in states):
                    found.add((key, partition))
        return found

    def marts(self) -> None:
        """What is built on the tables and is missing, older than they are, or made by other code."""
        partitioned: dict[str, set[dg.AssetKey]] = {}
        whole: set[dg.AssetKey] = set()
        for key in self.work.others:
            stale = self._stale(key)
            if not stale:
                self.current.append(key.to_user_string())
            for partition in stale:
                if partition is None:
                    whole.add(key)
                else:
                    partitioned.setdefault(partition, set()).add(key)
        spans = ranges(partitioned, self.work.partitions)
        if not spans and not whole:
            return
        daily: set[dg.AssetKey] = set().union(*partitioned.values())
        with display.progress("marts", max(1, len(spans))) as bar:
            for first, final in spans[:-1]:
                self._build(daily, first, final)
                bar.advance()
            # The last run takes along what has no partitions: it is built from all of them.
            self._build(daily | whole, *(spans[-1] if spans else (None, None)))
            bar.advance()

    def _build(self, keys: set[dg.AssetKey], first: str | None, final: str | None) -> None:
        if not self._execute(keys, partition_tags(first, final), None):
            return
        order = self.work.partitions
        for key in keys:
            name = key.to_user_string()
            days = 1
            if first is not None and final is not None and self.work.graph.get(key).partitions_def is not None:
                days = order.index(final) - order.index(first) + 1
            self.built[name] = self.built.get(name, 0) + days

    def _stale(self, key: dg.AssetKey) -> list[str | None]:
        definition = self.work.graph.get(key)
        partitions: list[str | None] = [*self.work.partitions] if definition.partitions_def else [None]
        upstream = [self.warehouse.current(address_of(parent)) for parent in self._tables_above(key)]
        changed = last_change(upstream, partitions)
        built: dict[str | None, tuple[dt.datetime, str | None]] = {}
        wanted = [partition for partition in partitions if partition is not None]
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, asset_partitions=wanted or None), limit=max(1, 20 * len(wanted))
        ).records
        for record in reversed(records):
            tags = record.asset_materialization.tags if record.asset_materialization else None
            moment = dt.datetime.fromtimestamp(record.timestamp, dt.timezone.utc)
            built[record.partition_key] = (moment, (tags or {}).get("dagster/code_version"))
        return stale_partitions(partitions, changed, built, definition.code_version)

    def _tables_above(self, key: dg.AssetKey) -> set[dg.AssetKey]:
        """The nearest tables of ours upstream, through whatever lies between."""
        found: set[dg.AssetKey] = set()
        for parent in self.work.graph.get(key).parent_keys:
            if parent in self.work.partitioned or parent in self.work.whole:
                found.add(parent)
            elif self.work.graph.has(parent):
                found |= self._tables_above(parent)
        return found

    def _audits(self) -> list[Audit]:
        return self.warehouse.audits(self.correlation_id)

    def _execute(self, assets: set[dg.AssetKey], tags: dict[str, str], bar: display.Bar | None) -> bool:
        self.worker = start(
            self.location,
            self.instance,
            assets,
            {**tags, CORRELATION_TAG: self.correlation_id, "sluice/command": "run"},
            sluice_home() / "logs",
        )
        for _ in self.worker.ticks(0.5):
            if bar is not None:
                bar.reach(len(self._audits()))
        failpoint("run.finished")
        ended = self.worker.finish()
        worker, self.worker = self.worker, None
        if bar is not None:
            bar.reach(len(self._audits()))
        if ended.is_success:
            return True
        self._complain_of_setting(ended)
        self.failures.append(display.Failed(run_id=ended.run_id, log=worker.log, why=self._why(ended)))
        return False

    def _complain_of_setting(self, ended: dg.DagsterRun) -> None:
        """A setting that only a step could find to be wrong is told like any other.

        Raises:
            SettingError: That is what the run failed of.
        """
        for record in self.instance.get_records_for_run(ended.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records:
            event = record.event_log_entry.dagster_event
            told = event.step_failure_data.user_failure_data if event else None
            if told and (kind := told.metadata.get(ERROR)) and kind.value == SettingError.__name__:
                raise SettingError(told.description or "A setting is wrong.")

    def _why(self, ended: dg.DagsterRun) -> str:
        records = self.instance.get_records_for_run(
            ended.run_id, of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
        ).records
        for record in records:
            event = record.event_log_entry.dagster_event
            if event is None:
                continue
            if event.event_type is dg.DagsterEventType.STEP_FAILURE:
                data = event.step_failure_data
                told = data.user_failure_data
                return (told.description if told else None) or _root(data.error) or "no reason"
            if event.message:
                return event.message
        return ended.status.value.lower()


def _root(error: Any) -> str:
    """What the project's own code raised, below Dagster's words about the step."""
    while error is not None and error.cause is not None:
        error = error.cause
    return str(error.message).strip() if error is not None else ""


def _outlive(instance: dg.DagsterInstance) -> None:
    """Wait for workers whose `sluice run` was killed: they publish what we would, and would be in our way."""
    told: set[str] = set()
    while going := outliving(instance):
        for run_id, pid in going:
            if run_id not in told:
                display.note(f"Run {run_id[:8]} of a killed `sluice run` goes on (process {pid}); waiting for it.")
                told.add(run_id)
        time.sleep(0.5)
        fail_abandoned(instance)


@contextmanager
def _only_one() -> Iterator[None]:
    """One ``sluice run`` at a time in a checkout: a second one waits, and then finds the work done."""
    try:
        handle = (sluice_home() / "run.lock").open("w")
    except OSError as failure:
        raise SettingError(f"{sluice_home()} cannot be written: {failure.strerror}.") from failure
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            display.note("Another `sluice run` is under way in this checkout; waiting for it.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _interruptible(session: _Session) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the worker first, and then us."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        if session.worker is not None:
            display.note("Stopping the run…")
            session.worker.stop()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Dagster's event log in OpenLineage's words.

==============================  ==================================================================================
a run starts, ends              START; COMPLETE, FAIL or ABORT of the job
a step starts, ends             the same of ``job.step``, whose parent is the run, with what it reads and writes
a step of several assets        has a part for each (``job.step.asset``), so that each has its own inputs only
a step that writes and checks   has a part ``job.step.checks``, which reads what is checked: assertions are facets of
                                inputs, and a step that reads what it writes would be a circle
a step is to be retried         OTHER, with the error; RUNNING when it starts again
a run ends, a step has not      the step ends with it, as failed or aborted
an asset without a run          a dataset event
==============================  ==================================================================================

What is told of a record depends on that record and earlier ones of its run only, so that it is the same when it is told
again.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dagster as dg

from dagster_sluice.embedded import redact
from dagster_sluice.lineage.openlineage.assets import Assets
from dagster_sluice.lineage.openlineage.compose import Composer, Event
from dagster_sluice.lineage.openlineage.facts import Assertion, RunFacts, State, Used, child_run_id
from dagster_sluice.lineage.openlineage.reading import LogRecord, RunLog
from dagster_sluice.tables.naming import CORRELATION_TAG
from dagster_sluice.tables.place import plain

__all__ = ["Translator"]

_TYPE = dg.DagsterEventType
_STEP_STATES = {
    _TYPE.STEP_START: State.START,
    _TYPE.STEP_SUCCESS: State.COMPLETE,
    _TYPE.STEP_FAILURE: State.FAIL,
    _TYPE.STEP_UP_FOR_RETRY: State.OTHER,
    _TYPE.STEP_RESTARTED: State.RUNNING,
}
_RUN_STATES = {
    _TYPE.RUN_START: State.START,
    _TYPE.RUN_SUCCESS: State.COMPLETE,
    _TYPE.RUN_FAILURE: State.FAIL,
    _TYPE.RUN_CANCELED: State.ABORT,
}
_URL = re.compile(r"[^\s'\"<>]+://[^\s'\"<>]+")


class Translator:
    """Makes events of records.

    Args:
        assets: The assets of the code location.
        composer: Makes events of facts.
        instance: Dagster's.
        run: A run by its id, ``None`` for one that is not this code location's.
        records: The records of a run.
    """

    def __init__(
        self,
        *,
        assets: Assets,
        composer: Composer,
        instance: dg.DagsterInstance,
        run: Callable[[str], dg.DagsterRun | None],
        records: Callable[[str], RunLog],
    ) -> None:
        self._assets = assets
        self._composer = composer
        self._instance = instance
        self._run = run
        self._records = records

    def events(self, record: LogRecord) -> Iterator[Event]:
        """What is told of a record; nothing, for most."""
        if not record.run_id:
            yield from self._without_run(record)
            return
        if record.kind not in _RUN_STATES and record.kind not in _STEP_STATES:
            return
        run = self._run(record.run_id)
        if run is None:
            return
        log = self._records(record.run_id)
        if record.kind in _RUN_STATES:
            yield from self._of_run(record, run, log)
        elif record.event.step_key is not None:
            error = _error(record) if record.kind in (_TYPE.STEP_FAILURE, _TYPE.STEP_UP_FOR_RETRY) else None
            state = _STEP_STATES[record.kind]
            own = log.of_step(record.event.step_key, record.number)
            yield from self._of_step(state, run, record.event.step_key, record.moment, own, error)

    def _of_run(self, record: LogRecord, run: dg.DagsterRun, log: RunLog) -> Iterator[Event]:
        state = _RUN_STATES[record.kind]
        earlier = log.until(record.number)
        if state in (State.FAIL, State.ABORT):
            said = "The run was canceled." if state is State.ABORT else "The run ended before the step did."
            for step in _open_steps(earlier):
                own = log.of_step(step, record.number)
                yield from self._of_step(state, run, step, record.moment, own, said)
        error = _error(record) or "The run failed." if state is State.FAIL else None
        planned = [key for one in earlier if (key := _planned(one)) is not None]
        yield self._composer.run(state, self._run_facts(run, planned), record.moment, error=error)

    def _of_step(
        self,
        state: State,
        run: dg.DagsterRun,
        step: str,
        moment: float,
        own: Sequence[LogRecord],
        error: str | None,
    ) -> Iterator[Event]:
        planned = list(dict.fromkeys(key for one in own if (key := _planned(one)) is not None))
        written = self._written(own)
        outputs = list(dict.fromkeys([*(planned if state is not State.COMPLETE else ()), *written]))
        # A step may end well and have written nothing of what was planned: it still has read.
        concerned = list(dict.fromkeys([*planned, *written]))
        partitions = self._assets.partitions(run.tags, concerned, self._instance)
        checked = self._checked(own, finished=state in (State.COMPLETE, State.FAIL, State.ABORT))
        whole = self._run_facts(run, [])
        facts = RunFacts(
            id=child_run_id(run.run_id, step),
            job=f"{run.job_name}.{step}",
            kind="STEP",
            parent=whole,
            window=self._assets.window(concerned or self._checks_of(own), partitions),
            correlation_id=whole.correlation_id,
        )

        def used(key: dg.AssetKey) -> Used:
            return written.get(key) or Used(
                asset=self._assets.facts(key), partitions=self._assets.partitioned(key, partitions)
            )

        starts = state is State.START
        single = len(concerned) <= 1
        inputs = self._assets.inputs(concerned, partitions, self._instance) if single else []
        event = self._composer.run(
            state,
            facts,
            moment,
            inputs=[*inputs, *(checked if not concerned else ())],
            outputs=[used(key) for key in outputs] if single else [],
            error=error,
        )
        parts = [] if single else list(self._parts(state, facts, moment, concerned, outputs, used, partitions, error))
        if concerned and checked:
            checks = self._part(facts, "checks", "CHECKS")
            # Checks that have failed were carried out all the same: the part is complete.
            ended = State.COMPLETE if state is State.FAIL else state
            parts.append(self._composer.run(ended, checks, moment, inputs=checked))
        yield from (event, *parts) if starts else (*parts, event)

    def _parts(
        self,
        state: State,
        step: RunFacts,
        moment: float,
        concerned: Sequence[dg.AssetKey],
        outputs: Sequence[dg.AssetKey],
        used: Callable[[dg.AssetKey], Used],
        partitions: Sequence[str],
        error: str | None,
    ) -> Iterator[Event]:
        """One event for each asset of a step that makes several."""
        for key in concerned:
            yield self._composer.run(
                state,
                self._part(step, ".".join(key.path), "ASSET"),
                moment,
                inputs=self._assets.inputs([key], partitions, self._instance),
                outputs=[used(key)] if key in outputs else [],
                error=error,
            )

    @staticmethod
    def _part(step: RunFacts, name: str, kind: str) -> RunFacts:
        return RunFacts(
            id=child_run_id(step.id, kind, name),
            job=f"{step.job}.{name}",
            kind=kind,
            parent=step,
            window=step.window,
            correlation_id=step.correlation_id,
        )

    def _run_facts(self, run: dg.DagsterRun, planned: Sequence[dg.AssetKey]) -> RunFacts:
        partitions = self._assets.partitions(run.tags, planned, self._instance)
        return RunFacts(
            id=run.run_id,
            job=run.job_name,
            kind="JOB",
            window=self._assets.window(planned, partitions),
            correlation_id=run.tags.get(CORRELATION_TAG),
        )

    def _written(self, own: Sequence[LogRecord]) -> dict[dg.AssetKey, Used]:
        """What a step has written so far, by asset."""
        found: dict[dg.AssetKey, list[Any]] = {}
        for one in own:
            if one.kind is _TYPE.ASSET_MATERIALIZATION:
                materialization: Any = one.event.event_specific_data
                found.setdefault(materialization.materialization.asset_key, []).append(materialization.materialization)
        return {key: self._used(key, materializations) for key, materializations in found.items()}

    def _used(self, key: dg.AssetKey, materializations: Sequence[Any]) -> Used:
        newest = materializations[-1]
        partitions = [one.partition for one in materializations if one.partition is not None]
        # A partition that was written twice, in a retry, counts once.
        rows = {one.partition: count for one in materializations if (count := _rows(one)) is not None}
        tags = newest.tags or {}
        return Used(
            asset=self._assets.facts(key, newest.metadata),
            partitions=tuple(dict.fromkeys(partitions)) or None,
            rows=sum(rows.values()) if rows else None,
            version=tags.get("dagster/data_version") if len(rows or materializations) == 1 else None,
        )

    def _checked(self, own: Sequence[LogRecord], *, finished: bool) -> list[Used]:
        """The assets that a step checks, with the outcomes so far."""
        found: dict[dg.AssetKey, list[Assertion]] = {}
        for one in own:
            data: Any = one.event.event_specific_data
            if one.kind is _TYPE.ASSET_CHECK_EVALUATION_PLANNED:
                found.setdefault(data.asset_key, [])
            elif one.kind is _TYPE.ASSET_CHECK_EVALUATION:
                found.setdefault(data.asset_key, []).append(_assertion(data))
        return [
            Used(asset=self._assets.facts(key), assertions=tuple(assertions))
            for key, assertions in found.items()
            if assertions or not finished
        ]

    @staticmethod
    def _checks_of(own: Sequence[LogRecord]) -> list[dg.AssetKey]:
        planned: list[Any] = [
            one.event.event_specific_data for one in own if one.kind is _TYPE.ASSET_CHECK_EVALUATION_PLANNED
        ]
        return list(dict.fromkeys(data.asset_key for data in planned))

    def _without_run(self, record: LogRecord) -> Iterator[Event]:
        """An event that somebody reported; only assets of this code location are ours to tell of."""
        data: Any = record.event.event_specific_data
        if record.kind is _TYPE.ASSET_MATERIALIZATION:
            said = data.materialization
        elif record.kind is _TYPE.ASSET_OBSERVATION:
            said = data.asset_observation
        else:
            return
        if said.asset_key in self._assets:
            yield self._composer.dataset(self._used(said.asset_key, [said]), record.moment)


def _planned(record: LogRecord) -> dg.AssetKey | None:
    data: Any = record.event.event_specific_data
    return data.asset_key if record.kind is _TYPE.ASSET_MATERIALIZATION_PLANNED else None


def _open_steps(records: Sequence[LogRecord]) -> list[str]:
    """Steps that have started and not ended, in the order in which they started."""
    steps: dict[str, bool] = {}
    for one in records:
        if one.event.step_key is None or one.kind not in _STEP_STATES:
            continue
        steps[one.event.step_key] = one.kind not in (_TYPE.STEP_SUCCESS, _TYPE.STEP_FAILURE)
    return [step for step, is_open in steps.items() if is_open]


def _rows(said: Any) -> int | None:
    for name in ("dagster/partition_row_count", "dagster/row_count"):
        value = plain(said.metadata.get(name))
        if isinstance(value, int):
            return value
    return None


def _assertion(data: Any) -> Assertion:
    column = plain((data.metadata or {}).get("column"))
    return Assertion(
        check=data.check_name,
        passed=data.passed,
        severity="error" if data.severity is dg.AssetCheckSeverity.ERROR else "warn",
        column=column if isinstance(column, str) else None,
        description=_clean(data.description or ""),
        partition=data.partition,
    )


def _error(record: LogRecord) -> str | None:
    """What an error says, innermost first, without traceback and without passwords."""
    data: Any = record.event.event_specific_data
    user = getattr(getattr(data, "user_failure_data", None), "description", None)
    error = getattr(data, "error", None)
    said = user
    if not said and error is not None:
        while error.cause is not None:
            error = error.cause
        said = error.message
    said = said or record.event.message
    return _clean(said.strip()) if said else None


def _clean(text: str) -> str:
    return _URL.sub(lambda found: redact(found[0]), text)

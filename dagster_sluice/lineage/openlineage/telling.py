"""Tells a receiver what is new in the event log: in order, each event delivered before the position moves past it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from dagster_sluice.embedded import redact
from dagster_sluice.failpoints import failpoint
from dagster_sluice.lineage.openlineage.assets import Assets
from dagster_sluice.lineage.openlineage.compose import Composer
from dagster_sluice.lineage.openlineage.position import Position
from dagster_sluice.lineage.openlineage.reading import LogRecord, RunLog, newest_record, records_after, records_of_run
from dagster_sluice.lineage.openlineage.sending import Deliver, status_of
from dagster_sluice.lineage.openlineage.translating import Translator

__all__ = ["Told", "tell"]

_PAGE = 500
_REFUSALS = frozenset({400, 413, 422})
"""Answers that are about the event and not about the receiver."""
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Told:
    """What was done.

    Attributes:
        position: How far the event log has been told now.
        events: Events delivered.
        failure: Why it went no further, if something was in the way.
        refused: Records whose events the receiver refused for good, and which were passed over.
        more: Whether there was more than there was time for.
    """

    position: Position
    events: int
    failure: str | None = None
    refused: tuple[int, ...] = ()
    more: bool = False


def tell(
    instance: dg.DagsterInstance,
    assets: Assets,
    composer: Composer,
    deliver: Deliver,
    position: Position,
    *,
    owns: Callable[[dg.DagsterRun], bool] = lambda _run: True,
    seconds: float = 30.0,
    now: Callable[[], float] = time.time,
) -> Told:
    """Tell what is new.

    Args:
        instance: Dagster's.
        assets: The assets of the code location.
        composer: Makes events.
        deliver: Delivers one, or raises.
        position: How far it has been told.
        owns: Whether a run is this code location's.
        seconds: After so many no further record is begun.
        now: The clock, in seconds since 1970.
    """
    began = now()
    newest = newest_record(instance)
    session = _Session(instance, owns)
    translator = Translator(
        assets=assets, composer=composer, instance=instance, run=session.run, records=session.records
    )
    sent = 0
    refused: list[int] = []
    reached = position.low
    done: list[int] = []
    cursor = position.low
    while True:
        page = records_after(instance, cursor, limit=_PAGE)
        session.expect(page)
        for record in page:
            if position.is_done(record.number):
                reached = record.number
                continue
            if now() - began > seconds:
                return _left(position.told(done), sent, refused, reached, newest, now(), more=True)
            made = False
            try:
                events = list(translator.events(record))
                made = True
                for event in events:
                    deliver(event)
                    sent += 1
                    failpoint("lineage.delivered")
            except SQLAlchemyError:
                raise
            except Exception as failure:  # noqa: BLE001 (a receiver may raise anything)
                # What is wrong with one event must not keep back those after it for ever.
                hopeless = (not made or status_of(failure) in _REFUSALS) and not done
                if hopeless and position.failures + 1 >= _TRIES:
                    position = position.passed_over(record.number)
                    refused.append(record.number)
                    reached = record.number
                    continue
                said = redact(f"{type(failure).__name__}: {failure}".splitlines()[0][:500])
                left = _left(position.told(done), sent, refused, reached, newest, now())
                failures = replace(left.position, failures=0 if done else position.failures)
                return replace(left, position=failures.failed(now()), failure=said)
            done.append(record.number)
            reached = record.number
        if len(page) < _PAGE:
            break
        cursor = page[-1].number
    return _left(position.told(done), sent, refused, max(reached, newest), newest, now())


def _left(
    position: Position,
    sent: int,
    refused: list[int],
    reached: int,
    newest: int,
    moment: float,
    *,
    more: bool = False,
) -> Told:
    settled = position.settled(moment, newest, reached=reached)
    return Told(position=settled, events=sent, refused=tuple(refused), more=more)


class _Session:
    """Runs and their records, each read once."""

    def __init__(self, instance: dg.DagsterInstance, owns: Callable[[dg.DagsterRun], bool]) -> None:
        self._instance = instance
        self._owns = owns
        self._runs: dict[str, dg.DagsterRun | None] = {}
        self._records: dict[str, RunLog] = {}

    def expect(self, page: list[LogRecord]) -> None:
        """Read the runs of a page in one go; what was read of runs that went on since is read again when needed."""
        wanted = {record.run_id for record in page if record.run_id} - self._runs.keys()
        if wanted:
            found = {run.run_id: run for run in self._instance.get_runs(dg.RunsFilter(run_ids=sorted(wanted)))}
            self._runs |= {run_id: self._own(found.get(run_id)) for run_id in wanted}
        last = {record.run_id: record.number for record in page}
        for run_id, number in last.items():
            known = self._records.get(run_id)
            if known is not None and known.last < number:
                del self._records[run_id]

    def _own(self, run: dg.DagsterRun | None) -> dg.DagsterRun | None:
        return run if run is not None and self._owns(run) else None

    def run(self, run_id: str) -> dg.DagsterRun | None:
        return self._runs.get(run_id)

    def records(self, run_id: str) -> RunLog:
        if run_id not in self._records:
            self._records[run_id] = records_of_run(self._instance, run_id)
        return self._records[run_id]

"""Dagster's event log across all runs, in the order of its records.

The one call that reads several kinds of events of all runs in order (``get_logs_for_all_runs_by_log_id``) is not public,
and warns of being given several kinds; one call for each kind would have to be put in order again, and each would need a
limit of its own. Pinned in ``tests/upstream/test_dagster_log_reading.py``.
"""

import warnings
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from dagster_sluice.errors import SettingError

__all__ = ["RECORDS", "LogRecord", "RunLog", "newest_record", "records_after", "records_of_run"]

_TYPE = dg.DagsterEventType
RECORDS = frozenset(
    {
        _TYPE.RUN_START,
        _TYPE.RUN_SUCCESS,
        _TYPE.RUN_FAILURE,
        _TYPE.RUN_CANCELED,
        _TYPE.STEP_START,
        _TYPE.STEP_SUCCESS,
        _TYPE.STEP_FAILURE,
        _TYPE.STEP_UP_FOR_RETRY,
        _TYPE.STEP_RESTARTED,
        _TYPE.ASSET_MATERIALIZATION,
        _TYPE.ASSET_OBSERVATION,
    }
)
"""What is read of all runs."""
_OF_RUN = frozenset(
    {
        *RECORDS,
        _TYPE.ASSET_MATERIALIZATION_PLANNED,
        _TYPE.ASSET_CHECK_EVALUATION,
        _TYPE.ASSET_CHECK_EVALUATION_PLANNED,
    }
)


@dataclass(frozen=True, kw_only=True)
class LogRecord:
    """A record of the event log.

    Attributes:
        number: Its place in the log.
        run_id: Its run; empty for an event that was reported without one.
        moment: Seconds since 1970.
        event: Dagster's event.
    """

    number: int
    run_id: str
    moment: float
    event: dg.DagsterEvent

    @property
    def kind(self) -> dg.DagsterEventType:
        """What happened."""
        return self.event.event_type


class RunLog:
    """The records of one run, also by step: a run may have tens of thousands.

    Args:
        records: In order.
    """

    def __init__(self, records: Sequence[LogRecord]) -> None:
        self._records = records
        self._of_step: dict[str, list[LogRecord]] = {}
        for record in records:
            if record.event.step_key is not None:
                self._of_step.setdefault(record.event.step_key, []).append(record)

    @property
    def last(self) -> int:
        """The number of the last record; 0 where there is none."""
        return self._records[-1].number if self._records else 0

    def until(self, number: int) -> Sequence[LogRecord]:
        """The records up to one, that one included."""
        return self._records[: bisect_right(self._records, number, key=_number)]

    def of_step(self, step: str, number: int) -> Sequence[LogRecord]:
        """The records of a step up to one, that one included."""
        own = self._of_step.get(step, [])
        return own[: bisect_right(own, number, key=_number)]


def _number(record: LogRecord) -> int:
    return record.number


def newest_record(instance: dg.DagsterInstance) -> int:
    """The number of the newest record there is; 0 for an empty log.

    Raises:
        SettingError: The event log is one of SQLite files, one for each run, which have no common order.
    """
    storage: Any = instance.event_log_storage
    if type(storage).__name__ == "SqliteEventLogStorage":
        raise SettingError(
            "Dagster's event log is in one SQLite file for each run, which have no common order.",
            mend="Let dagster.yaml put the storage into Postgres.",
        )
    return storage.get_maximum_record_id() or 0


def records_after(instance: dg.DagsterInstance, number: int, *, limit: int) -> list[LogRecord]:
    """Records above a number, in order, at most so many."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = instance.event_log_storage.get_logs_for_all_runs_by_log_id(
            after_cursor=number, dagster_event_type=set(RECORDS), limit=limit
        )
    return _records(found.items())


def records_of_run(instance: dg.DagsterInstance, run_id: str) -> RunLog:
    """What of one run is needed to tell of its steps, in order."""
    found: list[LogRecord] = []
    cursor = None
    while True:
        page = instance.event_log_storage.get_records_for_run(run_id, cursor=cursor, of_type=set(_OF_RUN), limit=5000)
        found += _records((record.storage_id, record.event_log_entry) for record in page.records)
        cursor = page.cursor
        if not page.has_more:
            return RunLog(found)


def _records(entries: Iterable[tuple[int, Any]]) -> list[LogRecord]:
    return [
        LogRecord(number=number, run_id=entry.run_id, moment=entry.timestamp, event=entry.dagster_event)
        for number, entry in sorted(entries, key=lambda pair: pair[0])
        if entry.dagster_event is not None
    ]

"""A plan in the hands of Dagster's daemon: whether one is alive, and how far the backfill has come."""

import datetime as dt
import time
from collections.abc import Callable

import dagster as dg

from dagster_sluice.backfills.launching import BackfillState, backfill_state, daemon_seen
from dagster_sluice.errors import Culprit, SettingError

__all__ = ["follow_backfill", "require_daemon"]

_SILENCE = dt.timedelta(minutes=3)
"""A daemon gives a sign of life twice a minute; from one that was silent for so long nothing is to be expected."""

_TICK_SECONDS = 1.0


def require_daemon(instance: dg.DagsterInstance) -> None:
    """Make sure that a daemon is there to run a backfill.

    Raises:
        SettingError: There is none, or it has gone silent.
    """
    if problem := _silence(instance):
        raise SettingError(
            "There is no daemon that would run the backfill.",
            culprits=[Culprit(where="Dagster's daemon", problem=problem)],
            mend="Start it (`sluice ui`, or `dagster-daemon run`), or leave out --daemon: it takes none.",
        )


def follow_backfill(instance: dg.DagsterInstance, backfill_id: str, follow: Callable[[], None]) -> None:
    """Wait for the end of a backfill that the daemon runs, and call ``follow`` every so often.

    Raises:
        SettingError: The daemon has gone silent meanwhile. The backfill is still there for the next one.
    """
    while backfill_state(instance, backfill_id) in (BackfillState.OPEN, BackfillState.CANCELING):
        follow()
        if problem := _silence(instance):
            raise SettingError(
                f"The daemon that ran the backfill {backfill_id} is gone.",
                culprits=[Culprit(where="Dagster's daemon", problem=problem)],
                mend="Start it again, and it goes on; or `sluice backfill cancel` it.",
            )
        time.sleep(_TICK_SECONDS)
    follow()


def _silence(instance: dg.DagsterInstance) -> str:
    seen = daemon_seen(instance)
    if seen is None:
        return "never ran on this instance."
    if dt.datetime.now(dt.timezone.utc) - seen > _SILENCE:
        return f"has given no sign of life since {seen:%Y-%m-%d %H:%M:%S} UTC."
    return ""

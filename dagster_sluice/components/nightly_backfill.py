"""``dagster_sluice.components.NightlyBackfillComponent``."""

import datetime as dt
from typing import Literal

import dagster as dg

__all__ = ["NightlyBackfillComponent", "TableRulesModel"]


class TableRulesModel(dg.Model, dg.Resolvable):
    """What counts as a gap of one table."""

    reasons: list[str] | None = None
    window_days: float | None = None
    retention_days: float | None = None


class NightlyBackfillComponent(dg.Component, dg.Model, dg.Resolvable):
    """A schedule that fills what is missing, failed, late or out of date, within a budget.

    Each tick finds the gaps of the selected assets, plans, and launches one real backfill. ``selection`` is Dagster's
    selection syntax; ``window_days`` is how far back it looks; ``partitions`` and ``minutes`` are what a night may cost;
    ``begin`` and ``end`` (``HH:MM``, in ``timezone``) are the hours in which backfills may be launched; ``tables`` says
    for single assets what counts as a gap. In Python: ``dagster_sluice.backfills.nightly_backfill``.
    """

    selection: str
    name: str = "nightly_backfill"
    cron: str = "0 2 * * *"
    timezone: str = "UTC"
    window_days: float | None = 30
    partitions: int | None = 500
    minutes: float | None = None
    order: Literal["newest", "oldest", "wanted"] = "newest"
    begin: str | None = None
    end: str | None = None
    tables: dict[str, TableRulesModel] | None = None
    running: bool = False

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 (Dagster's)
        """The schedule."""
        from dagster_sluice.backfills import Budget, Hours, TableRules, nightly_backfill

        hours = None
        if self.begin is not None or self.end is not None:
            hours = Hours(begin=_clock(self.begin), end=_clock(self.end), zone=self.timezone)
        schedule = nightly_backfill(
            self.selection,
            name=self.name,
            cron=self.cron,
            timezone=self.timezone,
            window=_days(self.window_days),
            budget=Budget(partitions=self.partitions, minutes=self.minutes),
            hours=hours,
            order=self.order,
            tables={
                name: TableRules(
                    reasons=tuple(rules.reasons) if rules.reasons is not None else None,
                    window=_days(rules.window_days),
                    retention=_days(rules.retention_days),
                )
                for name, rules in (self.tables or {}).items()
            },
            default_status=dg.DefaultScheduleStatus.RUNNING if self.running else dg.DefaultScheduleStatus.STOPPED,
        )
        return dg.Definitions(schedules=[schedule])


def _days(count: float | None) -> dt.timedelta | None:
    return None if count is None else dt.timedelta(days=count)


def _clock(text: str | None) -> dt.time:
    from dagster_sluice.errors import Culprit, SettingError

    if text is None:
        return dt.time(0)
    try:
        return dt.datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 (a time of day has no zone of its own)
    except ValueError as failure:
        raise SettingError(
            "The hours of a nightly backfill cannot be read.",
            culprits=[Culprit(where=repr(text), problem="is no time of day, HH:MM.")],
        ) from failure

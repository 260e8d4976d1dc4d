"""``dagster_sluice.components.NightlyBackfillComponent``."""

import datetime as dt
from typing import Literal

import dagster as dg
from pydantic import Field

from dagster_sluice.calendars import Calendar
from dagster_sluice.errors import Culprit, SettingError

__all__ = ["ClosedModel", "NightlyBackfillComponent", "TableRulesModel"]


class ClosedModel(dg.Model, dg.Resolvable):
    """Days on which nothing is launched: holidays of a country or market, weekends, and dates of one's own."""

    country: str | None = None
    subdivision: str | None = None
    market: str | None = None
    weekends: bool = False
    weekend: list[str] | None = None
    days: list[str] = Field(default_factory=list)
    open: list[str] = Field(default_factory=list)


class TableRulesModel(dg.Model, dg.Resolvable):
    """What counts as a gap of one table."""

    reasons: list[str] | None = None
    window_days: float | None = None
    retention_days: float | None = None


class NightlyBackfillComponent(dg.Component, dg.Model, dg.Resolvable):
    """A schedule that fills what is missing, failed, late or out of date, within a budget.

    Each tick finds the gaps of the selected assets, plans, and launches one real backfill. ``selection`` is Dagster's
    selection syntax; ``window_days`` is how far back it looks; ``partitions`` and ``minutes`` are what a night may cost;
    ``runs``, ``priority`` and ``pool`` are how its runs stand in the queue; ``begin`` and ``end`` (``HH:MM``, in
    ``timezone``) are the hours in which backfills may be launched; ``closed`` names the days on which nothing is launched
    (``country: DE``, ``subdivision: BY``, ``weekends: true``, ``days: ["2026-12-24"]``); ``tables`` says for single assets
    what counts as a gap. In Python: ``dagster_sluice.backfills.nightly_backfill``.
    """

    selection: str
    name: str = "nightly_backfill"
    cron: str = "0 2 * * *"
    timezone: str = "UTC"
    window_days: float | None = 30
    partitions: int | None = 500
    minutes: float | None = None
    runs: int = 2
    priority: int = -10
    pool: str | None = None
    order: Literal["newest", "oldest", "wanted"] = "newest"
    begin: str | None = None
    end: str | None = None
    closed: ClosedModel | None = None
    tables: dict[str, TableRulesModel] | None = None
    running: bool = False

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 (Dagster's)
        """The schedule."""
        from dagster_sluice.backfills import Budget, Hours, TableRules, nightly_backfill

        hours = None
        if self.begin is not None or self.end is not None or self.closed is not None:
            hours = Hours(
                begin=_clock(self.begin),
                end=_clock(self.end),
                zone=self.timezone,
                closed=_calendar(self.closed) if self.closed is not None else None,
                closed_weekends=self.closed is not None and self.closed.weekends,
            )
        schedule = nightly_backfill(
            self.selection,
            name=self.name,
            cron=self.cron,
            timezone=self.timezone,
            window=_days(self.window_days),
            budget=Budget(
                partitions=self.partitions,
                minutes=self.minutes,
                runs=self.runs,
                priority=self.priority,
                pool=self.pool,
            ),
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


def _calendar(closed: ClosedModel) -> Calendar:
    return Calendar(
        country=closed.country,
        subdivision=closed.subdivision,
        market=closed.market,
        weekend=tuple(closed.weekend) if closed.weekend is not None else None,
        closed=_dates(closed.days),
        open=_dates(closed.open),
    )


def _dates(texts: list[str]) -> frozenset[dt.date]:
    found, culprits = set(), []
    for text in texts:
        try:
            found.add(dt.date.fromisoformat(text))
        except ValueError:
            culprits.append(Culprit(where=repr(text), problem="is no date, YYYY-MM-DD."))
    if culprits:
        raise SettingError("The closed days of a nightly backfill cannot be read.", culprits=culprits)
    return frozenset(found)


def _clock(text: str | None) -> dt.time:
    if text is None:
        return dt.time(0)
    try:
        return dt.datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 (a time of day has no zone of its own)
    except ValueError as failure:
        raise SettingError(
            "The hours of a nightly backfill cannot be read.",
            culprits=[Culprit(where=repr(text), problem="is no time of day, HH:MM.")],
        ) from failure

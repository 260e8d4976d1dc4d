"""``dagster_sluice.components.FreshnessComponent``."""

import datetime as dt
from typing import Any

import dagster as dg
from pydantic import Field

from dagster_sluice.calendars import Calendar
from dagster_sluice.errors import Culprit, SettingError

__all__ = ["CalendarModel", "DeadlineModel", "ExceptionModel", "FreshnessComponent", "WebhookModel"]


class CalendarModel(dg.Model, dg.Resolvable):
    """Business days: of a country or market, with a weekend and dates of one's own."""

    country: str | None = None
    subdivision: str | None = None
    market: str | None = None
    weekend: list[str] | None = None
    closed: list[str] = Field(default_factory=list)
    open: list[str] = Field(default_factory=list)


class ExceptionModel(dg.Model, dg.Resolvable):
    """Partitions with a deadline of their own; ``due: null`` if nobody waits for them."""

    due: str | None
    when: list[str] = Field(default_factory=list)
    partitions: list[str] = Field(default_factory=list)
    grace_minutes: float | None = None


class DeadlineModel(dg.Model, dg.Resolvable):
    """When each partition of a table must be published."""

    due: str
    name: str = ""
    timezone: str | None = None
    grace_minutes: float = 0
    calendar: CalendarModel | None = None
    business_days_only: bool = False
    look_back: int = 30
    since: str | None = None
    retention_days: float | None = None
    within_minutes: float | None = None
    exceptions: list[ExceptionModel] = Field(default_factory=list)
    driver: str = ""


class WebhookModel(dg.Model, dg.Resolvable):
    """Somebody who is told by a POST; the address and its secrets are in environment variables."""

    url_env: str
    name: str = "webhook"
    headers_env: dict[str, str] = Field(default_factory=dict)
    timeout: float = 10


class FreshnessComponent(dg.Component, dg.Model, dg.Resolvable):
    """A sensor that tells of partitions that were not published in time.

    Each partition is told once, again if it stays late, and once when it is over. ``selection`` is Dagster's selection
    syntax, by default all tables with a deadline in their contract; ``deadlines`` gives further assets theirs, or others
    than their contract (``due: 06:00 on the next business day``, ``timezone``, ``calendar: {country: AT}``,
    ``exceptions``); ``log`` writes to Python's log; ``webhooks`` posts (``url_env`` names the variable with the address);
    ``escalate_after_hours`` is when it is told again. In Python: ``dagster_sluice.freshness.freshness_sensor``.
    """

    selection: str | None = None
    name: str = "freshness_sensor"
    deadlines: dict[str, list[DeadlineModel]] = Field(default_factory=dict)
    log: bool = True
    webhooks: list[WebhookModel] = Field(default_factory=list)
    escalate_after_hours: float | None = 4
    every_minutes: float = 1
    running: bool = False

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 (Dagster's)
        """The sensor."""
        from dagster_sluice.freshness import LogNotifier, WebhookNotifier, freshness_sensor

        webhooks = [
            WebhookNotifier(url_env=one.url_env, headers_env=one.headers_env, timeout=one.timeout, name=one.name)
            for one in self.webhooks
        ]
        sensor = freshness_sensor(
            self.selection,
            name=self.name,
            notifiers=[*([LogNotifier()] if self.log else []), *webhooks],
            deadlines={key: [_deadline(one) for one in own] for key, own in self.deadlines.items()},
            escalate_after=_hours(self.escalate_after_hours),
            every=dt.timedelta(minutes=self.every_minutes),
            default_status=dg.DefaultSensorStatus.RUNNING if self.running else dg.DefaultSensorStatus.STOPPED,
        )
        return dg.Definitions(sensors=[sensor])


def _deadline(model: DeadlineModel) -> Any:
    from dagster_sluice.freshness import Deadline, Exceptional

    calendar = model.calendar
    return Deadline(
        model.due,
        name=model.name,
        timezone=model.timezone,
        grace=dt.timedelta(minutes=model.grace_minutes),
        calendar=None
        if calendar is None
        else Calendar(
            country=calendar.country,
            subdivision=calendar.subdivision,
            market=calendar.market,
            weekend=tuple(calendar.weekend) if calendar.weekend is not None else None,
            closed=frozenset(_date(text) for text in calendar.closed),
            open=frozenset(_date(text) for text in calendar.open),
        ),
        business_days_only=model.business_days_only,
        look_back=model.look_back,
        since=_date(model.since) if model.since is not None else None,
        retention=None if model.retention_days is None else dt.timedelta(days=model.retention_days),
        within=_minutes(model.within_minutes),
        exceptions=[
            Exceptional(one.due, one.when, partitions=one.partitions, grace=_minutes(one.grace_minutes))
            for one in model.exceptions
        ],
        driver=model.driver,
    )


def _minutes(count: float | None) -> dt.timedelta | None:
    return None if count is None else dt.timedelta(minutes=count)


def _hours(count: float | None) -> dt.timedelta | None:
    return None if count is None else dt.timedelta(hours=count)


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as failure:
        raise SettingError(
            "A deadline cannot be read.", culprits=[Culprit(where=repr(text), problem="is no date, YYYY-MM-DD.")]
        ) from failure

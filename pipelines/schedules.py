"""What runs by itself, and when."""

import datetime as dt
from typing import Any

import dagster as dg

from assets.flights.tables import TABLES
from dagster_sluice.backfills import nightly_backfill
from dagster_sluice.freshness import Deadline, LogNotifier, freshness_sensor
from dagster_sluice.holds import hold_job
from dagster_sluice.quarantine import replay_job

nightly = nightly_backfill(
    dg.AssetSelection.groups("flights", "marts"),
    name="nightly",
    cron="0 2 * * *",
    timezone="America/New_York",
    window=dt.timedelta(days=30),
    description="02:00 New York: yesterday, and what else of the last 30 days is missing, failed or out of date.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

# From the UI: choose the job, open the launchpad, name the rows or the table.
replay_quarantine = replay_job(TABLES)
decide_holds = hold_job(TABLES)

# The flights' own deadline is in their contract; the marts come an hour later.
DEADLINES = {"marts/daily_delays": Deadline("07:00 on the next day", timezone="America/New_York", look_back=7)}
watch = freshness_sensor(notifiers=[LogNotifier()], deadlines=DEADLINES, escalate_after=dt.timedelta(hours=4))

JOBS: list[Any] = [replay_quarantine, decide_holds]
SCHEDULES = [nightly]
SENSORS = [watch]

"""What runs by itself, and when."""

from typing import Any

import dagster as dg

from assets.flights.tables import TABLES
from dagster_sluice.quarantine import replay_job

nightly_job = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.groups("flights", "marts"),
    description="Yesterday's flights through the gate into the warehouse, then the marts.",
)

nightly = dg.build_schedule_from_partitioned_job(
    nightly_job,
    name="nightly",
    hour_of_day=2,
    minute_of_hour=0,
    description="02:00 New York: the day that ended at midnight.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

# From the UI: choose the job, open the launchpad, name the rows or the table.
replay_quarantine = replay_job(TABLES)

JOBS: list[Any] = [nightly_job, replay_quarantine]
SCHEDULES = [nightly]

"""What Dagster loads."""

import dagster as dg

from assets.flights.marts import MARTS
from assets.flights.tables import TABLES
from pipelines.schedules import JOBS, SCHEDULES
from resources import RESOURCES

# Steps take fractions of a second here, a process per step would take seconds.
defs = dg.Definitions(
    assets=[*TABLES, *MARTS],
    jobs=JOBS,
    schedules=SCHEDULES,
    resources=RESOURCES,
    executor=dg.in_process_executor,
)

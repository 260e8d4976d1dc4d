"""What Dagster loads."""

import dagster as dg

from assets.flights.marts import MARTS
from assets.flights.tables import TABLES
from dagster_sluice.freshness import freshness_checks, with_freshness
from dagster_sluice.lineage import with_column_lineage
from pipelines.schedules import DEADLINES, JOBS, SCHEDULES, SENSORS
from resources import RESOURCES

ASSETS = with_freshness(with_column_lineage([*TABLES, *MARTS]))

# Steps take fractions of a second here, a process per step would take seconds.
defs = dg.Definitions(
    assets=ASSETS,
    asset_checks=freshness_checks(ASSETS, deadlines=DEADLINES),
    jobs=JOBS,
    schedules=SCHEDULES,
    sensors=SENSORS,
    resources=RESOURCES,
    executor=dg.in_process_executor,
)

"""A small project for backfills: a source that is always the same, two tables of it by day, and a mart of all days.

`nights.project` copies it into a directory of its own. ``NIGHT_CRON`` is the schedule's, ``NIGHT_DAYS`` how many days there
are, ``NIGHT_BAD`` names days whose batch is blocked, and ``NIGHT_PAUSE`` is how many days a failure has to wait.
"""

import datetime as dt
import os

import dagster as dg
import pandas as pd

from dagster_sluice import Column, Contract, Expectation, TableContext, WarehouseResource, table, table_from_sql
from dagster_sluice.backfills import Budget, RetryRules, nightly_backfill

END = dt.date(2026, 1, 1) + dt.timedelta(days=int(os.environ.get("NIGHT_DAYS", "60")))
DAILY = dg.DailyPartitionsDefinition("2026-01-01", timezone="America/New_York", end_date=END.isoformat())
COLUMNS = (
    Column(name="id", type="integer"),
    Column(name="carrier", type="string"),
    Column(name="delay", type="integer"),
    Column(name="day", type="date"),
)
PLAUSIBLE = Expectation(
    name="plausible",
    type="expect_column_values_to_be_between",
    kwargs={"column": "delay", "max_value": 500},
    policy="quarantine",
)
ENOUGH = Expectation(
    name="enough", type="expect_table_row_count_to_be_between", kwargs={"min_value": 10}, policy="block"
)


@table(
    contract=Contract(table="raw", schema="air", columns=COLUMNS, expectations=(PLAUSIBLE, ENOUGH)),
    partitions_def=DAILY,
    code_version="1",
)
def raw(context: TableContext) -> pd.DataFrame:
    """Twenty flights a day, one of them later than can be."""
    rows = 5 if context.partition_key in os.environ.get("NIGHT_BAD", "").split() else 20
    number = context.day.toordinal()
    return pd.DataFrame(
        {
            "id": [number * 100 + one for one in range(rows)],
            "carrier": [("AA", "UA", "Ünï")[one % 3] for one in range(rows)],
            "delay": [(number * one) % 90 if one else 999 for one in range(rows)],
            "day": context.day,
        }
    )


@table(contract=Contract(table="flights", schema="air", columns=COLUMNS), partitions_def=DAILY, code_version="1")
def flights(raw: pd.DataFrame) -> pd.DataFrame:
    """Those that were late."""
    return raw[raw["delay"] > 15]


totals = table_from_sql(
    key=["air", "totals"],
    sql="SELECT carrier, count(*) AS flights, sum(delay) AS delay FROM air.flights GROUP BY carrier",
    contract=Contract(
        table="totals",
        schema="air",
        columns=(
            Column(name="carrier", type="string"),
            Column(name="flights", type="integer"),
            Column(name="delay", type="integer"),
        ),
    ),
    deps=[dg.AssetKey(["air", "flights"])],
)

nightly = nightly_backfill(
    dg.AssetSelection.all(),
    name="nightly",
    cron=os.environ.get("NIGHT_CRON", "0 2 * * *"),
    timezone="America/New_York",
    window=None,
    budget=Budget(runs=1),
    # By default what failed may be tried again at once: the next night of a test comes seconds later.
    retry=RetryRules(pause=dt.timedelta(days=int(os.environ.get("NIGHT_PAUSE", "0")))),
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

defs = dg.Definitions(
    assets=[raw, flights, totals],
    schedules=[nightly],
    resources={"warehouse": WarehouseResource()},
    executor=dg.in_process_executor,
)

"""A small platform whose source, code and promises can be changed, for planners to look at."""

import datetime as dt
import warnings

import dagster as dg
import pandas as pd

from dagster_sluice import Column, Contract, Expectation, TableContext, WarehouseResource, table
from dagster_sluice.backfills import Budget, TableRules, nightly_backfill

DAILY = dg.DailyPartitionsDefinition("2026-03-01", timezone="America/New_York", end_date="2026-03-13")
WEEKLY = dg.WeeklyPartitionsDefinition("2026-03-01", timezone="America/New_York", end_date="2026-03-15")
DAYS = DAILY.get_partition_keys()

with warnings.catch_warnings():
    # The last week is made of the days that there are; the parameter is a beta.
    warnings.simplefilter("ignore")
    DAYS_OF_WEEK = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

source = {"rows": {}, "raise": {}}
"""By day: rows that differ from the usual, and errors to raise."""


def contract(name, code=1):
    return Contract(
        table=name,
        schema="air",
        columns=(Column(name="id", type="integer"), Column(name="day", type="string")),
        expectations=(
            Expectation(
                name="few",
                type="expect_column_values_to_be_between",
                kwargs={"column": "id", "max_value": 100},
                policy="block",
                description=f"version {code}",
            ),
        ),
    )


def frame(day):
    if day in source["raise"]:
        raise source["raise"][day]
    return pd.DataFrame({"id": source["rows"].get(day, [1, 2]), "day": day})


FEED = dg.AssetSpec("feed", partitions_def=DAILY)


def platform(database_url, *, version="1", budget=None, **nightly):
    """The definitions, as a project would have them."""

    @table(contract=contract("raw"), partitions_def=DAILY, deps=["feed"], code_version=version)
    def raw(context: TableContext) -> pd.DataFrame:
        return frame(context.partition_key)

    @table(contract=contract("flights"), partitions_def=DAILY, code_version="1")
    def flights(raw: pd.DataFrame) -> pd.DataFrame:
        return raw

    @dg.asset(
        key="weeks",
        partitions_def=WEEKLY,
        deps=[dg.AssetDep(dg.AssetKey(["air", "flights"]), partition_mapping=DAYS_OF_WEEK)],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def weeks(context: dg.AssetExecutionContext) -> None:
        context.log.info("%s", context.partition_keys)

    schedule = nightly_backfill(
        dg.AssetSelection.all() - dg.AssetSelection.assets("feed"),
        name="nightly",
        window=nightly.pop("window", None),
        budget=budget or Budget(),
        **nightly,
    )
    return dg.Definitions(
        assets=[FEED, raw, flights, weeks],
        schedules=[schedule],
        resources={"warehouse": WarehouseResource(url=database_url)},
        executor=dg.in_process_executor,
    )


def observe(instance, day, version):
    """What Dagster records when the source of a day is looked at."""
    instance.report_runless_asset_event(
        dg.AssetObservation("feed", partition=day, tags={"dagster/data_version": version})
    )


def retention(days):
    now = dt.datetime.now(dt.timezone.utc)
    first = dt.datetime(2026, 3, 1, tzinfo=dt.timezone.utc)
    return {"air/raw": TableRules(retention=now - first - dt.timedelta(days=days))}

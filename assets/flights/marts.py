"""The dbt marts on top of the published flights."""

from pathlib import Path

from assets.flights.tables import DAILY
from dagster_sluice.dbt import dbt_tables

PROJECT = Path(__file__).parent / "dbt_project"

daily_marts = dbt_tables(
    PROJECT,
    name="daily_marts",
    select="daily_delays",
    partitions_def=DAILY,
    partition_column="flight_date",
    group_name="marts",
)
whole_marts = dbt_tables(PROJECT, name="whole_marts", exclude="daily_delays", group_name="marts")

MARTS = [daily_marts, whole_marts]

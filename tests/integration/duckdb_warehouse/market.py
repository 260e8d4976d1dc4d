"""A small project on a DuckDB file: a table with a gate, an ordinary asset below it, a gate on a table that others wrote.

As a program it materializes one day: ``market.py DAY FIRST LAST`` publishes the numbers from FIRST to LAST.
"""

import sys
import warnings

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa

from dagster_sluice import (
    Column,
    Contract,
    Expectation,
    Policy,
    TableContext,
    WarehouseIOManager,
    WarehouseResource,
    gate,
    table,
)
from dagster_sluice.contracts import LogicalType
from dagster_sluice.quarantine import replay_job

DAYS = dg.DailyPartitionsDefinition(start_date="2026-03-01", end_date="2026-03-05")
CONTRACT = Contract(
    table="sales",
    schema="market",
    columns=(
        Column(name="number", type=LogicalType.INTEGER, required=True),
        Column(name="price", type=LogicalType.NUMBER),
        Column(name="sold_at", type=LogicalType.TIMESTAMP),
    ),
    expectations=(
        Expectation(
            name="price_possible",
            type="expect_column_values_to_be_between",
            kwargs={"column": "price", "min_value": 0},
            policy=Policy.QUARANTINE,
        ),
    ),
    quarantine_limit=0.5,
)
FOREIGN = Contract(
    table="stalls",
    schema="others",
    columns=(Column(name="stall", type=LogicalType.INTEGER),),
    expectations=(
        Expectation(
            name="stall_once", type="expect_column_values_to_be_unique", kwargs={"column": "stall"}, policy=Policy.BLOCK
        ),
    ),
)


def batch(numbers: range, prices: dict[int, float] | None = None) -> pa.Table:
    """Sales of these numbers, one an hour; prices are 10 but for those that are given."""
    return pa.table(
        {
            "number": pa.array(list(numbers), pa.int64()),
            "price": pa.array([(prices or {}).get(number, 10.0) for number in numbers], pa.float64()),
            "sold_at": pa.array([1_772_000_000 + 3600 * number for number in numbers], pa.timestamp("s", tz="UTC")),
        }
    )


BATCHES: dict[str, pa.Table] = {}
"""What the function returns, by day."""


@table(contract=CONTRACT, key=["market", "sales"], partitions_def=DAYS)
def sales(context: TableContext) -> pa.Table:
    """What was sold on one day."""
    return BATCHES[str(context.partition_key)]


@dg.asset(key=["market", "takings"], ins={"rows": dg.AssetIn(key=["market", "sales"])}, io_manager_key="io_manager")
def takings(rows: pd.DataFrame) -> pd.DataFrame:
    """An ordinary asset that reads every published day and publishes one row for each price."""
    return rows.groupby("price", as_index=False).size()


KIND = ["DATE"]
"""The type of the column ``day`` of the table that others write."""


@dg.asset(key=["others", "stalls"], partitions_def=DAYS, metadata={"partition_expr": "day"})
def stalls(context: dg.AssetExecutionContext) -> None:
    """What others write with a connection of their own: two rows a day, on the second day of one stall."""
    with duckdb.connect("market.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE SCHEMA IF NOT EXISTS others")
        connection.execute(f"CREATE TABLE IF NOT EXISTS others.stalls (stall INTEGER, day {KIND[0]})")
        second = 1 if context.partition_key == DAYS.get_partition_keys()[1] else 2
        connection.execute(
            f"INSERT INTO others.stalls SELECT unnest([1, $second]), $day::{KIND[0]}",
            {"second": second, "day": context.partition_key},
        )


defs = dg.Definitions(
    assets=[sales, takings, stalls],
    asset_checks=[gate(stalls, FOREIGN)],
    jobs=[replay_job([sales])],
    resources={"warehouse": WarehouseResource(), "io_manager": WarehouseIOManager()},
)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    day, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    BATCHES[day] = batch(range(first, last + 1), {first: -1.0})
    print("ready", flush=True)
    sys.stdin.readline()
    result = dg.materialize([sales], resources={"warehouse": WarehouseResource()}, partition_key=day)
    sys.exit(0 if result.success else 1)

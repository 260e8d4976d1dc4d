"""A process that publishes without end, to be killed. Forks a fresh child for each line of its standard input.

A line holds the database's URL, the number of the first generation and that of the last. Every batch of a generation
is wholly of that generation: its rows, the number of them, and the rows that are quarantined.
"""

import os
import sys
import warnings

import dagster as dg
import pandas as pd
import psycopg  # noqa: F401
import pyarrow as pa
from adbc_driver_postgresql import dbapi  # noqa: F401

from dagster_sluice import Column, Contract, TableContext, WarehouseResource, table
from dagster_sluice.contracts.contract import LogicalType
from dagster_sluice.warehouse.postgres import PostgresWarehouse  # noqa: F401

warnings.simplefilter("ignore")

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-01-06")
PARTITIONS = DAYS.get_partition_keys()
CONTRACT = Contract(
    table="ledger",
    columns=(
        Column(name="generation", type=LogicalType.INTEGER),
        Column(name="number", type=LogicalType.INTEGER),
        Column(name="text", type=LogicalType.STRING),
    ),
)


def batch(generation: int, partition: str) -> pd.DataFrame:
    """A number of rows that depends on generation and day; the first few do not conform."""
    day = int(partition[-2:])
    size, bad = 2000 + (generation * 7 + day) % 97, 1 + (generation + day) % 5
    numbers = [f"none-{number}" if number < bad else str(number) for number in range(size)]
    return pd.DataFrame({"generation": generation, "number": numbers, "text": f"{partition} Grüße " * 5})


def publish(url: str, generation: int) -> dg.ExecuteInProcessResult:
    @table(contract=CONTRACT, key=["kill", "ledger"], partitions_def=DAYS)
    def ledger(context: TableContext) -> pa.Table:
        return pa.Table.from_pandas(batch(generation, str(context.partition_key)), preserve_index=False)

    return dg.materialize(
        [ledger],
        resources={"warehouse": WarehouseResource(url=url)},
        tags={
            "dagster/asset_partition_range_start": PARTITIONS[0],
            "dagster/asset_partition_range_end": PARTITIONS[-1],
        },
        raise_on_error=False,
    )


def _child(url: str, first: int, last: int) -> None:
    for generation in range(first, last + 1):
        result = publish(url, generation)
        if not result.success:
            (event,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
            told = event.step_failure_data.user_failure_data
            print(f"failed {told.description if told else event.step_failure_data.error}", file=sys.stderr, flush=True)
            os._exit(1)
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        url, first, last = line.split()
        pid = os.fork()
        if not pid:
            _child(url, int(first), int(last))
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()

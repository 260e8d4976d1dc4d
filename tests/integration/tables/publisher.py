"""A process that publishes generations of a table through Dagster, to be killed; see `killed.serve`.

Every batch of a generation is wholly of that generation: its rows, the number of them, and the rows that are
quarantined.
"""

import sys
import warnings

import dagster as dg
import pandas as pd
import psycopg  # noqa: F401
import pyarrow as pa
from adbc_driver_postgresql import dbapi  # noqa: F401

import dagster_sluice.gates.duckdb.engine
import dagster_sluice.tables.events
import dagster_sluice.tables.gatekeeper  # noqa: F401
from dagster_sluice import Column, Contract, TableContext, WarehouseResource, table
from dagster_sluice.contracts.contract import LogicalType
from dagster_sluice.warehouse.postgres import PostgresWarehouse  # noqa: F401

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-01-04")
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
    size, bad = 200 + (generation * 7 + day) % 97, 1 + (generation + day) % 5
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


def work(url: str, generation: int) -> None:
    """Publish a generation, and say of a run that fails what a user would read."""
    result = publish(url, generation)
    if not result.success:
        (event,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
        told = event.step_failure_data.user_failure_data
        kind = told.metadata["sluice/error"].value if told else ""
        print(f"failed {kind} {told.description if told else event.step_failure_data.error}", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    from killed import serve

    warnings.simplefilter("ignore")
    # What a child would import, its parent has: Dagster brings its storage along only with an instance.
    with dg.DagsterInstance.ephemeral():
        pass
    serve(work)

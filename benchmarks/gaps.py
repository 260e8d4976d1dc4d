"""Finding the gaps of 20 tables of 100,000 partitions each: seconds after warm-up, and how many queries it takes.

``python -m benchmarks gaps [--tables N] [--partitions K] [--repeat R]``

The ledger of an embedded Postgres is filled with publications of all partitions but a few of each table. What is
measured is everything a planner does before it plans: reading the ledger, Dagster's event log and the memory, and the
search. Wall-clock seconds; the first pass also lists the partition keys, which are kept for the life of the process.
"""

import argparse
import datetime as dt
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

_FILL = """
INSERT INTO sluice.publications (
    table_schema, table_name, partition, content_hash, contract_version, contract_fingerprint, code_version, rows_in,
    rows_published, rows_quarantined, run_id, correlation_id, computed_at
)
SELECT 'bench', %(table)s, key, 'hash', '1', 'print', %(code)s, 1, 1, 0, 'run', 'cause', clock_timestamp()
FROM unnest(%(keys)s::text[]) AS key
"""


def platform(tables: int, partitions: int) -> Any:
    import dagster as dg
    import pandas as pd

    from dagster_sluice import Column, Contract, WarehouseResource, table

    start = dt.datetime(2010, 1, 1, tzinfo=dt.timezone.utc)
    end = start + dt.timedelta(hours=partitions)
    form = "%Y-%m-%d-%H:%M"
    hourly = dg.HourlyPartitionsDefinition(start_date=start.strftime(form), end_date=end.strftime(form))
    made: list[Any] = []
    for number in range(tables):
        contract = Contract(table=f"t{number}", schema="bench", columns=(Column(name="id", type="integer"),))
        deps = [dg.AssetKey(["bench", f"t{number - 1}"])] if number else []

        @table(contract=contract, partitions_def=hourly, deps=deps)
        def one() -> pd.DataFrame:
            return pd.DataFrame({"id": [1]})

        made.append(one)
    return dg.Definitions(
        assets=made, resources={"warehouse": WarehouseResource()}
    ).get_repository_def(), hourly.get_partition_keys()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks gaps")
    parser.add_argument("--tables", type=int, default=20)
    parser.add_argument("--partitions", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5)
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    import dagster as dg
    import psycopg
    import sqlalchemy as sa

    from dagster_sluice.backfills.finder import find_gaps
    from dagster_sluice.backfills.memory import Nights
    from dagster_sluice.backfills.reading import read_facts
    from dagster_sluice.backfills.tables import fillable_tables
    from dagster_sluice.embedded import EmbeddedPostgres
    from dagster_sluice.state import State
    from dagster_sluice.warehouse.postgres import PostgresWarehouse

    repository, keys = platform(chosen.tables, chosen.partitions)
    tables = fillable_tables(repository.asset_graph, repository.assets_defs_by_key.values())
    with tempfile.TemporaryDirectory(prefix="sluice-bench-gaps-") as home, dg.instance_for_test() as instance:
        server = EmbeddedPostgres(Path(home) / "postgres")
        server.acquire()
        warehouse, state = PostgresWarehouse(server.url()), State(server.url())
        warehouse.prepare()
        with psycopg.connect(server.url(), autocommit=True) as session:
            for table in tables:
                name = table.key.path[-1]
                there = [key for number, key in enumerate(keys) if number % 1_000]
                session.execute(_FILL, {"table": name, "code": table.code_version, "keys": there})
            session.execute("ANALYZE sluice.publications")
        counted: list[str] = []
        sa.event.listen(sa.Engine, "before_cursor_execute", lambda *given: counted.append(given[2]))
        seconds = []
        for number in range(chosen.repeat + 1):
            counted.clear()
            started = time.perf_counter()
            known = read_facts(
                tables,
                graph=repository.asset_graph,
                instance=instance,
                warehouse=lambda _: warehouse,
                nights=Nights(state),
                now=dt.datetime.now(dt.timezone.utc),
                window=None,
            )
            read = time.perf_counter() - started
            found = find_gaps(known.facts)
            took = time.perf_counter() - started
            gaps = sum(len(one) for one in found.values())
            label = "first" if not number else "again"
            print(f"{label}: {took:5.2f} s ({read:.2f} reading), {gaps:,} gaps, {len(counted) + 2} queries")
            if number:
                seconds.append(took)
        print(f"median after warm-up: {statistics.median(seconds):.2f} s")
        warehouse.close()
        state.close()
    return 0

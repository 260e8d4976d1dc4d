"""Judging the deadlines of 1,000 tables of 90 days each: seconds after warm-up, and how many queries it takes.

``python -m benchmarks freshness [--tables N] [--partitions K] [--repeat R]``

The ledger of an embedded Postgres is filled with publications of all days but a few of each table, some of them in time
and some late. Every table has another deadline (another time of day, one of three time zones, one of two calendars), so
that nothing is worked out once for several. What is measured is a whole look: the memory of notices, the ledger, failed
partitions, when each partition is due, and the judgement. Wall-clock seconds; the first pass also lists the partitions,
which are kept for the life of the process.
"""

import argparse
import datetime as dt
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

ZONES = ("America/New_York", "Europe/Vienna", "Asia/Tokyo")
NOW = dt.datetime(2026, 4, 10, 12, tzinfo=dt.timezone.utc)
_FILL = """
INSERT INTO sluice.publications (
    table_schema, table_name, partition, content_hash, contract_version, contract_fingerprint, code_version, rows_in,
    rows_published, rows_quarantined, run_id, correlation_id, published_at, computed_at
)
SELECT 'bench', name, key, 'hash', '1', 'print', 'code', 1, 1, 0, 'run', 'cause', at, at
FROM unnest(%(names)s::text[], %(keys)s::text[], %(moments)s::timestamptz[]) AS one (name, key, at)
"""


def platform(tables: int, partitions: int) -> Any:
    import dagster as dg
    import pandas as pd

    from dagster_sluice import Column, Contract, WarehouseResource, table
    from dagster_sluice.calendars import Calendar
    from dagster_sluice.contracts.deadlines import Deadline

    calendars = (Calendar(), Calendar(closed=frozenset({dt.date(2026, 4, 6)})))
    first = NOW.date() - dt.timedelta(days=partitions)
    daily = {zone: dg.DailyPartitionsDefinition(first.isoformat(), timezone=zone) for zone in ZONES}
    made: list[Any] = []
    for number in range(tables):
        zone = ZONES[number % len(ZONES)]
        minute = 5 * 60 + number % 240
        deadline = Deadline(
            f"{minute // 60:02}:{minute % 60:02} on the next business day",
            timezone=zone,
            grace=dt.timedelta(minutes=number % 7),
            calendar=calendars[number % 2],
            look_back=partitions,
        )
        contract = Contract(
            table=f"t{number}",
            schema="bench",
            columns=(Column(name="id", type="integer"),),
            deadlines=(deadline,),
            timezone=zone,
        )

        @table(contract=contract, partitions_def=daily[zone])
        def one() -> pd.DataFrame:
            return pd.DataFrame({"id": [1]})

        made.append(one)
    return dg.Definitions(assets=made, resources={"warehouse": WarehouseResource()}).get_repository_def()


def fill(url: str, tables: int, partitions: int) -> None:
    import psycopg

    first = NOW.replace(hour=0) - dt.timedelta(days=partitions)
    with psycopg.connect(url, autocommit=True) as session:
        for number in range(tables):
            days = [first + dt.timedelta(days=day) for day in range(partitions) if (day + number) % 30]
            keys = [f"{day:%Y-%m-%d}" for day in days]
            moments = [day + dt.timedelta(hours=27 if (number + day.day) % 10 else 200) for day in days]
            session.execute(_FILL, {"names": [f"t{number}"] * len(keys), "keys": keys, "moments": moments})
        session.execute("ANALYZE sluice.publications")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks freshness")
    parser.add_argument("--tables", type=int, default=1_000)
    parser.add_argument("--partitions", type=int, default=90)
    parser.add_argument("--repeat", type=int, default=5)
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    import dagster as dg
    import sqlalchemy as sa

    from dagster_sluice.embedded import EmbeddedPostgres
    from dagster_sluice.freshness.judging import Status
    from dagster_sluice.freshness.memory import Told
    from dagster_sluice.freshness.reading import evaluate
    from dagster_sluice.freshness.watching import project_tables
    from dagster_sluice.state import State
    from dagster_sluice.warehouse.postgres import PostgresWarehouse

    repository = platform(chosen.tables, chosen.partitions)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-freshness-") as home, dg.instance_for_test() as instance:
        server = EmbeddedPostgres(Path(home) / "postgres")
        server.acquire()
        warehouse, state = PostgresWarehouse(server.url()), State(server.url())
        warehouse.prepare()
        fill(server.url(), chosen.tables, chosen.partitions)
        tables = project_tables(repository)
        counted: list[str] = []
        sa.event.listen(sa.Engine, "before_cursor_execute", lambda *given: counted.append(given[2]))
        seconds = []
        for number in range(chosen.repeat + 1):
            counted.clear()
            started = time.perf_counter()
            Told(state).remembered([table.name for table in tables])
            found = evaluate(tables, instance=instance, warehouse=lambda _: warehouse, now=NOW, state=state)
            took = time.perf_counter() - started
            judged = [one for table in found for one in table.judged]
            total = sum(len(one.status) for one in judged)
            late = sum(len(one.places(Status.LATE)) for one in judged)
            label = "first" if not number else "again"
            # The warehouse's own two do not go through SQLAlchemy.
            print(f"{label}: {took:5.2f} s, {total:,} partitions, {late:,} late, {len(counted) + 2} queries")
            if number:
                seconds.append(took)
        print(f"median after warm-up: {statistics.median(seconds):.2f} s")
        warehouse.close()
        state.close()
        server.release()
    return 0

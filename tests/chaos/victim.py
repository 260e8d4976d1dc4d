"""A process that does one deed to the world of the chaos test, to be killed; see `killed.serve`."""

import datetime as dt
import sys
import time
import warnings

warnings.simplefilter("ignore")

import dagster as dg  # noqa: E402
import psycopg  # noqa: E402, F401
import pyarrow as pa  # noqa: E402
from adbc_driver_postgresql import dbapi  # noqa: E402, F401
from world import DAYS, STOP, Row, address, contract, mended, source  # noqa: E402

import dagster_sluice.gates.duckdb.engine  # noqa: E402
import dagster_sluice.gates.gx  # noqa: E402
import dagster_sluice.tables.events  # noqa: E402, F401
from dagster_sluice import TableContext, WarehouseResource, table  # noqa: E402
from dagster_sluice.errors import SluiceError  # noqa: E402
from dagster_sluice.quarantine import Replayer  # noqa: E402
from dagster_sluice.quarantine.replaying import Promise  # noqa: E402
from dagster_sluice.tables.gatekeeper import Origin, admit  # noqa: E402
from dagster_sluice.warehouse import QuarantinedRow  # noqa: E402
from dagster_sluice.warehouse.postgres import PostgresWarehouse  # noqa: E402


def frame(rows: list[Row]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    return pa.table({name: pa.array(columns[at], pa.string()) for at, name in enumerate(("id", "pulse", "note"))})


def payload_row(row: QuarantinedRow) -> Row:
    return str(row.payload["id"]), str(row.payload["pulse"]), str(row.payload["note"])


class Deeds:
    """What can be done, each through the package's own doors."""

    def __init__(self, url: str, seed: int, home: str) -> None:
        self.url, self.seed, self.home = url, seed, home
        self.warehouse = PostgresWarehouse(url)

    def publish(self, name: str, partition: str | None, rows: list[Row], *, swap: bool = False) -> None:
        if name == "leaves":
            self.warehouse = PostgresWarehouse(self.url, native_rows=0, swap=swap)
        standing = self.warehouse.current(address(name)).get(partition)
        origin = Origin(
            run_id="run",
            correlation_id="cause",
            code_version="1",
            base=standing.id if standing else None,
            started=time.perf_counter(),
        )
        admit(
            frame(rows),
            contract=contract(name),
            warehouse=self.warehouse,
            address=address(name),
            partition=partition,
            origin=origin,
            references={},
        )

    def open(self, name: str, partition: str | None) -> list[QuarantinedRow]:
        return self.warehouse.quarantined(address(name), partition, limit=None)

    def replay(self, name: str, partition: str | None) -> None:
        rows = self.open(name, partition)
        mends = {row.id: mend for row in rows if (mend := mended(payload_row(row))) is not None}
        replayer = Replayer(
            self.warehouse,
            lambda where: Promise(contract=contract(where.table), references={}),
            run_id="replay",
            correlation_id="replay",
        )
        whole = {number: dict(zip(("id", "pulse", "note"), row, strict=True)) for number, row in mends.items()}
        for found in replayer.replay(rows, whole):
            if found.blocked:
                raise SystemExit(" ".join(found.blocked))

    def discard(self, name: str, partition: str | None) -> None:
        rows = [row.id for row in self.open(name, partition) if int(payload_row(row)[0]) % 2 == 0]
        self.warehouse.discard(rows, why="chaos")

    def run(self, places: list[tuple[str, str | None]], generation: int) -> None:
        """A Dagster run over a range of days, on an instance that keeps its events."""
        keys = [str(partition) for _, partition in places]

        @table(contract=contract("days"), key=["chaos", "days"], partitions_def=dg.StaticPartitionsDefinition(DAYS))
        def days(context: TableContext) -> pa.Table:
            return frame(source(self.seed, "days", context.partition_key, generation))

        with dg.DagsterInstance.from_config(self.home) as instance:
            ended = dg.materialize(
                [days],
                instance=instance,
                resources={"warehouse": WarehouseResource(url=self.url)},
                tags={
                    "dagster/asset_partition_range_start": keys[0],
                    "dagster/asset_partition_range_end": keys[-1],
                },
                raise_on_error=False,
            )
        if not ended.success:
            raise SystemExit("the run failed")


def work(url: str, seed: int, home: str, deed: str, places: list[tuple[str, str | None]], generation: int) -> None:
    """Do one deed to some places, one after the other."""
    deeds = Deeds(url, seed, home)
    try:
        if deed == "run":
            deeds.run(places, generation)
        elif deed == "prune":
            deeds.warehouse.prune(before=dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1))
        for name, partition in places if deed not in ("run", "prune") else ():
            if deed == "publish":
                deeds.publish(name, partition, source(seed, name, partition, generation), swap=generation % 2 == 0)
            elif deed == "block":
                deeds.publish(name, partition, [("1", "1", STOP)])
            else:
                getattr(deeds, deed)(name, partition)
    except SluiceError as failure:
        print(f"failed {type(failure).__name__} {failure}", file=sys.stderr)
        raise SystemExit(1) from failure


if __name__ == "__main__":
    from killed import serve

    with dg.DagsterInstance.ephemeral():
        pass
    serve(work)

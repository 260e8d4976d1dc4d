"""A publish into Postgres, audit included, against pre-encoded binary COPY of the same rows and against ``to_sql``.

``python -m benchmarks load [--rows N] [--frame arrow|pandas] [--layout auto|plain|native] [--swap] [--no-to-sql] [--repeat K]``

All on a private server of its own. The floor sends bytes that Postgres itself encoded into an empty table without an
index, and commits. A publish conforms the frame, judges 25 expectations, hashes the content, replaces one partition and
writes its records, in one transaction. The ways take turns, and of several repeats the quickest of each counts. CPU
seconds are those of this process and of the server.

While the same publishes run once more, a process of its own reads the table every two milliseconds. What a SELECT takes
depends on the load, so that the longest one during the floor stands beside. Locks are told apart from load: a SELECT
that waits longer than 50 ms for a lock is refused by the server and counted.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.gate import data, expectations
from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType
from dagster_sluice.embedded import EmbeddedPostgres, with_driver
from dagster_sluice.gates import audit
from dagster_sluice.tables.content import content_hash
from dagster_sluice.tables.gatekeeper import Origin, admit
from dagster_sluice.warehouse import Address
from dagster_sluice.warehouse.postgres import PostgresWarehouse

_FLOOR = "pre-encoded binary COPY"
_NEW = "publish a new partition"
_CHANGED = "publish it again, changed"
ORDERS = Address(schema="shop", table="orders")
_LONGEST_WAIT = "50ms"
_KINDS = {
    pa.int64(): LogicalType.INTEGER,
    pa.float64(): LogicalType.NUMBER,
    pa.string(): LogicalType.STRING,
    pa.bool_(): LogicalType.BOOLEAN,
    pa.timestamp("us"): LogicalType.TIMESTAMP,
}


class Publisher:
    """Publishes orders as a table's step does: through the gate, on top of what stands there."""

    def __init__(self, warehouse: PostgresWarehouse, contract: Contract) -> None:
        self._contract = contract
        self._warehouse = warehouse

    def publish(self, frame: Any, partition: str) -> None:
        standing = self._warehouse.current(ORDERS, [partition]).get(partition)
        judged = admit(
            frame,
            contract=self._contract,
            warehouse=self._warehouse,
            address=ORDERS,
            partition=partition,
            origin=Origin(
                run_id="benchmark",
                correlation_id="benchmark",
                code_version="1",
                base=standing.id if standing else None,
                started=time.perf_counter(),
            ),
            references={},
        )
        if judged.publication is None:
            failed = [result.name for result in judged.verdict.results if not result.success]
            raise SystemExit(f"The benchmark's own rows were refused: {failed}")


class Scene:
    """The table, what is published into it, and the floor beside it."""

    def __init__(self, options: argparse.Namespace, url: str) -> None:
        self.url = url
        self.rows = data(options.rows, clean=True)
        # As many rows, and another content: a publish that changes nothing is no load.
        changed = self.rows.set_column(11, "flag", pc.invert(self.rows.column("flag")))
        self.pandas = self.rows.to_pandas()
        as_pandas = options.frame == "pandas"
        self.frame = self.pandas if as_pandas else self.rows
        self.changed = changed.to_pandas() if as_pandas else changed
        self.contract = contract_of(self.rows, options.rows)
        layouts = {"plain": {"native_rows": None}, "native": {"native_rows": 0}, "auto": {}}
        self.warehouse = PostgresWarehouse(url, swap=options.swap, **layouts[options.layout])
        self._publisher = Publisher(self.warehouse, self.contract)
        self._loader = Publisher(self.warehouse, dataclasses.replace(self.contract, expectations=()))
        # One that stays: a server reckons the CPU time of a session that has ended only some time later.
        self.session = psycopg.connect(url, autocommit=True)
        self._encoded = _encode(url, self.rows)
        self._loader.publish(self.frame, "first")
        self._key = 0

    def clear(self) -> None:
        """Away with what stands there, but a few rows of another day."""
        self.session.execute("TRUNCATE floor, shop.orders")
        self._loader.publish(self.rows.slice(0, 1_000), "standing")

    def copy(self) -> None:
        with self.session.transaction(), self.session.cursor().copy("COPY floor FROM STDIN (FORMAT binary)") as copy:
            for part in self._encoded:
                copy.write(part)

    def publish_new(self) -> None:
        self._key += 1
        self._publisher.publish(self.frame, f"day {self._key}")

    def publish_changed(self) -> None:
        self._publisher.publish(self.changed, f"day {self._key}")

    def to_sql(self) -> None:
        import sqlalchemy

        engine = sqlalchemy.create_engine(with_driver(self.url, "psycopg2"))
        self.pandas.to_sql("slow", engine, index=False, if_exists="replace")
        engine.dispose()


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="sluice-benchmark-") as directory:
        # As root the server runs as another user, who has to get there.
        Path(directory).chmod(0o755)
        with EmbeddedPostgres(Path(directory) / "postgres").lease() as server:
            _run(options, Scene(options, server.url("postgres")))
    return 0


def _run(options: argparse.Namespace, scene: Scene) -> None:
    print(f"{options.rows:,} rows x 12 columns as {options.frame}, {len(scene.contract.expectations)} expectations")
    ways: dict[str, Callable[[], object]] = {
        _FLOOR: scene.copy,
        _NEW: scene.publish_new,
        _CHANGED: scene.publish_changed,
        "  of that, the audit": lambda: audit(scene.frame, scene.contract),
        "  of that, the content's hash": lambda: content_hash(scene.rows),
    }
    best = _in_turns(scene, ways, options.repeat)
    _compare("a new partition / COPY", best[_NEW], best[_FLOOR], "<= 2.2")
    _compare("a changed partition / COPY", best[_CHANGED], best[_FLOOR], "<= 2.2")
    if options.to_sql:
        slow = _in_turns(scene, {"pandas.to_sql": scene.to_sql}, 1)["pandas.to_sql"]
        _compare("to_sql / a new partition", slow, best[_NEW], ">= 25")
    print("\nReaders meanwhile")
    for name in (_FLOOR, _NEW, _CHANGED):
        if name != _CHANGED:
            scene.clear()
        with _reader(scene.url) as seen:
            ways[name]()
        print(
            f"{name:35s} longest SELECT {max(seen['seconds']) * 1000:8.1f} ms of {len(seen['seconds'])},"
            f" refused after {_LONGEST_WAIT} in a queue: {seen['refused']}  (wanted 0)"
        )


def contract_of(table: pa.Table, rows: int) -> Contract:
    """The orders' contract, with the expectations of the gate's benchmark."""
    return Contract(
        table=ORDERS.table,
        columns=tuple(
            Column(name=field.name, type=_KINDS[field.type], timezone=field.type != pa.timestamp("us"))
            for field in table.schema
        ),
        expectations=tuple(
            Expectation(name=f"expectation_{place}", type=given["type"], kwargs=given["kwargs"])
            for place, given in enumerate(expectations(rows))
        ),
    )


def _encode(url: str, table: pa.Table) -> list[bytes]:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("source", table, mode="create")
        connection.commit()
    with psycopg.connect(url) as session:
        session.execute("CREATE TABLE floor (LIKE source)")
        with session.cursor().copy("COPY source TO STDOUT (FORMAT binary)") as copy:
            encoded = b"".join(map(bytes, copy))
        session.execute("DROP TABLE source")
    return [encoded[start : start + 2**18] for start in range(0, len(encoded), 2**18)]


def _in_turns(scene: Scene, ways: dict[str, Callable[[], object]], repeat: int) -> dict[str, tuple[float, float]]:
    """CPU and wall seconds of the cheapest and of the quickest repeat of each way."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    (backend,) = scene.session.execute("SELECT pg_backend_pid()").fetchone() or (0,)
    server = _parent(backend)
    for _ in range(repeat):
        scene.clear()
        for name, run in ways.items():
            gc.collect()
            scene.session.execute("CHECKPOINT")
            wall, used = time.perf_counter(), _cpu(server)
            run()
            wall, used = time.perf_counter() - wall, _cpu(server) - used
            taken[name].append((used, wall))
    best = {}
    for name, found in taken.items():
        best[name] = (min(used for used, _ in found), min(wall for _, wall in found))
        every = ", ".join(f"{wall:.2f}" for _, wall in found)
        print(f"{name:35s} {best[name][0]:8.2f} s CPU {best[name][1]:8.2f} s wall  ({every})")
    return best


@contextmanager
def _reader(url: str) -> Iterator[dict[str, Any]]:
    """What a process sees that reads all the while; complete once the block has ended."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_read, args=(url, theirs))
    process.start()
    ours.recv()
    seen: dict[str, Any] = {}
    try:
        yield seen
    finally:
        ours.send("stop")
        seen.update(ours.recv())
        process.join()


def _read(url: str, pipe: Any) -> None:
    seconds: list[float] = []
    refused = 0
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(f"SET lock_timeout = '{_LONGEST_WAIT}'")
        pipe.send("ready")
        while not pipe.poll(0.002):
            started = time.perf_counter()
            try:
                # What is only planned needs the locks of the whole table, and nothing of its rows.
                session.execute("EXPLAIN SELECT * FROM shop.orders").fetchall()
                session.execute("SELECT * FROM shop.orders WHERE _partition = 'standing' LIMIT 100").fetchall()
            except psycopg.errors.LockNotAvailable:
                refused += 1
            seconds.append(time.perf_counter() - started)
    pipe.send({"seconds": seconds, "refused": refused})


def _compare(name: str, one: tuple[float, float], other: tuple[float, float], wanted: str) -> None:
    print(f"{name:35s} {one[0] / other[0]:8.2f}   CPU {one[1] / other[1]:8.2f}   wall  (wanted {wanted})")


def _cpu(server: int) -> float:
    """CPU seconds of this process and of the server, its ended processes included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    ticks = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(place.name) == server:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == server:
            ticks += sum(map(int, fields[11:13]))
    return used.ru_utime + used.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def _parent(process: int) -> int:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[1])


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks load", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--frame", choices=["arrow", "pandas"], default="arrow")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--layout", choices=["auto", "plain", "native"], default="auto")
    parser.add_argument("--swap", action="store_true")
    parser.add_argument("--no-to-sql", dest="to_sql", action="store_false")
    return parser.parse_args(arguments)

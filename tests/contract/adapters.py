"""The warehouses that the suites of this directory hold for.

A new adapter is one more entry in `ADAPTERS`: how to open an empty database (from another process too), how a person would
change it by hand, and how to break it.
"""

import contextlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from dagster_sluice.warehouse import Warehouse
from dagster_sluice.warehouse.duckdb import DuckDBWarehouse
from dagster_sluice.warehouse.duckdb_file import DuckDBFile
from dagster_sluice.warehouse.postgres import PostgresWarehouse

SECRET = "s3cr%ZZet"


@dataclass(frozen=True)
class Place:
    """An empty database, for as long as one test lasts. It pickles, so that another process finds it."""

    url: str

    reserved = ()
    """Names of columns that this database keeps for itself."""

    @classmethod
    def unreachable(cls, directory: Path) -> dict[str, str]:
        """URLs of what does not answer, by what is wrong."""
        raise NotImplementedError

    def open(self) -> Warehouse:
        raise NotImplementedError

    def by_hand(self, *statements: str) -> None:
        """What somebody else does to the database."""
        raise NotImplementedError

    def snapshot(self, *queries: str) -> list[tuple[Any, ...]]:
        """The first row of each query, all of one moment."""
        raise NotImplementedError

    def distinct(self, names: Sequence[str]) -> list[str]:
        """Of these names those that one table can have at once."""
        return list(names)


class PostgresPlace(Place):
    reserved = ("ctid",)

    @classmethod
    def unreachable(cls, directory):
        return {
            "port": "postgresql://bob:hunter2@127.0.0.1:1/none",
            "host": "postgresql://bob:hunter2@no-such-host.invalid/none",
            "escapes": f"postgresql://bob:{SECRET}@127.0.0.1:1/none",
            "options": "postgresql://bob@127.0.0.1:1/none?password=hunter2",
            "words": "host=127.0.0.1 port=1 password=hunter2",
            "no port": "postgresql://bob:hunter2@127.0.0.1:port/none",
        }

    def open(self):
        return PostgresWarehouse(self.url)

    def by_hand(self, *statements):
        import psycopg

        with psycopg.connect(self.url) as session:
            for statement in statements:
                session.execute(statement)

    def snapshot(self, *queries):
        import psycopg

        with psycopg.connect(self.url) as session:
            session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return [session.execute(query).fetchone() for query in queries]


class NativePlace(PostgresPlace):
    """Every partition is a table of its own; see `postgres_partitions`."""

    def open(self):
        return PostgresWarehouse(self.url, native_rows=0)


class DuckDBPlace(Place):
    reserved = ("_Partition",)

    @classmethod
    def unreachable(cls, directory):
        (directory / "folder").mkdir()
        (directory / "foreign").write_bytes(b"SQLite format 3\0" * 1000)
        (directory / "empty").touch()
        parquet.write_table(pa.table({"id": [1]}), directory / "rows.parquet")
        for name, number in (("older", 10), ("newer", 99_999)):
            _storage_version(directory / name, number)
        (directory / "cut").write_bytes((directory / "newer").read_bytes()[:5000])
        names = (
            "folder",
            "foreign",
            "empty",
            "older",
            "newer",
            "cut",
            "rows.parquet",
            "missing/file",
            "foreign/file",
            "x" * 300,
        )
        return {name: f"duckdb:///{directory / name}" for name in names}

    def open(self):
        return DuckDBWarehouse(self.url)

    def by_hand(self, *statements):
        with DuckDBFile(self.url).writing() as connection:
            for statement in statements:
                connection.execute(statement)

    def snapshot(self, *queries):
        with DuckDBFile(self.url).reading() as connection:
            return [connection.execute(query).fetchall()[0] for query in queries]

    def distinct(self, names):
        return list({name.lower(): name for name in names}.values())


ADAPTERS: dict[str, type[Place]] = {"duckdb": DuckDBPlace, "native": NativePlace, "postgres": PostgresPlace}


def elsewhere(place: Place, function: Callable[..., Any], arguments: Sequence[Any], results: Any) -> None:
    """Call a function with a warehouse of this process, and tell what came of it."""
    with contextlib.closing(place.open()) as warehouse:
        try:
            results.put(function(warehouse, *arguments))
        except Exception as failure:  # noqa: BLE001 (it is told to the other side)
            results.put(failure)


def _storage_version(path: Path, number: int) -> None:
    """A DuckDB file that says it is of another storage version, with a header that is otherwise sound."""
    import duckdb

    duckdb.connect(str(path)).close()
    content = bytearray(path.read_bytes())
    content[12:20] = struct.pack("<Q", number)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", content[8:4096]):
        checksum ^= word * 0xBF58476D1CE4E5B9 % 2**64
    content[:8] = struct.pack("<Q", checksum)
    path.write_bytes(content)

"""A year of flights into an empty warehouse: `sluice backfill run` against a plain loop and against one run per day.

``python -m benchmarks backfill [--days N] [--stock K]``

All three extract, check, enrich and load the same days into an embedded Postgres of their own; the first two end with the
marts. *Plain*: one process, pandas checks, COPY per table and day, the marts' SQL sent directly. *Stock*: Dagster assets
that call the same functions, one run per day with Dagster's default executor, as its daemon would start them; measured
over K days. Seconds are wall-clock.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "assets/flights/dbt_project/models/marts"
STOCK = ROOT / "benchmarks" / "_stock.py"


def days(count: int) -> list[dt.date]:
    last = dt.datetime.now(dt.timezone.utc).date() - dt.timedelta(days=2)
    return [last - dt.timedelta(days=back) for back in reversed(range(count))]


class Loop:
    """What a careful engineer writes without a framework."""

    def __init__(self, url: str) -> None:
        import psycopg

        from resources.feed import FlightsFeed

        self.feed = FlightsFeed()
        self.session = psycopg.connect(url)
        self.made: set[str] = set()
        self.planes, self.airports, self.airlines = self.feed.planes(), self.feed.airports(), self.feed.airlines()
        for name, rows in (("planes", self.planes), ("airports", self.airports), ("airlines", self.airlines)):
            self.load(name, rows, None)

    def day(self, day: dt.date) -> None:
        from assets.flights.conform import conform_flights

        raw, weather = self.feed.flights(day), self.feed.weather(day)
        self.check(raw.to_pandas())
        self.load("raw_flights", raw, day)
        self.load("weather", weather, day)
        self.load("flights", conform_flights(raw, self.planes, self.airports, self.airlines, weather), day)

    @staticmethod
    def check(frame: Any) -> None:
        kept = frame[frame["carrier"].notna() & frame["origin"].isin(["EWR", "JFK", "LGA"])]
        kept = kept[kept["distance"].between(1, 6_000) & kept["month"].between(1, 12)]
        kept = kept.drop_duplicates(["year", "month", "day", "carrier", "flight", "origin"])
        if len(kept) < len(frame) * 0.5:
            raise ValueError("more than half is bad")

    def load(self, name: str, rows: Any, day: dt.date | None) -> None:
        import pyarrow as pa

        kinds = {"int64": "bigint", "double": "float8", "string": "text", "bool": "boolean", "date32[day]": "date"}
        with self.session.transaction(), self.session.cursor() as cursor:
            if name not in self.made:
                columns = ", ".join(
                    f'"{field.name}" {kinds.get(str(field.type), "timestamptz")}' for field in rows.schema
                )
                cursor.execute(
                    f"CREATE SCHEMA IF NOT EXISTS flights; CREATE TABLE flights.{name} ({columns}, _day date)"
                )
                cursor.execute(f"CREATE INDEX ON flights.{name} (_day)")
                self.made.add(name)
            cursor.execute(f"DELETE FROM flights.{name} WHERE _day IS NOT DISTINCT FROM %s", [day])
            table = rows.append_column("_day", pa.array([day] * rows.num_rows, pa.date32()))
            with cursor.copy(f"COPY flights.{name} FROM STDIN") as copy:
                for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
                    copy.write_row(row)

    def marts(self) -> None:
        import jinja2

        self.session.execute("CREATE SCHEMA IF NOT EXISTS marts")
        words = {
            "config": lambda **_: "",
            "source": lambda schema, name: f"{schema}.{name}",
            "is_incremental": lambda: False,
            "days_to_build": lambda _: "true",
        }
        for model in sorted(MODELS.glob("*.sql")):
            text = jinja2.Environment(autoescape=False).from_string(model.read_text()).render(words)  # noqa: S701
            self.session.execute(f"CREATE TABLE marts.{model.stem} AS {text}")
        self.session.commit()


def plain(count: int, home: Path) -> dict[str, float]:
    url = _database(home)
    started = time.perf_counter()
    loop = Loop(url)
    for day in days(count):
        loop.day(day)
    loop.marts()
    seconds = time.perf_counter() - started
    rows = loop.session.execute("SELECT count(*) FROM flights.raw_flights").fetchone()
    loop.session.close()
    return {"seconds": seconds, "rows": rows[0] if rows else 0}


def sluice(count: int, home: Path) -> dict[str, float]:
    _database(home)
    environment = _environment(home)
    started = time.perf_counter()
    command = [Path(sys.executable).with_name("sluice"), "backfill", "run", "--window", f"{count + 1}d", "--json"]
    found = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - started
    told = json.loads(found.stdout)
    return {"seconds": seconds, "partitions": told["done"], "failed": told["failed"]}


def stock(count: int, home: Path) -> dict[str, float]:
    _database(home)
    environment = {**_environment(home), "BENCHMARK_DATABASE_URL": _url(home)}
    (home / "dagster").mkdir(exist_ok=True)
    environment["DAGSTER_HOME"] = str(home / "dagster")
    started = time.perf_counter()
    for day in days(count):
        command = [sys.executable, "-m", "dagster", "job", "execute", "-f", str(STOCK), "-j", "stock"]
        tags = json.dumps({"dagster/partition": day.isoformat()})
        subprocess.run([*command, "--tags", tags], cwd=ROOT, env=environment, check=True, capture_output=True)
    return {"seconds": time.perf_counter() - started}


def _environment(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("SLUICE_DATABASE_URL", "DAGSTER_HOME")}
    return {**kept, "SLUICE_HOME": str(home), "PYTHONPATH": str(ROOT)}


def _url(home: Path) -> str:
    from dagster_sluice.embedded import EmbeddedPostgres

    return EmbeddedPostgres(home / "postgres").url()


def _database(home: Path) -> str:
    """A server of its own, running before anything is timed."""
    from dagster_sluice.embedded import EmbeddedPostgres

    server = EmbeddedPostgres(home / "postgres")
    server.acquire()
    return server.url()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks backfill")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--stock", type=int, default=3, help="days of the run-per-day way; 0 leaves it out")
    chosen = parser.parse_args(arguments)
    found = {}
    for name, way, count in (
        ("plain", plain, chosen.days),
        ("sluice", sluice, chosen.days),
        ("stock", stock, chosen.stock),
    ):
        if not count:
            continue
        with tempfile.TemporaryDirectory(prefix=f"sluice-bench-{name}-") as home:
            figures = way(count, Path(home))
        found[name] = figures["seconds"] / count
        print(
            f"{name:7} {count:4} days  {figures['seconds']:8.1f} s  {figures['seconds'] / count:7.3f} s per day  {figures}"
        )
    print(f"sluice / plain: {found['sluice'] / found['plain']:.2f}")
    if "stock" in found:
        print(f"stock / sluice: {found['stock'] / found['sluice']:.0f}")
    return 0

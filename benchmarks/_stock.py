"""The same work as plain Dagster assets, one partition per run: what `benchmarks/backfill.py` compares with."""

import datetime as dt
import os
from typing import Any

import dagster as dg

from benchmarks.backfill import Loop

DAILY = dg.DailyPartitionsDefinition(start_date="2025-01-01", timezone="America/New_York")


def _day(context: Any) -> dt.date:
    return dt.date.fromisoformat(context.partition_key)


def _loop() -> Loop:
    loop = Loop.__new__(Loop)
    import psycopg

    from resources.feed import FlightsFeed

    loop.feed, loop.made = FlightsFeed(), set()
    loop.session = psycopg.connect(os.environ["BENCHMARK_DATABASE_URL"])
    for name in ("raw_flights", "weather", "flights"):
        found = loop.session.execute("SELECT to_regclass(%s)", [f"flights.{name}"]).fetchone()
        if found and found[0]:
            loop.made.add(name)
    loop.session.commit()
    return loop


@dg.asset(partitions_def=DAILY)
def raw_flights(context: dg.AssetExecutionContext) -> None:
    loop = _loop()
    rows = loop.feed.flights(_day(context))
    loop.check(rows.to_pandas())
    loop.load("raw_flights", rows, _day(context))


@dg.asset(partitions_def=DAILY)
def weather(context: dg.AssetExecutionContext) -> None:
    loop = _loop()
    loop.load("weather", loop.feed.weather(_day(context)), _day(context))


@dg.asset(partitions_def=DAILY, deps=[raw_flights, weather])
def flights(context: dg.AssetExecutionContext) -> None:
    from assets.flights.conform import conform_flights

    loop, day = _loop(), _day(context)
    feed = loop.feed
    parts = (feed.flights(day), feed.planes(), feed.airports(), feed.airlines(), feed.weather(day))
    loop.load("flights", conform_flights(*parts), day)


defs = dg.Definitions(
    assets=[raw_flights, weather, flights], jobs=[dg.define_asset_job("stock", [raw_flights, weather, flights])]
)

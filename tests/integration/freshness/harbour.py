"""A small platform with deadlines: days, hours, two dimensions, no partitions, an asset of others; and its publications."""

import datetime as dt
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import psycopg

from dagster_sluice import Column, Contract, TableContext, WarehouseResource, table
from dagster_sluice.contracts.deadlines import Deadline, Recency

VIENNA = "Europe/Vienna"
DAILY = dg.DailyPartitionsDefinition("2026-03-01", timezone=VIENNA)
BERTHS = dg.MultiPartitionsDefinition({"berth": dg.StaticPartitionsDefinition(["north", "south"]), "day": DAILY})
NOW = dt.datetime(2026, 3, 30, 9, 30, tzinfo=ZoneInfo(VIENNA))
"""A Monday, the day after the clock was set forward."""

SHIPS = Deadline("06:00 on the next day", grace=dt.timedelta(minutes=15), look_back=5)
PORTS = Deadline("07:00 on the next business day")
NEWEST = (Recency(column="at", within=dt.timedelta(hours=24)),)
BERTHED = Deadline("06:00 on the next day", look_back=2)
TIDES = Deadline("08:00 on the next day", timezone=VIENNA, look_back=3)


def contract(name, *deadlines, recency=()):
    return Contract(
        table=name,
        schema="harbour",
        columns=(Column(name="id", type="integer"), Column(name="at", type="timestamp")),
        deadlines=deadlines,
        recency=recency,
        timezone=VIENNA,
    )


def frame(context):
    key = getattr(context, "partition_key", None) or "2026-03-29"
    return pd.DataFrame({"id": [1], "at": pd.to_datetime([f"{key[-10:]} 12:00"], utc=True)})


def platform(database_url, *, sensors=(), checks=(), ships=(SHIPS,), recency=()):
    """The definitions, as a project would have them."""

    @table(contract=contract("ships", *ships, recency=recency), partitions_def=DAILY)
    def arrivals(context: TableContext) -> pd.DataFrame:
        return frame(context)

    @table(contract=contract("ports", PORTS))
    def ports() -> pd.DataFrame:
        return frame(None)

    @table(contract=contract("berthed", BERTHED), partitions_def=BERTHS)
    def berthed(context: TableContext) -> pd.DataFrame:
        return frame(context)

    @table(contract=contract("quays"))
    def quays() -> pd.DataFrame:
        return frame(None)

    @dg.asset(key="tides", partitions_def=DAILY)
    def tides() -> None:
        pass

    return dg.Definitions(
        assets=[arrivals, ports, berthed, quays, tides],
        asset_checks=list(checks),
        sensors=list(sensors),
        resources={"warehouse": WarehouseResource(url=database_url)},
        executor=dg.in_process_executor,
    )


_PUBLISH = """
INSERT INTO sluice.publications (
    table_schema, table_name, partition, content_hash, contract_version, contract_fingerprint, code_version, rows_in,
    rows_published, rows_quarantined, run_id, correlation_id, published_at, computed_at
) VALUES ('harbour', %(table)s, %(key)s, 'hash', '1', 'print', 'code', 1, 1, 0, 'run', 'cause', %(at)s, %(at)s)
RETURNING id
"""
_AUDIT = """
INSERT INTO sluice.audits (
    table_schema, table_name, partition, result, publication_id, contract_version, contract_fingerprint, rows_in,
    rows_published, rows_quarantined, passed, warned, failed, seconds, results, reasons, run_id, correlation_id, judged_at
) VALUES ('harbour', %(table)s, %(key)s, 'published', %(id)s, '1', 'print', 1, 1, 0, 0, 0, 0, 1, '[]', '[]', 'run', 'cause', %(at)s)
"""


class Ledger:
    """The warehouse's records, written as if time had passed."""

    def __init__(self, url):
        self.url = url

    def publish(self, name, key, at):
        """A publication of a partition at a moment; an earlier one is superseded by it."""
        with psycopg.connect(self.url, autocommit=True) as session:
            session.execute(
                "UPDATE sluice.publications SET superseded_at = %s WHERE table_name = %s"
                " AND partition IS NOT DISTINCT FROM %s AND superseded_at IS NULL",
                [at, name, key],
            )
            told = {"table": name, "key": key, "at": at}
            number = session.execute(_PUBLISH, told).fetchone()[0]
            session.execute(_AUDIT, {**told, "id": number})

    def drop(self, name, key, at):
        """What was published is no longer."""
        with psycopg.connect(self.url, autocommit=True) as session:
            session.execute(
                "UPDATE sluice.publications SET superseded_at = %s WHERE table_name = %s AND partition = %s",
                [at, name, key],
            )


def vienna(day, hour, minute=0):
    return dt.datetime(2026, 3, day, hour, minute, tzinfo=ZoneInfo(VIENNA))


def fill(ledger, *, until=30):
    """Every day of ships and berths, published in time; ports this morning."""
    for day in range(1, until):
        key = f"2026-03-{day:02}"
        ledger.publish("ships", key, vienna(day, 23) + dt.timedelta(hours=3))
        for berth in ("north", "south"):
            ledger.publish("berthed", f"{berth}|{key}", vienna(day, 23) + dt.timedelta(hours=4))
    ledger.publish("ports", None, vienna(30, 5))

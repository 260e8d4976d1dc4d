"""From the landing table to the table that people read: one row per flight, enriched.

A pure function over Arrow tables; the rules are in ``conform.sql``, run by an in-memory DuckDB.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

__all__ = ["FLIGHTS_SCHEMA", "conform_flights"]

_DATE: pa.DataType = pa.date32()
_INT: pa.DataType = pa.int64()
_FLOAT: pa.DataType = pa.float64()
_TEXT: pa.DataType = pa.string()
_FLAG: pa.DataType = pa.bool_()
_INSTANT: pa.DataType = pa.timestamp("us", tz="UTC")

FLIGHTS_SCHEMA = pa.schema(
    {
        "flight_date": _DATE,
        "carrier": _TEXT,
        "carrier_name": _TEXT,
        "flight": _INT,
        "tailnum": _TEXT,
        "origin": _TEXT,
        "dest": _TEXT,
        "dest_name": _TEXT,
        "hour": _INT,
        "time_hour": _INSTANT,
        "scheduled_departure": _INSTANT,
        "departed_at": _INSTANT,
        "dep_delay": _INT,
        "scheduled_arrival": _INSTANT,
        "arrived_at": _INSTANT,
        "arr_delay": _INT,
        "cancelled": _FLAG,
        "diverted": _FLAG,
        "air_time": _INT,
        "distance": _INT,
        "plane_manufacturer": _TEXT,
        "plane_model": _TEXT,
        "plane_year": _INT,
        "plane_seats": _INT,
        "temp": _FLOAT,
        "wind_speed": _FLOAT,
        "precip": _FLOAT,
        "visib": _FLOAT,
    }
)
"""The columns of ``flights.flights``, in the order of its contract."""


@cache
def _sql() -> str:
    return Path(__file__).with_name("conform.sql").read_text(encoding="utf-8")


def conform_flights(
    raw: pa.Table,
    planes: pa.Table,
    airports: pa.Table,
    airlines: pa.Table,
    weather: pa.Table,
) -> pa.Table:
    """Conform and enrich flights.

    - ``scheduled_departure`` is ``time_hour`` plus ``minute``: the local schedule as an instant.
    - ``departed_at`` is the scheduled departure plus the delay in minutes. So ``dep_time`` 2400, a departure after
      midnight and a change of the clock on the way need no rule.
    - ``scheduled_arrival`` is the first moment after the scheduled departure at which the clock at the destination
      (its ``tzone``) shows ``sched_arr_time``; null where the destination or its zone is unknown.
    - ``arrived_at`` is the scheduled arrival plus the delay. For a landing without a delay (diverted on the way, but
      arrived) it is the first moment after the departure at which the destination's clock shows ``arr_time``.
    - ``cancelled``: never departed. ``diverted``: departed, and no arrival delay is known.
    - The weather is that of the origin in the scheduled hour. Where it has two readings for one instant, the first.

    Args:
        raw: Any number of flights as `resources.feed.FlightsFeed.flights` gives them; more columns do no harm.
        planes: The feed's planes.
        airports: The feed's airports.
        airlines: The feed's airlines.
        weather: The feed's weather for at least the same days.

    Returns:
        As many rows as ``raw``, in its order × the 28 columns of `FLIGHTS_SCHEMA`. What is not known is null; keys
        that are doubled in a reference table, or null, never multiply rows.
    """
    import duckdb

    tables = {"raw": raw, "planes": planes, "airports": airports, "airlines": airlines, "weather": weather}
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for name, table in tables.items():
            numbered = table.append_column("_row", pa.array(np.arange(table.num_rows)))
            connection.register(name, numbered)
        conformed: pa.Table = connection.sql(_sql()).to_arrow_table()
    return conformed.select(FLIGHTS_SCHEMA.names).cast(FLIGHTS_SCHEMA)

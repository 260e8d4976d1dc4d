"""A process that replays, publishes or settles rows of a ward, to be killed; see `killed.serve`."""

import datetime as dt
import warnings

warnings.simplefilter("ignore")

import psycopg  # noqa: E402, F401
from adbc_driver_postgresql import dbapi  # noqa: E402, F401
from ward import Ward, promise  # noqa: E402

import dagster_sluice.gates.duckdb.engine  # noqa: E402
import dagster_sluice.gates.gate  # noqa: E402
import dagster_sluice.gates.gx  # noqa: E402, F401
from dagster_sluice.warehouse.postgres import PostgresWarehouse  # noqa: E402

GOOD, BAD = 60, 200
"""Rows that pass, and after them rows that do not, unless they are mended."""


def source() -> list[tuple[int, int]]:
    """What every publish of the ward computes."""
    return [(number, 60 if number < GOOD else 300) for number in range(GOOD + BAD)]


def mendable(number: int) -> bool:
    """Every fifth bad row is left as it is, and stays open."""
    return number % 5 != 0


def work(url: str, deed: str, numbers: list[int], most: int = 10**6) -> None:
    """Do something to the rows with these numbers; with ``most`` rows in a partition, more of them are a block."""
    ward = Ward(PostgresWarehouse(url), contract=promise(not_crowded={"max_value": most}))
    if deed == "publish":
        ward.publish(source())
        return
    if deed == "prune":
        ward.warehouse.prune(before=dt.datetime.now(dt.timezone.utc))
        return
    rows = [row for row in ward.open() if row.payload["id"] in numbers]
    if deed == "discard":
        ward.warehouse.discard([row.id for row in rows], why="not wanted")
    else:
        mends = {row.id: {**row.payload, "pulse": 1 + row.payload["id"] % 100} for row in rows}
        ward.replay(*rows, mends={row.id: mends[row.id] for row in rows if mendable(row.payload["id"])})


if __name__ == "__main__":
    from killed import serve

    serve(work)

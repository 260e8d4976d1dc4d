"""A process that replays without end, to be killed. Forks a fresh child for each line of its standard input (a URL)."""

import os
import sys
import warnings

warnings.simplefilter("ignore")

import psycopg  # noqa: E402, F401
from adbc_driver_postgresql import dbapi  # noqa: E402, F401
from ward import Ward, promise  # noqa: E402

import dagster_sluice.gates.gate  # noqa: E402
import dagster_sluice.gates.gx  # noqa: E402, F401
from dagster_sluice.warehouse.postgres import PostgresWarehouse  # noqa: E402

CHUNK = 20
"""Rows of one replay; half of them are mended to pass."""


def mends(rows):
    """Every second row is mended, to a pulse that tells which row it is."""
    return {row.id: {**row.payload, "pulse": 1 + row.payload["id"] % 100} for row in rows}


def _child(url: str) -> None:
    ward = Ward(PostgresWarehouse(url), contract=promise(not_crowded={"max_value": 10**6}))
    while rows := ward.open():
        chunk = rows[:CHUNK]
        ward.replay(*chunk, mends=mends(chunk))
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _child(line.strip())
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()

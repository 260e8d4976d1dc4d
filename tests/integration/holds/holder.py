"""A process that holds, releases or rejects a batch of the gatehouse, to be killed; see `killed.serve`."""

import warnings

warnings.simplefilter("ignore")

import psycopg  # noqa: E402, F401
from adbc_driver_postgresql import dbapi  # noqa: E402, F401
from gatehouse import Gatehouse, parcels  # noqa: E402

import dagster_sluice.gates.duckdb.engine  # noqa: E402
import dagster_sluice.gates.gate  # noqa: E402
import dagster_sluice.gates.gx  # noqa: E402, F401
from dagster_sluice.warehouse.postgres import PostgresWarehouse  # noqa: E402


def work(url: str, deed: str, numbers: list[int], by: str = "ann") -> None:
    """Bring a batch of these parcels, the first one bad; or decide about the holds with these numbers."""
    gatehouse = Gatehouse(PostgresWarehouse(url))
    if deed == "bring":
        gatehouse.bring(parcels(*numbers, bad=1))
        return
    for number in numbers:
        decide = gatehouse.warehouse.release if deed == "release" else gatehouse.warehouse.reject
        decide(number, by=by, why="a sale")


if __name__ == "__main__":
    from killed import serve

    serve(work)

"""A process that looks at the harbour and tells, to be killed or held; see `killed.serve`."""

import datetime as dt
import warnings

warnings.simplefilter("ignore")

import dagster as dg  # noqa: E402
import psycopg  # noqa: E402, F401
from adbc_driver_postgresql import dbapi  # noqa: E402, F401
from harbour import platform  # noqa: E402

from dagster_sluice.freshness.sensor import look  # noqa: E402
from dagster_sluice.state import State  # noqa: E402
from dagster_sluice.warehouse.postgres import PostgresWarehouse  # noqa: E402


class FileNotifier:
    """Appends each notice to a file."""

    name = "file"

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, notices) -> None:
        with open(self._path, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.writelines(f"{one.kind.value} {one.partition} {one.id}\n" for one in notices)


def work(url: str, path: str, now: str) -> None:
    """One look at ships, at a moment."""
    repository = platform(url).get_repository_def()
    with dg.DagsterInstance.ephemeral() as instance:
        look(
            repository,
            dg.AssetSelection.assets("harbour/ships"),
            {},
            notifiers=[FileNotifier(path)],
            instance=instance,
            warehouse=lambda _: PostgresWarehouse(url),
            state=State(url),
            now=dt.datetime.fromisoformat(now),
            escalate_after=dt.timedelta(hours=4),
        )


if __name__ == "__main__":
    from killed import serve

    serve(work)

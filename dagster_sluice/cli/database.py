"""``sluice db``: the database in use, and the embedded server."""

import contextlib
import os
from collections.abc import Iterator
from typing import Annotated

import typer

from dagster_sluice.cli import display
from dagster_sluice.embedded import EmbeddedPostgres, check_reachable, database_url, sluice_home
from dagster_sluice.errors import SettingError
from dagster_sluice.warehouse import Warehouse

__all__ = ["app", "embedded", "opened_warehouse"]

app = typer.Typer(help="The database in use.", no_args_is_help=True)


def embedded() -> EmbeddedPostgres | None:
    """The embedded server of this checkout, or ``None`` where the settings name another database."""
    if os.environ.get("SLUICE_DATABASE_URL"):
        return None
    return EmbeddedPostgres(sluice_home() / "postgres")


@contextlib.contextmanager
def opened_warehouse() -> Iterator[Warehouse]:
    """The warehouse in use, once its database has answered: it says best why it does not."""
    from dagster_sluice.warehouse.opening import is_duckdb, open_warehouse, warehouse_url

    found = warehouse_url()
    if not is_duckdb(found):
        check_reachable(found)
    warehouse = open_warehouse(found)
    try:
        yield warehouse
    finally:
        warehouse.close()


@app.command()
def url(
    dagster: Annotated[bool, typer.Option("--dagster", help="The URL of Dagster's own storage.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the URL of the database in use, so that psql or a BI tool can look.

    The embedded server is started if need be, and then stays up until `sluice db stop`.
    """
    found = database_url()
    server = embedded()
    if server is not None:
        server.keep_running()
        display.note("The embedded Postgres stays up until `sluice db stop`.")
    if dagster:
        from dagster_sluice.cli.instance import INSTANCE_URL, prepare_instance

        prepare_instance()
        found = os.environ.get(INSTANCE_URL, found)
    if as_json:
        display.listing([{"url": found, "embedded": server is not None}], as_json=True, empty="")
    else:
        print(found)


@app.command()
def start() -> None:
    """Start the embedded server and keep it up until `sluice db stop`."""
    _required().keep_running()
    print(database_url())


@app.command()
def stop(force: Annotated[bool, typer.Option(help="Stop it even while others use it.")] = False) -> None:
    """Stop the embedded server, unless a run or a UI of this checkout is using it."""
    server = _required()
    before = server.status()
    if before.in_use and not force:
        raise SettingError(
            "The embedded server is in use by a run, a UI or another command of this checkout.",
            mend="End those first, or say `sluice db stop --force`.",
        )
    server.stop()
    print("Stopped." if before.running else "It was not running.")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say whether the embedded server is up, since when, and where its data is."""
    found = _required().status()
    display.listing(
        [
            {
                "running": found.running,
                "pid": found.pid,
                "since": found.since.isoformat(timespec="seconds") if found.since else None,
                "kept": found.kept,
                "directory": str(found.directory),
            }
        ],
        as_json=as_json,
        empty="",
    )


def _required() -> EmbeddedPostgres:
    server = embedded()
    if server is None:
        raise SettingError(
            "SLUICE_DATABASE_URL names a server of your own, which sluice neither starts nor stops.",
            mend="Unset it to use the embedded one.",
        )
    return server

"""``sluice tables``: what is published, and where."""

from typing import Annotated

import typer

from dagster_sluice.cli import display
from dagster_sluice.cli.database import opened_warehouse

__all__ = ["tables"]


def tables(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the published tables: where each lives, its partitions and rows, its quarantine, its last publish."""
    with opened_warehouse() as warehouse:
        found = warehouse.tables()
    display.listing(
        [
            {
                "name": status.address.table,
                "location": str(status.address),
                "partitions": status.partitions if status.first_partition is not None else None,
                "first": status.first_partition,
                "last": status.last_partition,
                "rows": status.rows,
                "quarantined": status.rows_quarantined,
                "last_publish": status.last_publish.isoformat(timespec="seconds"),
            }
            for status in found
        ],
        as_json=as_json,
        empty="Nothing is published yet. `sluice run` publishes.",
    )

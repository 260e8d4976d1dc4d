"""``sluice tables``: what is published, and where."""

from collections import Counter
from typing import Annotated

import typer

from dagster_sluice.cli import display
from dagster_sluice.cli.database import opened_warehouse

__all__ = ["tables"]


def tables(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the published tables: where each lives, its partitions and rows, its quarantine, what waits, its last publish."""
    with opened_warehouse() as warehouse:
        found = warehouse.tables()
        held = Counter(hold.address for hold in warehouse.holds(limit=None))
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
                "held": held[status.address],
                "last_publish": status.last_publish.isoformat(timespec="seconds"),
            }
            for status in found
        ],
        as_json=as_json,
        empty="Nothing is published yet. `sluice run` publishes.",
    )
    if held and not as_json:
        what = "1 batch waits" if sum(held.values()) == 1 else f"{sum(held.values()):,} batches wait"
        display.note(f"{what} for a person: `sluice hold list`.")

"""``sluice hold``: the batches that wait for a person, and the decision."""

import contextlib
import getpass
import json
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from dagster_sluice.cli import display
from dagster_sluice.cli.database import opened_warehouse
from dagster_sluice.holds.deciding import Action, Decided, decide, named_holds, words
from dagster_sluice.holds.words import MASK, against_published, failed, hidden_columns, place, whole_hold
from dagster_sluice.quarantine.selection import table_address
from dagster_sluice.warehouse import Hold, Warehouse

__all__ = ["app"]

app = typer.Typer(help="Batches that wait for a person.", no_args_is_help=True)


class Status(str, Enum):
    """What has become of a batch that waited."""

    OPEN = "open"
    RELEASED = "released"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    ALL = "all"

    @property
    def asked(self) -> str | None:
        """As the warehouse takes it."""
        return None if self is Status.ALL else self.value


_Ids = Annotated[list[int], typer.Argument(metavar="ID…", help="Numbers of holds, as `sluice hold list` shows them.")]
_By = Annotated[str | None, typer.Option(help="Who decides; by default the user who is logged in.")]
_Why = Annotated[str, typer.Option(help="Why; it is kept with the hold.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _hold() -> None:
    pass


@app.command("list")
def list_holds(
    table: Annotated[str | None, typer.Argument(help="schema.table; every table by default.")] = None,
    partition: Annotated[str | None, typer.Option(help="One partition.")] = None,
    status: Annotated[Status, typer.Option(help="Which holds.")] = Status.OPEN,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest.")] = 50,
    as_json: _Json = False,
) -> None:
    """List batches that wait for a person, the latest first."""
    address = table_address(table) if table is not None else None
    with opened_warehouse() as warehouse:
        found = warehouse.holds(address, partition, status=status.asked, limit=limit + 1)
    shown = found[:limit]
    if as_json:
        display.listing([whole_hold(hold) for hold in shown], as_json=True, empty="")
        return
    display.listing([_line(hold) for hold in shown], as_json=False, empty="Nothing waits for a person.")
    if len(found) > limit:
        display.note(f"There are more than {limit}: see --limit, or name a table.")


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="ID", help="The hold's number.")],
    rows: Annotated[int, typer.Option(min=0, help="How many of the rows that wait are shown.")] = 10,
    as_json: _Json = False,
) -> None:
    """Show one hold: what failed, how its rows differ in number from what is published, and some of the rows.

    Columns that the contract classifies as personal or secret are masked.
    """
    with opened_warehouse() as warehouse:
        (hold,) = named_holds(warehouse, [number])
        wanted = None if hold.partition is None else [hold.partition]
        standing = warehouse.current(hold.address, wanted).get(hold.partition)
        sample = _sample(warehouse, hold, rows)
    counts = against_published(hold, standing)
    told = whole_hold(hold)
    if as_json:
        print(json.dumps({**told, **counts, "sample": sample}, indent=2, ensure_ascii=False, default=str))
        return
    for shown in ("failed", "rows_held", "rows_to_quarantine"):
        del told[shown]
    told["reasons"] = "\n".join(told["reasons"])
    _facts(told)
    display.listing(failed(hold), as_json=False, empty="Nothing failed.", title="What failed")
    _facts(counts, title="Against what is published")
    if sample is not None:
        lines = [{name: _cell(value) for name, value in row.items()} for row in sample]
        display.listing(lines, as_json=False, empty="No row is shown.", title=f"The first of {hold.rows:,} rows")
    if hold.status == "open":
        if not counts["can_be_released"]:
            display.note(
                "The partition was published since: it cannot be released. Materialize it again, or reject this."
            )
        display.note(f"Decide: sluice hold release {hold.id} --why … | sluice hold reject {hold.id} --why …")


@app.command()
def release(ids: _Ids, why: _Why, by: _By = None, as_json: _Json = False) -> None:
    """Publish what waits, each batch in one transaction, and tell Dagster.

    Exits with 1 if a release is refused: somebody else decided, or the partition was published meanwhile.
    """
    from dagster_sluice.cli.location import load_location
    from dagster_sluice.holds.assets import assets_of, refuse_strangers
    from dagster_sluice.holds.telling import release_events, untold_release

    who = by if by is not None else _user()
    words(by=who, why=why)
    assets = assets_of(load_location(Path.cwd()).repository.assets_defs_by_key.values())
    found: list[Decided] = []
    with contextlib.ExitStack() as stack:
        warehouse = stack.enter_context(opened_warehouse())
        holds = named_holds(warehouse, ids)
        refuse_strangers(assets, holds)
        # Opened before anything is published: who cannot be told must not be passed by.
        instance = stack.enter_context(_instance())
        for hold in holds:
            asset = assets[hold.address]
            publication = untold_release(instance, warehouse, asset, hold)
            if publication is not None:
                decided = Decided(hold=hold, publication=publication)
                display.note(f"Hold {hold.id} was released already; Dagster is told of it now.")
            else:
                (decided,) = decide(warehouse, [hold], Action.RELEASE, by=who, why=why)
            found.append(decided)
            if decided.publication is not None:
                for event in release_events(asset, decided.hold, decided.publication, instance):
                    instance.report_runless_asset_event(event)
    _told(found, as_json=as_json)


@app.command()
def reject(ids: _Ids, why: _Why, by: _By = None, as_json: _Json = False) -> None:
    """Give up what waits; what is published stays.

    Exits with 1 if it is refused because somebody else decided before.
    """
    who = by if by is not None else _user()
    with opened_warehouse() as warehouse:
        found = decide(warehouse, named_holds(warehouse, ids), Action.REJECT, by=who, why=why)
    _told(found, as_json=as_json)


def _instance() -> Any:
    from dagster_sluice.cli.instance import opened_instance

    return opened_instance()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # No name is known for this user id, as in many a container; then --by has to say it.
        return ""


def _sample(warehouse: Warehouse, hold: Hold, rows: int) -> list[dict[str, Any]] | None:
    """Some of the rows that wait, with personal columns masked; ``None`` if they wait no more."""
    if hold.status != "open":
        return None
    from dagster_sluice.tables.payload import row_payloads

    staged = warehouse.held_rows(hold.id, limit=rows)
    hidden = hidden_columns(hold)
    payloads = row_payloads(staged, list(range(staged.num_rows)))
    return [{name: MASK if name in hidden else value for name, value in row.items()} for row in payloads]


def _told(found: Sequence[Decided], *, as_json: bool) -> None:
    rows = [
        {
            "id": decided.hold.id,
            "table": str(decided.hold.address),
            "partition": decided.hold.partition,
            "status": decided.hold.status,
            "rows_published": decided.publication.rows_published if decided.publication else None,
            "rows_quarantined": decided.publication.rows_quarantined if decided.publication else None,
            "refused": decided.refused,
        }
        for decided in found
    ]
    if as_json:
        display.listing(rows, as_json=True, empty="")
    else:
        for row in rows:
            del row["refused"]
        display.listing(rows, as_json=False, empty="")
    for decided in found:
        if decided.refused:
            display.note(f"{place(decided.hold)}: {decided.refused}")
    if any(decided.publication for decided in found):
        display.note("What is built on it is built by the next run: `sluice run`, or the UI.")
    if any(decided.refused for decided in found):
        raise typer.Exit(1)


def _facts(told: dict[str, Any], title: str | None = None) -> None:
    rows = [
        {"what": name.replace("_", " "), "value": _fact(name, value)}
        for name, value in told.items()
        if value is not None
    ]
    display.listing(rows, as_json=False, empty="", title=title)


def _fact(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    counted = isinstance(value, int) and name not in ("id", "base", "publication")
    return f"{value:,}" if counted else str(value)


def _cell(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _line(hold: Hold) -> dict[str, object]:
    return {
        "id": hold.id,
        "table": str(hold.address),
        "partition": hold.partition,
        "rows": hold.rows,
        "reasons": " ".join(hold.audit.reasons),
        "status": hold.status,
        "held_at": hold.held_at.isoformat(timespec="seconds"),
    }

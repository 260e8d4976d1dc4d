"""``sluice quarantine``: the rows kept out, why, and what a person does with them."""

import datetime as dt
import json
import re
import uuid
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_sluice.cli import display
from dagster_sluice.cli.database import opened_warehouse
from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.quarantine.selection import Selection, named_rows, table_address
from dagster_sluice.quarantine.words import reason_text, whole_row
from dagster_sluice.warehouse import QuarantineCount, QuarantinedRow, Warehouse

if TYPE_CHECKING:
    from dagster_sluice.quarantine.replaying import Replayed

__all__ = ["app"]

app = typer.Typer(help="Rows kept out of a publish.", no_args_is_help=True)

_MANY = 10
"""So many rows are discarded at once without a further question."""

_UNITS = {"h": dt.timedelta(hours=1), "d": dt.timedelta(days=1), "w": dt.timedelta(weeks=1)}


class Status(str, Enum):
    """What has become of a quarantined row."""

    OPEN = "open"
    PASSED = "passed"
    REPLAYED = "replayed"
    DISCARDED = "discarded"
    ALL = "all"

    @property
    def asked(self) -> str | None:
        """As the warehouse takes it."""
        return None if self is Status.ALL else self.value


_Ids = Annotated[list[int] | None, typer.Argument(help="Numbers of rows, as `sluice quarantine list` shows them.")]
_Table = Annotated[str | None, typer.Option(help="Instead of numbers: schema.table.")]
_Partition = Annotated[str | None, typer.Option(help="One partition of the table.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


@app.callback()
def _quarantine() -> None:
    pass


@app.command("list")
def list_rows(
    table: Annotated[str | None, typer.Argument(help="schema.table; every table by default.")] = None,
    partition: Annotated[str | None, typer.Option(help="One partition.")] = None,
    status: Annotated[Status, typer.Option(help="Which rows.")] = Status.OPEN,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest.")] = 50,
    counts: Annotated[bool, typer.Option("--counts", help="How many of each table and status, not the rows.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, whole rows included.")] = False,
) -> None:
    """List quarantined rows, the latest first, and count them."""
    address = table_address(table) if table is not None else None
    with opened_warehouse() as warehouse:
        counted = [count for count in warehouse.quarantine_counts() if address in (None, count.address)]
        found = [] if counts else warehouse.quarantined(address, partition, status=status.asked, limit=limit + 1)
    if counts:
        display.listing(_counted(counted), as_json=as_json, empty="No row is in quarantine.")
        return
    shown = found[:limit]
    if as_json:
        display.listing([whole_row(row) for row in shown], as_json=True, empty="")
        return
    display.listing([_line(row) for row in shown], as_json=False, empty="No row is in quarantine.")
    if counted:
        display.note("In all: " + "; ".join(f"{c.address} {c.rows:,} {c.status}" for c in counted) + ".")
    if len(found) > limit:
        display.note(f"There are more than {limit}: see --limit, or name a table or a partition.")


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="ID", help="The row's number.")], as_json: _Json = False
) -> None:
    """Show one quarantined row, whole: its values, why it is kept out, where it came from, what became of it."""
    with opened_warehouse() as warehouse:
        (row,) = named_rows(warehouse, [number])
        order = [*warehouse.columns(row.address), *row.payload]
    told = whole_row(row)
    if as_json:
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for whole in ("payload", "replacement"):
        del told[whole]
    told["reasons"] = "\n".join(reason_text(reason) for reason in row.reasons)
    display.listing(
        [{"what": name.replace("_", " "), "value": str(value)} for name, value in told.items() if value is not None],
        as_json=False,
        empty="",
    )
    named = {str(reason.get("column")) for reason in row.reasons}
    cells = [
        {
            "column": name,
            "value": _shown(row.payload[name]),
            **({"replayed as": _shown(row.replacement.get(name))} if row.replacement else {}),
            "": "<- why" if name in named else "",
        }
        for name in dict.fromkeys(order)
        if name in row.payload
    ]
    display.listing(cells, as_json=False, empty="The row has no columns.", title="The row")


@app.command()
def export(
    table: Annotated[str, typer.Argument(help="schema.table")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to: a name that ends in .csv or .parquet.")],
    partition: Annotated[str | None, typer.Option(help="One partition.")] = None,
    status: Annotated[Status, typer.Option(help="Which rows.")] = Status.OPEN,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file.")] = False,
) -> None:
    """Write quarantined rows of a table to a file, to be mended there and replayed with --from."""
    from dagster_sluice.quarantine.files import write_rows
    from dagster_sluice.warehouse.types import columns_as_they_are

    if output.exists() and not force:
        raise SettingError(
            "The export would overwrite a file.",
            culprits=[Culprit(file=output, problem="is there already.")],
            mend="Give another -o, or --force.",
        )
    address = table_address(table)
    with opened_warehouse() as warehouse:
        found = Selection(address=address, partition=partition).rows(warehouse, status=status.asked)
        columns = columns_as_they_are(warehouse.columns(address))
    write_rows(found, columns, output)
    display.note(f"Wrote {output}: {_rows(len(found))}.")
    if found and status is Status.OPEN:
        display.note(f"Mend it and say: sluice quarantine replay --from {output}")


@app.command()
def replay(
    ids: _Ids = None,
    table: _Table = None,
    partition: _Partition = None,
    mended: Annotated[Path | None, typer.Option("--from", help="An exported file in which rows were mended.")] = None,
    why: Annotated[str, typer.Option(help="For the record.")] = "",
    dry_run: _DryRun = False,
    as_json: _Json = False,
) -> None:
    """Take quarantined rows through the gate again and add those that pass to the published partition.

    Exits 1 if a row does not pass; it stays open.
    """
    from dagster_sluice.cli.location import load_location
    from dagster_sluice.quarantine.files import mended_payload, read_mends
    from dagster_sluice.quarantine.promises import promises
    from dagster_sluice.quarantine.replaying import Replayer

    cells = read_mends(mended) if mended is not None else {}
    named = tuple(ids or ())
    if mended is not None and not named and table is None:
        named = tuple(cells)
    if mended is not None and not named and table is None:
        display.listing([], as_json=as_json, empty="The file has no rows.")
        return
    selection = Selection(ids=named, address=table_address(table) if table else None, partition=partition)
    repository = load_location(Path.cwd()).repository
    definitions = repository.assets_defs_by_key.values()
    cause = str(uuid.uuid4())
    with opened_warehouse() as warehouse:
        chosen = selection.rows(warehouse)
        if mended is not None:
            chosen = [row for row in chosen if row.id in cells]
        promise = promises(definitions, warehouse)
        payloads = {}
        if mended is not None:
            columns = {row.address: [c.name for c in promise(row.address).contract.columns] for row in chosen}
            payloads = {row.id: mended_payload(row, cells[row.id], columns[row.address], mended) for row in chosen}
        replayer = Replayer(warehouse, promise, run_id=cause, correlation_id=cause)
        found = replayer.replay(chosen, payloads, why=why, dry_run=dry_run)
    if not dry_run:
        _tell_dagster(definitions, found)
    _told(found, as_json=as_json, dry_run=dry_run, passed_over=len(named) - len(chosen) if named else 0)
    if not all(partition.good for partition in found):
        raise typer.Exit(1)


def _tell_dagster(definitions: Any, found: Sequence["Replayed"]) -> None:
    """The asset's history has the new content too, though no run has made it."""
    from dagster_sluice.cli.instance import opened_instance
    from dagster_sluice.quarantine.jobs import materialization
    from dagster_sluice.tables.declared import declared_tables

    published = [partition for partition in found if partition.publication is not None]
    if not published:
        return
    declared = declared_tables(definitions)
    with opened_instance() as instance:
        for partition in published:
            instance.report_runless_asset_event(materialization(declared[partition.address], partition))


def _told(found: Sequence["Replayed"], *, as_json: bool, dry_run: bool, passed_over: int) -> None:
    rows: list[dict[str, Any]] = [
        {
            "table": str(partition.address),
            "partition": partition.partition,
            "passed": len(partition.added),
            "still_failing": len(partition.failed),
            "blocked": " ".join(partition.blocked),
            "rows_published": partition.publication.rows_published if partition.publication else None,
        }
        for partition in found
    ]
    if as_json:
        for row, partition in zip(rows, found, strict=True):
            row["added"] = list(partition.added)
            row["failed"] = {number: [dict(r) for r in reasons] for number, reasons in partition.failed.items()}
            row["dry_run"] = dry_run
        display.listing(rows, as_json=True, empty="")
        return
    display.listing(rows, as_json=False, empty="No such row is open; there is nothing to replay.")
    for partition in found:
        for number, reasons in partition.failed.items():
            display.note(f"Row {number} stays open: {'; '.join(map(reason_text, reasons))}")
    if passed_over:
        display.note(f"{_rows(passed_over)} passed over: not open.")
    if dry_run and found:
        display.note("That was a dry run; nothing has changed.")


@app.command()
def discard(
    why: Annotated[str, typer.Option(help="Why nobody wants them; it is kept with the rows.")],
    ids: _Ids = None,
    table: _Table = None,
    partition: _Partition = None,
    yes: Annotated[bool, typer.Option("--yes", help=f"Also if they are more than {_MANY}.")] = False,
) -> None:
    """Give up open rows: they are not wanted, and stay discarded when they are rejected again."""
    if not why.strip():
        raise SettingError("A discard needs a reason.", culprits=[Culprit(where="--why", problem="is empty.")])
    selection = Selection(ids=tuple(ids or ()), address=table_address(table) if table else None, partition=partition)
    with opened_warehouse() as warehouse:
        chosen = [row.id for row in selection.rows(warehouse)]
        if len(chosen) > _MANY and not yes:
            raise SettingError(f"{_rows(len(chosen))} would be discarded.", mend="Say --yes if that is meant.")
        gone = warehouse.discard(chosen, why=why.strip())
    print(f"Discarded {_rows(len(gone))}.")
    if len(gone) < len(selection.ids):
        display.note(f"{_rows(len(set(selection.ids)) - len(gone))} passed over: not open.")


@app.command()
def prune(
    older_than: Annotated[str | None, typer.Option(help="Rows last seen so long ago go: 90d, 12w, 36h.")] = None,
    max_rows: Annotated[int | None, typer.Option(min=0, help="Of more rows than these, the oldest go.")] = None,
    include_open: Annotated[bool, typer.Option("--include-open", help="Open rows too, last; they are lost.")] = False,
    dry_run: _DryRun = False,
    as_json: _Json = False,
) -> None:
    """Drop rows that need nobody's attention: passed, replayed and discarded ones, the oldest first.

    What goes is announced before it goes.
    """
    if older_than is None and max_rows is None:
        raise SettingError("Nothing says what may go.", mend="Give --older-than, --max-rows, or both.")
    before = dt.datetime.now(dt.timezone.utc) - _duration(older_than) if older_than is not None else None
    with opened_warehouse() as warehouse:
        announced = warehouse.prune(before=before, keep=max_rows, include_open=include_open, dry_run=True)
        display.listing(_counted(announced), as_json=as_json, empty="There is nothing to drop.")
        if announced and not dry_run:
            gone = _prune(warehouse, before, max_rows, include_open=include_open)
            display.note(f"Dropped {_rows(gone)}.")
    if announced and dry_run:
        display.note(f"{_rows(sum(count.rows for count in announced))} would be dropped; nothing has changed.")


def _prune(warehouse: Warehouse, before: dt.datetime | None, keep: int | None, *, include_open: bool) -> int:
    return sum(count.rows for count in warehouse.prune(before=before, keep=keep, include_open=include_open))


def _duration(text: str) -> dt.timedelta:
    found = re.fullmatch(r"([0-9]{1,6})([hdw])", text.strip())
    if not found:
        raise SettingError(
            "A length of time cannot be read.",
            culprits=[Culprit(where=f"--older-than {text}", problem="is not a number with h, d or w.")],
            mend="Write 36h, 90d or 12w.",
        )
    try:
        length = int(found[1]) * _UNITS[found[2]]
        dt.datetime.now(dt.timezone.utc) - length
    except OverflowError as failure:
        raise SettingError(
            "A length of time is out of reach.",
            culprits=[Culprit(where=f"--older-than {text}", problem="is too long.")],
        ) from failure
    return length


def _line(row: QuarantinedRow) -> dict[str, object]:
    return {
        "id": row.id,
        "table": str(row.address),
        "partition": row.partition,
        "reasons": "; ".join(reason_text(reason) for reason in row.reasons),
        "status": row.status,
        "first_seen": row.first_seen.isoformat(timespec="seconds"),
    }


def _counted(counts: Sequence[QuarantineCount]) -> list[dict[str, object]]:
    return [
        {
            "table": str(count.address),
            "status": count.status,
            "rows": count.rows,
            "oldest": count.oldest.isoformat(timespec="seconds"),
            "newest": count.newest.isoformat(timespec="seconds"),
        }
        for count in counts
    ]


def _shown(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"

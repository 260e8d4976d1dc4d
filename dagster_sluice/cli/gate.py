"""``sluice gate``: whether the engines say the same of one's own data."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_sluice.cli import display
from dagster_sluice.cli.database import opened_warehouse
from dagster_sluice.contracts import Contract, Reference
from dagster_sluice.errors import Culprit, SettingError, TableError
from dagster_sluice.warehouse import Address

if TYPE_CHECKING:
    from dagster_sluice.gates.verify import Compared

__all__ = ["app"]

app = typer.Typer(help="Gates and the engines that judge them.", no_args_is_help=True)


@app.callback()
def _gate() -> None:
    pass


@app.command("verify")
def verify(
    table: Annotated[str, typer.Argument(help="schema.table.")],
    partition: Annotated[str | None, typer.Option(help="One partition; all of them by default.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="Judge this CSV or Parquet file instead of what is published.")
    ] = None,
    contract: Annotated[
        Path | None, typer.Option(help="The contract; that of the project's @table by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge a table, or a file, by both engines and tell every difference. Exits with 1 if they differ.

    Nothing is written. What only one engine can judge is named, with the reason.
    """
    from dagster_sluice.gates.verify import verify as compare
    from dagster_sluice.quarantine.selection import table_address

    if file is not None and partition is not None:
        culprit = Culprit(where="--partition", problem="is of a published table, and --file of none.")
        raise SettingError("One of the options has no meaning.", culprits=[culprit], mend="Leave one of them out.")
    address = table_address(table)
    promised = _contract(address, contract)
    judged = []
    for key, rows, misfits, references in _batches(address, promised, partition, file):
        judged.append((key, compare(rows, promised, references=references)))
        if misfits:
            said = f"partition {key}" if key is not None else str(file or address)
            display.note(
                f"{said}: {misfits:,} value{'' if misfits == 1 else 's'} of other types than the contract's judged as NULL."
            )
    differ = any(item.differences for _, found in judged for item in found)
    _told(judged, as_json=as_json)
    if differ:
        raise typer.Exit(1)


def _contract(address: Address, file: Path | None) -> Contract:
    if file is not None:
        from dagster_sluice.contracts import load_contract, load_contracts

        found = load_contracts(file)
        return found[0] if len(found) == 1 else load_contract(file, address.table)
    from dagster_sluice.cli.location import load_location
    from dagster_sluice.tables.declared import declared_tables

    declared = declared_tables(load_location(Path.cwd()).repository.assets_defs_by_key.values())
    if address not in declared:
        raise TableError(
            f"No @table of this project is published in {address}.",
            culprits=[Culprit(where=str(other), problem="is one.") for other in sorted(declared)],
            mend="Name one of them, or give its --contract.",
        )
    return declared[address].contract


Rows = tuple[str | None, Any, int, Mapping[Reference, Sequence[Any]]]


def _batches(address: Address, contract: Contract, partition: str | None, file: Path | None) -> Iterator[Rows]:
    """Each partition's rows in the contract's types, how many values do not fit, and the sets from other tables."""
    from dagster_sluice.tables.conform import conform
    from dagster_sluice.tables.inputs import Reader

    if file is not None:
        from dagster_sluice.contracts.profile_source import read_rows

        conformed = conform(read_rows(file), contract)
        references: Mapping[Reference, Sequence[Any]] = {}
        if any(item.references() for item in contract.expectations):
            with opened_warehouse() as warehouse:
                references = Reader(warehouse).sets(contract, address.schema)
        yield None, conformed.rows, len(conformed.misfits), references
        return
    with opened_warehouse() as warehouse:
        published = list(warehouse.current(address))
        if not published or (partition is not None and partition not in published):
            what = f"{address} has no published partition {partition}." if published else f"Nothing is in {address}."
            raise TableError(what, mend="`sluice tables` lists what is published.")
        references = Reader(warehouse).sets(contract, address.schema)
        names = [column.name for column in contract.columns]
        keys: list[str | None] = [partition]
        if partition is None:
            keys = sorted(published, key=lambda key: key or "")
        for key in keys:
            rows = warehouse.read(address, columns=names, partitions=None if key is None else [key])
            conformed = conform(rows, contract)
            yield key, conformed.rows, len(conformed.misfits), references


def _told(judged: Sequence[tuple[str | None, Sequence["Compared"]]], *, as_json: bool) -> None:
    rows = [
        {
            "partition": key,
            "expectation": item.name,
            "type": item.type,
            "judge": item.judge,
            "agree": None if item.alone else not item.differences,
            "difference": " ".join(item.differences) or item.alone,
        }
        for key, found in judged
        for item in found
    ]
    if as_json:
        display.listing(rows, as_json=True, empty="")
        return
    listed = [{**row, "batches": 1} for row in rows if row["agree"] is False]
    alone_by: dict[tuple[str, ...], int] = {}
    for row in rows:
        if row["agree"] is None:
            told = (str(row["expectation"]), str(row["type"]), str(row["judge"]), str(row["difference"]))
            alone_by[told] = alone_by.get(told, 0) + 1
    for (name, kind, judge, why), count in alone_by.items():
        line = {"partition": None, "expectation": name, "type": kind, "judge": judge, "agree": None, "difference": why}
        listed.append({**line, "batches": count})
    if listed:
        display.listing(
            [{**row, "agree": "no" if row["agree"] is False else None} for row in listed], as_json=False, empty=""
        )
    agreed = sum(row["agree"] is True for row in rows)
    apart = sum(row["agree"] is False for row in rows)
    alone = len(rows) - agreed - apart
    batches = "1 batch" if len(judged) == 1 else f"{len(judged):,} batches"
    print(f"{agreed:,} of {len(rows):,} judged alike by both, {apart:,} apart, {alone:,} by one alone; {batches}.")

"""``sluice report``: what an audit found, as an HTML page, at any time after it."""

import re
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dagster_sluice.cli import display
from dagster_sluice.cli.database import opened_warehouse
from dagster_sluice.contracts import Contract
from dagster_sluice.embedded import sluice_home
from dagster_sluice.errors import Culprit, SettingError, SluiceError
from dagster_sluice.quarantine.selection import table_address
from dagster_sluice.reports.folder import Folder, write_page
from dagster_sluice.reports.values import Report
from dagster_sluice.warehouse import Address, AuditDetail, Warehouse

__all__ = ["report"]

_MOST_ROWS = 2_000
"""Rows of the quarantine that are looked through for samples."""


def report(
    table: Annotated[str, typer.Argument(help="schema.table")],
    partition: Annotated[str | None, typer.Option(help="One partition; by default the last.")] = None,
    run: Annotated[str | None, typer.Option(help="What this Dagster run found; by default the latest audit.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; of several partitions, a directory.")
    ] = None,
    opened: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write what an audit promised and found as an HTML page, for people who have no Dagster.

    A page that the run itself wrote has more sample rows: here they are those that the quarantine has kept.
    """
    address = table_address(table)
    contract = _contract(address)
    with opened_warehouse() as warehouse:
        audits = _audits(warehouse, address, partition, run)
        found = [_composed(warehouse, audit, contract) for audit in audits]
    page = _page(audits[0], found[0], output) if len(found) == 1 else _pages(audits, found, output)
    print(page)
    if opened:
        webbrowser.open(page.as_uri())


def _audits(warehouse: Warehouse, address: Address, partition: str | None, run: str | None) -> list[AuditDetail]:
    found = warehouse.history(
        address,
        partitions=None if partition is None else [partition],
        run_id=run,
        limit=1 if run is None else 100_000,
    )
    if found:
        return found
    asked = [f"partition {partition}" if partition is not None else "", f"run {run}" if run is not None else ""]
    raise SettingError(
        f"Nothing is known of {address}{''.join(f', {word}' for word in asked if word)}.",
        culprits=[
            Culprit(where=str(known.address), problem="is a table that there is.") for known in warehouse.tables()
        ],
        mend="A report tells of an audit, and there has been none; `sluice run` makes one.",
    )


def _contract(address: Address) -> Contract | None:
    """The contract of the table in the project of the working directory; without it the report shows no values."""
    from dagster_sluice.cli.location import load_location
    from dagster_sluice.tables.declared import declared_tables

    try:
        repository = load_location(Path.cwd()).repository
    except SluiceError as failure:
        display.note(f"No contract is at hand, so no values are shown: {failure.what}")
        return None
    declared = declared_tables(repository.assets_defs_by_key.values()).get(address)
    if declared is None:
        display.note(f"No contract is at hand, so no values are shown: this project has no @table for {address}.")
    return declared.contract if declared else None


def _composed(warehouse: Warehouse, audit: AuditDetail, contract: Contract | None) -> Report:
    from dagster_sluice.reports import compose
    from dagster_sluice.reports.remembered import remembered
    from dagster_sluice.tables.naming import masked_columns

    masked = masked_columns(contract) if contract else set()
    kept = warehouse.quarantined(audit.address, audit.partition, status=None, limit=_MOST_ROWS) if contract else []
    examples, samples = remembered(kept, audit.run_id, masked)
    return compose(
        audit,
        contract=contract,
        masked=masked,
        history=warehouse.history(audit.address, until=audit.partition),
        examples=examples,
        samples=samples,
    )


def _page(audit: AuditDetail, found: Report, output: Path | None) -> Path:
    from dagster_sluice.reports import report_page

    if output is not None and output.is_dir():
        output = output / f"{_plain(str(audit.address))}{f'-{_plain(audit.partition)}' if audit.partition else ''}.html"
    target = output.absolute() if output is not None else _home().path(audit.address, audit.partition, audit.run_id)
    return _written(target, report_page(found))


def _pages(audits: Sequence[AuditDetail], found: Sequence[Report], output: Path | None) -> Path:
    from dagster_sluice.reports import index_page, report_page

    if output is not None and output.exists() and not output.is_dir():
        raise SettingError(
            f"There are {len(found)} reports, one for each partition.",
            culprits=[Culprit(where=f"--output {output}", problem="is a file.")],
            mend="Name a directory, or give --partition.",
        )
    folder = Folder(root=output.absolute()) if output is not None else _home()
    entries = []
    for audit, one in zip(audits, found, strict=True):
        page = _written(folder.path(audit.address, audit.partition, audit.run_id), report_page(one))
        entries.append((f"../{page.parent.name}/{page.name}", one))
    first = audits[0]
    html = index_page(str(first.address), f"Run {first.run_id}", entries)
    return _written(folder.index_path(first.address, first.run_id), html)


def _home() -> Folder:
    return Folder(root=sluice_home() / "reports")


def _written(target: Path, html: str) -> Path:
    try:
        write_page(target, html)
    except OSError as failure:
        raise SettingError(
            "The report cannot be written.",
            culprits=[Culprit(file=target, problem=f"{failure.strerror or failure}.")],
            mend="Give another --output.",
        ) from failure
    return target


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:80]

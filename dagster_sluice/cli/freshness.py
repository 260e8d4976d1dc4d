"""``sluice freshness``: which partitions are late, and how well deadlines were met."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dagster_sluice.cli import display
from dagster_sluice.cli.backfill_session import opened_state
from dagster_sluice.cli.database import opened_warehouse
from dagster_sluice.cli.instance import opened_instance
from dagster_sluice.cli.location import load_location
from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.freshness.heat import LEGEND, SPANS, shares, sheets
from dagster_sluice.freshness.reading import Evaluated, evaluate
from dagster_sluice.freshness.watching import project_tables, selection_of
from dagster_sluice.freshness.words import as_json as told_as_json
from dagster_sluice.freshness.words import is_late, status_rows

__all__ = ["app"]

app = typer.Typer(help="Deadlines, and whether they are met.", no_args_is_help=True)

_Select = Annotated[str | None, typer.Option("--select", help="Dagster's asset selection; by default all tables.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _freshness() -> None:
    """Deadlines, and whether they are met."""


@app.command()
def status(select: _Select = None, as_json: _Json = False) -> None:
    """Show how each table stands with its deadlines: on time, due, late, excused, and the time left.

    Exits with 1 if anything is late.
    """
    now = dt.datetime.now(dt.timezone.utc)
    with _evaluated(select, now, None) as found:
        late = [one for one in found if is_late(one)]
        if as_json:
            told = {"at": now.isoformat(), "late": bool(late), "tables": told_as_json(found)}
            print(json.dumps(told, indent=2, ensure_ascii=False))
        else:
            display.listing(list(status_rows(found)), as_json=False, empty="No table has a deadline.")
            if found:
                named = f"{len(late):,} of {len(found):,} tables late." if late else "Nothing is late."
                display.note(named)
    if late:
        raise typer.Exit(1)


@app.command()
def report(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to.")] = Path("freshness.html"),
    select: _Select = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, and write no page.")] = False,
) -> None:
    """Write how well deadlines were met over 30 and 90 days: one HTML page with calendars, that needs no network."""
    now = dt.datetime.now(dt.timezone.utc)
    with _evaluated(select, now, dt.timedelta(days=max(SPANS))) as found:
        if as_json:
            print(json.dumps({"at": now.isoformat(), "tables": list(shares(found, now))}, indent=2, ensure_ascii=False))
            return
        from dagster_sluice.reports.attainment import attainment_page

        late = sum(is_late(one) for one in found)
        stands = f"{late:,} of {len(found):,} tables late" if late else f"{len(found):,} tables, nothing is late"
        page = attainment_page("Deadlines", f"As of {now:%Y-%m-%d %H:%M} UTC: {stands}.", sheets(found, now), LEGEND)
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as failure:
        raise SettingError(
            "The report cannot be written.", culprits=[Culprit(file=output, problem=f"{failure.strerror}.")]
        ) from failure
    display.note(f"Written: {output.resolve()}")


@contextmanager
def _evaluated(select: str | None, now: dt.datetime, back: dt.timedelta | None) -> Iterator[list[Evaluated]]:
    with opened_instance() as instance, opened_warehouse() as warehouse, opened_state() as state:
        location = load_location(Path.cwd())
        try:
            selection = selection_of(select)
            tables = project_tables(location.repository, selection=selection)
        except Exception as failure:
            import dagster as dg

            if select is None or not isinstance(failure, (dg.DagsterError, ValueError)):
                raise
            raise SettingError(
                "The selection cannot be read.",
                culprits=[Culprit(where=f"--select {select}", problem=str(failure).splitlines()[0])],
            ) from failure
        yield evaluate(tables, instance=instance, warehouse=lambda _: warehouse, now=now, state=state, back=back)

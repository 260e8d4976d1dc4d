"""What the ``sluice`` command shows: a progress bar, a table of days, a word on what to do next."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from dagster_sluice.cli.work import Work
from dagster_sluice.tables.approval import waits
from dagster_sluice.warehouse import Audit, Result

__all__ = ["Bar", "Failed", "Outcome", "listing", "note", "outcome", "progress"]

_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False)


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A Dagster run that did not succeed."""

    run_id: str
    log: Path
    why: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one ``sluice run`` did.

    Attributes:
        work: What there was to do.
        audits: What became of each batch.
        marts: How many partitions of each mart were built.
        marts_current: Marts that needed nothing.
        failures: Dagster runs that did not succeed.
        correlation_id: Shared by all of it.
        seconds: Wall-clock time.
    """

    work: Work
    audits: tuple[Audit, ...]
    marts: Mapping[str, int]
    marts_current: Sequence[str]
    failures: tuple[Failed, ...]
    correlation_id: str
    seconds: float

    @property
    def good(self) -> bool:
        """Whether everything is published and built."""
        stopped = (Result.BLOCKED, Result.HELD)
        return not self.failures and not any(audit.result in stopped for audit in self.audits)


class Bar:
    """A progress bar, or on anything but a terminal a line now and then."""

    def __init__(self, shown: Progress, task: Any) -> None:
        self._shown = shown
        self._task = task

    def reach(self, done: int) -> None:
        """So many are done."""
        self._shown.update(self._task, completed=done)

    def advance(self) -> None:
        """One more is done."""
        self._shown.advance(self._task)


@contextmanager
def progress(what: str, total: int, *, remaining: bool = False) -> Iterator[Bar]:
    """Show how far a number of batches has come, on standard error, and how long the rest will take."""
    columns = [TextColumn(f"{what:<7}"), BarColumn(bar_width=40), MofNCompleteColumn(), TimeElapsedColumn()]
    if remaining:
        columns += [TextColumn("left"), TimeRemainingColumn()]
    shown = Progress(*columns, console=_err)
    with shown:
        yield Bar(shown, shown.add_task(what, total=total))


def note(text: str) -> None:
    """A line for the person at the terminal, on standard error."""
    _err.print(escape(text), soft_wrap=True)


def listing(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str, title: str | None = None) -> None:
    """Rows as a table for people or as JSON for programs; a word where there are none."""
    if as_json:
        print(json.dumps(list(rows), indent=2, default=str))
        return
    if not rows:
        _out.print(escape(empty))
        return
    table = Table(title=title, title_justify="left")
    for name, value in rows[0].items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        table.add_column(name.replace("_", " "), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    _print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return escape(str(value))


def _print(table: Table) -> None:
    # Without a terminal there is no width to keep to, and a cut table is no use in a log.
    console = _out if sys.stdout.isatty() else Console(width=160, highlight=False)
    console.print(table)


def outcome(found: Outcome, *, as_json: bool) -> None:
    """What became of every day, the totals, and where to look next."""
    days = _days(found)
    if as_json:
        print(json.dumps(_as_json(found, days), indent=2, default=str))
        return
    ends = ", ".join(str(address) for address in found.work.last)
    if days:
        table = Table(title=f"Rows of {ends}; checks and seconds of all tables", title_justify="left")
        for name in ("day", "rows in", "published", "quarantined", "passed", "warned", "failed", "seconds", ""):
            table.add_column(name, justify="left" if name in ("day", "") else "right")
        for day in days:
            table.add_row(
                day["partition"],
                *(f"{day[name]:,}" for name in ("rows_in", "published", "quarantined")),
                *(str(day[name]) for name in ("passed", "warned", "failed")),
                f"{day['seconds']:.1f}",
                day["result"],
            )
        _print(table)
    _totals(found, days)


def _days(found: Outcome) -> list[dict[str, Any]]:
    ends = set(found.work.last)
    days = []
    for partition in found.work.partitions:
        audits = [audit for audit in found.audits if audit.partition == partition]
        final = [audit for audit in audits if audit.address in ends]
        results = {audit.result for audit in audits}
        if Result.BLOCKED in results:
            result = "blocked"
        elif Result.HELD in results:
            result = "held"
        elif not final:
            result = "not reached"
        else:
            result = "published" if Result.PUBLISHED in results else "unchanged"
        days.append(
            {
                "partition": partition,
                "rows_in": sum(audit.rows_in for audit in final),
                "published": sum(audit.rows_published for audit in final),
                "quarantined": sum(audit.rows_quarantined for audit in final),
                "passed": sum(audit.passed for audit in audits),
                "warned": sum(audit.warned for audit in audits),
                "failed": sum(audit.failed for audit in audits),
                "seconds": sum(audit.seconds for audit in audits),
                "result": result,
            }
        )
    return days


def _totals(found: Outcome, days: Sequence[Mapping[str, Any]]) -> None:
    new = sum(day["result"] == "published" for day in days)
    stopped = [audit for audit in found.audits if audit.result in (Result.BLOCKED, Result.HELD)]
    whole = [audit for audit in found.audits if audit.partition is None]
    changed = [audit for audit in whole if audit.result is Result.PUBLISHED]
    if days:
        published = sum(day["published"] for day in days)
        kept_out = sum(day["quarantined"] for day in days)
        _out.print(
            f"{len(days)} days: {sum(day['rows_in'] for day in days):,} rows in, {published:,} published,"
            f" {kept_out:,} quarantined; {new} published anew."
        )
    if whole:
        _out.print(
            f"{len(whole)} reference tables: {sum(a.rows_published for a in whole):,} rows;"
            f" {len(changed)} published anew."
        )
    for name, partitions in sorted(found.marts.items()):
        _out.print(f"Built {escape(name)}" + (f" ({partitions} days)." if partitions > 1 else "."))
    if found.marts_current:
        _out.print(f"Up to date: {escape(', '.join(sorted(found.marts_current)))}.")
    if found.good and not new and not changed and not found.marts:
        _out.print("Nothing has changed since the last run, so nothing new was published.")
    _out.print(f"Took {found.seconds:.0f} s.")
    for audit in stopped:
        where = f"{audit.address}" + (f" {audit.partition}" if audit.partition else "")
        why = [*audit.reasons, *([waits(audit.hold)] if audit.hold is not None else [])]
        word = f"[red]{audit.result.value}[/red]"
        _out.print(f"{word} {escape(where)}: {escape(' '.join(why))}", soft_wrap=True)
    for failure in found.failures:
        _out.print(
            f"[red]failed[/red] run {failure.run_id}: {escape(failure.why)}\n  log: {escape(str(failure.log))}",
            soft_wrap=True,
        )
    _out.print(
        "Next: [bold]make ui[/bold] shows the runs and the asset graph;"
        " [bold]sluice quarantine list[/bold] the rows kept out."
    )


def _as_json(found: Outcome, days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "correlation_id": found.correlation_id,
        "good": found.good,
        "seconds": round(found.seconds, 3),
        "days": list(days),
        "batches": [
            {
                "table": str(audit.address),
                "partition": audit.partition,
                "result": audit.result.value,
                "rows_in": audit.rows_in,
                "published": audit.rows_published,
                "quarantined": audit.rows_quarantined,
                "passed": audit.passed,
                "warned": audit.warned,
                "failed": audit.failed,
                "seconds": round(audit.seconds, 3),
                "reasons": list(audit.reasons),
                "hold": audit.hold,
            }
            for audit in found.audits
        ],
        "marts": {"built": dict(found.marts), "up_to_date": sorted(found.marts_current)},
        "failures": [
            {"run_id": failure.run_id, "why": failure.why, "log": str(failure.log)} for failure in found.failures
        ],
    }

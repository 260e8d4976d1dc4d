"""``sluice backfill``: what is missing, what a night would do about it, doing it now, and what is remembered."""

import datetime as dt
import getpass
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dagster_sluice.backfills.budget import Order
from dagster_sluice.backfills.heat import LEGEND, strips
from dagster_sluice.backfills.launching import cancel_backfill
from dagster_sluice.backfills.memory import Nights
from dagster_sluice.backfills.night import Draft
from dagster_sluice.backfills.partitions import listed
from dagster_sluice.backfills.tables import Fillable, fillable_tables
from dagster_sluice.backfills.words import duration_words, plan_rows, plan_words
from dagster_sluice.cli import display
from dagster_sluice.cli.backfill_session import opened_session, opened_state
from dagster_sluice.cli.instance import opened_instance
from dagster_sluice.cli.location import Location, load_location
from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.reports.page import strips_page

__all__ = ["app"]

app = typer.Typer(help="Gaps, and what fills them.", no_args_is_help=True)

_Name = Annotated[
    str | None, typer.Argument(metavar="[PLANNER]", help="A nightly backfill of the project; its only one by default.")
]
_Select = Annotated[str | None, typer.Option("--select", help="Dagster's asset selection, instead of the planner's.")]
_Window = Annotated[str | None, typer.Option("--window", help="How far back to look: 30d, 12h, or all.")]
_Budget = Annotated[int | None, typer.Option("--budget", min=0, help="At most so many partitions.")]
_Order = Annotated[Order | None, typer.Option("--order", help="Which gaps come first.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Table = Annotated[str, typer.Argument(help="The asset, as the UI writes it.")]
_Partitions = Annotated[list[str] | None, typer.Option("--partition", "-p", help="A partition; may be repeated.")]

_MOST_TOLD = 20


@app.callback()
def _backfill() -> None:
    """Gaps, and what fills them."""


@app.command()
def plan(
    name: _Name = None,
    select: _Select = None,
    window: _Window = None,
    budget: _Budget = None,
    order: _Order = None,
    as_json: _Json = False,
) -> None:
    """Show what a night would do now: each gap, the reason and the decision. Changes nothing but memory."""
    with opened_session(name, select, window, budget, order) as session:
        draft = session.drafted()
    if as_json:
        print(json.dumps(_as_json(draft), indent=2, ensure_ascii=False))
        return
    display.listing(list(plan_rows(draft.plan)), as_json=False, empty="There is no gap.")
    if draft.plan.counts():
        took = f" About {duration_words(draft.plan.seconds)} of work." if draft.plan.seconds else ""
        display.note(plan_words(draft.plan) + took)


@app.command()
def run(
    name: _Name = None,
    select: _Select = None,
    window: _Window = None,
    budget: _Budget = None,
    order: _Order = None,
    daemon: Annotated[bool, typer.Option("--daemon", help="Hand one plan to Dagster's daemon, and follow it.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="With --daemon: whether to follow it.")] = True,
    as_json: _Json = False,
) -> None:
    """Fill the gaps now, as a real backfill that the UI shows and cancels; no daemon is needed.

    Exits with 0 if every gap that could be filled is, 1 if something failed, was left undone or was canceled.
    """
    with opened_session(name, select, window, budget, order) as session:
        found = session.hand_over(wait=wait) if daemon else session.run()
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif wait or not found["backfills"]:
        _tell(found)
    if found["failed"] or found["undone"] or found["canceled"]:
        raise typer.Exit(1)


@app.command()
def report(
    name: _Name = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to.")] = Path("backfill.html"),
    select: _Select = None,
    window: _Window = None,
) -> None:
    """Write how all partitions stand as one HTML page, a strip for each table, that needs no network."""
    with opened_session(name, select, window, None, None) as session:
        draft = session.drafted()
    made = f"{draft.plan.made_at:%Y-%m-%d %H:%M} UTC"
    page = strips_page(
        session.planner.name,
        f"As of {made}: {plan_words(draft.plan)}",
        strips(draft.plan, draft.known.facts, draft.known.records),
        LEGEND,
    )
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as failure:
        raise SettingError(
            "The report cannot be written.", culprits=[Culprit(file=output, problem=f"{failure.strerror}.")]
        ) from failure
    display.note(f"Written: {output.resolve()}")


@app.command()
def status(as_json: _Json = False) -> None:
    """Show what is remembered: open plans, partitions that failed, parked ones, open circuits."""
    with opened_instance(), opened_state() as state:
        nights = Nights(state)
        plans = [
            {
                "plan": one.id,
                "planner": one.planner,
                "backfill": one.backfill_id,
                "made_at": one.made_at.isoformat(timespec="seconds"),
                "partitions": len(one.claims),
            }
            for one in nights.open_plans()
        ]
        failed = [
            {
                "table": table,
                "partition": partition,
                "failures": record.failures,
                "class": record.kind.value,
                "message": record.message,
                "state": "parked" if record.parked_at else f"waits until {record.next_at:%Y-%m-%d %H:%M %Z}",
            }
            for (table, partition), record in nights.attempts().items()
        ]
        circuits = [
            {"table": table, "open_since": circuit.opened_at.isoformat(timespec="seconds"), "why": circuit.signature}
            for table, circuit in nights.circuits().items()
            if circuit.opened_at
        ]
    if as_json:
        print(json.dumps({"plans": plans, "failed": failed, "circuits": circuits}, indent=2, ensure_ascii=False))
        return
    display.listing(plans, as_json=False, empty="No plan is open.", title="Open plans")
    display.listing(failed, as_json=False, empty="No partition is remembered as failed.", title="Failed partitions")
    if circuits:
        display.listing(circuits, as_json=False, empty="", title="Open circuits")


@app.command()
def cancel(backfill: Annotated[str, typer.Argument(help="The backfill's id, as `status` or the UI shows it.")]) -> None:
    """Cancel a backfill, as the UI does. What it leaves undone is a gap again."""
    with opened_instance() as instance:
        if not cancel_backfill(instance, backfill):
            raise SettingError(
                "There is nothing to cancel.",
                culprits=[Culprit(where=backfill, problem="is no backfill that is under way.")],
                mend="`sluice backfill status` shows those that are.",
            )
    display.note(f"Backfill {backfill} is being canceled.")


@app.command()
def release(table: _Table, partition: _Partitions = None) -> None:
    """Let parked partitions of a table be tried again, and close its circuit."""
    with opened_instance(), opened_state() as state:
        nights = Nights(state)
        if not nights.attempts([table]) and not nights.circuits([table]):
            # What is remembered may be of a table that the project has no more; what is not is perhaps misspelt.
            _known(table, load_location(Path.cwd()))
        freed = nights.release(table, partition)
    if not freed:
        display.note(f"Nothing of {table} is remembered as failed.")
        return
    count = f"{len(freed):,} partition{'s' if len(freed) > 1 else ''}"
    more = f" and {len(freed) - _MOST_TOLD:,} more" if len(freed) > _MOST_TOLD else ""
    told = ", ".join(one or "whole" for one in freed[:_MOST_TOLD])
    display.note(f"{count} of {table} may be tried again: {told}{more}.")


@app.command()
def request(
    table: _Table, partition: _Partitions = None, why: Annotated[str, typer.Option(help="For the record.")] = ""
) -> None:
    """Ask for partitions of a table to be made again by the next backfill, whatever their state."""
    with opened_instance() as instance, opened_state() as state:
        definition = _known(table, load_location(Path.cwd())).definition
        now = dt.datetime.now(dt.timezone.utc)
        keys = listed(definition, instance=instance, now=now).number
        wanted = partition or ([""] if definition is None else [])
        wrong = [Culprit(where=key, problem=f"is no partition of {table}.") for key in wanted if key not in keys]
        if wrong or not wanted:
            raise SettingError("These partitions cannot be asked for.", culprits=wrong, mend="Name them with -p.")
        Nights(state).request([(table, key) for key in wanted], by=getpass.getuser(), why=why, at=now)
    display.note(f"Asked for: {table} {', '.join(key or 'whole' for key in wanted)}.")


def _known(table: str, location: Location) -> Fillable:
    repository = location.repository
    known = {one.name: one for one in fillable_tables(repository.asset_graph, repository.assets_defs_by_key.values())}
    if table not in known:
        raise SettingError(
            "There is no such table in this project.",
            culprits=[Culprit(where=one, problem="is one that there is.") for one in sorted(known)],
        )
    return known[table]


def _tell(found: dict[str, Any]) -> None:
    if not found["backfills"]:
        left = ", ".join(f"{count:,} {words}" for words, count in found["left"].items())
        display.note(f"Nothing to fill now: {left}." if left else "There is no gap.")
        return
    told = ", ".join(f"{found[state]:,} {state}" for state in ("done", "failed", "undone") if found[state])
    display.note(
        f"{told or 'Nothing done'}, in {'backfill' if len(found['backfills']) == 1 else 'backfills'} "
        f"{', '.join(found['backfills'])}{', canceled' if found['canceled'] else ''}."
    )
    if found["left"]:
        display.note("Left: " + ", ".join(f"{count:,} {words}" for words, count in found["left"].items()) + ".")
    if found["failed"]:
        display.note("`sluice backfill status` tells why.")


def _as_json(draft: Draft) -> dict[str, Any]:
    return {
        "made_at": draft.plan.made_at.isoformat(),
        "night": draft.night.isoformat(),
        "seconds": draft.plan.seconds,
        "counts": {decision.words: count for decision, count in draft.plan.counts().items()},
        "gaps": [
            {
                "table": row.table,
                "partition": row.partition,
                "reasons": list(row.reasons.words),
                "decision": row.decision.words,
                "note": row.note,
            }
            for row in draft.plan.rows()
        ],
    }

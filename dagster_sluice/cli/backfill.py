"""``sluice backfill``: what is missing, what a night would do about it, doing it now, and what is remembered."""

import datetime as dt
import getpass
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
import typer

from dagster_sluice.backfills.budget import Hours, Order
from dagster_sluice.backfills.night import Draft, Planner, Settled, new_backfill_id
from dagster_sluice.backfills.plan import Decision
from dagster_sluice.backfills.schedule import NightlyBackfill, nightly_backfills
from dagster_sluice.backfills.words import duration_words, plan_rows, plan_words, settled_words
from dagster_sluice.cli import display
from dagster_sluice.cli.backfilling import DirectBackfill, end_abandoned
from dagster_sluice.cli.database import opened_warehouse
from dagster_sluice.cli.instance import opened_instance
from dagster_sluice.cli.location import Location, load_location
from dagster_sluice.cli.worker import fail_abandoned
from dagster_sluice.embedded import sluice_home
from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.state import State
from dagster_sluice.warehouse import Warehouse

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

_MOST_WAVES = 50


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
    with _session(name, select, window, budget, order) as session:
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
    daemon: Annotated[
        bool, typer.Option("--daemon", help="Hand one plan to Dagster's daemon, and do not wait.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Fill the gaps now, as a real backfill that the UI shows and cancels; no daemon is needed.

    Exits with 0 if every gap that could be filled is, 1 if something failed or was canceled.
    """
    with _session(name, select, window, budget, order) as session:
        if daemon:
            session.hand_over()
            return
        found = session.run()
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _tell(found)
    if found["failed"] or found["canceled"]:
        raise typer.Exit(1)


@app.command()
def report(
    name: _Name = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to.")] = Path("backfill.html"),
    select: _Select = None,
    window: _Window = None,
) -> None:
    """Write how all partitions stand as one HTML page, a strip for each table, that needs no network."""
    from dagster_sluice.backfills.heat import LEGEND, strips
    from dagster_sluice.reports.page import strips_page

    with _session(name, select, window, None, None) as session:
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
    with opened_instance(), _state() as state:
        from dagster_sluice.backfills.memory import Nights

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
    from dagster_sluice.backfills.launching import cancel_backfill

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
    with opened_instance(), _state() as state:
        from dagster_sluice.backfills.memory import Nights

        freed = Nights(state).release(table, partition)
    if not freed:
        display.note(f"Nothing of {table} is remembered as failed.")
        return
    display.note(f"{len(freed):,} partitions of {table} may be tried again: {', '.join(freed[:20])}.")


@app.command()
def request(
    table: _Table, partition: _Partitions = None, why: Annotated[str, typer.Option(help="For the record.")] = ""
) -> None:
    """Ask for partitions of a table to be made again by the next backfill, whatever their state."""
    with opened_instance() as instance, _state() as state:
        from dagster_sluice.backfills.memory import Nights
        from dagster_sluice.backfills.partitions import listed
        from dagster_sluice.backfills.tables import fillable_tables

        repository = load_location(Path.cwd()).repository
        found = fillable_tables(repository.asset_graph, repository.assets_defs_by_key.values())
        known = {one.name: one for one in found}
        if table not in known:
            raise SettingError(
                "There is no such table in this project.",
                culprits=[Culprit(where=one, problem="is one that there is.") for one in sorted(known)],
            )
        now = dt.datetime.now(dt.timezone.utc)
        keys = listed(known[table].definition, instance=instance, now=now).number
        wanted = partition or ([""] if known[table].definition is None else [])
        wrong = [Culprit(where=key, problem=f"is no partition of {table}.") for key in wanted if key not in keys]
        if wrong or not wanted:
            raise SettingError("These partitions cannot be asked for.", culprits=wrong, mend="Name them with -p.")
        Nights(state).request([(table, key) for key in wanted], by=getpass.getuser(), why=why, at=now)
    display.note(f"Asked for: {table} {', '.join(key or 'whole' for key in wanted)}.")


@contextmanager
def _state() -> Iterator[State]:
    state = State()
    try:
        yield state
    finally:
        state.close()


class _Session:
    def __init__(self, planner: Planner, location: Location, warehouse: Warehouse) -> None:
        self.planner = planner
        self.location = location
        self.warehouse = warehouse

    def drafted(self) -> Draft:
        self.settle()
        draft = self.planner.draft(dt.datetime.now(dt.timezone.utc))
        if draft is None:
            raise RuntimeError("a command line has no hours")
        return draft

    def settle(self) -> None:
        for abandoned in fail_abandoned(self.planner.instance):
            display.note(f"Run {abandoned[:8]} had died without a word; it is marked as failed.")
        now = dt.datetime.now(dt.timezone.utc)
        for settled in [*end_abandoned(self.planner, now), *self.planner.settle(now)]:
            _say(settled)

    def run(self) -> dict[str, Any]:
        """Wave after wave: what waited for something upstream comes once that is there."""
        found: dict[str, Any] = {"done": 0, "failed": 0, "undone": 0, "canceled": False, "backfills": [], "left": {}}
        for _ in range(_MOST_WAVES):
            draft = self.drafted()
            backfill_id = new_backfill_id()
            correlation_id = f"backfill-{backfill_id}"
            claimed = self.planner.claim(draft, backfill_id=backfill_id, correlation_id=correlation_id)
            if claimed is None:
                break
            found["backfills"].append(backfill_id)
            direct = DirectBackfill(
                self.planner,
                draft,
                claimed,
                location=self.location,
                backfill_id=backfill_id,
                correlation_id=correlation_id,
                logs=sluice_home() / "logs",
            )
            with display.progress("filling", claimed.count, remaining=True) as bar, _interruptible():
                try:
                    canceled = direct.run(lambda: bar.reach(len(self.warehouse.audits(correlation_id))))  # noqa: B023
                except KeyboardInterrupt:
                    display.note("Stopping the backfill…")
                    direct.stop()
                    direct.end(canceled=True)
                    raise
                settled = direct.end(canceled=canceled)
                if settled is not None:
                    bar.reach(settled.counts()["done"])
            if settled is not None:
                _say(settled, quiet=not settled.parked and not settled.opened)
                for state, count in settled.counts().items():
                    found[state] += count
            if canceled:
                found["canceled"] = True
                break
            self._spend(claimed.count)
        counts = draft.plan.counts()
        found["left"] = {
            decision.words: count for decision, count in counts.items() if decision is not Decision.PLANNED
        }
        return found

    def hand_over(self) -> None:
        """Launch one plan's backfill for the daemon."""
        now = dt.datetime.now(dt.timezone.utc)
        draft = self.drafted()
        backfill_id = new_backfill_id()
        correlation_id = f"backfill-{backfill_id}"
        claimed = self.planner.claim(draft, backfill_id=backfill_id, correlation_id=correlation_id)
        if claimed is None:
            display.note(plan_words(draft.plan))
            return
        self.planner.launch(claimed, backfill_id=backfill_id, correlation_id=correlation_id, at=now)
        display.note(f"Backfill {backfill_id} was handed to the daemon: {claimed.count:,} partitions.")

    def _spend(self, count: int) -> None:
        """What one wave took is not there for the next."""
        rules = self.planner.rules
        if rules.budget.partitions is not None:
            left = max(0, rules.budget.partitions - count)
            self.planner.rules = replace(rules, budget=replace(rules.budget, partitions=left))


@contextmanager
def _session(
    name: str | None, select: str | None, window: str | None, budget: int | None, order: Order | None
) -> Iterator[_Session]:
    with opened_instance() as instance, opened_warehouse() as warehouse, _state() as state:
        location = load_location(Path.cwd())
        declared = _declared(location, name, select)
        # A person decides when and how much; a night's limits are for nights.
        rules = replace(
            declared.rules, hours=Hours(), budget=replace(declared.rules.budget, partitions=budget, minutes=None)
        )
        if window is not None:
            rules = replace(rules, window=_duration(window))
        if order is not None:
            rules = replace(rules, order=order)
        planner = replace(declared, rules=rules).planner(
            location.repository, instance, lambda _: warehouse, state, nightly=False
        )
        yield _Session(planner, location, warehouse)


def _declared(location: Location, name: str | None, select: str | None) -> NightlyBackfill:
    found = nightly_backfills(
        [
            *(one.name for one in location.repository.schedule_defs),
            *(one.name for one in location.repository.sensor_defs),
        ]
    )
    if name is not None:
        chosen = [one for one in found if one.name == name]
        if not chosen:
            raise SettingError(
                f"There is no nightly backfill {name!r} in this project.",
                culprits=[Culprit(where=one.name, problem="is one that there is.") for one in found],
            )
    else:
        chosen = found
    if select is not None:
        base = chosen[0] if len(chosen) == 1 else None
        selection = _selection(select)
        # Its own budget and name: what a person asks for is no part of the night's.
        rules = base.rules if base else NightlyBackfill(name="", selection=selection).rules
        return NightlyBackfill(name="sluice backfill", selection=selection, rules=rules)
    if not chosen:
        return NightlyBackfill(name="sluice backfill", selection=dg.AssetSelection.all())
    if len(chosen) > 1:
        raise SettingError(
            "The project has several nightly backfills.",
            culprits=[Culprit(where=one.name, problem="is one of them.") for one in chosen],
            mend="Name one, or give --select.",
        )
    return replace(chosen[0], name=f"{chosen[0].name} by hand")


def _selection(text: str) -> dg.AssetSelection:
    try:
        return dg.AssetSelection.from_string(text)
    except (dg.DagsterError, ValueError) as failure:
        raise SettingError(
            "The selection cannot be read.", culprits=[Culprit(where=text, problem=str(failure).splitlines()[0])]
        ) from failure


def _duration(text: str) -> dt.timedelta | None:
    if text == "all":
        return None
    found = re.fullmatch(r"(\d{1,6})([dh])", text)
    if found is None:
        raise SettingError(
            "The window cannot be read.",
            culprits=[Culprit(where=text, problem="is no number of days (30d) or hours (12h), nor all.")],
        )
    count = int(found[1])
    return dt.timedelta(days=count) if found[2] == "d" else dt.timedelta(hours=count)


@contextmanager
def _interruptible() -> Iterator[None]:
    import signal

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(settled: Settled, *, quiet: bool = False) -> None:
    for line in settled_words(settled):
        if not quiet:
            display.note(line)


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

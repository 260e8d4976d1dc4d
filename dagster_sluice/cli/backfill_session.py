"""What a ``sluice backfill`` command works with: a planner of the project, and carrying out what it plans."""

import datetime as dt
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_sluice.backfills.budget import Hours, Order
from dagster_sluice.backfills.claims import Claimed
from dagster_sluice.backfills.direct import settle_all
from dagster_sluice.backfills.launching import was_canceled
from dagster_sluice.backfills.night import Draft, Planner, Settled, new_backfill_id
from dagster_sluice.backfills.plan import Decision
from dagster_sluice.backfills.schedule import NightlyBackfill, nightly_backfills
from dagster_sluice.backfills.words import settled_words
from dagster_sluice.cli import display
from dagster_sluice.cli.backfilling import DirectBackfill
from dagster_sluice.cli.database import opened_warehouse
from dagster_sluice.cli.handover import follow_backfill, require_daemon
from dagster_sluice.cli.instance import opened_instance
from dagster_sluice.cli.location import Location, load_location
from dagster_sluice.embedded import sluice_home
from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.state import State
from dagster_sluice.warehouse import Warehouse

__all__ = ["Session", "opened_session", "opened_state"]

_MOST_WAVES = 50


@contextmanager
def opened_state() -> Iterator[State]:
    """What sluice remembers."""
    state = State()
    try:
        yield state
    finally:
        state.close()


class Session:
    """A planner of the project in the current directory, with what it takes to carry out its plans."""

    def __init__(self, planner: Planner, location: Location, warehouse: Warehouse) -> None:
        self.planner = planner
        self.location = location
        self.warehouse = warehouse

    def drafted(self) -> Draft:
        """A plan of now, once it is known how the earlier ones ended."""
        self.settle()
        draft = self.planner.draft(dt.datetime.now(dt.timezone.utc))
        if draft is None:
            raise RuntimeError("a command line has no hours")
        return draft

    def settle(self) -> None:
        """Take into memory how the plans ended that are over, and tell it."""
        died, over = settle_all(self.planner, dt.datetime.now(dt.timezone.utc))
        for abandoned in died:
            display.note(f"Run {abandoned[:8]} had died without a word; it is marked as failed.")
        for settled in over:
            _say(settled)

    def run(self) -> dict[str, Any]:
        """Wave after wave: what waited for something upstream comes once that is there."""
        found = _nothing()
        for _ in range(_MOST_WAVES):
            draft = self.drafted()
            backfill_id = new_backfill_id()
            correlation_id = f"backfill-{backfill_id}"
            claimed = self.planner.claim(draft, backfill_id=backfill_id, correlation_id=correlation_id)
            if claimed is None:
                # What one wave left undone, a later one did; or the plan says what it waits for.
                found["undone"] = 0
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
                counts = self._count(found, claimed)
                bar.reach(counts["done"])
            if settled is not None:
                _say(settled, quiet=not settled.parked and not settled.opened)
            if canceled:
                found["canceled"] = True
                break
            if not counts["done"] and not counts["failed"]:
                # Nothing was so much as begun: the next wave would fare no better.
                display.note(f"Nothing could be begun; {direct.logs} may tell why.")
                break
            self._spend(claimed.count)
        found["left"] = _left(draft)
        return found

    def hand_over(self, *, wait: bool) -> dict[str, Any]:
        """Launch one plan's backfill for the daemon, and wait for its end."""
        instance = self.planner.instance
        require_daemon(instance)
        now = dt.datetime.now(dt.timezone.utc)
        draft = self.drafted()
        found = {**_nothing(), "left": _left(draft)}
        backfill_id = new_backfill_id()
        correlation_id = f"backfill-{backfill_id}"
        claimed = self.planner.claim(draft, backfill_id=backfill_id, correlation_id=correlation_id)
        if claimed is None:
            return found
        self.planner.launch(claimed, backfill_id=backfill_id, correlation_id=correlation_id, at=now)
        found["backfills"].append(backfill_id)
        display.note(f"Backfill {backfill_id} was handed to the daemon: {claimed.count:,} partitions.")
        if not wait:
            return found
        with display.progress("filling", claimed.count, remaining=True) as bar:
            try:
                follow_backfill(instance, backfill_id, lambda: bar.reach(len(self.warehouse.audits(correlation_id))))
            except KeyboardInterrupt:
                display.note(f"The daemon goes on; `sluice backfill cancel {backfill_id}` ends it.")
                raise
            self.settle()
            bar.reach(self._count(found, claimed)["done"])
        found["canceled"] = was_canceled(instance, backfill_id)
        return found

    def _count(self, found: dict[str, Any], claimed: Claimed) -> dict[str, int]:
        """Add how a plan's partitions ended, whoever wrote that down. What is undone is a gap for the next one."""
        counts = self.planner.nights.outcomes(claimed.plan_id)
        found["done"] += counts["done"]
        found["failed"] += counts["failed"]
        found["undone"] = counts["undone"]
        return counts

    def _spend(self, count: int) -> None:
        """What one wave took is not there for the next."""
        rules = self.planner.rules
        if rules.budget.partitions is not None:
            left = max(0, rules.budget.partitions - count)
            self.planner.rules = replace(rules, budget=replace(rules.budget, partitions=left))


@contextmanager
def opened_session(
    name: str | None, select: str | None, window: str | None, budget: int | None, order: Order | None
) -> Iterator[Session]:
    """Open the project, its instance, its warehouse and its memory.

    Args:
        name: A nightly backfill of the project; its only one by default.
        select: Dagster's asset selection, instead of the planner's.
        window: How far back to look: ``30d``, ``12h`` or ``all``; the planner's by default.
        budget: At most so many partitions; no limit by default.
        order: Which gaps come first; the planner's by default.

    Raises:
        SettingError: One of them is wrong, or there is no project here.
    """
    with opened_instance() as instance, opened_warehouse() as warehouse, opened_state() as state:
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
        yield Session(planner, location, warehouse)


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


def _nothing() -> dict[str, Any]:
    return {"done": 0, "failed": 0, "undone": 0, "canceled": False, "backfills": [], "left": {}}


def _left(draft: Draft) -> dict[str, int]:
    counts = draft.plan.counts()
    return {decision.words: count for decision, count in counts.items() if decision is not Decision.PLANNED}

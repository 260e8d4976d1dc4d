"""One planner: settle what earlier plans did, find the gaps, plan, claim. What the faces are made of."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_sluice.backfills.attempts import RetryRules, standing
from dagster_sluice.backfills.budget import Budget, Hours, Order
from dagster_sluice.backfills.circuit import CircuitRules
from dagster_sluice.backfills.claims import Claim, Claimed, OpenPlan
from dagster_sluice.backfills.evidence import Ending, Evidence, endings
from dagster_sluice.backfills.finder import find_gaps
from dagster_sluice.backfills.happenings import attempts_of
from dagster_sluice.backfills.launching import BackfillState, backfill_state, launch
from dagster_sluice.backfills.memory import Nights
from dagster_sluice.backfills.partitions import listed
from dagster_sluice.backfills.plan import Plan
from dagster_sluice.backfills.planner import Memory, make_plan
from dagster_sluice.backfills.reading import Known, read_facts
from dagster_sluice.backfills.settlement import learn
from dagster_sluice.backfills.tables import Fillable, by_warehouse
from dagster_sluice.tables.asset_events import materialized
from dagster_sluice.tables.naming import CORRELATION_TAG
from dagster_sluice.warehouse import Warehouse

if TYPE_CHECKING:
    from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

__all__ = ["Draft", "Planner", "Rules", "Settled", "new_backfill_id"]

_UNLAUNCHED = dt.timedelta(minutes=10)
"""A plan without a backfill is being launched for so long; after that, its planner has died."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a planner works.

    Attributes:
        budget: What a night may cost.
        hours: When it is night.
        order: Which gaps come first.
        window: Partitions that began longer ago are not looked at; ``None`` for all.
        retry: When a partition that failed is tried again.
        breaker: When a table's circuit opens.
    """

    budget: Budget = field(default_factory=Budget)
    hours: Hours = field(default_factory=Hours)
    order: Order = Order.NEWEST
    window: dt.timedelta | None = dt.timedelta(days=30)
    retry: RetryRules = field(default_factory=RetryRules)
    breaker: CircuitRules = field(default_factory=CircuitRules)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A plan that has claimed nothing yet.

    Attributes:
        plan: The plan.
        known: What it was made from.
        night: When this night began.
        seconds: How long one partition of each table took lately.
    """

    plan: Plan
    known: Known
    night: dt.datetime
    seconds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Settled:
    """An earlier plan that is over.

    Attributes:
        plan: The plan.
        ending: How its partitions ended.
        parked: Partitions that were parked by it.
        opened: Tables whose circuit it opened.
    """

    plan: OpenPlan
    ending: Ending
    parked: Sequence[tuple[str, str]]
    opened: Sequence[str]

    def counts(self) -> dict[str, int]:
        """How many partitions are done, failed and undone."""
        found = {"done": 0, "failed": 0, "undone": 0}
        for state in self.ending.states.values():
            found[state] += 1
        return found


class Planner:
    """Plans the backfills of some tables.

    Args:
        name: The planner's: its budget is counted by it.
        tables: The tables, upstream first.
        everything: All tables of the code location: plans of other planners are settled too.
        graph: The assets.
        instance: Dagster's instance.
        warehouse: Gives the warehouse of a resource key.
        nights: The memory.
        rules: How it works.
        nightly: The budget is that of a night; otherwise that of each plan.
    """

    def __init__(
        self,
        name: str,
        *,
        tables: Sequence[Fillable],
        everything: Sequence[Fillable] | None = None,
        graph: BaseAssetGraph[Any],
        instance: dg.DagsterInstance,
        warehouse: Callable[[str], Warehouse],
        nights: Nights,
        rules: Rules | None = None,
        nightly: bool = True,
    ) -> None:
        self._nightly = nightly
        self.name = name
        self.rules = rules or Rules()
        self.graph = graph
        self.instance = instance
        self.nights = nights
        self.tables = {table.name: table for table in tables}
        self._everything = {table.name: table for table in everything or tables}
        self._warehouse = warehouse

    def only(self, reasons: Sequence[str]) -> None:
        """Let only these reasons count, whatever the rules of the tables say."""
        self.tables = {
            name: replace(table, rules=replace(table.rules, reasons=tuple(reasons)))
            for name, table in self.tables.items()
        }

    def known_key(self, table: str) -> dg.AssetKey:
        """The asset of a table of the code location."""
        return self._everything[table].key

    def settle(self, now: dt.datetime) -> list[Settled]:
        """Take into memory how the plans ended whose backfills are over."""
        found = []
        for plan in self.nights.open_plans():
            if self._over(plan, now):
                settled = self.settle_one(plan, now)
                if settled is not None:
                    found.append(settled)
        return found

    def settle_one(self, plan: OpenPlan, now: dt.datetime) -> Settled | None:
        """Take into memory how one plan ended; ``None`` if somebody else did."""
        tables = [
            self._everything[name] for name in sorted({claim.table for claim in plan.claims} & {*self._everything})
        ]
        ending = endings(plan, self._evidence(tables, now), attempts_of(self.instance, plan.backfill_id))
        names = [table.name for table in tables]
        learned = learn(
            ending.outcomes,
            records=self.nights.attempts(names),
            circuits=self.nights.circuits(names),
            retry=self.rules.retry,
            breaker=self.rules.breaker,
            chance=random.random,
        )
        done = [one for one, state in ending.states.items() if state == "done"]
        if not self.nights.settle(plan.id, ending.states, learned, done=done, at=now):
            return None
        return Settled(plan=plan, ending=ending, parked=learned.parked, opened=learned.opened)

    def draft(self, now: dt.datetime) -> Draft | None:
        """A plan for this night; ``None`` if it is not night."""
        night = self.rules.hours.night(now)
        if night is None:
            return None
        begin, end = night
        tables = list(self.tables.values())
        known = read_facts(
            tables,
            graph=self.graph,
            instance=self.instance,
            warehouse=self._warehouse,
            nights=self.nights,
            now=now,
            window=self.rules.window,
        )
        seconds = self._seconds(tables)
        names = list(self.tables)
        opened = [name for name, circuit in self.nights.circuits(names).items() if circuit.open]
        tried = self.nights.probed(opened, begin)
        standings: dict[str, dict[str, Any]] = {}
        for (table, partition), record in known.records.items():
            inputs = known.inputs(table, partition)
            standings.setdefault(table, {})[partition] = standing(record, now=now, inputs=inputs)
        endless = self.rules.hours.begin == self.rules.hours.end
        plan = make_plan(
            find_gaps(known.facts),
            budget=self.rules.budget,
            now=now,
            order=self.rules.order,
            memory=Memory(
                standings=standings,
                probes={name: 0 if tried.get(name) else 1 for name in opened},
                seconds=seconds,
            ),
            spent=self.nights.spent(self.name, begin) if self._nightly else None,
            seconds_left=None if endless else (end - now).total_seconds(),
        )
        return Draft(plan=plan, known=known, night=begin, seconds=seconds)

    def claim(self, draft: Draft, *, backfill_id: str, correlation_id: str) -> Claimed | None:
        """Write a plan down and take its partitions; ``None`` if there is nothing, or others were faster."""
        plan = draft.plan
        wanted = [
            Claim(
                table=table.table,
                partition=table.keys[int(position)],
                reasons=int(table.reasons[position]),
                inputs=draft.known.inputs(table.table, table.keys[int(position)]),
            )
            for table in plan.tables
            for position in table.planned
        ]
        if not wanted:
            return None
        return self.nights.claim(
            wanted,
            planner=self.name,
            backfill_id=backfill_id,
            correlation_id=correlation_id,
            night=draft.night,
            made_at=plan.made_at,
            seconds=plan.seconds,
            summary={decision.words: count for decision, count in plan.counts().items()},
        )

    def launch(self, claimed: Claimed, *, backfill_id: str, correlation_id: str, at: dt.datetime) -> None:
        """Hand what was claimed to Dagster as a backfill."""
        launch(
            self.instance,
            self.graph,
            backfill_id=backfill_id,
            partitions={self.tables[name].key: keys for name, keys in claimed.partitions.items()},
            at=at,
            tags=self.tags(claimed, correlation_id),
            title=f"{self.name}: {claimed.count:,} partitions of {len(claimed.partitions)} tables",
            description=f"Planned by {self.name} (plan {claimed.plan_id}).",
        )
        self.nights.launched(claimed.plan_id, at=at)

    def tags(self, claimed: Claimed, correlation_id: str) -> dict[str, str]:
        """The tags of a plan's backfill and of its runs."""
        return {
            **self.rules.budget.tags,
            "sluice/planner": self.name,
            "sluice/plan": str(claimed.plan_id),
            CORRELATION_TAG: correlation_id,
        }

    def _over(self, plan: OpenPlan, now: dt.datetime) -> bool:
        state = backfill_state(self.instance, plan.backfill_id)
        if state is BackfillState.ABSENT:
            if plan.launched_at is not None or now - plan.made_at > _UNLAUNCHED:
                return True
            # The runs of a command that was killed before it launched its backfill.
            runs = self.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": plan.backfill_id}))
            return bool(runs) and all(run.is_finished for run in runs)
        return state is BackfillState.ENDED

    def _evidence(self, tables: Sequence[Fillable], now: dt.datetime) -> dict[str, Evidence]:
        events = materialized(self.instance, [table.key for table in tables if table.declared is None])
        found = {}
        for table in tables:
            numbers = listed(table.definition, instance=self.instance, now=now).number
            if table.declared is None:
                found[table.name] = Evidence(numbers=numbers, computed=events[table.key])
        for resource, codes in by_warehouse(tables).items():
            ledgers = self._warehouse(resource).ledgers(dict.fromkeys(codes, ""))
            for address, ledger in ledgers.items():
                table = codes[address]
                found[table.name] = Evidence(
                    numbers=listed(table.definition, instance=self.instance, now=now).number,
                    computed=dict(zip(map(str, ledger.partitions.to_pylist()), ledger.computed.tolist(), strict=True)),
                    stopped={key: (one.judged_at, one.reasons) for key, one in ledger.stopped.items()},
                    isolates=True,
                )
        return found

    def _seconds(self, tables: Sequence[Fillable]) -> dict[str, float]:
        found: dict[str, float] = {}
        for resource, ours in by_warehouse(tables).items():
            durations = self._warehouse(resource).durations(list(ours))
            found |= {ours[address].name: seconds for address, seconds in durations.items()}
        return found


def new_backfill_id() -> str:
    """As Dagster's own look."""
    return uuid.uuid4().hex[:8]

"""Choose the gaps that a night fills. Pure: gaps, memory and budget in, a plan out."""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from dagster_sluice.backfills.attempts import Standing
from dagster_sluice.backfills.budget import Budget, Order, Spent
from dagster_sluice.backfills.gaps import Bools, Ints, Reason, TableGaps
from dagster_sluice.backfills.plan import Decision, Plan, TablePlan

__all__ = ["Memory", "make_plan"]

_PATIENCE = 1_000
"""So many gaps in a row that do not fit into what is left of the budget end the search."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What earlier nights taught, by table.

    Attributes:
        standings: Of the partitions that failed before: whether they may be tried now.
        probes: Tables whose circuit is open, and how many partitions may still probe them tonight.
        seconds: How long one partition took, typically.
    """

    standings: Mapping[str, Mapping[str, Standing]] = field(default_factory=dict)
    probes: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


def make_plan(
    gaps: Mapping[str, TableGaps],
    *,
    budget: Budget,
    now: dt.datetime,
    memory: Memory | None = None,
    order: Order = Order.NEWEST,
    spent: Spent | None = None,
    seconds_left: float | None = None,
) -> Plan:
    """Choose the gaps to fill.

    The gaps that a gap is made of are planned before it; what the budget leaves undone of such a chain is its end. A
    partition that stands and is made of something planned follows it, if the budget allows.

    Args:
        gaps: By table, upstream tables first, as `find_gaps` gives them.
        budget: What a night may cost.
        now: The moment of planning, with a time zone.
        memory: What earlier nights taught.
        order: Which gaps come first.
        spent: What this night has cost already.
        seconds_left: Until the night ends; ``None`` for no limit.
    """
    return _Planner(gaps, budget, memory or Memory(), order, spent or Spent(), seconds_left).plan(now)


class _Planner:
    def __init__(
        self,
        gaps: Mapping[str, TableGaps],
        budget: Budget,
        memory: Memory,
        order: Order,
        spent: Spent,
        seconds_left: float | None,
    ) -> None:
        self.gaps = gaps
        self.budget = budget
        self.memory = memory
        self.order = order
        self.room = float("inf") if budget.partitions is None else max(0, budget.partitions - spent.partitions)
        self.time = (
            float("inf") if budget.minutes is None else max(0.0, budget.minutes * 60 * budget.runs - spent.seconds)
        )
        if seconds_left is not None:
            self.time = min(self.time, seconds_left * budget.runs)
        self.seconds = 0.0
        self.probes = dict(memory.probes)
        self.decisions: dict[str, Ints] = {name: np.zeros(len(one.reasons), np.int64) for name, one in gaps.items()}
        self.reasons: dict[str, Ints] = {name: one.reasons.copy() for name, one in gaps.items()}
        self.notes: dict[str, dict[int, str]] = {name: dict(one.unfillable) for name, one in gaps.items()}

    def plan(self, now: dt.datetime) -> Plan:
        for table, found in self.gaps.items():
            self._set_aside(table, found)
        weights = self._weights()
        misfits = 0
        for table, position in heapq.merge(
            *(self._candidates(name, weights) for name in self.gaps), key=self._rank(weights)
        ):
            if self.room < 1 or misfits >= _PATIENCE:
                break
            misfits = 0 if self._take(table, position) else misfits + 1
        for table, decisions in self.decisions.items():
            left = (self.reasons[table] > 0) & (decisions == Decision.NONE)
            decisions[left] = Decision.OVER_BUDGET
            self._mark_waiting_for_upstream(table, left)
        for table in self.gaps:
            self._follow(table, weights)
        return Plan(
            made_at=now,
            seconds=self.seconds,
            tables=tuple(
                TablePlan(
                    table=table,
                    keys=found.facts.keys,
                    reasons=self.reasons[table],
                    decisions=self.decisions[table],
                    notes=self.notes[table],
                    ranges=found.facts.ranges,
                    longest_range=self.budget.longest_range,
                )
                for table, found in self.gaps.items()
            ),
        )

    def _set_aside(self, table: str, found: TableGaps) -> None:
        """Decide on what memory and facts forbid."""
        decisions, facts = self.decisions[table], found.facts
        decisions[list(found.unfillable)] = Decision.UNFILLABLE
        decisions[(found.reasons > 0) & facts.running] = Decision.RUNNING
        standings = self.memory.standings.get(table)
        if not standings:
            return
        for position in np.flatnonzero((found.reasons > 0) & (decisions == Decision.NONE)):
            standing = standings.get(facts.keys[int(position)])
            # A person's request outweighs a pause and a parking.
            if standing is None or standing.free or found.reasons[position] & Reason.REQUESTED:
                continue
            decisions[position] = Decision.PARKED if standing.parked else Decision.WAITING
            if standing.waits_until:
                self.notes[table][int(position)] = f"until {standing.waits_until:%Y-%m-%d %H:%M %Z}"

    def _weights(self) -> dict[str, Ints]:
        """Per partition how many gaps wait for it, directly or not."""
        weights: dict[str, Ints] = {name: np.zeros(len(one.reasons), np.int64) for name, one in self.gaps.items()}
        if self.order is not Order.WANTED:
            return weights
        for table, found in reversed(list(self.gaps.items())):
            own = np.where(found.reasons > 0, weights[table] + 1, 0)
            for parent in found.facts.parents:
                if parent.table in weights:
                    weights[parent.table] += parent.spread(own, len(weights[parent.table]))
        return weights

    def _rank(self, weights: Mapping[str, Ints]) -> Callable[[tuple[str, int]], tuple[bool, int, int, int]]:
        depth = {name: number for number, name in enumerate(self.gaps)}
        # What is made of whatever there is comes when it is known what there will be.
        last = {name: any(one.optional for one in found.facts.parents) for name, found in self.gaps.items()}
        sign = 1 if self.order is Order.OLDEST else -1

        def rank(candidate: tuple[str, int]) -> tuple[bool, int, int, int]:
            table, position = candidate
            start = int(self.gaps[table].facts.starts[position])
            return last[table], -int(weights[table][position]), sign * start, depth[table]

        return rank

    def _candidates(self, table: str, weights: Mapping[str, Ints]) -> Iterator[tuple[str, int]]:
        """The open gaps of one table, in the order wanted."""
        open_ = np.flatnonzero((self.reasons[table] > 0) & (self.decisions[table] == Decision.NONE))
        for position in self._sorted(table, open_, weights):
            if self.decisions[table][position] == Decision.NONE:
                yield table, int(position)

    def _sorted(self, table: str, positions: Ints, weights: Mapping[str, Ints]) -> Ints:
        starts = self.gaps[table].facts.starts[positions]
        starts = starts if self.order is Order.OLDEST else -starts
        ordered: Ints = positions[np.lexsort((starts, -weights[table][positions]))]
        return ordered

    def _take(self, table: str, position: int) -> bool:
        """Plan one gap, what it is made of first, as far as the budget goes; whether anything was decided."""
        if self.decisions[table][position] != Decision.NONE:
            return True
        chain, cost = self._gather(table, position)
        if not chain:
            return bool(self.decisions[table][position])
        self._plan(chain, cost)
        return True

    def _plan(self, chain: Collection[tuple[str, int]], cost: float) -> None:
        for table, position in chain:
            self.decisions[table][position] = Decision.PLANNED
            if table in self.probes:
                self.probes[table] -= 1
        self.room -= len(chain)
        self.seconds += cost

    def _gather(self, table: str, position: int) -> tuple[dict[tuple[str, int], None], float]:
        """A gap and the gaps that it is made of, upstream first, as many as the budget takes, and what they cost.

        What is found to be impossible on the way is decided on.
        """
        chain: dict[tuple[str, int], None] = {}
        cost = 0.0
        path = {(table, position): None}
        while path:
            top = next(reversed(path))
            deeper, ready = self._upstream_of(*top, chain, path)
            if deeper is not None:
                path[deeper] = None
                continue
            del path[top]
            name, one = top
            if not ready:
                self.decisions[name][one] = Decision.UPSTREAM
            elif (
                self.probes.get(name, 1) - (sum(other == name for other, _ in chain) if name in self.probes else 0) < 1
            ):
                self.decisions[name][one] = Decision.CIRCUIT_OPEN
            else:
                price = self.memory.seconds.get(name, 0.0)
                if len(chain) + 1 > self.room or self.seconds + cost + price > self.time:
                    break
                chain[top] = None
                cost += price
        return chain, cost

    def _upstream_of(
        self, table: str, position: int, chain: Container[tuple[str, int]], path: Container[tuple[str, int]]
    ) -> tuple[tuple[str, int] | None, bool]:
        """An open gap that this partition is made of and that is not in hand yet; else whether all it needs is there."""
        ready = True
        for parent in self.gaps[table].facts.parents:
            upstream = self.gaps.get(parent.table)
            if upstream is None:
                continue
            if parent.optional:
                there = (upstream.facts.published > 0) | (self.decisions[parent.table] == Decision.PLANNED)
                ready = ready and bool(there[parent.positions(position)].any())
                continue
            for place in map(int, parent.positions(position)):
                one = (parent.table, place)
                if place < 0 or one in chain or self.decisions[parent.table][place] == Decision.PLANNED:
                    continue
                if self.decisions[parent.table][place] == Decision.NONE and self.reasons[parent.table][place]:
                    if one not in path:
                        return one, False
                elif upstream.facts.running[place] or not upstream.facts.published[place]:
                    ready = False
        return None, ready

    def _mark_waiting_for_upstream(self, table: str, left: Bools) -> None:
        """Of what the search did not reach, tell apart what could not run anyway."""
        decisions = self.decisions[table]
        if table in self.probes and self.probes[table] < 1:
            decisions[left] = Decision.CIRCUIT_OPEN
        never = (Decision.PARKED, Decision.WAITING, Decision.CIRCUIT_OPEN, Decision.UPSTREAM, Decision.UNFILLABLE)
        for parent in self.gaps[table].facts.parents:
            if parent.table in self.gaps and not parent.optional:
                stuck = np.isin(self.decisions[parent.table], never) & (self.gaps[parent.table].facts.published == 0)
                decisions[left & parent.any(stuck)] = Decision.UPSTREAM

    def _follow(self, table: str, weights: Mapping[str, Ints]) -> None:
        """Let what stands follow what is planned."""
        facts = self.gaps[table].facts
        if not facts.reasons & Reason.UPSTREAM_NEWER:
            return
        stirred = np.zeros(len(facts.keys), np.bool_)
        for parent in facts.parents:
            if parent.table in self.decisions:
                stirred |= parent.any(self.decisions[parent.table] == Decision.PLANNED)
        idle = (self.decisions[table] == Decision.NONE) & facts.wanted & (facts.published > 0)
        standings = self.memory.standings.get(table, {})
        cost = self.memory.seconds.get(table, 0.0)
        for position in self._sorted(table, np.flatnonzero(stirred & idle), weights):
            standing = standings.get(facts.keys[int(position)], Standing())
            self.reasons[table][position] = int(Reason.UPSTREAM_PLANNED)
            if facts.running[position]:
                self.decisions[table][position] = Decision.RUNNING
            elif not standing.free:
                self.decisions[table][position] = Decision.PARKED if standing.parked else Decision.WAITING
            elif self.probes.get(table, 1) < 1:
                self.decisions[table][position] = Decision.CIRCUIT_OPEN
            elif self.room < 1 or self.seconds + cost > self.time:
                self.decisions[table][position] = Decision.OVER_BUDGET
            else:
                self._plan([(table, int(position))], cost)

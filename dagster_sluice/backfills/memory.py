"""What the nights remember, in the state: plans and their claims, attempts, circuits, requests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from dagster_sluice.backfills.attempts import AttemptRecord, released
from dagster_sluice.backfills.budget import Spent
from dagster_sluice.backfills.circuit import Circuit
from dagster_sluice.backfills.claims import Claim, Claimed, OpenPlan
from dagster_sluice.backfills.faults import FaultClass
from dagster_sluice.backfills.settlement import Learned
from dagster_sluice.state import State
from dagster_sluice.state.schema import attempts, circuits, claims, plans, requests

__all__ = ["Nights"]

One = tuple[str, str]
"""A table and one of its partitions."""

_CHUNK = 10_000


class Nights:
    """The memory of all planners. Every method is one transaction."""

    def __init__(self, state: State) -> None:
        self._state = state

    def claim(
        self,
        wanted: Iterable[Claim],
        *,
        planner: str,
        backfill_id: str,
        correlation_id: str,
        night: dt.datetime,
        made_at: dt.datetime,
        seconds: float,
        summary: Mapping[str, Any],
    ) -> Claimed | None:
        """Write a plan down and take its partitions, those that no other open plan has.

        Two planners at once get disjoint partitions: the second waits for the first one's commit.

        Returns:
            What it got; ``None`` if nothing, and then there is no plan.
        """
        with self._state.transaction() as connection:
            plan_id: int = connection.execute(
                plans.insert()
                .values(
                    planner=planner,
                    backfill_id=backfill_id,
                    correlation_id=correlation_id,
                    partitions=0,
                    seconds=seconds,
                    summary=dict(summary),
                    night=night,
                    made_at=made_at,
                )
                .returning(plans.c.id)
            ).scalar_one()
            got: dict[str, list[str]] = {}
            # In one order, so that two planners wait for each other and never both.
            rows = sorted(wanted, key=lambda one: (one.table, one.partition))
            for begin in range(0, len(rows), _CHUNK):
                values = [
                    {
                        "plan_id": plan_id,
                        "asset": one.table,
                        "partition": one.partition,
                        "reasons": one.reasons,
                        "inputs": one.inputs,
                    }
                    for one in rows[begin : begin + _CHUNK]
                ]
                statement = insert(claims).on_conflict_do_nothing().returning(claims.c.asset, claims.c.partition)
                for row in connection.execute(statement, values):
                    got.setdefault(str(row[0]), []).append(str(row[1]))
            if not got:
                connection.execute(plans.delete().where(plans.c.id == plan_id))
                return None
            count = sum(map(len, got.values()))
            connection.execute(plans.update().where(plans.c.id == plan_id).values(partitions=count))
        return Claimed(plan_id=plan_id, partitions=got)

    def launched(self, plan_id: int, *, at: dt.datetime) -> None:
        """Write down that a plan's backfill exists."""
        with self._state.transaction() as connection:
            connection.execute(plans.update().where(plans.c.id == plan_id).values(launched_at=at))

    def open_plans(self) -> list[OpenPlan]:
        """The plans whose outcome is not known yet, the oldest first."""
        with self._state.transaction() as connection:
            rows = connection.execute(sa.select(plans).where(plans.c.settled_at.is_(None)).order_by(plans.c.id)).all()
            of: dict[int, list[Claim]] = {row.id: [] for row in rows}
            found = connection.execute(
                sa.select(claims).where(claims.c.plan_id.in_(list(of)), claims.c.outcome.is_(None))
            )
            for row in found:
                of[row.plan_id].append(
                    Claim(table=row.asset, partition=row.partition, reasons=row.reasons, inputs=row.inputs)
                )
        return [
            OpenPlan(
                id=row.id,
                planner=row.planner,
                backfill_id=row.backfill_id,
                correlation_id=row.correlation_id,
                night=row.night,
                made_at=row.made_at,
                launched_at=row.launched_at,
                claims=tuple(of[row.id]),
            )
            for row in rows
        ]

    def settle(
        self, plan_id: int, outcomes: Mapping[One, str], learned: Learned, *, done: Collection[One], at: dt.datetime
    ) -> bool:
        """Close a plan, and take into memory what it taught, together.

        Args:
            plan_id: The plan.
            outcomes: Of each claim ``done``, ``failed`` or ``undone``.
            learned: What changes in memory.
            done: Partitions whose requests are fulfilled.
            at: The moment, with a time zone.

        Returns:
            Whether it was open: somebody else may have settled it meanwhile, and then nothing has changed.
        """
        with self._state.transaction() as connection:
            closed = connection.execute(
                plans.update()
                .where(plans.c.id == plan_id, plans.c.settled_at.is_(None))
                .values(settled_at=at)
                .returning(plans.c.id)
            ).scalar()
            if closed is None:
                return False
            for outcome in sorted(set(outcomes.values())):
                these = [one for one, ended in outcomes.items() if ended == outcome]
                for begin in range(0, len(these), _CHUNK):
                    connection.execute(
                        claims.update()
                        .where(claims.c.plan_id == plan_id, _among(claims, these[begin : begin + _CHUNK]))
                        .values(outcome=outcome)
                    )
            self._learn(connection, learned)
            if done:
                connection.execute(requests.delete().where(_among(requests, list(done))))
        return True

    def _learn(self, connection: sa.Connection, learned: Learned) -> None:
        if learned.forgotten:
            connection.execute(attempts.delete().where(_among(attempts, list(learned.forgotten))))
        for (table, partition), record in learned.records.items():
            values = {
                "failures": record.failures,
                "kind": record.kind.value,
                "message": record.message,
                "signature": record.signature,
                "inputs": record.inputs,
                "failed_at": record.failed_at,
                "next_at": record.next_at,
                "parked_at": record.parked_at,
            }
            connection.execute(
                insert(attempts)
                .values(asset=table, partition=partition, **values)
                .on_conflict_do_update(index_elements=["asset", "partition"], set_=values)
            )
        for table, circuit in learned.circuits.items():
            turned: dict[str, Any] = {
                "signature": circuit.signature,
                "partitions": list(circuit.partitions),
                "opened_at": circuit.opened_at,
            }
            connection.execute(
                insert(circuits)
                .values(asset=table, **turned)
                .on_conflict_do_update(index_elements=["asset"], set_=turned)
            )

    def outcomes(self, plan_id: int) -> dict[str, int]:
        """How many partitions of a plan are ``done``, ``failed`` and ``undone``; none of them before it is settled."""
        with self._state.transaction() as connection:
            rows = connection.execute(
                sa.select(claims.c.outcome, sa.func.count())
                .where(claims.c.plan_id == plan_id, claims.c.outcome.is_not(None))
                .group_by(claims.c.outcome)
            ).all()
        return {"done": 0, "failed": 0, "undone": 0} | {str(row[0]): int(row[1]) for row in rows}

    def attempts(self, tables: Collection[str] | None = None) -> dict[One, AttemptRecord]:
        """What is remembered of partitions that failed, of these tables or of all."""
        with self._state.transaction() as connection:
            statement = sa.select(attempts).order_by(attempts.c.asset, attempts.c.partition)
            if tables is not None:
                statement = statement.where(attempts.c.asset.in_(list(tables)))
            rows = connection.execute(statement).all()
        return {
            (row.asset, row.partition): AttemptRecord(
                failures=row.failures,
                kind=FaultClass(row.kind),
                message=row.message,
                signature=row.signature,
                failed_at=row.failed_at,
                next_at=row.next_at,
                parked_at=row.parked_at,
                inputs=row.inputs,
            )
            for row in rows
        }

    def circuits(self, tables: Collection[str] | None = None) -> dict[str, Circuit]:
        """How the last partitions of these tables ended, or of all."""
        with self._state.transaction() as connection:
            statement = sa.select(circuits)
            if tables is not None:
                statement = statement.where(circuits.c.asset.in_(list(tables)))
            rows = connection.execute(statement).all()
        return {
            row.asset: Circuit(signature=row.signature, partitions=tuple(row.partitions), opened_at=row.opened_at)
            for row in rows
        }

    def requests(self, tables: Collection[str]) -> set[One]:
        """The partitions of these tables that a person asked for."""
        with self._state.transaction() as connection:
            statement = sa.select(requests.c.asset, requests.c.partition).where(requests.c.asset.in_(list(tables)))
            return {(row.asset, row.partition) for row in connection.execute(statement)}

    def request(self, wanted: Sequence[One], *, by: str, why: str, at: dt.datetime) -> None:
        """Ask for partitions. Asking again changes who asks, and why."""
        if not wanted:
            return
        values = [
            {"asset": table, "partition": partition, "requested_by": by, "why": why, "requested_at": at}
            for table, partition in dict.fromkeys(wanted)
        ]
        statement = insert(requests)
        changed = {name: statement.excluded[name] for name in ("requested_by", "why", "requested_at")}
        with self._state.transaction() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=["asset", "partition"], set_=changed), values
            )

    def release(self, table: str, partitions: Collection[str] | None = None) -> list[str]:
        """Let parked and waiting partitions of a table be tried again at once, and close its circuit.

        Returns:
            The partitions that were remembered as failed.
        """
        chosen = {
            one: record for one, record in self.attempts([table]).items() if partitions is None or one[1] in partitions
        }
        learned = Learned(
            records={one: released(record) for one, record in chosen.items()}, circuits={table: Circuit()}
        )
        with self._state.transaction() as connection:
            self._learn(connection, learned)
        return [partition for _, partition in chosen]

    def spent(self, planner: str, night: dt.datetime) -> Spent:
        """What the plans of a night have cost: what was claimed, whatever became of it."""
        with self._state.transaction() as connection:
            row = connection.execute(
                sa.select(
                    sa.func.coalesce(sa.func.sum(plans.c.partitions), 0),
                    sa.func.coalesce(sa.func.sum(plans.c.seconds), 0),
                ).where(plans.c.planner == planner, plans.c.night == night)
            ).one()
        return Spent(partitions=int(row[0]), seconds=float(row[1]))

    def probed(self, tables: Collection[str], night: dt.datetime) -> dict[str, int]:
        """How many partitions of these tables were tried in a night."""
        with self._state.transaction() as connection:
            rows = connection.execute(
                sa.select(claims.c.asset, sa.func.count())
                .join(plans, plans.c.id == claims.c.plan_id)
                .where(plans.c.night == night, claims.c.asset.in_(list(tables)))
                .where(sa.or_(claims.c.outcome.is_(None), claims.c.outcome != "undone"))
                .group_by(claims.c.asset)
            ).all()
        return {row[0]: row[1] for row in rows}


def _among(table: sa.Table, ones: Sequence[One]) -> sa.ColumnElement[bool]:
    """Rows of these tables and partitions; two arrays, however many there are."""
    wanted = sa.select(
        sa.func.unnest(sa.cast([one[0] for one in ones], sa.ARRAY(sa.Text))),
        sa.func.unnest(sa.cast([one[1] for one in ones], sa.ARRAY(sa.Text))),
    )
    return sa.tuple_(table.c.asset, table.c.partition).in_(wanted)

"""What notifiers were told, in the state: so that nothing is told twice, whoever restarts and however many tell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from dagster_sluice.freshness.notices import Notice, NoticeKind, Remembered, Spot
from dagster_sluice.state import State
from dagster_sluice.state.schema import notices as table

__all__ = ["KEPT", "LEASE", "Told"]

LEASE = dt.timedelta(minutes=10)
"""A notice that was claimed so long ago was never sent: its sender died. It may be claimed anew."""

KEPT = dt.timedelta(days=90)
"""So long it is remembered that something is over."""


class Told:
    """The memory of all notifiers. Every method is one transaction.

    A notice is claimed, sent, and then settled. Of two that claim at once one gets it: the other waits for the first
    one's commit, and then has nothing to tell. A sender that dies between sending and settling is the only way to a
    notice told twice; both have the same id.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def remembered(self, tables: Collection[str]) -> dict[str, dict[Spot, Remembered]]:
        """By notifier what it was told of these tables and is not over."""
        statement = sa.select(table).where(table.c.recovered_at.is_(None), table.c.asset.in_(list(tables)))
        found: dict[str, dict[Spot, Remembered]] = {}
        with self._state.transaction() as connection:
            for row in connection.execute(statement):
                found.setdefault(row.notifier, {})[row.asset, row.deadline, row.partition] = Remembered(
                    late_since=row.late_since, told_at=row.told_at, escalated_at=row.escalated_at
                )
        return found

    def claim(self, notifier: str, wanted: Sequence[Notice], *, by: str, at: dt.datetime) -> list[Notice]:
        """Take notices, to be sent; those that nobody else has taken or told.

        Args:
            notifier: Who is to be told.
            wanted: The notices.
            by: A name for this claim, for `settle` and `give_back`.
            at: The moment, with a time zone.
        """
        of = {(one.kind, one.spot): one for one in wanted}
        got = []
        with self._state.transaction() as connection:
            # In one order, so that two who claim wait for each other and never both.
            for kind in NoticeKind:
                these = sorted((one for one in wanted if one.kind is kind), key=lambda one: one.spot)
                if not these:
                    continue
                if kind is NoticeKind.LATE:
                    statement = self._late(notifier, these, by, at)
                else:
                    statement = self._later(notifier, kind, these, by, at)
                got += [of[kind, (row[0], row[1], row[2])] for row in connection.execute(statement)]
        return got

    @staticmethod
    def _late(notifier: str, these: Sequence[Notice], by: str, at: dt.datetime) -> Any:
        values = [
            {
                "notifier": notifier,
                "asset": one.table,
                "deadline": one.deadline,
                "partition": one.partition,
                "late_since": one.late_since,
                "claim": one.kind.value,
                "claimed_by": by,
                "claimed_at": at,
            }
            for one in these
        ]
        statement = insert(table).values(values)
        anew = {name: statement.excluded[name] for name in ("late_since", "claim", "claimed_by", "claimed_at")}
        return statement.on_conflict_do_update(
            index_elements=["notifier", "asset", "deadline", "partition"],
            set_={**anew, "told_at": None, "escalated_at": None, "recovered_at": None},
            # Who looked before the recovery was told knows less than is written here.
            where=sa.and_(sa.or_(table.c.recovered_at < at, table.c.told_at.is_(None)), _free(at)),
        ).returning(table.c.asset, table.c.deadline, table.c.partition)

    @staticmethod
    def _later(notifier: str, kind: NoticeKind, these: Sequence[Notice], by: str, at: dt.datetime) -> Any:
        still = [table.c.told_at.is_not(None), table.c.recovered_at.is_(None), _free(at)]
        if kind is NoticeKind.ESCALATED:
            still.append(table.c.escalated_at.is_(None))
        return (
            table.update()
            .where(table.c.notifier == notifier, _among([one.spot for one in these]), *still)
            .values(claim=kind.value, claimed_by=by, claimed_at=at)
            .returning(table.c.asset, table.c.deadline, table.c.partition)
        )

    def settle(self, by: str, *, at: dt.datetime) -> None:
        """What was claimed is sent."""
        columns = {
            "told_at": NoticeKind.LATE,
            "escalated_at": NoticeKind.ESCALATED,
            "recovered_at": NoticeKind.RECOVERED,
        }
        values: dict[str, Any] = {
            name: sa.case((table.c.claim == kind.value, sa.cast(at, sa.TIMESTAMP(timezone=True))), else_=table.c[name])
            for name, kind in columns.items()
        }
        with self._state.transaction() as connection:
            connection.execute(
                table.update()
                .where(table.c.claimed_by == by)
                .values(**values, claim=None, claimed_by=None, claimed_at=None)
            )
            connection.execute(table.delete().where(table.c.recovered_at < at - KEPT))

    def give_back(self, by: str) -> None:
        """What was claimed could not be sent; it may be claimed again at once."""
        with self._state.transaction() as connection:
            connection.execute(table.delete().where(table.c.claimed_by == by, table.c.told_at.is_(None)))
            connection.execute(
                table.update().where(table.c.claimed_by == by).values(claim=None, claimed_by=None, claimed_at=None)
            )

    def forget(self, notifier: str, spots: Sequence[Spot]) -> None:
        """Of these nothing more is told, until they are late again."""
        with self._state.transaction() as connection:
            for chunk in _chunks(spots):
                connection.execute(table.delete().where(table.c.notifier == notifier, _among(chunk)))


def _free(at: dt.datetime) -> sa.ColumnElement[bool]:
    return sa.or_(table.c.claimed_at.is_(None), table.c.claimed_at < at - LEASE)


def _chunks(spots: Sequence[Spot], size: int = 1_000) -> Iterator[Sequence[Spot]]:
    for begin in range(0, len(spots), size):
        yield spots[begin : begin + size]


def _among(spots: Sequence[Spot]) -> sa.ColumnElement[bool]:
    """Rows of these; three arrays, however many there are."""
    columns = (sa.func.unnest(sa.cast([spot[place] for spot in spots], sa.ARRAY(sa.Text))) for place in range(3))
    return sa.tuple_(table.c.asset, table.c.deadline, table.c.partition).in_(sa.select(*columns))

"""The shape of a table in Postgres: made, widened where a column is new, refused where a type differs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster_sluice.contracts import Column
from dagster_sluice.errors import Culprit, PublishError
from dagster_sluice.warehouse.statements import statements
from dagster_sluice.warehouse.types import postgres_type
from dagster_sluice.warehouse.values import LEAVES_SCHEMA, PARTITION_COLUMN, Address, is_name, is_text

if TYPE_CHECKING:
    import psycopg

__all__ = ["columns_of", "exclusively", "identifier", "quoted", "refuse_key", "refuse_names", "shape"]

_PAUSE_SECONDS = 0.01
_SYSTEM_COLUMNS = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
# Postgres's 1,600 without that of the partition.
_MOST = 1599


def identifier(name: str) -> str:
    """A name as SQL takes it, quoted by the driver."""
    from psycopg import sql

    return sql.Identifier(name).as_string(None)


def quoted(address: Address) -> str:
    """An address as SQL takes it."""
    return f"{identifier(address.schema)}.{identifier(address.table)}"


def columns_of(session: psycopg.Connection[Any], address: Address) -> dict[str, str]:
    """The columns of a table and their types in Postgres's words, in order; empty if there is no table."""
    query = statements("postgres", "queries")["columns"].encode()
    found = session.execute(query, {"schema": address.schema, "table": address.table}).fetchall()
    return {row[0]: row[1] for row in found}


def shape(
    session: psycopg.Connection[Any],
    address: Address,
    columns: Sequence[Column],
    *,
    partitioned: bool,
    native: bool = False,
    lock_timeout: float,
) -> None:
    """Create the table, or add the columns that are new to it.

    Args:
        session: In a transaction.
        address: The table.
        columns: Its columns.
        partitioned: Whether it has a column for the partition's key.
        native: Whether a table that is made here gets native partitions. One that is there stays as it is.
        lock_timeout: Seconds for which to ask for the table, if it has to be altered. No reader waits meanwhile.

    Raises:
        PublishError: A column has a name that cannot be had, or another type than the table has.
    """
    refuse_names(address, columns)
    wanted = {column.name: postgres_type(column) for column in columns}
    if partitioned:
        wanted[PARTITION_COLUMN] = "text"
    session.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"sluice.shape|{address}"])
    session.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(address.schema)}".encode())
    canonical = _canonical(session, wanted)
    present = columns_of(session, address)
    if present:
        new = _fit(address, wanted, canonical, present)
        if new:
            exclusively(session, quoted(address), seconds=lock_timeout)
        for name in new:
            session.execute(f"ALTER TABLE {quoted(address)} ADD COLUMN {identifier(name)} {wanted[name]}".encode())
        return
    body = ", ".join(f"{identifier(name)} {kind}" for name, kind in wanted.items())
    # What was published before belonged to a table that was dropped.
    query = statements("postgres", "queries")["supersede_all"].encode()
    session.execute(query, {"schema": address.schema, "table": address.table})
    if partitioned and native:
        key = f"{PARTITION_COLUMN} SET NOT NULL"
        session.execute(f"CREATE TABLE {quoted(address)} ({body}) PARTITION BY LIST ({PARTITION_COLUMN})".encode())
        session.execute(f"ALTER TABLE {quoted(address)} ALTER {key}".encode())
        session.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(LEAVES_SCHEMA)}".encode())
        return
    session.execute(f"CREATE TABLE {quoted(address)} ({body})".encode())
    if partitioned:
        session.execute(f"CREATE INDEX ON {quoted(address)} ({PARTITION_COLUMN})".encode())


def exclusively(session: psycopg.Connection[Any], tables: str, *, seconds: float) -> None:
    """Lock tables against everybody, to the end of the transaction, without ever standing in a queue for it.

    Readers would queue up behind one who waits; who asks and goes makes nobody wait.

    Args:
        session: In a transaction.
        tables: As ``LOCK TABLE`` takes them.
        seconds: For how long to ask.

    Raises:
        psycopg.errors.LockNotAvailable: Somebody used them whenever asked.
    """
    import psycopg

    until = time.monotonic() + seconds
    while True:
        try:
            with session.transaction():
                session.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE NOWAIT".encode())
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() >= until:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _fit(
    address: Address,
    wanted: dict[str, str],
    canonical: dict[str, str],
    present: dict[str, str],
) -> list[str]:
    """The columns that are new to the table."""
    if (PARTITION_COLUMN in present) != (PARTITION_COLUMN in wanted):
        raise PublishError(
            f"{address} is {'' if PARTITION_COLUMN in present else 'not '}partitioned in the warehouse,"
            f" and the asset is {'' if PARTITION_COLUMN in wanted else 'not '}partitioned.",
            mend=f"Drop or rename {address}, then publish it anew.",
        )
    culprits = []
    for name, kind in wanted.items():
        if name in present and canonical[name] != present[name]:
            culprits.append(
                Culprit(where=f"column {name!r}", problem=f"is {present[name]} there, {kind} in the contract.")
            )
    if culprits:
        raise PublishError(
            f"{address} in the warehouse has other column types than its contract.",
            culprits=culprits,
            mend="Change the contract back, or alter the table by hand; nothing was changed.",
        )
    return [name for name in wanted if name not in present]


def refuse_names(address: Address, columns: Sequence[Column]) -> None:
    """Refuse columns that Postgres cannot have.

    Raises:
        PublishError: Every such column.
    """
    names = [column.name for column in columns]
    culprits = []
    for name in dict.fromkeys(names):
        problem = None
        if not is_name(name):
            problem = "a name takes 1 to 63 bytes of UTF-8 and no NUL."
        elif name == PARTITION_COLUMN or name in _SYSTEM_COLUMNS:
            problem = "is a name that the warehouse needs for itself."
        elif names.count(name) > 1:
            problem = f"stands {names.count(name)} times."
        if problem:
            culprits.append(Culprit(where=f"column {name!a}", problem=problem))
    if len(names) > _MOST:
        culprits.append(Culprit(where=str(address), problem=f"has {len(names):,} columns; Postgres takes {_MOST:,}."))
    if culprits:
        raise PublishError(
            f"{address} has columns that Postgres cannot have.", culprits=culprits, mend="Rename them in the contract."
        )


def refuse_key(address: Address, partition: str | None) -> None:
    """Refuse a partition that no database can have.

    Raises:
        PublishError: Its key has a NUL or a lone surrogate.
    """
    if partition is not None and not is_text(partition):
        raise PublishError(
            f"{address} has a partition that Postgres cannot have.",
            culprits=[Culprit(where=f"partition {partition!a}", problem="is not UTF-8, or has a NUL.")],
            mend="Give it another key.",
        )


def _canonical(session: psycopg.Connection[Any], wanted: Mapping[str, str]) -> dict[str, str]:
    """Postgres's own spelling of each type, with its length or precision."""
    if not wanted:
        return {}
    cursor = session.execute(f"SELECT {', '.join(f'NULL::{kind}' for kind in wanted.values())}".encode())
    told = cursor.pgresult
    assert told is not None
    kinds = [(told.ftype(at), told.fmod(at)) for at in range(len(wanted))]
    found = {}
    for name, (kind, modifier) in zip(wanted, kinds, strict=True):
        row = session.execute("SELECT format_type(%s::oid, %s::integer)", [kind, modifier]).fetchone()
        found[name] = str(row[0]) if row else ""
    return found

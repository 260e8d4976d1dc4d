"""The shape of a table in Postgres: made, widened where a column is new, refused where a type differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster_sluice.contracts import Column
from dagster_sluice.errors import Culprit, PublishError
from dagster_sluice.warehouse.statements import statements
from dagster_sluice.warehouse.types import postgres_type
from dagster_sluice.warehouse.values import PARTITION_COLUMN, Address, is_name

if TYPE_CHECKING:
    import psycopg

__all__ = ["columns_of", "identifier", "quoted", "shape"]

_SYSTEM_COLUMNS = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}


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


def shape(session: psycopg.Connection[Any], address: Address, columns: Sequence[Column], *, partitioned: bool) -> None:
    """Create the table, or add the columns that are new to it.

    Raises:
        PublishError: A column has a name that cannot be had, or another type than the table has.
    """
    _refuse_names(address, columns)
    wanted = {column.name: postgres_type(column) for column in columns}
    if partitioned:
        wanted[PARTITION_COLUMN] = "text"
    session.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"sluice.shape|{address}"])
    session.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(address.schema)}".encode())
    canonical = _canonical(session, wanted)
    present = columns_of(session, address)
    if present:
        _fit(session, address, wanted, canonical, present)
        return
    body = ", ".join(f"{identifier(name)} {kind}" for name, kind in wanted.items())
    session.execute(f"CREATE TABLE {quoted(address)} ({body})".encode())
    if partitioned:
        session.execute(f"CREATE INDEX ON {quoted(address)} ({PARTITION_COLUMN})".encode())


def _fit(
    session: psycopg.Connection[Any],
    address: Address,
    wanted: dict[str, str],
    canonical: dict[str, str],
    present: dict[str, str],
) -> None:
    if (PARTITION_COLUMN in present) != (PARTITION_COLUMN in wanted):
        raise PublishError(
            f"{address} is {'' if PARTITION_COLUMN in present else 'not '}partitioned in the warehouse,"
            f" and the asset is {'' if PARTITION_COLUMN in wanted else 'not '}partitioned.",
            mend=f"Drop or rename {address}, then publish it anew.",
        )
    culprits = []
    for name, kind in wanted.items():
        if name not in present:
            session.execute(f"ALTER TABLE {quoted(address)} ADD COLUMN {identifier(name)} {kind}".encode())
            continue
        if canonical[name] != present[name]:
            culprits.append(
                Culprit(where=f"column {name!r}", problem=f"is {present[name]} there, {kind} in the contract.")
            )
    if culprits:
        raise PublishError(
            f"{address} in the warehouse has other column types than its contract.",
            culprits=culprits,
            mend="Change the contract back, or alter the table by hand; nothing was changed.",
        )


def _refuse_names(address: Address, columns: Sequence[Column]) -> None:
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
    if culprits:
        raise PublishError(
            f"{address} has columns that Postgres cannot have.", culprits=culprits, mend="Rename them in the contract."
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

"""Tables whose partitions are tables of their own: a new one comes in whole, and no row of it passes an index.

A leaf is filled where nobody sees it and attached at the end of the publish, which no reader waits for. A partition that
stands is replaced row by row within its leaf, or, if asked for, by another leaf in its place; see
``docs/decisions/0009-loading.md`` for what that costs readers.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from dagster_sluice.warehouse.postgres_sessions import Cursor, ask, run
from dagster_sluice.warehouse.postgres_shape import exclusively, identifier, quoted
from dagster_sluice.warehouse.values import LEAVES_SCHEMA, Address

__all__ = ["Leaf", "attach", "leaf_of", "made", "swapped"]

_PARTITIONS = "partitions"


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A partition's table that is not attached yet.

    Attributes:
        parent: The table, quoted.
        name: The leaf, quoted.
        old: The leaf in whose place it is to come, quoted, if there is one.
    """

    parent: str
    name: str
    old: str | None = None


def leaf_of(cursor: Cursor, address: Address) -> str | None:
    """The leaf, quoted, of the partition that ``sluice_request`` names."""
    found = ask(cursor, _PARTITIONS, "leaf", parent=_literal(quoted(address)))
    return str(found[0]) if found else None


def made(cursor: Cursor, address: Address, *, old: str | None = None) -> Leaf:
    """An empty leaf for the partition that ``sluice_request`` names."""
    # Names are cut at 63 bytes; those of its indexes are made of it.
    stem = address.table.encode()[:40].decode(errors="ignore")
    name = f"{identifier(LEAVES_SCHEMA)}.{identifier(f'{stem}_{uuid.uuid4().hex[:12]}')}"
    leaf = Leaf(parent=quoted(address), name=name, old=old)
    if old is None:
        run(cursor, _PARTITIONS, "make", leaf=name, parent=leaf.parent)
    else:
        # Like the leaf that it replaces, and so without a lock on the table, whose indexes it needs beforehand.
        run(cursor, _PARTITIONS, "make_like", leaf=name, old=old)
    _run_made(cursor, "promise", leaf=name)
    return leaf


def attach(cursor: Cursor, leaf: Leaf) -> None:
    """Make a leaf part of its table. Waits for others who change the table; no reader waits for it."""
    _run_made(cursor, "attach", parent=leaf.parent, leaf=leaf.name)
    run(cursor, _PARTITIONS, "release", leaf=leaf.name)


def swapped(cursor: Cursor, leaf: Leaf) -> bool:
    """Put a leaf in the place of the old one, if nobody reads the table for a moment within the lock timeout.

    Returns:
        Whether it could be done; if not, nothing has changed.
    """
    import psycopg

    try:
        with cursor.connection.transaction():
            exclusively(cursor.connection, f"ONLY {leaf.parent}, {leaf.old}", seconds=cursor.lock_timeout)
            run(cursor, _PARTITIONS, "drop", leaf=str(leaf.old))
            attach(cursor, leaf)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DependentObjectsStillExist):
        return False
    return True


def _run_made(cursor: Cursor, name: str, **names: str) -> None:
    """Run a statement that Postgres makes itself, because a key stands in it where nothing can be bound."""
    found = ask(cursor, _PARTITIONS, name, **{key: _literal(value) for key, value in names.items()})
    assert found is not None
    cursor.execute(found[0])


def _literal(text: str) -> str:
    from psycopg import sql

    return sql.Literal(text).as_string(None)

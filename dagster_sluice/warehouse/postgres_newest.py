"""The greatest moment in columns of many tables, in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagster_sluice.warehouse.postgres_shape import identifier, quoted
from dagster_sluice.warehouse.timelines import Newest, Place, newest_of

__all__ = ["newest"]

_ZONED = "timestamp with time zone"
_KINDS = (_ZONED, "timestamp without time zone", "date")


def newest(session: Any, columns: Sequence[Place], types: Mapping[int, str]) -> dict[Place, Newest]:
    """The greatest value of each column that is there and holds moments.

    Args:
        session: A psycopg connection.
        columns: Tables with a column of each.
        types: The types of those that are there, by their number.
    """
    known = {number: kind for number, kind in types.items() if kind in _KINDS}
    if not known:
        return {}
    parts = []
    for number in known:
        address, column = columns[number]
        greatest = f"extract(epoch FROM max({identifier(column)}))::float8"
        parts.append(f"SELECT {number} AS number, {greatest} AS newest FROM {quoted(address)}")
    rows = session.execute("\nUNION ALL\n".join(parts).encode()).fetchall()
    return {columns[number]: newest_of(seconds, zoned=known[number] == _ZONED) for number, seconds in rows}

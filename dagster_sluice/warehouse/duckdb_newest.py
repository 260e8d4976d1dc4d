"""The greatest moment in columns of many tables, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dagster_sluice.warehouse.duckdb_shape import columns_of, identifier, quoted
from dagster_sluice.warehouse.timelines import Newest, Place, newest_of

if TYPE_CHECKING:
    import duckdb

__all__ = ["newest"]

_ZONED = "timestamp with time zone"


def newest(connection: duckdb.DuckDBPyConnection, columns: Sequence[Place]) -> dict[Place, Newest]:
    """The greatest value of each column that is there and holds moments."""
    present = {address: columns_of(connection, address) for address, _ in dict.fromkeys(columns)}
    parts, known = [], {}
    for number, (address, column) in enumerate(columns):
        kind = present[address].get(column, "")
        if kind == "date" or kind.startswith("timestamp"):
            known[number] = kind in (_ZONED, "timestamptz")
            # What is infinite has no epoch.
            greatest = f"max({identifier(column)})"
            finite = f"CASE WHEN isfinite({greatest}) THEN epoch({greatest}) END"
            parts.append(f"SELECT {number} AS number, {finite} AS newest FROM {quoted(connection, address)}")
    if not parts:
        return {}
    rows = connection.execute(" UNION ALL ".join(parts)).fetchall()
    return {columns[number]: newest_of(seconds, zoned=known[number]) for number, seconds in rows}

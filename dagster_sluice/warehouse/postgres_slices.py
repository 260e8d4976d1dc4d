"""The rows of a slice from Postgres, in a form that an index on the slice's column serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dagster_sluice.warehouse.postgres_exact import selected
from dagster_sluice.warehouse.postgres_shape import identifier, quoted
from dagster_sluice.warehouse.slices import Slice, limits
from dagster_sluice.warehouse.values import Address

if TYPE_CHECKING:
    from adbc_driver_manager import dbapi

__all__ = ["read_slice"]

_ZONED = pa.timestamp("us", tz="UTC")
_NAIVE = pa.timestamp("us")


def read_slice(
    cursor: dbapi.Cursor,
    address: Address,
    present: Mapping[str, str],
    columns: Sequence[str],
    slices: Sequence[Slice],
) -> pa.Table:
    """The rows that are in every slice; all rows if there is none.

    Args:
        cursor: In a transaction.
        address: The table.
        present: Its columns, with Postgres's own name of each type.
        columns: The columns to read.
        slices: In which the rows are; their columns are present.

    Raises:
        TableError: A column cannot tell partitions of that length apart.
    """
    values: list[Any] = []
    conditions = []
    for part in slices:
        name, kind = identifier(part.column), present[part.column]
        bounds = limits(part, _arrow(kind))
        if bounds is None:
            told = name if kind == "text" else f"{name}::text"
            values.append(pa.array([part.key], pa.string()))
            conditions.append(f"{told} = ${len(values)}")
        else:
            low, high = bounds
            values += [pa.array([low]), pa.array([high])]
            conditions.append(f"{name} >= ${len(values) - 1} AND {name} < ${len(values)}")
    text = f"SELECT {', '.join(selected(name, present[name]) for name in columns)} FROM {quoted(address)}"
    bound = None
    if conditions:
        bound = pa.record_batch(values, [f"value_{place}" for place in range(len(values))])
        text += f" WHERE {' AND '.join(conditions)}"
    cursor.execute(text, bound)
    return cursor.fetch_arrow_table()


def _arrow(kind: str) -> pa.DataType:
    """The Arrow type of what tells time; text for all else."""
    if kind == "date":
        return pa.date32()
    if kind.startswith("timestamp"):
        return _ZONED if kind.endswith("with time zone") else _NAIVE
    return pa.string()

"""The rows of a slice from DuckDB, in a form that lets it pass over the row groups that cannot have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dagster_sluice.warehouse.duckdb_exact import selected
from dagster_sluice.warehouse.duckdb_shape import identifier
from dagster_sluice.warehouse.slices import Slice, limits

if TYPE_CHECKING:
    import duckdb

__all__ = ["read_slice"]

_MOMENTS: dict[str, pa.DataType] = {
    "date": pa.date32(),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    "timestamp without time zone": pa.timestamp("us"),
    "timestamp_s": pa.timestamp("us"),
    "timestamp_ms": pa.timestamp("us"),
    "timestamp_ns": pa.timestamp("us"),
}


def read_slice(
    connection: duckdb.DuckDBPyConnection,
    target: str,
    present: Mapping[str, str],
    columns: Sequence[str],
    slices: Sequence[Slice],
) -> pa.Table:
    """The rows that are in every slice; all rows if there is none.

    Args:
        connection: In a transaction.
        target: The table, as SQL takes it.
        present: Its columns and their types.
        columns: The columns to read.
        slices: In which the rows are; their columns are present.

    Raises:
        TableError: A column cannot tell partitions of that length apart.
    """
    values: dict[str, Any] = {}
    conditions = []
    for place, part in enumerate(slices):
        name, kind = identifier(part.column), present[part.column]
        bounds = limits(part, _MOMENTS.get(kind, pa.string()))
        if bounds is None:
            values[f"key_{place}"] = part.key
            conditions.append(f"{name if kind == 'text' else f'{name}::TEXT'} = $key_{place}")
        else:
            values[f"low_{place}"], values[f"high_{place}"] = (bound.as_py() for bound in bounds)
            conditions.append(f"{name} >= $low_{place} AND {name} < $high_{place}")
    text = f"SELECT {', '.join(selected(name, present[name]) for name in columns)} FROM {target}"
    if conditions:
        text += f" WHERE {' AND '.join(conditions)}"
    found: pa.Table = connection.sql(text, params=values).to_arrow_table()
    return found

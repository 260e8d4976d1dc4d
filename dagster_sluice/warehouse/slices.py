"""Parts of a table told by the value of a column: how a partition is found in a table that others wrote.

A table of ours says in ``_partition`` to which partition a row belongs. Any other says it in a column of its own, as a
date, a moment or a text. A warehouse that can seek by such a column is a `Slicing` one; of any other the table is read
whole and cut here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dagster_sluice.errors import TableError
from dagster_sluice.warehouse import Address, Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Slice", "Slicing", "limits", "read_slice"]


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The rows of one partition, by one column.

    Attributes:
        column: The column that tells the partition.
        key: The partition's key, which is the value of a column that is no date and no moment.
        start: Where a time partition starts, inclusive, with time zone; ``None`` for other partitions.
        end: Where it ends, exclusive. A column without a time zone has the clock of these two.
    """

    column: str
    key: str
    start: dt.datetime | None = None
    end: dt.datetime | None = None


@runtime_checkable
class Slicing(Protocol):
    """A warehouse that reads the rows of a slice and no others."""

    def read_slice(self, address: Address, columns: Sequence[str], slices: Sequence[Slice]) -> pa.Table:
        """As the function of this name."""
        ...


def read_slice(warehouse: Warehouse, address: Address, columns: Sequence[str], slices: Sequence[Slice]) -> pa.Table:
    """The rows that are in every slice; all rows if there is none.

    Raises:
        TableError: There is no such table or column, or a column cannot tell partitions of that length apart.
    """
    if isinstance(warehouse, Slicing):
        return warehouse.read_slice(address, columns, slices)
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = warehouse.read(address, columns=list(dict.fromkeys([*columns, *(part.column for part in slices)])))
    for part in slices:
        values: Any = rows.column(part.column)
        bounds = limits(part, values.type)
        if bounds is None:
            rows = rows.filter(pc.is_in(values.cast("string"), pa.array([part.key])))
        else:
            low, high = bounds
            rows = rows.filter(pc.and_(pc.greater_equal(values, low), pc.less(values, high)))
    return rows.select(list(columns))


def limits(part: Slice, kind: pa.DataType) -> tuple[pa.Scalar[Any], pa.Scalar[Any]] | None:
    """Between which values of its column a slice lies: first (inclusive) and last (exclusive), in the column's type.

    ``None`` where the column holds the partition's key itself.

    Raises:
        TableError: The column holds days, and the partition does not start and end with one.
    """
    import pyarrow as pa

    if part.start is None or part.end is None:
        return None
    if pa.types.is_timestamp(kind):
        bounds = (part.start, part.end)
        if kind.tz is None:
            bounds = (part.start.replace(tzinfo=None), part.end.replace(tzinfo=None))
        return pa.scalar(bounds[0], kind), pa.scalar(bounds[1], kind)
    if pa.types.is_date(kind):
        if part.start.time() != dt.time.min or part.end.time() != dt.time.min:
            raise TableError(
                f"Column {part.column!r} holds days, and the partition {part.key} does not start and end with one.",
                mend="Name a column that holds moments.",
            )
        return pa.scalar(part.start.date(), kind), pa.scalar(part.end.date(), kind)
    return None

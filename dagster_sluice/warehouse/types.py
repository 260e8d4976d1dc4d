"""The logical types of a contract as Arrow types and as Postgres types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dagster_sluice.contracts import Column, LogicalType
from dagster_sluice.errors import Culprit, TableError
from dagster_sluice.warehouse.physical import physical_of
from dagster_sluice.warehouse.values import PARTITION_COLUMN

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_type", "cast_type", "columns_as_they_are", "postgres_type"]

_TYPE = re.compile(
    r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?( [a-z_]+)*( ?\(\s*\d+\s*(,\s*\d+\s*)?\))?( [a-z_]+)*(\[\d*\])*",
    re.IGNORECASE | re.ASCII,
)
_POSTGRES = {
    LogicalType.STRING: "text",
    LogicalType.INTEGER: "bigint",
    LogicalType.NUMBER: "double precision",
    LogicalType.BOOLEAN: "boolean",
    LogicalType.DATE: "date",
    LogicalType.TIMESTAMP: "timestamp with time zone",
    LogicalType.TIME: "time without time zone",
    LogicalType.OBJECT: "jsonb",
    LogicalType.ARRAY: "jsonb",
}


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type in which a column's values are audited and sent to the warehouse.

    Timestamps are microseconds, in UTC unless the column is declared without a time zone. Objects and arrays are JSON
    text.
    """
    import pyarrow as pa

    if column.type is LogicalType.TIMESTAMP:
        return pa.timestamp("us", tz="UTC" if column.timezone else None)
    types: dict[LogicalType, pa.DataType] = {
        LogicalType.STRING: pa.string(),
        LogicalType.INTEGER: pa.int64(),
        LogicalType.NUMBER: pa.float64(),
        LogicalType.BOOLEAN: pa.bool_(),
        LogicalType.DATE: pa.date32(),
        LogicalType.TIME: pa.time64("us"),
        LogicalType.OBJECT: pa.string(),
        LogicalType.ARRAY: pa.string(),
    }
    return types[column.type]


def postgres_type(column: Column) -> str:
    """The Postgres type of a column: ``physicalType`` where the contract gives one, else that of the logical type.

    Raises:
        TableError: ``physicalType`` is not a type.
    """
    if column.physical_type:
        # It becomes part of a statement, where nothing but a type may stand.
        if not _TYPE.fullmatch(column.physical_type):
            raise TableError(
                "A physical type cannot be read.",
                culprits=[Culprit(where=f"column {column.name!r}", problem=f"{column.physical_type!r} is no type.")],
                mend="Write it as Postgres does, for instance numeric(12,2) or timestamp(3) with time zone.",
            )
        return column.physical_type
    if column.type is LogicalType.TIMESTAMP and not column.timezone:
        return "timestamp without time zone"
    return _POSTGRES[column.type]


def cast_type(column: Column) -> str:
    """The Postgres type to which a value is cast on its way in: that of the column, without its length.

    An explicit cast to ``varchar(5)`` cuts what is longer; storing a ``varchar`` there refuses it. A double becomes a
    ``numeric`` by way of its text, which tells it exactly: the direct cast keeps 15 digits.

    Raises:
        TableError: ``physicalType`` is not a type.
    """
    kind = re.sub(r"\s*\([^)]*\)", "", postgres_type(column))
    # Without a length, char and bit mean char(1) and bit(1).
    if kind.lower() in {"char", "character", "nchar", "national character"}:
        return "bpchar"
    if kind.lower() == "bit":
        return "bit varying"
    physical = physical_of(column)
    numeric = physical is not None and physical.name == "numeric"
    return f"text::{kind}" if numeric and column.type is LogicalType.NUMBER else kind


_LOGICAL = {
    "smallint": LogicalType.INTEGER,
    "integer": LogicalType.INTEGER,
    "bigint": LogicalType.INTEGER,
    # DuckDB's own.
    "tinyint": LogicalType.INTEGER,
    "utinyint": LogicalType.INTEGER,
    "usmallint": LogicalType.INTEGER,
    "uinteger": LogicalType.INTEGER,
    "ubigint": LogicalType.INTEGER,
    "hugeint": LogicalType.INTEGER,
    "uhugeint": LogicalType.INTEGER,
    "real": LogicalType.NUMBER,
    "double precision": LogicalType.NUMBER,
    "numeric": LogicalType.NUMBER,
    "boolean": LogicalType.BOOLEAN,
    "date": LogicalType.DATE,
    "timestamp with time zone": LogicalType.TIMESTAMP,
    "timestamp without time zone": LogicalType.TIMESTAMP,
    "time without time zone": LogicalType.TIME,
}


def columns_as_they_are(types: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns of a table by their types in the warehouse, where no contract is at hand; what is not known is text.

    Args:
        types: As `dagster_sluice.warehouse.Warehouse.columns` gives them; the partition's column is left out.
    """
    kinds = {name: re.sub(r"\([^)]*\)", "", kind) for name, kind in types.items() if name != PARTITION_COLUMN}
    return tuple(
        Column(name=name, type=_LOGICAL.get(kind, LogicalType.STRING), timezone=kind != "timestamp without time zone")
        for name, kind in kinds.items()
    )

"""The contract of a frame for which nobody wrote one: its own columns, in the types that the table has already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from dagster_sluice.contracts import Column, Contract, LogicalType
from dagster_sluice.errors import Culprit, FrameError
from dagster_sluice.warehouse import Address
from dagster_sluice.warehouse.types import postgres_type

__all__ = ["inferred_contract"]

_types: Any = pa.types
_KINDS: tuple[tuple[Callable[[Any], bool], LogicalType], ...] = (
    (_types.is_null, LogicalType.STRING),
    (
        lambda kind: _types.is_string(kind) or _types.is_large_string(kind) or _types.is_string_view(kind),
        LogicalType.STRING,
    ),
    (_types.is_boolean, LogicalType.BOOLEAN),
    (_types.is_integer, LogicalType.INTEGER),
    (_types.is_floating, LogicalType.NUMBER),
    (_types.is_decimal, LogicalType.NUMBER),
    (_types.is_date, LogicalType.DATE),
    (_types.is_timestamp, LogicalType.TIMESTAMP),
    (_types.is_time, LogicalType.TIME),
    (lambda kind: _types.is_struct(kind) or _types.is_map(kind), LogicalType.OBJECT),
    (lambda kind: _types.is_list(kind) or _types.is_large_list(kind), LogicalType.ARRAY),
)
# What a database calls its types, by how the name begins; the longer beginnings first.
_NATIVE: tuple[tuple[str, LogicalType], ...] = (
    ("timestamp", LogicalType.TIMESTAMP),
    ("time", LogicalType.TIME),
    ("date", LogicalType.DATE),
    ("bool", LogicalType.BOOLEAN),
    ("bigint", LogicalType.INTEGER),
    ("integer", LogicalType.INTEGER),
    ("smallint", LogicalType.INTEGER),
    ("tinyint", LogicalType.INTEGER),
    ("hugeint", LogicalType.INTEGER),
    ("utinyint", LogicalType.INTEGER),
    ("usmallint", LogicalType.INTEGER),
    ("uinteger", LogicalType.INTEGER),
    ("ubigint", LogicalType.INTEGER),
    ("numeric", LogicalType.NUMBER),
    ("decimal", LogicalType.NUMBER),
    ("double", LogicalType.NUMBER),
    ("real", LogicalType.NUMBER),
    ("float", LogicalType.NUMBER),
)


def inferred_contract(frame: pa.Table, address: Address, present: Mapping[str, str]) -> Contract:
    """A contract that promises the frame's columns and nothing of their values.

    The first publish fixes the types. From then on a frame must fit them, value by value: integers that pandas made
    floats because one is missing become integers again, and 1.5 among them stops the publish.

    Args:
        frame: rows × columns.
        address: Where it is to be published.
        present: The columns of the table there, with the database's own name of each type; empty without a table.

    Raises:
        FrameError: A column is of a type for which a table has no word, or holds more digits than it keeps.
    """
    columns = []
    culprits = []
    for field in frame.schema:
        kind, problem = _kind(frame.column(field.name))
        if kind is None:
            mend = "Leave it out, or turn it into text."
            culprits.append(Culprit(where=f"column {field.name!r}", problem=problem, mend=mend))
            continue
        columns.append(_column(field, kind, present.get(field.name)))
    if culprits:
        raise FrameError(f"The frame cannot be published as {address}.", culprits=culprits)
    return Contract(table=address.table, schema=address.schema, columns=tuple(columns), quarantine_limit=0.0)


def _kind(array: Any) -> tuple[LogicalType | None, str]:
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            return LogicalType.STRING, ""
        kind = kind.storage_type
    if pa.types.is_decimal(kind):
        return _decimal(array)
    found = next((logical for fits, logical in _KINDS if fits(kind)), None)
    return found, f"is of type {kind}, for which a table has no word."


def _decimal(array: Any) -> tuple[LogicalType | None, str]:
    """Whole ones are integers, as DuckDB's sums are; others are doubles, if they are not more exact than a double."""
    try:
        if array.type.scale <= 0:
            array.cast(pa.int64())
            return LogicalType.INTEGER, ""
        if array.cast(pa.float64()).cast(array.type).equals(array):
            return LogicalType.NUMBER, ""
    except pa.ArrowException:
        pass
    return None, f"is of type {array.type} and holds more digits than a double or a 64-bit integer."


def _column(field: pa.Field[Any], kind: LogicalType, native: str | None) -> Column:
    zoned = getattr(field.type, "tz", None) is not None
    if native is None:
        return Column(name=field.name, type=kind, timezone=zoned)
    words = native.lower()
    there = next((logical for start, logical in _NATIVE if words.startswith(start)), None)
    if there is None:
        nested = (LogicalType.OBJECT, LogicalType.ARRAY)
        there = kind if words.startswith("json") and kind in nested else LogicalType.STRING
    zoned = "with time zone" in words
    column = Column(name=field.name, type=there, timezone=zoned)
    if postgres_type(column) == words:
        return column
    return Column(name=field.name, type=there, timezone=zoned, physical_type=native)

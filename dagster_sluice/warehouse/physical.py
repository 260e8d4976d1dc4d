"""What a contract's ``physicalType`` means: which type it is, whatever it is called, and with which length or precision."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dagster_sluice.contracts import Column, LogicalType
from dagster_sluice.errors import Culprit

__all__ = ["EXACT", "Physical", "is_known", "mistyped", "physical_of"]

_ALIASES: Mapping[str, str] = {
    "int2": "smallint",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "double": "double precision",
    "float": "double precision",
    "decimal": "numeric",
    "dec": "numeric",
    "bool": "boolean",
    "character varying": "varchar",
    "char varying": "varchar",
    "character": "char",
    "nchar": "char",
    "national character": "char",
    "bpchar": "char",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
}
_ARGUMENTS = re.compile(r"\s*\(([^)]*)\)")


@dataclass(frozen=True, kw_only=True)
class Physical:
    """A type of the warehouse.

    Attributes:
        name: By one name of several, without arguments: ``"numeric"``, ``"varchar"``, ``"timestamp with time zone"``.
        arguments: Length, or precision and scale; empty where none is given.
    """

    name: str
    arguments: tuple[int, ...] = ()


EXACT: Mapping[LogicalType, frozenset[str]] = {
    LogicalType.STRING: frozenset({"text", "varchar", "char", "uuid"}),
    LogicalType.INTEGER: frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"}),
    LogicalType.NUMBER: frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"}),
    LogicalType.BOOLEAN: frozenset({"boolean"}),
    LogicalType.DATE: frozenset({"date"}),
    LogicalType.TIMESTAMP: frozenset({"timestamp with time zone", "timestamp without time zone"}),
    LogicalType.TIME: frozenset({"time without time zone"}),
    LogicalType.OBJECT: frozenset({"jsonb", "json", "text"}),
    LogicalType.ARRAY: frozenset({"jsonb", "json", "text"}),
}
"""The types of which it is known, value by value, whether they hold a value as it is. Of any other only the database
knows: see ``altered`` in ``sql/postgres/publish.sql``."""


def physical_of(column: Column) -> Physical | None:
    """The type that a column's ``physicalType`` names; ``None`` where the contract gives none."""
    if not column.physical_type:
        return None
    text = " ".join(column.physical_type.lower().split()).removeprefix("pg_catalog.")
    found = _ARGUMENTS.search(text)
    arguments = tuple(int(part) for part in found[1].split(",") if part.strip().isdigit()) if found else ()
    name = " ".join(_ARGUMENTS.sub(" ", text).split())
    if name == "float" and arguments:
        return Physical(name="real" if arguments[0] <= 24 else "double precision")
    if not arguments and name in ("char", "character", "nchar", "national character"):
        arguments = (1,)
    return Physical(name=_ALIASES.get(name, name), arguments=arguments)


def is_known(column: Column) -> bool:
    """Whether it is known here what a column's type keeps as it is."""
    kind = physical_of(column)
    return kind is None or kind.name in EXACT[column.type]


def mistyped(column: Column) -> Culprit | None:
    """Why no value of a column could come back from its ``physicalType`` as it went; ``None`` where values can."""
    kind = physical_of(column)
    if kind is None or column.type is not LogicalType.TIMESTAMP:
        return None
    zoned, naive = "timestamp with time zone", "timestamp without time zone"
    if kind.name not in (zoned, naive, "date") or kind.name == (zoned if column.timezone else naive):
        return None
    carries = "carries" if column.timezone else "carries no"
    return Culprit(
        where=f"column {column.name!r}",
        problem=f"{carries} time zone{'' if not column.timezone else 's'}, and its physicalType is {column.physical_type}.",
        mend=f"Write {zoned if column.timezone else naive}, or give it another logical type.",
    )

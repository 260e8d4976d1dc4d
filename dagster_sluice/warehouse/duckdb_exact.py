"""Values there and back as they are: in which type a column goes in, and in which it is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dagster_sluice.contracts import Column, LogicalType
from dagster_sluice.errors import Culprit, PublishError
from dagster_sluice.warehouse.duckdb_file import ask
from dagster_sluice.warehouse.duckdb_shape import duckdb_type, identifier, length_of
from dagster_sluice.warehouse.physical import is_known, physical_of

if TYPE_CHECKING:
    import duckdb

__all__ = ["inserted", "refuse_altered", "refuse_long", "selected", "sent"]

_CARRIED = re.compile(
    r"u?(tiny|small|big)int|u?integer|hugeint|real|double precision|boolean|text|character varying.*|uuid|json|blob|date"
    r"|timestamp.*|time without time zone"
)
"""Types that come in Arrow as what they are."""


def inserted(column: Column) -> str:
    """A column on its way in.

    A double becomes a ``numeric`` by way of its text, which tells it exactly: the direct cast adds digits that are none.
    """
    name, kind = identifier(column.name), duckdb_type(column)
    physical = physical_of(column)
    exact = physical is not None and physical.name == "numeric" and column.type is LogicalType.NUMBER
    return f"{name}::TEXT::{kind}" if exact else f"{name}::{kind}"


def sent(column: Column) -> str:
    """A column as it is read back, in the type in which it was sent."""
    return f"{identifier(column.name)}::{_bare(column)}"


def selected(name: str, kind: str) -> str:
    """A column as it is to be read.

    Args:
        name: Its name.
        kind: Its type, as `dagster_sluice.warehouse.duckdb_shape.columns_of` tells it.
    """
    column = identifier(name)
    if kind.startswith("numeric") and not kind.endswith("]"):
        return f"{column}::DOUBLE AS {column}"
    if _CARRIED.fullmatch(kind):
        return column
    if kind.endswith("]") or kind.lower().startswith(("struct", "map", "union")):
        return f"to_json({column})::TEXT AS {column}"
    return f"{column}::TEXT AS {column}"


def refuse_long(connection: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> None:
    """Refuse texts of ``sluice_rows`` that are longer than their column takes: DuckDB reads ``varchar(5)`` and takes them.

    Raises:
        PublishError: Every such column.
    """
    lengths = {column.name: length for column in columns if (length := length_of(column)) is not None}
    if not lengths:
        return
    longest = ", ".join(f"max(length({identifier(name)}))" for name in lengths)
    (found,) = ask(connection, "publish", "figures", figures=longest)
    culprits = [
        Culprit(where=f"column {name!r}", problem=f"has a value of {most} characters, and takes {length}.")
        for (name, length), most in zip(lengths.items(), found, strict=True)
        if most is not None and most > length
    ]
    if culprits:
        raise PublishError(
            "A value is too long for its column.",
            culprits=culprits,
            mend="Correct the column's type in the contract, or the value.",
        )


def refuse_altered(connection: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> None:
    """Make sure that types of which nothing is known here keep the values of ``sluice_rows`` as they are.

    Raises:
        PublishError: A value would come back otherwise than it was audited.
    """
    unknown = [column for column in columns if not is_known(column)]
    if not unknown:
        return
    altered = ", ".join(
        f"count_if(({inserted(column)})::{_bare(column)} IS DISTINCT FROM {identifier(column.name)})"
        for column in unknown
    )
    (found,) = ask(connection, "publish", "figures", figures=altered)
    culprits = [
        Culprit(
            where=f"column {column.name!r}", problem=f"{count:,} values would be changed by {column.physical_type}."
        )
        for column, count in zip(unknown, found, strict=True)
        if count
    ]
    if culprits:
        raise PublishError(
            "The table would not hold what was audited.",
            culprits=culprits,
            mend="Write the values as the type gives them back, or choose a type that keeps them, such as text.",
        )


def _bare(column: Column) -> str:
    """The type in which a column is sent."""
    return duckdb_type(replace(column, physical_type=None))

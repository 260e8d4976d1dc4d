"""Values there and back as they are: what the driver cannot carry, and what only Postgres knows of its types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dagster_sluice.contracts import Column
from dagster_sluice.errors import Culprit, PublishError
from dagster_sluice.warehouse.physical import is_known
from dagster_sluice.warehouse.postgres_sessions import Cursor, ask
from dagster_sluice.warehouse.postgres_shape import identifier
from dagster_sluice.warehouse.types import cast_type, postgres_type
from dagster_sluice.warehouse.values import Address

__all__ = ["refuse_altered", "selected", "unwrapped"]

_CARRIED = re.compile(
    r"smallint|integer|bigint|real|double precision|numeric.*|boolean|text|character varying.*|name|uuid|jsonb?|bytea|date"
    r"|timestamp.*|time(\(\d\))? without time zone"
)
"""Types that ADBC gives as what they are. Of others it gives the bytes in which Postgres sends them."""


def selected(name: str, kind: str) -> str:
    """A column as it is to be read.

    Args:
        name: Its name.
        kind: Its type in Postgres's own words, as ``format_type`` tells it.
    """
    column = identifier(name)
    element = re.sub(r"(\[\d*\])+$", "", kind)
    if _CARRIED.fullmatch(element) and (element == kind or not element.startswith("numeric")):
        return column
    if element != kind:
        return f"to_jsonb({column})::text AS {column}"
    if kind.startswith("character("):
        # Blanks at the end of a char are no part of the value: only filling.
        return f"{column}::text AS {column}"
    # As Postgres prints it, which a cast to text does not always do: that of an inet adds /32.
    return f"CASE WHEN {column} IS NOT NULL THEN format('%s', {column}) END AS {column}"


def unwrapped(array: Any) -> Any:
    """Numbers as numbers: the driver gives ``numeric`` as text, which says what it is in its type."""
    import pyarrow as pa

    kind = array.type
    if isinstance(kind, pa.BaseExtensionType) and getattr(kind, "type_name", None) == "numeric":
        return array.cast(kind.storage_type).cast(pa.float64())
    return array


def refuse_altered(cursor: Cursor, address: Address, columns: Sequence[Column]) -> None:
    """Make sure that types of which nothing is known here keep the values of ``sluice_rows`` as they are.

    Raises:
        PublishError: A value would come back otherwise than it was audited.
    """
    culprits = []
    for column in columns:
        if is_known(column):
            continue
        found = ask(
            cursor,
            "publish",
            "altered",
            column=identifier(column.name),
            cast=cast_type(column),
            kind=postgres_type(column),
        )
        if found is not None and found[0]:
            problem = f"{found[0]:,} values would be changed by {column.physical_type}."
            culprits.append(Culprit(where=f"column {column.name!r}", problem=problem))
    if culprits:
        raise PublishError(
            f"{address} would not hold what was audited.",
            culprits=culprits,
            mend="Write the values as the type gives them back, or choose a type that keeps them, such as text.",
        )

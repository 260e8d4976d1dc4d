"""Good rows into their table: straight by COPY where every column takes what is sent, else by way of casts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from dagster_sluice.contracts import Column
from dagster_sluice.errors import PublishError
from dagster_sluice.failpoints import failpoint
from dagster_sluice.warehouse import postgres_partitions
from dagster_sluice.warehouse.physical import is_known
from dagster_sluice.warehouse.postgres_binary import postgres_name
from dagster_sluice.warehouse.postgres_exact import refuse_altered
from dagster_sluice.warehouse.postgres_partitions import Leaf
from dagster_sluice.warehouse.postgres_sessions import Cursor, ask, run, send
from dagster_sluice.warehouse.postgres_shape import columns_of, identifier, quoted
from dagster_sluice.warehouse.types import cast_type
from dagster_sluice.warehouse.values import PARTITION_COLUMN, Address

__all__ = ["append", "arrive", "kind_of", "replace"]

_PUBLISH = "publish"
_SAME_FORM = {
    "text": frozenset({"text", "character varying", "character", "json", "jsonb"}),
    "bigint": frozenset({"bigint"}),
    "double precision": frozenset({"double precision"}),
    "boolean": frozenset({"boolean"}),
    "date": frozenset({"date"}),
    "timestamp with time zone": frozenset({"timestamp with time zone"}),
    "timestamp without time zone": frozenset({"timestamp without time zone"}),
    "time without time zone": frozenset({"time without time zone"}),
}
"""By the type that is sent, the types of a column that read it as it is (``jsonb`` with a mark before it)."""
_NARROWER = {"smallint": pa.int16(), "integer": pa.int32()}


def replace(
    cursor: Cursor, address: Address, partition: str | None, columns: Sequence[Column], rows: pa.Table, *, swap: bool
) -> Leaf | None:
    """Remove what stands of a partition and write its rows.

    Args:
        cursor: In a transaction that has the partition's lock, with ``sluice_request``.
        address: The table.
        partition: The partition key; ``None`` for a table that is not partitioned.
        columns: The columns of ``rows``.
        rows: What takes its place.
        swap: Whether a native partition is replaced as a whole.

    Returns:
        A native partition that is filled and yet to come in, by `arrive`, as late as possible.
    """
    target = quoted(address)
    leaf = None
    if kind_of(cursor, address) == "p":
        old = postgres_partitions.leaf_of(cursor, address)
        if old is None or swap:
            leaf = postgres_partitions.made(cursor, address, old=old)
            target = leaf.name
        else:
            target = old
    if leaf is None:
        run(cursor, _PUBLISH, "replace_table" if partition is None else "replace_partition", target=target)
        failpoint("publish.removed")
    _write(cursor, address, target, partition, columns, rows)
    return leaf


def arrive(cursor: Cursor, leaf: Leaf, columns: Sequence[Column]) -> None:
    """Let a native partition come in. If readers never let go of the one that stands, its rows are replaced instead."""
    if leaf.old is None:
        postgres_partitions.attach(cursor, leaf)
    elif not postgres_partitions.swapped(cursor, leaf):
        run(cursor, _PUBLISH, "replace_partition", target=leaf.old)
        names = ", ".join(identifier(column.name) for column in columns)
        run(cursor, "partitions", "move", old=leaf.old, leaf=leaf.name, columns=f"{names}, {PARTITION_COLUMN}")
        run(cursor, "partitions", "drop", leaf=leaf.name)
    failpoint("publish.arrived")


def append(cursor: Cursor, address: Address, partition: str | None, columns: Sequence[Column], rows: pa.Table) -> None:
    """Add rows to a partition."""
    _write(cursor, address, quoted(address), partition, columns, rows)


def _write(
    cursor: Cursor,
    address: Address,
    target: str,
    partition: str | None,
    columns: Sequence[Column],
    rows: pa.Table,
) -> None:
    present = columns_of(cursor.connection, address)
    fitting = _fitting(columns, rows, present) if kind_of(cursor, address) in ("r", "p") else None
    names = [identifier(column.name) for column in columns]
    if fitting is None:
        send(cursor, "sluice_rows", rows)
        refuse_altered(cursor, address, columns)
        run(
            cursor,
            _PUBLISH,
            "insert_table" if partition is None else "insert_partition",
            target=target,
            columns=", ".join(names),
            selection=", ".join(f"{identifier(column.name)}::{cast_type(column)}" for column in columns),
        )
        return
    if partition is not None:
        names.append(PARTITION_COLUMN)
        fitting = fitting.append_column(PARTITION_COLUMN, pa.repeat(pa.scalar(partition), fitting.num_rows))
    if fitting.num_rows:
        jsonb = frozenset(name for name in fitting.column_names if present[name] == "jsonb")
        cursor.copy(f"{target} ({', '.join(names)})", fitting, jsonb=jsonb)


def kind_of(cursor: Cursor, address: Address) -> str:
    """Of what kind the table of ``sluice_request`` is, as ``pg_class.relkind`` has it; ``?`` where COPY cannot be used.

    Raises:
        PublishError: There is no such table.
    """
    found = ask(cursor, _PUBLISH, "kind")
    if found is None:
        raise PublishError(f"{address} was dropped meanwhile.", mend="Run it again: the table will be made anew.")
    return str(found[0])


def _fitting(columns: Sequence[Column], rows: pa.Table, present: Mapping[str, str]) -> pa.Table | None:
    """The rows as the table's own types read them; ``None`` if a column needs a cast of Postgres's."""
    fitting = rows
    for place, column in enumerate(columns):
        if not is_known(column):
            return None
        field = rows.schema.field(place)
        base = re.sub(r"\(\d+\)", "", present[column.name])
        sent = postgres_name(field.type)
        if sent == "bigint" and base in _NARROWER:
            try:
                narrow = rows.column(place).cast(_NARROWER[base])
            except pa.ArrowInvalid:
                return None
            fitting = fitting.set_column(place, field.name, narrow)
        elif base not in _SAME_FORM.get(sent, ()):
            return None
    return fitting

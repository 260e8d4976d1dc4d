"""Names, types and the shape of a table in DuckDB.

Names that differ only in the case of their ASCII letters are one name to DuckDB, however they are quoted. Where that would
mix up two tables or columns, it is refused.

DuckDB reads ``varchar(5)`` and forgets the 5. It is kept in the column's comment, and held at each insert.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from dagster_sluice.contracts import Column
from dagster_sluice.errors import Culprit, PublishError, TableError
from dagster_sluice.warehouse.duckdb_file import ask
from dagster_sluice.warehouse.physical import physical_of
from dagster_sluice.warehouse.types import postgres_type
from dagster_sluice.warehouse.values import PARTITION_COLUMN, RECORDS_SCHEMA, STAGING_SCHEMA, Address, is_name

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "catalog",
    "columns_of",
    "duckdb_type",
    "identifier",
    "length_of",
    "note_lengths",
    "quoted",
    "refuse_columns",
    "shape",
]

_FOLD = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_KEPT = "sluice: character varying"
_ZONED = re.compile(r"timestamp\s*(?:\(\s*\d+\s*\))?\s*with time zone|timestamptz\s*(?:\(\s*\d+\s*\))?", re.IGNORECASE)
_CLOCK = re.compile(r"time\s*\(\s*\d+\s*\)(?:\s*without time zone)?", re.IGNORECASE)
_WORDS = {
    "VARCHAR": "text",
    "DOUBLE": "double precision",
    "FLOAT": "real",
    "TIMESTAMP": "timestamp without time zone",
    "TIME": "time without time zone",
}
"""DuckDB's words for types as the SQL standard and Postgres have them, which DuckDB reads too."""


def identifier(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def catalog(connection: duckdb.DuckDBPyConnection) -> str:
    """The name of the file as SQL takes it. Without it, a schema of the same name as the file would be ambiguous."""
    ((name,),) = connection.execute("SELECT current_database()").fetchall()
    return identifier(name)


def quoted(connection: duckdb.DuckDBPyConnection, address: Address) -> str:
    """An address as SQL takes it."""
    return f"{catalog(connection)}.{identifier(address.schema)}.{identifier(address.table)}"


def duckdb_type(column: Column) -> str:
    """The DuckDB type of a column: ``physicalType`` where the contract gives one, else that of the logical type.

    What is Postgres's alone is brought to what DuckDB has: ``jsonb`` to ``json``, moments and times to microseconds.

    Raises:
        TableError: ``physicalType`` is not a type, or one that loses digits without a word.
    """
    kind = postgres_type(column).strip()
    if kind.lower() in ("numeric", "decimal"):
        raise TableError(
            "A physical type would lose digits.",
            culprits=[Culprit(where=f"column {column.name!r}", problem=f"{kind} keeps three decimals in DuckDB.")],
            mend="Say how many, for instance numeric(18,6), or leave the physical type out.",
        )
    if kind.lower() == "jsonb":
        return "json"
    if _ZONED.fullmatch(kind):
        return "timestamp with time zone"
    return "time" if _CLOCK.fullmatch(kind) else kind


def length_of(column: Column) -> int | None:
    """How many characters a text may have, if the contract says."""
    kind = physical_of(column)
    return kind.arguments[0] if kind and kind.name in ("varchar", "char") and kind.arguments else None


def columns_of(connection: duckdb.DuckDBPyConnection, address: Address) -> dict[str, str]:
    """The columns of a table and their types, in order; empty if there is no table of exactly this name."""
    found = ask(connection, "queries", "columns", {"schema": address.schema, "table": address.table})
    return {name: _words(kind, comment) for name, kind, comment in found}


def _words(kind: str, comment: str | None) -> str:
    if kind == "VARCHAR" and comment and comment.startswith(_KEPT):
        return comment.partition(": ")[2]
    if kind.startswith("DECIMAL"):
        return kind.replace("DECIMAL", "numeric")
    return _WORDS.get(kind, kind if "(" in kind else kind.lower())


def shape(
    connection: duckdb.DuckDBPyConnection, address: Address, columns: Sequence[Column], *, partitioned: bool
) -> None:
    """Create the table, or add the columns that are new to it.

    Raises:
        PublishError: A name cannot be had beside what is there, or a column has another type than the table has.
        TableError: A physical type cannot be used.
    """
    refuse_columns(address, columns)
    _refuse_address(connection, address)
    wanted = {column.name: duckdb_type(column) for column in columns}
    if partitioned:
        wanted[PARTITION_COLUMN] = "text"
    canonical = _canonical(connection, wanted, columns)
    present = columns_of(connection, address)
    target = quoted(connection, address)
    added = [name for name in wanted if name not in present]
    if present:
        _fit(address, wanted, canonical, present)
        for name in added:
            connection.execute(f"ALTER TABLE {target} ADD COLUMN {identifier(name)} {wanted[name]}")
    else:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {catalog(connection)}.{identifier(address.schema)}")
        body = ", ".join(f"{identifier(name)} {kind}" for name, kind in wanted.items())
        connection.execute(f"CREATE TABLE {target} ({body})")
    note_lengths(connection, target, [column for column in columns if column.name in added])


def note_lengths(connection: duckdb.DuckDBPyConnection, target: str, columns: Sequence[Column]) -> None:
    """Write down beside columns how long their texts may be."""
    for column in columns:
        if (length := length_of(column)) is not None:
            connection.execute(f"COMMENT ON COLUMN {target}.{identifier(column.name)} IS '{_KEPT}({length})'")


def _fit(address: Address, wanted: Mapping[str, str], canonical: Mapping[str, str], present: Mapping[str, str]) -> None:
    if (PARTITION_COLUMN in present) != (PARTITION_COLUMN in wanted):
        raise PublishError(
            f"{address} is {'' if PARTITION_COLUMN in present else 'not '}partitioned in the warehouse,"
            f" and the asset is {'' if PARTITION_COLUMN in wanted else 'not '}partitioned.",
            mend=f"Drop or rename {address}, then publish it anew.",
        )
    twins = _twins([name for name in wanted if name not in present], present)
    culprits = [
        Culprit(where=f"column {name!r}", problem=f"stands there as {twin!r}, and DuckDB takes both for one.")
        for name, twin in twins.items()
    ]
    if culprits:
        raise PublishError(
            f"{address} in the warehouse has columns whose names differ from its contract's in case only.",
            culprits=culprits,
            mend="Write them in the contract as they are there.",
        )
    culprits = [
        Culprit(where=f"column {name!r}", problem=f"is {present[name]} there, {kind} in the contract.")
        for name, kind in canonical.items()
        if name in present and present[name] != kind
    ]
    if culprits:
        raise PublishError(
            f"{address} in the warehouse has other column types than its contract.",
            culprits=culprits,
            mend="Change the contract back, or alter the table by hand; nothing was changed.",
        )


def refuse_columns(address: Address, columns: Sequence[Column]) -> None:
    """Refuse columns that DuckDB cannot have.

    Raises:
        PublishError: Every such column.
    """
    names = [column.name for column in columns]
    folded = [_folded(name) for name in names]
    culprits = []
    for name in dict.fromkeys(names):
        problem = None
        if not is_name(name):
            problem = "a name takes 1 to 63 bytes of UTF-8 and no NUL."
        elif _folded(name) == PARTITION_COLUMN:
            problem = "is a name that the warehouse needs for itself."
        elif names.count(name) > 1:
            problem = f"stands {names.count(name)} times."
        elif folded.count(_folded(name)) > 1:
            problem = "differs from another only in case, and DuckDB takes both for one."
        if problem:
            culprits.append(Culprit(where=f"column {name!a}", problem=problem))
    if culprits:
        raise PublishError(
            f"{address} has columns that DuckDB cannot have.", culprits=culprits, mend="Rename them in the contract."
        )


def _refuse_address(connection: duckdb.DuckDBPyConnection, address: Address) -> None:
    if _folded(address.schema) in (RECORDS_SCHEMA, STAGING_SCHEMA):
        raise PublishError(
            f"{address} cannot be published: DuckDB takes that schema for the one of the warehouse's own records.",
            mend="Give the asset another key, or the contract another schema.",
        )
    schemas = [row[0] for row in ask(connection, "queries", "schemas")]
    tables = [row[0] for row in ask(connection, "queries", "tables_of", {"schema": address.schema})]
    for kind, name, there in (("schema", address.schema, schemas), ("table", address.table, tables)):
        twin = _twins([name], there).get(name)
        if twin is not None:
            raise PublishError(
                f"{address} cannot be published: there is a {kind} {twin!r} already, and DuckDB takes both for one.",
                mend="Write it as it is there, or give the asset another key.",
            )


def _twins(names: Sequence[str], there: Iterable[str]) -> dict[str, str]:
    """Names that are not there, but others are which DuckDB takes for the same."""
    known = set(there)
    by_fold = {_folded(name): name for name in known}
    return {name: by_fold[_folded(name)] for name in names if name not in known and _folded(name) in by_fold}


def _folded(name: str) -> str:
    return name.translate(_FOLD)


def _canonical(
    connection: duckdb.DuckDBPyConnection, wanted: Mapping[str, str], columns: Sequence[Column]
) -> dict[str, str]:
    """Each type as `columns_of` would tell it."""
    if not wanted:
        return {}
    kinds = ", ".join(f"typeof(CAST(NULL AS {kind}))" for kind in wanted.values())
    (row,) = connection.execute(f"SELECT {kinds}").fetchall()
    comments = {column.name: f"{_KEPT}({length_of(column)})" for column in columns if length_of(column) is not None}
    return {name: _words(str(kind), comments.get(name)) for name, kind in zip(wanted, row, strict=True)}

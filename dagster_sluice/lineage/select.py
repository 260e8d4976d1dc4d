"""Which columns of which tables a SELECT makes its own columns of, read off its text by sqlglot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["SelectSources", "Unreadable", "sources_of_select"]

Place = tuple[str, str]
"""Schema and name of a table; the schema is empty where the text names none."""


class Unreadable(ValueError):  # noqa: N818 (it says what the text is)
    """A SELECT whose columns cannot be told from its text, and why."""


@dataclass(frozen=True, kw_only=True)
class SelectSources:
    """What a SELECT is made of.

    Attributes:
        columns: For each column of the result, in order, the columns it is made of: (schema, table, column). One that
            cannot be told, as a column without its table where several are joined, is left out.
        tables: Every table that is read, also those that give no column but only decide which rows there are.
    """

    columns: Mapping[str, frozenset[tuple[str, str, str]]]
    tables: frozenset[Place]


def sources_of_select(text: str, *, dialect: str, tables: Mapping[Place, Sequence[str]]) -> SelectSources:
    """Read a SELECT.

    What a value is computed from counts, conditions of a CASE and the order of a window among it; what only decides
    which rows there are (WHERE, the keys of a join, GROUP BY) does not.

    Args:
        text: The SELECT, without parameters.
        dialect: sqlglot's name for the database: ``"postgres"``, ``"duckdb"``.
        tables: The columns of the tables that are known. They are needed for ``SELECT *``, and for a column without
            its table where several are joined.

    Raises:
        Unreadable: sqlglot cannot parse it, or a ``*`` stands for columns that are not known.
    """
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope
    from sqlglot.schema import MappingSchema

    try:
        parsed = parse_one(text, dialect=dialect)
        if not isinstance(parsed, exp.Query):
            raise Unreadable(f"it is a {parsed.key.upper()}, no SELECT.")
        read = _numbered(parsed)
        known = {number: tables.get(place) or tables.get(("", place[1])) or () for number, place in read.items()}
        known |= _used(parsed, [number for number, columns in known.items() if not columns])
        schema = MappingSchema(
            {number: dict.fromkeys(columns, "unknown") for number, columns in known.items() if columns},
            normalize=False,
        )
        whole = qualify(parsed, dialect=dialect, schema=schema, validate_qualify_columns=False, quote_identifiers=False)
        names = list(whole.named_selects)
        if "*" in names:
            raise Unreadable("its * stands for columns of a table that is not known.")
        scope = build_scope(whole)
        found = {}
        for name in names:
            root = lineage(
                exp.column(exp.to_identifier(name, quoted=True)),
                whole,
                dialect=dialect,
                schema=schema,
                scope=scope,
                trim_selects=False,
                copy=False,
            )
            leaves = _leaves(root, read)
            if leaves is not None:
                found[name] = frozenset(leaves)
    except SqlglotError as failure:
        raise Unreadable(_told(failure)) from failure
    return SelectSources(columns=found, tables=frozenset(read.values()))


def _numbered(parsed: Any) -> dict[str, Place]:
    """Give each table that is read a name of its own, and say which is which.

    So a name of WITH that is also a table's (``with orders as (select … from shop.orders)``) is no riddle, and tables
    named with and without their schema or database stand side by side.
    """
    from sqlglot import exp

    own = {common.alias_or_name for common in parsed.find_all(exp.CTE)}
    numbers: dict[Place, str] = {}
    for table in list(parsed.find_all(exp.Table)):
        if not isinstance(table.this, exp.Identifier) or (not table.db and table.name in own):
            continue
        number = numbers.setdefault((table.db, table.name), f"sluice_table_{len(numbers)}")
        alias = table.args.get("alias")
        if alias is None or not alias.name:
            table.set("alias", exp.TableAlias(this=table.this.copy()))
        table.set("this", exp.to_identifier(number))
        table.set("db", None)
        table.set("catalog", None)
    return {number: place for place, number in numbers.items()}


def _used(parsed: Any, unknown: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Of tables whose columns nobody knows, those that the text names; of a table under a ``*``, none.

    A column without its table is that of the only table there is; where there are several, sqlglot decides.
    """
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    used: dict[str, set[str]] = {number: set() for number in unknown}
    starred = set()
    for scope in traverse_scope(parsed):
        own = {
            alias: source.name
            for alias, (_, source) in scope.selected_sources.items()
            if isinstance(source, exp.Table) and source.name in used
        }
        stars = [star for star in scope.find_all(exp.Star) if not isinstance(star.parent, exp.Count)]
        whole = any(not isinstance(star.parent, exp.Column) for star in stars)
        starred |= {
            number
            for alias, number in own.items()
            if whole or any(isinstance(star.parent, exp.Column) and star.parent.table == alias for star in stars)
        }
        only = next(iter(own), None) if len(scope.selected_sources) == 1 else None
        for column in scope.columns:
            number = own.get(column.table or only or "")
            if number is not None and not isinstance(column.this, exp.Star):
                used[number].add(column.name)
    return {number: tuple(sorted(names)) for number, names in used.items() if number not in starred}


def _leaves(root: Any, read: Mapping[str, Place]) -> list[tuple[str, str, str]] | None:
    """The columns of tables at the ends of a column's tree; ``None`` if one of them could not be placed."""
    from sqlglot import exp

    found = []
    for node in root.walk():
        if not isinstance(node.expression, exp.Table):
            if any(not column.table for column in node.expression.find_all(exp.Column)):
                return None
            continue
        column = exp.to_column(node.name).name
        if column and column != "*" and node.expression.name in read:
            found.append((*read[node.expression.name], column))
    return found


def _told(failure: Exception) -> str:
    """The parser's words without the colours in which it shows the place."""
    for error in getattr(failure, "errors", ()):
        if error.get("description"):
            return f"{error['description'].split('<Token')[0].strip()} (line {error.get('line')})."
    return f"{' '.join(str(failure).split())[:300]}."

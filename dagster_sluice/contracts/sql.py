"""SQL in a contract, read when it is declared: one SELECT on the batch, and nothing else.

DuckDB parses it into a tree and makes the text that is run from that tree, so what was checked is what runs. It runs
in a `sandbox`: a database in memory without files, network, extensions or settings to change.
"""

from __future__ import annotations

import copy
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Any

from dagster_sluice.contracts.contract import Column, LogicalType

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "BATCH",
    "NUMBERED",
    "ROW",
    "BadSql",
    "Statement",
    "bind",
    "first_line",
    "read_condition",
    "read_query",
    "sandbox",
]

BATCH = "batch"
"""What ``{batch}`` becomes: the relation with the rows that are judged."""
NUMBERED = "batch_with_row_numbers_"
"""The same with one more column, `ROW`."""
ROW = "row_number_of_the_batch_"

_SOURCES = frozenset({"BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "SUBQUERY", "TABLE_FUNCTION"})
_TABLE_FUNCTIONS = frozenset({"generate_series", "range", "unnest"})
_OWN = threading.local()


class BadSql(ValueError):  # noqa: N818 (it says what is, as the other errors do)
    """SQL that cannot be run; its text is the problem, ``mend`` what to do."""

    def __init__(self, problem: str, mend: str = "") -> None:
        self.mend = mend
        super().__init__(problem)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """SQL that was read.

    Attributes:
        text: What is run. For a condition: each row's number with what the condition says of it.
        rows: A statement that gives the numbers of the rows found; ``None`` where those cannot be told.
        columns: The columns it looks at by name; ``None`` if it may look at any.
    """

    text: str
    rows: str | None = None
    columns: frozenset[str] | None = None


def sandbox(timezone: str = "UTC") -> duckdb.DuckDBPyConnection:
    """The thread's own connection in which SQL of a contract may run; a forked child makes a new one.

    Args:
        timezone: IANA name of the zone in which a moment has a date and an hour.
    """
    import duckdb

    if getattr(_OWN, "process", None) != os.getpid():
        _OWN.connections, _OWN.process = {}, os.getpid()
    connections: dict[str, duckdb.DuckDBPyConnection] = _OWN.connections
    if timezone not in connections:
        connection = duckdb.connect(
            ":memory:",
            config={
                "allow_community_extensions": "false",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "enable_external_access": "false",
                "python_enable_replacements": "false",
            },
        )
        connection.execute("SET GLOBAL TimeZone = '" + timezone.replace("'", "''") + "'")
        connection.execute("SET lock_configuration = true")
        connections[timezone] = connection
    return connections[timezone]


def read_condition(text: str) -> Statement:
    """A condition that each row must satisfy, such as ``dep_time < arr_time OR cancelled``.

    Raises:
        BadSql: It is no condition, or looks beyond the batch.
    """
    tree = _parsed(f"SELECT\n{_placed(text)}\n", "a condition")
    if len(tree["statements"]) != 1:
        raise BadSql("There is a `;` in the condition.", "Write one condition.")
    node = tree["statements"][0]["node"]
    chosen = node.get("select_list") or []
    bare = node["type"] == "SELECT_NODE" and node["from_table"]["type"] == "EMPTY" and not node["modifiers"]
    if not bare or len(chosen) != 1 or chosen[0].get("alias") or _has_more(node) or chosen[0]["class"] == "STAR":
        raise BadSql("This is no condition on a row.", "Write what is true of a good row, as behind WHERE.")
    _check_sources(tree)
    for part in _nodes(chosen[0], into_subqueries=False):
        if part.get("class") == "STAR" or str(part.get("function_name")).casefold() == "unnest":
            raise BadSql("It is not one condition: `*`, `COLUMNS` or `unnest` make several.", "Name the columns.")
    whole = _parsed(f"SELECT {ROW}, CAST(TRUE AS BOOLEAN) AS held FROM {NUMBERED} AS {BATCH}", "a condition")  # noqa: S608
    whole["statements"][0]["node"]["select_list"][1]["child"] = chosen[0]
    columns = None if _stars(chosen[0]) else frozenset(_columns(chosen[0]))
    return Statement(text=_written(whole), columns=columns)


def read_query(text: str, *, formatted: bool = False) -> Statement:
    """A SELECT on ``{batch}``.

    A query marks rows if it selects whole ones: ``*`` alone from ``{batch}`` alone, or ``b.*`` from ``{batch} AS b``
    joined with anything; without DISTINCT, GROUP BY, LIMIT, SAMPLE or a set operation around it.

    Args:
        text: The query.
        formatted: Whether braces other than ``{batch}`` are doubled, as Great Expectations wants them.

    Raises:
        BadSql: It is not one SELECT, or looks beyond the batch.
    """
    tree = _parsed(_formatted(text) if formatted else _placed(text), "a query")
    if len(tree["statements"]) != 1:
        raise BadSql(f"There are {len(tree['statements'])} statements.", "Write one SELECT.")
    _check_sources(tree)
    if not any(source == BATCH for source in _tables(tree)):
        raise BadSql("The query does not read the rows that are judged.", "Write `FROM {batch}`.")
    numbered = _numbered(tree)
    columns = None if _stars(tree) else frozenset(_columns(tree))
    return Statement(text=_written(tree), rows=None if numbered is None else _written(numbered), columns=columns)


def bind(statement: Statement, columns: Iterable[Column]) -> int:
    """How many columns the statement gives on a batch of these columns.

    Raises:
        BadSql: It names a column or function that there is not, or compares what cannot be compared.
    """
    import duckdb

    given = list(columns)
    listed = ", ".join(f"{_quoted(column.name)} {_type_of(column)}" for column in given)
    connection = sandbox().cursor()
    try:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {BATCH} ({listed})")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {NUMBERED} ({listed}, {ROW} BIGINT)")
        described = connection.execute(statement.text).description
    except duckdb.Error as failure:
        if any(column.type in (LogicalType.OBJECT, LogicalType.ARRAY) for column in given) and "not found" not in str(
            failure
        ):
            # What is inside an object or array is not known here.
            return 1
        raise BadSql(first_line(failure)) from None
    finally:
        connection.close()
    return len(described or ())


def first_line(failure: Exception) -> str:
    """What DuckDB complains of, without its excerpt of the statement."""
    line = str(failure).strip().splitlines()[0] if str(failure).strip() else type(failure).__name__
    if ROW in line:
        return "An aggregate says nothing of one row; write it as a window, such as `sum(x) OVER ()`."
    line = re.sub(r"^[A-Z][A-Za-z ]+ Error: ", "", line).strip().rstrip("!.")
    return f"{line}."


def _type_of(column: Column) -> str:
    if column.type is LogicalType.TIMESTAMP:
        return "TIMESTAMPTZ" if column.timezone else "TIMESTAMP"
    return {
        LogicalType.STRING: "VARCHAR",
        LogicalType.INTEGER: "BIGINT",
        LogicalType.NUMBER: "DOUBLE",
        LogicalType.BOOLEAN: "BOOLEAN",
        LogicalType.DATE: "DATE",
        LogicalType.TIME: "TIME",
    }.get(column.type, "VARCHAR")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _placed(text: str) -> str:
    return text.replace("{batch}", BATCH).strip().rstrip(";").rstrip()


def _formatted(text: str) -> str:
    try:
        parts = list(Formatter().parse(text))
    except ValueError as failure:
        raise BadSql(f"Its braces do not pair: {failure}.", "Double a brace that is meant as one: `{{`.") from None
    beyond = [field for _, field, _, _ in parts if field is not None and field != BATCH]
    if beyond:
        raise BadSql(f"Nothing is put in for `{{{beyond[0]}}}`.", "Write `{batch}`; double other braces: `{{`.")
    return _placed("".join(literal + ("{batch}" if field is not None else "") for literal, field, _, _ in parts))


def _parsed(text: str, what: str) -> Any:
    if "\0" in text:
        raise BadSql("The text has a NUL in it.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadSql("The text has half of a character in it.") from None
    found: Any = sandbox().execute("SELECT json_serialize_sql(?)", [text]).fetchone()
    tree = json.loads(found[0])
    if tree["error"]:
        said = str(tree["error_message"])
        if "Only SELECT" in said:
            raise BadSql(f"This is not {what}.", "Write one SELECT." if what == "a query" else "Write a condition.")
        raise BadSql(f"This is not {what}: {first_line(ValueError(said))}")
    if not tree["statements"]:
        raise BadSql(f"This is not {what}: it is empty.")
    return tree


def _written(tree: Any) -> str:
    found: Any = sandbox().execute("SELECT json_deserialize_sql(?)", [json.dumps(tree)]).fetchone()
    return str(found[0])


def _nodes(tree: Any, *, into_subqueries: bool = True) -> Iterator[Mapping[str, Any]]:
    if isinstance(tree, list):
        for item in tree:
            yield from _nodes(item, into_subqueries=into_subqueries)
    elif isinstance(tree, dict):
        yield tree
        if tree.get("class") == "SUBQUERY" and not into_subqueries:
            return
        for item in tree.values():
            yield from _nodes(item, into_subqueries=into_subqueries)


def _path(node: Mapping[str, Any]) -> list[str]:
    parts = [node.get("catalog_name") or "", node.get("schema_name") or "", node.get("table_name") or ""]
    return [part for part in parts if part]


def _tables(tree: Any) -> set[str]:
    return {".".join(_path(node)).casefold() for node in _nodes(tree) if node.get("type") == "BASE_TABLE"}


def _check_sources(tree: Any) -> None:
    named = {entry["key"].casefold() for node in _nodes(tree) for entry in (node.get("cte_map") or {}).get("map", ())}
    if ROW in _columns(tree):
        raise BadSql(f"There is no column `{ROW}`.")
    if BATCH in named:
        raise BadSql("It calls something of its own `batch`.", "Give that another name.")
    for node in _nodes(tree):
        if node.get("class") == "PARAMETER":
            raise BadSql("There is a `?` or `$` for a value, and no value.", "Write the value.")
        if "column_name_alias" not in node and "sample" not in node:
            continue
        kind = node.get("type")
        if kind == "BASE_TABLE":
            path = _path(node)
            if ".".join(path).casefold() not in {BATCH, *named}:
                raise BadSql(f"It reads `{'.'.join(path)}`, not the batch.", "Write `{batch}` for the rows judged.")
        elif kind == "TABLE_FUNCTION":
            name = (node.get("function") or {}).get("function_name", "")
            if name.casefold() not in _TABLE_FUNCTIONS:
                raise BadSql(f"It reads from `{name}()`, not the batch.", "Write `{batch}` for the rows judged.")
        elif kind in _REFERENCES - _SOURCES:
            raise BadSql("It is not a plain SELECT.", "Write it with FROM, JOIN and WHERE.")


_REFERENCES = _SOURCES | {"BOUND_TABLE_REF", "COLUMN_DATA", "CTE", "DELIM_GET", "INVALID", "PIVOT", "SHOW_REF"}


def _columns(tree: Any) -> set[str]:
    return {name for node in _nodes(tree) if node.get("class") == "COLUMN_REF" for name in node["column_names"]}


def _stars(tree: Any) -> bool:
    return any(node.get("class") == "STAR" for node in _nodes(tree))


def _has_more(node: Mapping[str, Any]) -> bool:
    """Whether a SELECT has more to it than its list and its FROM."""
    kept = ("where_clause", "having", "sample", "qualify", "group_expressions", "group_sets")
    return any(node.get(key) for key in kept) or bool((node.get("cte_map") or {}).get("map"))


def _numbered(tree: Any) -> Any:
    """The tree of a query that gives the numbers of the rows it selects, if it selects whole ones."""
    tree = copy.deepcopy(tree)
    node = tree["statements"][0]["node"]
    if node["type"] != "SELECT_NODE" or any(item["type"] != "ORDER_MODIFIER" for item in node["modifiers"]):
        return None
    if any(node.get(key) for key in ("having", "sample", "group_expressions", "group_sets")):
        return None
    if node["aggregate_handling"] != "STANDARD_HANDLING" or len(node["select_list"]) != 1:
        return None
    star = node["select_list"][0]
    changed = ("exclude_list", "replace_list", "qualified_exclude_list", "rename_list", "columns", "expr")
    if star["class"] != "STAR" or any(star.get(key) for key in changed):
        return None
    judged = [node.get("where_clause"), node.get("qualify"), node["modifiers"], node["from_table"]]
    if any(inner.get("class") == "STAR" for part in judged for inner in _nodes(part, into_subqueries=False)):
        return None
    source = _source(node["from_table"], star["relation_name"])
    if source is None:
        return None
    alias = source["alias"] or BATCH
    source.update(alias=alias, table_name=NUMBERED)
    if "qualified_name" in source:
        source["qualified_name"] = {"path": [NUMBERED]}
    chosen = _parsed(f"SELECT {_quoted(alias)}.{ROW}", "a query")["statements"][0]["node"]["select_list"]
    node["select_list"] = chosen
    return tree


def _source(table: dict[str, Any], relation: str) -> dict[str, Any] | None:
    """The one reference to the batch whose rows a star selects."""
    if table["type"] == "BASE_TABLE":
        usable = _path(table) == [BATCH] and not table["sample"] and not table["column_name_alias"]
        own = relation.casefold() in {"", (table["alias"] or BATCH).casefold()}
        return table if usable and own else None
    if table["type"] != "JOIN" or not relation:
        return None
    found = [_source(side, relation) for side in (table["left"], table["right"])]
    meant = [source for source in found if source is not None]
    return meant[0] if len(meant) == 1 else None

"""What an expectation is given in SQL, checked when it is declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dagster_sluice.contracts.catalogue import Argument
from dagster_sluice.contracts.contract import Column
from dagster_sluice.contracts.sql import BadSql, bind, read_condition, read_query

__all__ = ["check_sql", "marks_rows"]


def check_sql(
    argument: Argument, name: str, text: str, columns: Mapping[str, Column], blame: Callable[..., None]
) -> None:
    """Read an argument in SQL and hold it against the columns, if they are known.

    Args:
        argument: A condition or a query.
        name: The argument's name.
        text: The SQL.
        columns: By name; empty where nobody knows them.
        blame: Takes the problem and what to do.
    """
    try:
        if argument is Argument.CONDITION:
            statement = read_condition(text)
        else:
            statement = read_query(text, formatted=name == "unexpected_rows_query")
        given = bind(statement, columns.values()) if len(columns) else 1
    except BadSql as wrong:
        blame(f"`{name}`: {wrong}", wrong.mend)
        return
    if name == "query" and given != 1:
        blame(f"`{name}` gives {given} columns.", "Select one value, such as `count(*)`.")


def marks_rows(kwargs: Mapping[str, Any]) -> bool:
    """Whether the query of an ``unexpected_rows_expectation`` selects whole rows, which can then be quarantined."""
    query = kwargs.get("unexpected_rows_query")
    if not isinstance(query, str):
        return False
    try:
        return read_query(query, formatted=True).rows is not None
    except BadSql:
        return False

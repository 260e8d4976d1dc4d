"""Conditions on rows: which rows of a frame an expectation judges.

Great Expectations gives each condition to ``DataFrame.query``; so does this engine, with the very same text, so that
the rows are the same by construction. What is judged is then the frame of those rows. Of a frame that is not pandas only
the columns that the condition names are converted for that.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dagster_sluice.gates.duckdb.columns import ArrowSource, NotEligible, PandasSource, RowsOf, Source

__all__ = ["filtered", "query_columns", "query_text"]

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_MEMBERSHIPS = {"IN": "in", "NOT_IN": "not in"}
_WRITTEN = re.compile(
    r"""\s*col\("(?P<column>\w+)"\)\s*(?:
        (?P<notnull>\.notnull\(\))
        |(?P<operator>==|!=|<=|>=|<|>)\s*(?:"(?P<double>\w+)"|'(?P<single>\w+)'|(?P<number>-?\d+(?:\.\d+)?))
    )\s*""",
    re.VERBOSE | re.ASCII,
)


def filtered(source: Source, text: str, columns: frozenset[str] | None) -> tuple[Source, npt.NDArray[np.int64]]:
    """The rows of a frame for which a query holds, and their positions.

    Args:
        source: The frame.
        text: The query, as `query_text` gives it.
        columns: The columns it names, as `query_columns` gives them.
    """
    if isinstance(source, ArrowSource) and columns and columns <= set(source.names):
        named = pd.DataFrame({name: source.series(name) for name in source.names if name in columns}, copy=False)
        positions = named.query(text).index.to_numpy(dtype=np.int64)
        return RowsOf(source, positions), positions
    whole = source.frame().reset_index(drop=True)
    rows = whole.query(text)
    return PandasSource(rows), rows.index.to_numpy(dtype=np.int64)


def query_text(kwargs: Mapping[str, Any]) -> str | None:
    """The query that Great Expectations would make of a condition; ``None`` if there is no condition.

    Raises:
        NotEligible: The condition is not plainly one of those it knows.
    """
    condition, parser = kwargs.get("row_condition"), kwargs.get("condition_parser")
    if condition is None or condition == "":
        return None
    if isinstance(condition, str):
        if parser == "pandas":
            return condition
        if parser == "great_expectations":
            return _written(condition)
        raise NotEligible("the condition on rows is text that nobody is said to read")
    if not isinstance(condition, Mapping) and hasattr(condition, "dict"):
        condition = condition.dict()
    if not isinstance(condition, Mapping):
        raise NotEligible("the condition on rows is neither text nor a mapping")
    return _clause(condition, deep=True)


def query_columns(kwargs: Mapping[str, Any]) -> frozenset[str] | None:
    """The columns that a condition names, if `query_text` takes it; ``None`` where nobody can tell."""
    condition = kwargs.get("row_condition")
    if isinstance(condition, str):
        found = _WRITTEN.fullmatch(condition) if kwargs.get("condition_parser") == "great_expectations" else None
        return frozenset([found["column"]]) if found is not None else None
    if condition is not None and not isinstance(condition, Mapping) and hasattr(condition, "dict"):
        condition = condition.dict()
    return frozenset(_clause_columns(condition)) if isinstance(condition, Mapping) else None


def _clause_columns(condition: Mapping[str, Any]) -> Iterator[str]:
    column = condition.get("column")
    name = column.get("name") if isinstance(column, Mapping) else getattr(column, "name", None)
    if isinstance(name, str):
        yield name
    for part in condition.get("conditions") or ():
        yield from _clause_columns(part)


def _written(condition: str) -> str:
    found = _WRITTEN.fullmatch(condition)
    if found is None:
        raise NotEligible("the condition on rows is not plainly written")
    column = _reference(found["column"])
    if found["notnull"]:
        return f"~{column}.isnull()"
    text = found["double"] or found["single"]
    if text is not None:
        return f"{column} {found['operator']} {text!r}"
    number = float(found["number"]) if "." in found["number"] else int(found["number"])
    return f"{column} {found['operator']} {number!r}"


def _clause(condition: Mapping[str, Any], *, deep: bool) -> str:
    kind = condition.get("type")
    if kind == "nullity" and set(condition) == {"type", "column", "is_null"}:
        column = _column(condition)
        if type(condition["is_null"]) is not bool:
            raise NotEligible("the condition on rows is not plainly written")
        return f"{column}.isnull()" if condition["is_null"] else f"~{column}.isnull()"
    if kind == "comparison" and set(condition) == {"type", "column", "operator", "parameter"}:
        return _comparison(_column(condition), condition["operator"], condition["parameter"])
    if kind in ("and", "or") and deep and isinstance(condition.get("conditions"), (list, tuple)):
        parts = [_clause(part, deep=False) for part in condition["conditions"] if isinstance(part, Mapping)]
        if parts and len(parts) == len(condition["conditions"]):
            return "(" + f" {kind} ".join(parts) + ")"
    raise NotEligible("the condition on rows is not plainly written")


def _comparison(column: str, operator: Any, parameter: Any) -> str:
    operator = getattr(operator, "value", operator)
    if operator in _COMPARISONS and _plain(parameter):
        return f"{column} {operator} {parameter!r}"
    if operator in _MEMBERSHIPS and isinstance(parameter, (list, tuple)) and all(map(_plain, parameter)):
        kinds = {type(value) is str for value in parameter}
        if len(kinds) == 1:
            return f"{column} {_MEMBERSHIPS[operator]} [{', '.join(map(repr, parameter))}]"
    raise NotEligible("the condition on rows compares with something that is no plain number or text")


def _plain(value: Any) -> bool:
    return type(value) in (int, str) or (type(value) is float and math.isfinite(value))


def _column(condition: Mapping[str, Any]) -> str:
    column = condition["column"]
    name = column.get("name") if isinstance(column, Mapping) else getattr(column, "name", None)
    if type(name) is not str:
        raise NotEligible("the condition on rows names no column")
    return _reference(name)


def _reference(name: str) -> str:
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"`{name}`"

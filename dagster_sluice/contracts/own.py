"""Expectations that Great Expectations does not have, or not on a frame: in SQL, and on what was seen before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dagster_sluice.contracts.catalogue import CATALOGUE, Argument, ExpectationType, Kind

__all__ = [
    "HISTORICAL",
    "IN_SQL",
    "LAST",
    "MINIMUM",
    "OWN",
    "TYPES",
    "class_type",
    "historical_problem",
    "type_of_class",
]

_BETWEEN = {
    "min_value": Argument.NUMBER,
    "max_value": Argument.NUMBER,
    "strict_min": Argument.FLAG,
    "strict_max": Argument.FLAG,
}
_TREND = {
    "within": Argument.POSITIVE,
    "deviations": Argument.POSITIVE,
    "last": Argument.COUNT,
    "minimum": Argument.COUNT,
}

OWN: Mapping[str, ExpectationType] = {
    kind.name: kind
    for kind in (
        ExpectationType(
            name="expect_rows_to_satisfy",
            kind=Kind.TABLE,
            arguments={"condition": Argument.CONDITION, "mostly": Argument.SHARE},
            required=frozenset({"condition"}),
            conditional=False,
            marks_rows=True,
        ),
        ExpectationType(
            name="expect_query_value_to_be_between",
            kind=Kind.TABLE,
            arguments={"query": Argument.QUERY, **_BETWEEN, "outside": Argument.FLAG},
            required=frozenset({"query"}),
            one_of=("min_value", "max_value"),
            conditional=False,
        ),
        ExpectationType(
            name="expect_table_row_count_to_be_near_median",
            kind=Kind.TABLE,
            arguments=_TREND,
            one_of=("within", "deviations"),
            conditional=False,
        ),
        ExpectationType(
            name="expect_column_null_share_to_be_near_median",
            kind=Kind.AGGREGATE,
            arguments={"column": Argument.COLUMN, **_TREND},
            required=frozenset({"column"}),
            one_of=("within", "deviations"),
            conditional=False,
        ),
        ExpectationType(
            name="expect_table_schema_to_be_unchanged",
            kind=Kind.TABLE,
            arguments={"allow": Argument.TEXTS},
            conditional=False,
        ),
    )
}
"""By name, as `CATALOGUE`."""

TYPES: Mapping[str, ExpectationType] = {**CATALOGUE, **OWN}
"""Every expectation that a contract may name without more."""

IN_SQL = frozenset({"expect_rows_to_satisfy", "expect_query_value_to_be_between", "unexpected_rows_expectation"})
"""Judged by DuckDB alone: Great Expectations has no SQL on pandas."""

HISTORICAL = frozenset(
    {
        "expect_table_row_count_to_be_near_median",
        "expect_column_null_share_to_be_near_median",
        "expect_table_schema_to_be_unchanged",
    }
)
"""Judged by what past audits found, so they want ``history``."""

LAST = 30
"""So many past values are looked at, if the expectation does not say."""
MINIMUM = 7
"""So many past values are needed before anything is judged, if the expectation does not say."""

_CHANGES = ("added", "dropped", "retyped", "reordered")
_CLASS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def type_of_class(import_path: str) -> str | None:
    """The type under which Great Expectations registers the class at ``module:Class``; ``None`` if that is no path."""
    if not _CLASS.fullmatch(import_path):
        return None
    name = import_path.partition(":")[2]
    # As `camel_to_snake` of Great Expectations has it.
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def class_type(name: str) -> ExpectationType:
    """What is known of an expectation of somebody's own: what it is called."""
    return ExpectationType(
        name=name,
        kind=Kind.TABLE,
        arguments={
            "column": Argument.COLUMN,
            "column_A": Argument.COLUMN,
            "column_B": Argument.COLUMN,
            "column_list": Argument.COLUMNS,
            "mostly": Argument.SHARE,
        },
        # Nobody knows before it has judged; a failure that names no rows blocks.
        marks_rows=True,
        open=True,
    )


def historical_problem(kind: str, kwargs: Mapping[str, Any]) -> str | None:
    """What is wrong with the arguments of an expectation about past audits; ``None`` if nothing is."""
    known = {"allow"} if kind == "expect_table_schema_to_be_unchanged" else set(_TREND)
    known = known | ({"column"} if kind == "expect_column_null_share_to_be_near_median" else set())
    if unknown := sorted(set(kwargs) - known):
        return f"it takes no `{'`, `'.join(unknown)}`."
    if "allow" in known:
        allowed = kwargs.get("allow") or ()
        if isinstance(allowed, str) or not set(allowed) <= set(_CHANGES):
            return f"`allow` must be a list of {', '.join(_CHANGES)}."
        return None
    if "column" in known and not isinstance(kwargs.get("column"), str):
        return "it needs `column`."
    measures = [kwargs[name] for name in ("within", "deviations") if kwargs.get(name) is not None]
    if not measures or any(isinstance(at, bool) or not isinstance(at, (int, float)) or not at > 0 for at in measures):
        return "it needs `within` or `deviations`, numbers above 0."
    last, minimum = kwargs.get("last", LAST), kwargs.get("minimum", MINIMUM)
    whole = all(type(number) is int and number > 0 for number in (last, minimum))
    if not whole or ("minimum" in kwargs and minimum > last):
        return "`last` and `minimum` must be whole numbers above 0, and `minimum` no more than `last`."
    return None

"""Promises in SQL: ODCS rules of ``type: sql``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dagster_sluice.contracts.contract import Column
from dagster_sluice.contracts.interval import read_interval
from dagster_sluice.contracts.quality import Draft
from dagster_sluice.contracts.sql_arguments import marks_rows

if TYPE_CHECKING:
    from dagster_sluice.contracts.document import Document, Steps

__all__ = ["draft_sql"]

_VALUE = "expect_query_value_to_be_between"
_ROWS = "unexpected_rows_expectation"
_OBJECT = re.compile(r"\$?\{(?:batch|object|table|schema)\}", re.IGNORECASE)
_PROPERTY = re.compile(r"\$?\{(?:property|column)\}", re.IGNORECASE)
_NEGATED = {"mustNotBe": "mustBe", "mustNotBeBetween": "mustBeBetween"}


def draft_sql(document: Document, rule: Mapping[str, Any], steps: Steps, column: Column | None) -> list[Draft]:
    """The draft of a rule of ``type: sql``: its query gives one number for the operator, or the rows that are wrong.

    Args:
        document: Takes the culprits.
        rule: One entry of ``quality``.
        steps: Where it stands.
        column: The column it stands under, which ``{property}`` means.
    """
    said = rule.get("query")
    here: Steps = (*steps, "query")
    if not isinstance(said, str):
        if said is None:
            document.blame(steps, "The rule has no query.", "Add `query: SELECT count(*) FROM {object} WHERE …`.")
        return []
    if column is None and _PROPERTY.search(said):
        document.blame(here, "`{property}` means the column of the rule, and this is a rule of the table.", "Name it.")
        return []
    query = _OBJECT.sub("{batch}", said)
    if column is not None:
        quoted = '"' + column.name.replace('"', '""') + '"'
        query = _PROPERTY.sub(lambda _: quoted, query)
    about = {"column": column.name if column is not None else None, "steps": steps}
    if not any(key.startswith("must") for key in rule):
        doubled = re.sub(r"\{(?!batch\})", "{{", re.sub(r"(?<!\{batch)\}", "}}", query))
        if marks_rows({"unexpected_rows_query": doubled}):
            return [
                Draft(
                    type=_ROWS,
                    kwargs={"unexpected_rows_query": doubled},
                    argument_steps={"unexpected_rows_query": here},
                    **about,  # type: ignore[arg-type]
                )
            ]
    outside = next((key for key in _NEGATED if key in rule), None)
    if outside is not None:
        rule = {**{key: value for key, value in rule.items() if key != outside}, _NEGATED[outside]: rule[outside]}
    interval = read_interval(document, rule, steps, default_none=False)
    if interval is None:
        return []
    kwargs: dict[str, Any] = {"query": query}
    for side, bound, is_open in (("min", interval.low, interval.low_open), ("max", interval.high, interval.high_open)):
        if bound is not None:
            kwargs[f"{side}_value"] = _number(bound)
            if is_open:
                kwargs[f"strict_{side}"] = True
    if outside is not None:
        kwargs["outside"] = True
    return [Draft(type=_VALUE, kwargs=kwargs, argument_steps={"query": here}, **about)]  # type: ignore[arg-type]


def _number(bound: Decimal) -> int | float:
    return int(bound) if bound == bound.to_integral_value() else float(bound)

"""ODCS quality rules as drafts of expectations.

ODCS counts bad values and compares the count with an operator; Great Expectations judges values and allows a share of
them to fail (``mostly``). The two meet exactly in these cases, and only these are accepted:

=====================================  =================================================================
none may (``mustBe: 0``)               the row expectation itself
at most p percent                      the row expectation with ``mostly = 1 - p / 100``
less than p percent                    the same with the next larger double, so that p itself fails
between p and q percent NULL           ``expect_column_proportion_of_non_null_values_to_be_between``
a number of NULL, missing, invalid     ``expect_table_row_count_to_be_between`` with a ``row_condition``
=====================================  =================================================================

``mustBeBetween`` includes both ends (the standard leaves it open). The percentage of NULL is of all rows; every other
percentage is of the values that are not NULL, as Great Expectations counts. A duplicate is every row whose value
occurs more than once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from dagster_sluice.contracts.arguments import Columns
from dagster_sluice.contracts.contract import Column, LogicalType, Policy, Severity
from dagster_sluice.contracts.document import Document, Steps, did_you_mean
from dagster_sluice.contracts.interval import Interval, read_interval
from dagster_sluice.contracts.values import conform_value

__all__ = ["Draft", "draft_rule"]

_METRICS: Mapping[str, tuple[str, frozenset[str]]] = {
    "nullValues": ("column", frozenset()),
    "missingValues": ("column", frozenset({"missingValues"})),
    "invalidValues": ("column", frozenset({"validValues", "pattern"})),
    "duplicateValues": ("both", frozenset({"properties"})),
    "rowCount": ("table", frozenset()),
}
_OLD_METRICS = {
    "countCheck": "rowCount",
    "duplicateCount": "duplicateValues",
    "nullCheck": "nullValues",
    "uniqueCheck": "duplicateValues",
    "validValues": "invalidValues",
}
"""Names of ODCS v3.0, which v3.1 replaced."""

_NOT_NULL = "expect_column_values_to_not_be_null"
_HUNDRED = Decimal(100)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An expectation as written, before its arguments are checked and its name is settled.

    Attributes:
        type: The expectation's type.
        kwargs: Its arguments.
        steps: Where it is declared.
        column: The column it is declared under, if any.
        argument_steps: Where each argument is written, where that is elsewhere than ``steps``.
        name: The name its author gave it.
        short: What to call it where its author gave no name; the type says it otherwise.
        severity: How grave its author called it.
        policy: The policy set on it.
        policy_steps: Where that is set.
        inherited: The policy set on what surrounds it.
        description: In words.
        meta: Passed on.
        import_path: Where the class is, if it is one of the author's own.
    """

    type: str
    kwargs: Mapping[str, Any]
    steps: Steps
    column: str | None = None
    argument_steps: Mapping[str, Steps] = field(default_factory=dict)
    name: str | None = None
    short: str | None = None
    severity: Severity | None = None
    policy: Policy | None = None
    policy_steps: Steps = ()
    inherited: Policy | None = None
    description: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    import_path: str | None = None


def draft_rule(
    document: Document, rule: Mapping[str, Any], steps: Steps, columns: Columns, column: Column | None
) -> list[Draft]:
    """The drafts that a library rule stands for.

    Args:
        document: Takes the culprits.
        rule: One entry of ``quality`` with a ``metric``.
        steps: Where it stands.
        columns: The table's columns.
        column: The column it stands under; ``None`` for a rule of the table.
    """
    key = "metric" if "metric" in rule else "rule"
    said = rule.get(key)
    metric = _OLD_METRICS.get(said, said) if isinstance(said, str) else ""
    if metric not in _METRICS:
        if key == "rule" or said is None:
            document.blame(
                (*steps, key),
                f"Unknown metric `{said}`." if said is not None else "The rule has no metric.",
                did_you_mean(str(said), _METRICS),
            )
        return []
    level, known = _METRICS[metric]
    if level != "both" and (level == "column") != (column is not None):
        where = "a column's" if level == "column" else "the table's"
        document.blame((*steps, key), f"`{metric}` belongs into {where} quality rules.", "Move the rule there.")
        return []
    arguments = rule.get("arguments")
    arguments = arguments if isinstance(arguments, dict) else {}
    for name in arguments:
        if name not in known:
            document.blame(
                (*steps, "arguments", name),
                f"`{metric}` takes no argument `{name}`.",
                did_you_mean(name, sorted(known)) if known else "Remove it.",
                key=True,
            )
    interval = read_interval(document, rule, steps, default_none=said == "nullCheck")
    unit = rule.get("unit", "rows")
    if unit not in ("rows", "percent"):
        document.blame((*steps, "unit"), f"Unknown unit `{unit}`.", did_you_mean(str(unit), ["rows", "percent"]))
        return []
    if interval is None:
        return []
    return _Rule(
        document=document,
        steps=steps,
        columns=columns,
        column=column,
        arguments=arguments,
        interval=interval,
        percent=unit == "percent",
    ).drafts(metric)


@dataclass(frozen=True, kw_only=True)
class _Rule:
    document: Document
    steps: Steps
    columns: Columns
    column: Column | None
    arguments: Mapping[str, Any]
    interval: Interval
    percent: bool

    def drafts(self, metric: str) -> list[Draft]:
        if not self.sensible():
            return []
        return {
            "nullValues": self.nulls,
            "missingValues": self.missing,
            "invalidValues": self.invalid,
            "duplicateValues": self.duplicates,
            "rowCount": self.row_count,
        }[metric]()

    def sensible(self) -> bool:
        """Whether the promise can be both kept and broken."""
        interval = self.interval
        low, high = interval.whole()
        never = high is not None and high < low
        always = interval.free_below and interval.high is None
        if self.percent:
            top, bottom = interval.high, interval.low
            never = (top is not None and (top < 0 or (top == 0 and interval.high_open))) or (
                bottom is not None and (bottom > _HUNDRED or (bottom == _HUNDRED and interval.low_open))
            )
            full = top is None or top > _HUNDRED or (top == _HUNDRED and not interval.high_open)
            always = interval.free_below and full
        if never:
            self.document.blame(self.steps, "No table can keep this rule.", "Mend its operator or its number.")
        elif always:
            mend = "Mend its operator, its number or its unit."
            self.document.blame(self.steps, "No table can break this rule.", mend)
        return not never and not always

    @property
    def none_allowed(self) -> bool:
        if self.percent:
            return self.interval.high == 0
        return self.interval.whole()[1] == 0

    def draft(self, expectation: str, argument: str | None = None, **kwargs: Any) -> Draft:
        names = {"column": self.column.name} if self.column is not None else {}
        places: dict[str, Steps] = {}
        if argument is not None:
            places[argument.partition(":")[0]] = (*self.steps, "arguments", _WRITTEN_AS[argument])
        return Draft(
            type=expectation,
            kwargs={**names, **kwargs},
            steps=self.steps,
            column=self.column.name if self.column else None,
            argument_steps=places,
        )

    def share(self) -> dict[str, Any] | None:
        """The ``mostly`` that says the same; ``None`` where none does."""
        if self.none_allowed:
            return {}
        if not self.percent or not self.interval.free_below or self.interval.high is None:
            return None
        mostly = float((_HUNDRED - self.interval.high) / _HUNDRED)
        return {"mostly": math.nextafter(mostly, math.inf) if self.interval.high_open else mostly}

    def counted(self, condition: Mapping[str, Any], short: str) -> list[Draft]:
        """So many rows for which a condition holds."""
        low, high = self.interval.whole()
        bounds: dict[str, Any] = {}
        if low > 0:
            bounds["min_value"] = low
        if high is not None:
            bounds["max_value"] = high
        return [
            Draft(
                type="expect_table_row_count_to_be_between",
                kwargs={**bounds, "row_condition": dict(condition)},
                steps=self.steps,
                column=self.column.name if self.column else None,
                short=short,
            )
        ]

    def inexpressible(self, mend: str) -> list[Draft]:
        self.document.blame(self.steps, "Great Expectations has nothing that says exactly this.", mend)
        return []

    def nulls(self) -> list[Draft]:
        share = self.share()
        if share is not None:
            return [self.draft(_NOT_NULL, **share)]
        if not self.percent:
            return self.counted(self.is_null(), "null_count")
        interval = self.interval
        bounds: dict[str, Any] = {}
        if interval.high is not None:
            bounds["min_value"] = float((_HUNDRED - interval.high) / _HUNDRED)
            bounds["strict_min"] = interval.high_open
        if interval.low is not None:
            bounds["max_value"] = float((_HUNDRED - interval.low) / _HUNDRED)
            bounds["strict_max"] = interval.low_open
        bounds = {name: value for name, value in bounds.items() if value is not False}
        return [self.draft("expect_column_proportion_of_non_null_values_to_be_between", **bounds)]

    def missing(self) -> list[Draft]:
        listed = self.arguments.get("missingValues")
        if not isinstance(listed, list) or not listed:
            self.document.blame(
                (*self.steps, "arguments", "missingValues"),
                "`missingValues` needs the list of values that count as missing.",
                "Add `arguments: {missingValues: [null, '']}`.",
            )
            return []
        null, values = None in listed, [value for value in listed if value is not None]
        share = self.share()
        if share is None:
            if self.percent:
                return self.inexpressible("Use `mustBeLessThan` or `mustBeLessOrEqualTo` with `unit: percent`.")
            if values and not self.countable(listed, "missingValues"):
                return []
            parts = [self.is_null()] if null else []
            parts += [self.compared("IN", values)] if values else []
            condition = parts[0] if len(parts) == 1 else {"type": "or", "conditions": parts}
            return self.counted(condition, "missing_count")
        if null and values and not self.none_allowed:
            return self.inexpressible(
                "Write one rule with `nullValues` and one with the other values, or use `unit: rows`."
            )
        drafts = [self.draft(_NOT_NULL, **share)] if null else []
        if values:
            drafts.append(
                self.draft("expect_column_values_to_not_be_in_set", "value_set:missing", value_set=listed, **share)
            )
        return drafts

    def invalid(self) -> list[Draft]:
        share = self.share()
        listed, pattern = self.arguments.get("validValues"), self.arguments.get("pattern")
        if listed is None and pattern is None:
            self.document.blame(
                (*self.steps, "arguments"),
                "`invalidValues` needs to know what is valid.",
                "Add `arguments: {validValues: [...]}` or `arguments: {pattern: ...}`.",
            )
            return []
        if share is None:
            if self.percent or pattern is not None:
                return self.inexpressible("Use `mustBe: 0`, or `mustBeLessThan` with `unit: percent`.")
            if not self.countable(listed, "validValues"):
                return []
            values = [value for value in listed if value is not None] if isinstance(listed, list) else []
            parts = [self.is_null(present=True), self.compared("NOT_IN", values)]
            return self.counted({"type": "and", "conditions": parts}, "invalid_count")
        if listed is not None and pattern is not None and not self.none_allowed:
            return self.inexpressible("Write one rule for `validValues` and one for `pattern`.")
        drafts = []
        if listed is not None:
            drafts.append(self.draft("expect_column_values_to_be_in_set", "value_set", value_set=listed, **share))
        if pattern is not None:
            drafts.append(self.draft("expect_column_values_to_match_regex", "regex", regex=pattern, **share))
        return drafts

    def duplicates(self) -> list[Draft]:
        share = self.share()
        if share is None:
            return self.inexpressible("Use `mustBe: 0`, or `mustBeLessThan` with `unit: percent`.")
        if self.column is not None:
            if "properties" in self.arguments:
                self.document.blame(
                    (*self.steps, "arguments", "properties"),
                    "A column's rule takes no `properties`.",
                    "Move the rule to the table.",
                    key=True,
                )
                return []
            return [self.draft("expect_column_values_to_be_unique", **share)]
        names = self.arguments.get("properties")
        if not isinstance(names, list) or not names:
            self.document.blame(
                (*self.steps, "arguments", "properties"),
                "`duplicateValues` of a table needs the columns that are to be unique together.",
                "Add `arguments: {properties: [...]}`.",
            )
            return []
        if len(names) == 1:
            return [self.draft("expect_column_values_to_be_unique", "column", column=names[0], **share)]
        return [self.draft("expect_compound_columns_to_be_unique", "column_list", column_list=names, **share)]

    def row_count(self) -> list[Draft]:
        if self.percent:
            self.document.blame((*self.steps, "unit"), "A row count has no percentage.", "Remove `unit: percent`.")
            return []
        low, high = self.interval.whole()
        if low == high:
            return [self.draft("expect_table_row_count_to_equal", value=low)]
        bounds: dict[str, Any] = {"min_value": low} if low > 0 else {}
        bounds |= {"max_value": high} if high is not None else {}
        return [self.draft("expect_table_row_count_to_be_between", **bounds)]

    def is_null(self, *, present: bool = False) -> dict[str, Any]:
        return {"type": "nullity", "column": {"name": self._name}, "is_null": not present}

    def compared(self, operator: str, values: list[Any]) -> dict[str, Any]:
        return {"type": "comparison", "column": {"name": self._name}, "operator": operator, "parameter": values}

    @property
    def _name(self) -> str:
        return self.column.name if self.column is not None else ""

    def countable(self, values: Any, argument: str) -> bool:
        """Whether a row condition can compare the column with these values; adds culprits where not."""
        here: Steps = (*self.steps, "arguments", argument)
        column = self.column
        if not isinstance(values, list) or column is None:
            self.document.blame(here, f"`{argument}` must be a list of values.")
            return False
        if column.type not in {LogicalType.STRING, LogicalType.INTEGER, LogicalType.NUMBER}:
            self.inexpressible("Use `mustBe: 0`, or `mustBeLessThan` with `unit: percent`.")
            return False
        good = True
        for index, value in enumerate(values):
            wrong = None if value is None else conform_value(value, column, self.columns.timezone)[1]
            if wrong is not None:
                self.document.blame((*here, index), *wrong)
                good = False
        return good


_WRITTEN_AS = {
    "column": "properties",
    "column_list": "properties",
    "regex": "pattern",
    "value_set": "validValues",
    "value_set:missing": "missingValues",
}

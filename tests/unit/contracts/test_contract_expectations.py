"""Which expectations a contract's words stand for."""

from __future__ import annotations

import datetime as dt
import math
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from dagster_sluice.contracts import Contract, Expectation, Policy, Reference, Severity
from dagster_sluice.errors import Culprit

Load = Callable[[str], Contract]
Blame = Callable[[str], list[Culprit]]
NOT_NULL = "expect_column_values_to_not_be_null"
UNIQUE = "expect_column_values_to_be_unique"
IN_SET = "expect_column_values_to_be_in_set"
BETWEEN = "expect_column_values_to_be_between"
ROW_COUNT = "expect_table_row_count_to_be_between"


def one(contract: Contract) -> Expectation:
    (expectation,) = contract.expectations
    return expectation


def column(text: str, kind: str = "string") -> str:
    body = "\n".join("        " + line for line in textwrap.dedent(text).strip().splitlines())
    return f"schema:\n  - name: flights\n    properties:\n      - name: dest\n        logicalType: {kind}\n{body}\n"


def table(text: str) -> str:
    body = "\n".join("    " + line for line in textwrap.dedent(text).strip().splitlines())
    return (
        "schema:\n  - name: flights\n    properties:\n      - {name: dest, logicalType: string}\n"
        f"      - {{name: day, logicalType: date}}\n{body}\n"
    )


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("required: true", "string", (NOT_NULL, {}, "dest__not_null")),
        ("unique: true", "string", (UNIQUE, {}, "dest__unique")),
        (
            "logicalTypeOptions: {minimum: 1, exclusiveMaximum: 9}",
            "integer",
            (BETWEEN, {"min_value": 1, "max_value": 9, "strict_max": True}, "dest__between"),
        ),
        (
            "logicalTypeOptions: {minimum: 1, exclusiveMinimum: true}",
            "number",
            (BETWEEN, {"min_value": 1, "strict_min": True}, "dest__between"),
        ),
        (
            "logicalTypeOptions: {minLength: 3, maxLength: 4}",
            "string",
            ("expect_column_value_lengths_to_be_between", {"min_value": 3, "max_value": 4}, "dest__length"),
        ),
        (
            "logicalTypeOptions: {pattern: '^[A-Z]+$'}",
            "string",
            ("expect_column_values_to_match_regex", {"regex": "^[A-Z]+$"}, "dest__match_regex"),
        ),
        ("logicalTypeOptions: {enum: [JFK, LGA]}", "string", (IN_SET, {"value_set": ["JFK", "LGA"]}, "dest__in_set")),
        ("enum: [{value: JFK}, {value: LGA}]", "string", (IN_SET, {"value_set": ["JFK", "LGA"]}, "dest__in_set")),
        (
            "logicalTypeOptions: {minimum: 2024-01-01, maximum: '2024-12-31'}",
            "date",
            (BETWEEN, {"min_value": dt.date(2024, 1, 1), "max_value": dt.date(2024, 12, 31)}, "dest__between"),
        ),
        (
            "logicalTypeOptions: {minimum: '2024-01-01T00:00:00Z'}",
            "timestamp",
            (BETWEEN, {"min_value": dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)}, "dest__between"),
        ),
        (
            "logicalTypeOptions: {minimum: 2024-01-01 12:00:00, defaultTimezone: Europe/Vienna}",
            "timestamp",
            (BETWEEN, {"min_value": dt.datetime(2024, 1, 1, 11, tzinfo=dt.timezone.utc)}, "dest__between"),
        ),
        (
            "logicalTypeOptions: {minimum: 2024-01-01 12:00:00, timezone: false}",
            "timestamp",
            (BETWEEN, {"min_value": dt.datetime(2024, 1, 1, 12)}, "dest__between"),  # noqa: DTZ001
        ),
        (
            "relationships: [{type: foreignKey, to: airports.faa}]",
            "string",
            (IN_SET, {"value_set": {"from": "airports.faa"}}, "dest__in_set"),
        ),
    ],
)
def test_what_a_column_promises(load: Load, text: str, kind: str, expected: tuple[str, dict[str, Any], str]) -> None:
    expectation = one(load(column(text, kind)))
    assert (expectation.type, expectation.kwargs, expectation.name) == (
        expected[0],
        {"column": "dest", **expected[1]},
        expected[2],
    )
    assert (expectation.severity, expectation.policy) == (Severity.CRITICAL, Policy.BLOCK)


NULL = {"type": "nullity", "column": {"name": "dest"}, "is_null": True}
STRICT = math.nextafter(0.99, 1)


def compared(operator: str, *values: str) -> dict[str, Any]:
    return {"type": "comparison", "column": {"name": "dest"}, "operator": operator, "parameter": list(values)}


@pytest.mark.parametrize(
    ("rule", "type_", "kwargs"),
    [
        ("{metric: nullValues, mustBe: 0}", NOT_NULL, {}),
        ("{rule: nullValues, mustBe: 0}", NOT_NULL, {}),
        ("{rule: nullCheck, type: library}", NOT_NULL, {}),
        ("{metric: nullValues, mustBeLessThan: 1}", NOT_NULL, {}),
        ("{metric: nullValues, mustBeLessOrEqualTo: 7, unit: percent}", NOT_NULL, {"mostly": 0.93}),
        ("{metric: nullValues, mustBeLessThan: 1, unit: percent}", NOT_NULL, {"mostly": STRICT}),
        ("{metric: nullValues, mustBeBetween: [0, 1], unit: percent}", NOT_NULL, {"mostly": 0.99}),
        (
            "{metric: nullValues, mustBeBetween: [10, 30], unit: percent}",
            "expect_column_proportion_of_non_null_values_to_be_between",
            {"min_value": 0.7, "max_value": 0.9},
        ),
        ("{metric: nullValues, mustBeLessThan: 100}", ROW_COUNT, {"max_value": 99, "row_condition": NULL}),
        ("{metric: nullValues, mustBeGreaterThan: 3}", ROW_COUNT, {"min_value": 4, "row_condition": NULL}),
        ("{metric: nullValues, mustNotBe: 0}", ROW_COUNT, {"min_value": 1, "row_condition": NULL}),
        (
            "{metric: missingValues, mustBeLessOrEqualTo: 5, arguments: {missingValues: [null, '']}}",
            ROW_COUNT,
            {"max_value": 5, "row_condition": {"type": "or", "conditions": [NULL, compared("IN", "")]}},
        ),
        (
            "{metric: missingValues, mustBeLessOrEqualTo: 5, unit: percent, arguments: {missingValues: ['', N/A]}}",
            "expect_column_values_to_not_be_in_set",
            {"value_set": ["", "N/A"], "mostly": 0.95},
        ),
        (
            "{metric: invalidValues, mustBe: 0, arguments: {validValues: [JFK]}}",
            IN_SET,
            {"value_set": ["JFK"]},
        ),
        (
            "{metric: invalidValues, mustBeLessThan: 5, arguments: {validValues: [JFK]}}",
            ROW_COUNT,
            {
                "max_value": 4,
                "row_condition": {"type": "and", "conditions": [{**NULL, "is_null": False}, compared("NOT_IN", "JFK")]},
            },
        ),
        (
            "{metric: invalidValues, mustBeLessOrEqualTo: 10, unit: percent, arguments: {pattern: '^[A-Z]{3}$'}}",
            "expect_column_values_to_match_regex",
            {"regex": "^[A-Z]{3}$", "mostly": 0.9},
        ),
        ("{metric: duplicateValues, mustBe: 0}", UNIQUE, {}),
        ("{metric: duplicateValues, mustBeLessThan: 1, unit: percent}", UNIQUE, {"mostly": STRICT}),
    ],
)
def test_what_a_columns_rule_promises(load: Load, rule: str, type_: str, kwargs: dict[str, Any]) -> None:
    expectation = one(load(column(f"quality:\n  - {rule}")))
    named = {} if type_ == ROW_COUNT else {"column": "dest"}
    assert (expectation.type, expectation.kwargs) == (type_, {**named, **kwargs})


@pytest.mark.parametrize(
    ("rule", "type_", "kwargs"),
    [
        ("{metric: rowCount, mustBeBetween: [100, 120]}", ROW_COUNT, {"min_value": 100, "max_value": 120}),
        ("{metric: rowCount, mustBeGreaterThan: 0}", ROW_COUNT, {"min_value": 1}),
        ("{metric: rowCount, mustBeLessThan: 9.5}", ROW_COUNT, {"max_value": 9}),
        ("{metric: rowCount, mustBe: 7}", "expect_table_row_count_to_equal", {"value": 7}),
        (
            "{metric: duplicateValues, mustBe: 0, arguments: {properties: [day, dest]}}",
            "expect_compound_columns_to_be_unique",
            {"column_list": ["day", "dest"]},
        ),
        ("{metric: duplicateValues, mustBe: 0, arguments: {properties: [day]}}", UNIQUE, {"column": "day"}),
        (
            (
                "{type: custom, engine: great-expectations, implementation: {type: expect_column_max_to_be_between, "
                "kwargs: {column: day, min_value: 2024-01-01}}}"
            ),
            "expect_column_max_to_be_between",
            {"column": "day", "min_value": dt.date(2024, 1, 1)},
        ),
    ],
)
def test_what_a_tables_rule_promises(load: Load, rule: str, type_: str, kwargs: dict[str, Any]) -> None:
    expectation = one(load(table(f"quality:\n  - {rule}")))
    assert (expectation.type, expectation.kwargs) == (type_, kwargs)


@pytest.mark.parametrize(
    "implementation",
    [
        "{type: expect_column_value_lengths_to_equal, kwargs: {value: 3}}",
        "{expectation_type: expect_column_value_lengths_to_equal, kwargs: {value: 3}}",
        "{type: ExpectColumnValueLengthsToEqual, kwargs: {value: 3, column: dest}}",
        '\'{"type": "expect_column_value_lengths_to_equal", "kwargs": {"value": 3}}\'',
        "|\n      type: expect_column_value_lengths_to_equal # Block\n      kwargs:\n        value: 3",
    ],
)
def test_an_expectation_may_be_written_as_great_expectations_writes_it(load: Load, implementation: str) -> None:
    rule = f"quality:\n  - type: custom\n    engine: greatExpectations\n    implementation: {implementation}"
    expectation = one(load(column(rule)))
    assert expectation.kwargs == {"column": "dest", "value": 3}


def test_missing_values_with_null_are_two_expectations_under_one_name(load: Load) -> None:
    rule = "{name: dest present, metric: missingValues, mustBe: 0, arguments: {missingValues: [null, '']}}"
    contract = load(column(f"quality: [{rule}]"))
    assert [(e.name, e.type) for e in contract.expectations] == [
        ("dest_present__not_null", NOT_NULL),
        ("dest_present__not_in_set", "expect_column_values_to_not_be_in_set"),
    ]


def test_text_and_other_engines_are_not_ours_to_run(load: Load) -> None:
    contract = load(
        column(
            """
            quality:
              - {type: text, description: The airport exists.}
              - {type: custom, engine: soda, implementation: "duplicate_percent: 1"}
            """
        )
    )
    assert contract.expectations == ()


def test_a_primary_key_of_one_column_and_of_two(load: Load) -> None:
    contract = load(column("primaryKey: true\nrequired: true\nunique: true"))
    assert [e.type for e in contract.expectations] == [NOT_NULL, UNIQUE]
    contract = load(
        """
        schema:
          - name: flights
            properties:
              - {name: dest, logicalType: string, primaryKey: true, primaryKeyPosition: 2}
              - {name: day, logicalType: date, primaryKey: true, primaryKeyPosition: 1}
        """
    )
    assert [(e.name, dict(e.kwargs)) for e in contract.expectations] == [
        ("dest__not_null", {"column": "dest"}),
        ("day__not_null", {"column": "day"}),
        ("table__primary_key", {"column_list": ["day", "dest"]}),
    ]


def test_a_foreign_key_is_a_reference(load: Load) -> None:
    contract = load(column("relationships: [{to: airports.faa}]"))
    assert one(contract).references() == {"value_set": Reference(table="airports", column="faa")}


def test_names_are_the_authors_or_made_and_never_twice(load: Load) -> None:
    contract = load(
        """
        schema:
          - name: flights
            properties:
              - name: größe (m)
                logicalType: number
                required: true
                quality:
                  - {metric: nullValues, mustBe: 0}
                  - {name: "no NULL, ever!", metric: nullValues, mustBe: 0}
                  - {id: no-null, metric: nullValues, mustBe: 0}
                  - {id: no-null, metric: nullValues, mustBeLessThan: 5}
                  - {metric: nullValues, mustBeLessThan: 5}
        """
    )
    assert [e.name for e in contract.expectations] == [
        "groe_m__not_null",
        "groe_m__not_null_2",
        "no_NULL_ever",
        "no_null",
        "no_null_2",
        "groe_m__null_count",
    ]


def test_physical_names_are_the_names(load: Load) -> None:
    contract = load(
        """
        schema:
          - name: flights
            physicalName: ops.flights_v2
            properties:
              - {name: destination, physicalName: dest, logicalType: string, required: true}
              - {name: day, logicalType: date}
            quality:
              - {metric: duplicateValues, mustBe: 0, arguments: {properties: [destination, day]}}
        """
    )
    assert (contract.schema, contract.table) == ("ops", "flights_v2")
    assert [column.name for column in contract.columns] == ["dest", "day"]
    assert contract.expectations[1].kwargs == {"column_list": ["dest", "day"]}


@pytest.mark.parametrize(
    ("on_table", "on_column", "rule", "expected"),
    [
        ("", "", "", Policy.BLOCK),
        ("", "", "severity: error", Policy.BLOCK),
        ("", "", "severity: Warning", Policy.WARN),
        ("", "", "severity: info", Policy.WARN),
        ("hold", "", "", Policy.HOLD),
        ("hold", "quarantine", "", Policy.QUARANTINE),
        ("hold", "quarantine", "policy: warn", Policy.WARN),
        ("hold", "", "severity: warning", Policy.WARN),
        ("", "", "severity: warning, policy: block", Policy.BLOCK),
    ],
)
def test_the_nearest_policy_holds(load: Load, on_table: str, on_column: str, rule: str, expected: Policy) -> None:
    def property_(policy: str) -> str:
        return f"customProperties: [{{property: policy, value: {policy}}}]" if policy else "tags: []"

    words = dict(part.split(": ") for part in rule.split(", ") if part)
    severity = f"severity: {words['severity']}" if "severity" in words else "tags: []"
    contract = load(
        f"""
        schema:
          - name: flights
            {property_(on_table)}
            properties:
              - name: dest
                logicalType: string
                {property_(on_column)}
                quality:
                  - metric: nullValues
                    mustBe: 0
                    {severity}
                    {property_(words.get("policy", "")).replace("tags", "description").replace("[]", "none")}
        """
    )
    assert one(contract).policy is expected


def test_a_tables_default_of_quarantine_leaves_what_marks_no_rows_at_block(load: Load) -> None:
    contract = load(
        table(
            """
            customProperties: [{property: policy, value: quarantine}]
            quality:
              - {metric: rowCount, mustBeGreaterThan: 0}
              - {metric: duplicateValues, mustBe: 0, arguments: {properties: [dest, day]}}
            """
        )
    )
    assert [e.policy for e in contract.expectations] == [Policy.BLOCK, Policy.QUARANTINE]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("{metric: duplicateValues, mustBeLessThan: 10}", "nothing that says exactly this"),
        ("{metric: nullValues, mustNotBe: 4}", "nothing for `mustNotBe` other than 0"),
        (
            "{metric: missingValues, mustBeLessThan: 5, unit: percent, arguments: {missingValues: [null, '']}}",
            "nothing that says exactly this",
        ),
        ("{metric: invalidValues, mustBeLessThan: 5, arguments: {pattern: a}}", "nothing that says exactly this"),
        ("{metric: nullValues, mustBeLessThan: 0}", "No table can keep this rule"),
        ("{metric: nullValues, mustBeGreaterOrEqualTo: 0}", "No table can break this rule"),
        ("{metric: nullValues, mustBeLessOrEqualTo: 100, unit: percent}", "No table can break this rule"),
        ("{type: sql, query: SELECT 1, mustBe: 0}", "does not read the rows that are judged"),
    ],
)
def test_what_cannot_be_said_exactly_is_refused(blame: Blame, rule: str, sentence: str) -> None:
    (culprit,) = blame(column(f"quality:\n  - {rule}"))
    assert sentence in culprit.problem
    assert culprit.mend

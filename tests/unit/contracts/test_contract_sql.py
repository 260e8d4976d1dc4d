"""Promises in SQL, in a contract file."""

from __future__ import annotations

import pyarrow as pa
import pytest
from test_contract_expectations import Blame, Load, column, one, table

from dagster_sluice.contracts import Policy
from dagster_sluice.gates import audit

VALUE = "expect_query_value_to_be_between"
ROWS = "unexpected_rows_expectation"


@pytest.mark.parametrize(
    ("operator", "kwargs"),
    [
        ("mustBe: 0", {"min_value": 0, "max_value": 0}),
        ("mustBe: -1.5", {"min_value": -1.5, "max_value": -1.5}),
        ("mustNotBe: 0", {"min_value": 0, "max_value": 0, "outside": True}),
        ("mustBeLessThan: 3", {"max_value": 3, "strict_max": True}),
        ("mustBeGreaterOrEqualTo: -3", {"min_value": -3}),
        ("mustBeBetween: [1, 2]", {"min_value": 1, "max_value": 2}),
        ("mustNotBeBetween: [1, 2]", {"min_value": 1, "max_value": 2, "outside": True}),
    ],
)
@pytest.mark.parametrize("word", ["{object}", "${object}", "{table}", "{batch}"])
def test_a_query_with_an_operator_is_a_number_between_bounds(
    load: Load, operator: str, kwargs: dict[str, object], word: str
) -> None:
    found = one(load(table(f"quality:\n  - {{type: sql, query: 'SELECT count(*) FROM {word}', {operator}}}")))

    assert (found.type, found.name) == (VALUE, "table__query_value_between")
    assert found.kwargs == {"query": "SELECT count(*) FROM {batch}", **kwargs}


def test_the_column_of_a_rule_is_put_in(load: Load) -> None:
    found = one(
        load(
            column(
                "quality:\n  - {type: sql, query: 'SELECT count(*) FROM ${object} WHERE ${property} IS NULL', mustBe: 0}"
            )
        )
    )

    assert found.kwargs["query"] == 'SELECT count(*) FROM {batch} WHERE "dest" IS NULL'
    assert found.name == "dest__query_value_between"


def test_a_query_without_operator_that_selects_whole_rows_finds_the_wrong_ones(load: Load) -> None:
    contract = load(
        table(
            """
            quality:
              - name: early
                type: sql
                query: "SELECT * FROM {object} WHERE dest = 'a{b}'"
                customProperties: [{property: policy, value: quarantine}]
            """
        )
    )
    found = one(contract)

    assert (found.type, found.policy, found.line is not None) == (ROWS, Policy.QUARANTINE, True)
    rows = pa.table({"dest": ["a{b}", "x"], "day": pa.nulls(2, pa.date32())})
    assert audit(rows, contract).mask.rows([0]).tolist() == [0]


def test_a_condition_on_rows(load: Load) -> None:
    found = one(
        load(
            table(
                """
                quality:
                  - type: custom
                    engine: sluice
                    implementation:
                      type: expect_rows_to_satisfy
                      kwargs: {condition: "day > DATE '2024-01-01' OR dest IS NULL", mostly: 0.9}
                    customProperties: [{property: policy, value: quarantine}]
                """
            )
        )
    )

    assert (found.type, found.policy) == ("expect_rows_to_satisfy", Policy.QUARANTINE)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("{type: sql, query: 'SELEC count(*) FROM {object}', mustBe: 0}", "syntax error"),
        ("{type: sql, query: 'SELECT count(*) FROM flights', mustBe: 0}", "It reads `flights`, not the batch"),
        ("{type: sql, query: 'SELECT max(dept) FROM {object}', mustBe: 0}", 'Referenced column "dept" not found'),
        ("{type: sql, query: 'SELECT max(day) + true FROM {object}', mustBe: 0}", "No function matches"),
        ("{type: sql, query: 'SELECT nope(dest) FROM {object}', mustBe: 0}", "nope does not exist"),
        ("{type: sql, query: 'SELECT dest, day FROM {object}', mustBe: 0}", "gives 2 columns"),
        ("{type: sql, query: 'DELETE FROM {object}', mustBe: 0}", "This is not a query"),
        ("{type: sql, query: 'SELECT count(*) FROM {object}'}", "compares its metric with nothing"),
        ("{type: sql, query: 'SELECT {property} FROM {object}', mustBe: 0}", "a rule of the table"),
        ("{type: sql, query: 'SELECT count(*) FROM {object}', mustBe: 0, mustBeLessThan: 3}", "in one rule"),
        (
            "{type: custom, engine: sluice, implementation: {type: expect_rows_to_satisfy, kwargs: {condition: 'a <'}}}",
            "This is not a condition",
        ),
        (
            "{type: sql, query: 'SELECT DISTINCT * FROM {object}', mustBe: 0}",
            "gives 2 columns",
        ),
        (
            (
                "{type: custom, engine: gx, implementation: {type: unexpected_rows_expectation,"
                " kwargs: {unexpected_rows_query: 'SELECT dest FROM {batch}'}},"
                " customProperties: [{property: policy, value: quarantine}]}"
            ),
            "points at no rows",
        ),
    ],
)
def test_bad_sql_is_told_with_its_line(blame: Blame, rule: str, sentence: str) -> None:
    culprits = blame(table(f"quality:\n  - {rule}"))

    assert any(sentence in culprit.problem for culprit in culprits)
    assert {culprit.line for culprit in culprits} == {12}

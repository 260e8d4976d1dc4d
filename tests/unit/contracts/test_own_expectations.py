"""Expectations of our own in a contract file: about rows in SQL, about past audits."""

from __future__ import annotations

import json

import pytest
from test_contract_expectations import Blame, Load, one, table

from dagster_sluice.contracts import Policy
from dagster_sluice.contracts.own import HISTORICAL, IN_SQL, OWN

SAMPLES = {
    "expect_rows_to_satisfy": {"condition": "day IS NOT NULL"},
    "expect_query_value_to_be_between": {"query": "SELECT count(*) FROM {batch}", "min_value": 1},
    "expect_table_row_count_to_be_near_median": {"within": 0.5, "last": 28, "minimum": 7},
    "expect_column_null_share_to_be_near_median": {"column": "dest", "deviations": 4},
    "expect_table_schema_to_be_unchanged": {"allow": ["added"]},
}


def rule(name: str, policy: str = "warn", **kwargs: object) -> str:
    implementation = json.dumps({"type": name, "kwargs": kwargs})
    return table(
        f"""
        quality:
          - type: custom
            engine: sluice
            implementation: {implementation}
            customProperties: [{{property: policy, value: {policy}}}]
        """
    )


def test_each_has_a_sample_here() -> None:
    assert set(SAMPLES) == set(OWN) == (IN_SQL | HISTORICAL) - {"unexpected_rows_expectation"}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("policy", ["warn", "hold", "block"])
def test_each_can_be_promised_with_any_policy(load: Load, name: str, policy: str) -> None:
    found = one(load(rule(name, policy, **SAMPLES[name])))
    assert (found.type, found.kwargs, found.policy) == (name, SAMPLES[name], Policy(policy))


@pytest.mark.parametrize("name", SAMPLES)
def test_only_what_marks_rows_can_quarantine(load: Load, blame: Blame, name: str) -> None:
    text = rule(name, "quarantine", **SAMPLES[name])
    if OWN[name].marks_rows:
        assert one(load(text)).policy is Policy.QUARANTINE
    else:
        (culprit,) = blame(text)
        assert "points at no rows" in culprit.problem


@pytest.mark.parametrize(
    ("name", "kwargs", "sentence"),
    [
        ("expect_table_row_count_to_be_near_median", {}, "promises nothing without `within` or `deviations`"),
        ("expect_table_row_count_to_be_near_median", {"within": 0}, "must be a number above 0"),
        ("expect_table_row_count_to_be_near_median", {"within": 1, "last": 3, "minimum": 5}, "no more than `last`"),
        ("expect_table_row_count_to_be_near_median", {"witin": 1}, "takes no `witin`"),
        ("expect_column_null_share_to_be_near_median", {"within": 1}, "needs `column`"),
        ("expect_column_null_share_to_be_near_median", {"within": 1, "column": "dst"}, "no column `dst`"),
        ("expect_table_schema_to_be_unchanged", {"allow": ["renamed"]}, "`allow` must be a list of added, dropped"),
        ("expect_rows_to_satisfy", {"condition": 3}, "must be a condition in SQL"),
        ("expect_rows_to_satisfy", {}, "needs `condition`"),
        ("expect_query_value_to_be_between", {"query": "SELECT 1 FROM {batch}"}, "promises nothing without"),
    ],
)
def test_wrong_arguments_are_told(blame: Blame, name: str, kwargs: dict[str, object], sentence: str) -> None:
    assert any(sentence in culprit.problem for culprit in blame(rule(name, **kwargs)))

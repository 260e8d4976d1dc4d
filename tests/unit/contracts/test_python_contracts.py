"""Contracts written in Python take words, as files do."""

import pytest

from dagster_sluice import Column, Expectation
from dagster_sluice.contracts import LogicalType, Policy, Severity
from dagster_sluice.errors import ContractError


def test_words_are_taken():
    assert Column(name="id", type="integer").type is LogicalType.INTEGER
    found = Expectation(name="a", type="expect_column_to_exist", policy="warn", severity="info")
    assert (found.policy, found.severity) == (Policy.WARN, Severity.INFO)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Column(name="id", type="int"), "Column 'id': type is 'int', none of string, integer"),
        (lambda: Expectation(name="a", type="x", policy="stop"), "policy is 'stop', none of warn, quarantine"),
        (lambda: Expectation(name="a", type="x", severity=None), "severity is None, none of"),
    ],
)
def test_a_word_that_is_none_is_told(make, told):
    with pytest.raises(ContractError, match=told):
        make()

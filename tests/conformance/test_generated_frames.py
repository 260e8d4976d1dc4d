"""Generated frames and expectations: both engines say the same, to the last digit and the last row."""

import pytest
from hypothesis import given

from dagster_sluice.contracts import Policy
from dagster_sluice.errors import ExpectationError
from dagster_sluice.gates import audit
from dagster_sluice.gates.duckdb.engine import RULES

from .conftest import GENERATED
from .generated import MAKERS, audits

# What pandas warns of on the way (overflow, groups in a pattern) is no part of a result.
pytestmark = pytest.mark.filterwarnings("ignore")


@GENERATED
@given(audits())
def test_the_engines_agree(case):
    frame, expectations = case

    try:
        verdict = audit(frame, expectations=expectations, engine="both")
    except ExpectationError:
        # What Great Expectations refuses is refused, whoever is asked.
        with pytest.raises(ExpectationError):
            audit(frame, expectations=expectations)
        return

    assert {result.engine for result in verdict.results} <= {"duckdb", "gx"}
    assert all(result.policy is Policy.BLOCK for result in verdict.results)


def test_every_expectation_that_the_fast_engine_knows_is_generated():
    assert set(RULES) == set(MAKERS)

"""The cases in Great Expectations' own tests: both engines say the same."""

import collections
import contextlib

import pyarrow as pa
import pytest

from dagster_sluice.errors import EngineDisagreement, ExpectationError
from dagster_sluice.gates import audit

from .gx_cases import gx_cases

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]

ENOUGH = 400
"""Fewer cases than this and the harness no longer finds them."""


def _makes(frame):
    yield "pandas", frame
    with contextlib.suppress(pa.ArrowInvalid, pa.ArrowTypeError):
        yield "arrow", pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def test_the_engines_agree_on_the_cases_of_great_expectations(gx_distribution, capsys):
    cases = gx_cases(gx_distribution)
    count = collections.Counter()
    apart = []
    for case in cases:
        for make, frame in _makes(case.frame):
            try:
                verdict = audit(frame, expectations=[{"type": case.type, "kwargs": case.kwargs}], engine="both")
            except EngineDisagreement as difference:
                apart.append(f"{case.origin} on {make}: {difference}")
            except ExpectationError:
                count["refused"] += 1
            else:
                count[verdict.results[0].engine] += 1
    with capsys.disabled():
        print(f"\n{len(cases)} cases of Great Expectations, on pandas and Arrow: {dict(count)}, {len(apart)} apart")

    assert apart == []
    assert count["duckdb"] > ENOUGH

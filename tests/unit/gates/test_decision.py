"""decide(): what a verdict means for a batch."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_sluice.contracts import Policy
from dagster_sluice.gates import ExpectationResult, Outcome, RowMask, Verdict, decide


def result(policy, *, success=False, name="x", error=None, **figures):
    return ExpectationResult(
        name=name, type="expect_x", kwargs={"column": "c"}, success=success, policy=policy, error=error, **figures
    )


def verdict_of(row_count, *items):
    """A verdict of (policy, failing rows) pairs; an expectation with failing rows has failed."""
    results = tuple(
        result(policy, name=f"e{index}", element_count=row_count, unexpected_count=len(rows))
        for index, (policy, rows) in enumerate(items)
    )
    mask = RowMask(row_count, {index: rows for index, (_, rows) in enumerate(items)})
    return Verdict(results=results, mask=mask, row_count=row_count)


def wanted_outcome(failed):
    if Policy.BLOCK in failed:
        return Outcome.BLOCK
    return Outcome.HOLD if Policy.HOLD in failed else Outcome.PUBLISH


@pytest.mark.parametrize(
    "failed", [combination for size in range(5) for combination in itertools.combinations(Policy, size)], ids=str
)
def test_the_gravest_policy_among_the_failed_wins(failed):
    verdict = verdict_of(10, *((policy, [index]) for index, policy in enumerate(failed)))
    decision = decide(verdict, quarantine_limit=1.0)
    assert decision.outcome is wanted_outcome(failed)
    expected = [failed.index(Policy.QUARANTINE)] if Policy.QUARANTINE in failed else []
    assert decision.quarantined.tolist() == ([] if decision.outcome is Outcome.BLOCK else expected)
    stopping = [f"e{index} " for index, policy in enumerate(failed) if policy in (Policy.BLOCK, Policy.HOLD)]
    for name in stopping:
        assert any(reason.startswith(name) for reason in decision.reasons)
    assert bool(decision.reasons) == bool(stopping)


@pytest.mark.parametrize("policy", Policy)
def test_what_held_does_nothing_even_if_some_rows_fail(policy):
    """With ``mostly``, an expectation holds and some rows fail it: they are published."""
    held = result(policy, success=True, element_count=3, unexpected_count=1)
    decision = decide(Verdict(results=(held,), mask=RowMask(3, {0: [1]}), row_count=3), quarantine_limit=0.0)
    assert (decision.outcome, decision.quarantined.tolist(), decision.reasons) == (Outcome.PUBLISH, [], ())


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        (Policy.WARN, Outcome.PUBLISH),
        (Policy.QUARANTINE, Outcome.BLOCK),
        (Policy.HOLD, Outcome.HOLD),
        (Policy.BLOCK, Outcome.BLOCK),
    ],
)
def test_an_expectation_that_could_not_be_judged(policy, outcome):
    broken = result(policy, error="no such column")
    decision = decide(Verdict(results=(broken,), mask=RowMask(3, {}), row_count=3), quarantine_limit=1.0)
    assert decision.outcome is outcome
    assert all("no such column" in reason for reason in decision.reasons)


def test_quarantine_that_names_no_rows_blocks():
    """An aggregate under ``quarantine``: the promise is broken and nobody knows by which rows."""
    mean = result(Policy.QUARANTINE, name="mean", observed_value=7.5)
    decision = decide(Verdict(results=(mean,), mask=RowMask(3, {}), row_count=3), quarantine_limit=1.0)
    assert decision.outcome is Outcome.BLOCK
    assert "mean" in decision.reasons[0]
    assert "7.5" in decision.reasons[0]


@pytest.mark.parametrize(
    ("rows", "bad", "limit", "outcome"),
    [
        (100, 29, 0.29, Outcome.PUBLISH),
        (100, 30, 0.29, Outcome.BLOCK),
        (100, 57, 0.57, Outcome.PUBLISH),
        (10, 3, 0.3, Outcome.PUBLISH),
        (3, 1, 0.33, Outcome.BLOCK),
        (1000, 1, 0.0, Outcome.BLOCK),
        (1000, 999, 1.0, Outcome.PUBLISH),
        (1000, 1000, 1.0, Outcome.BLOCK),
        (1, 1, 1.0, Outcome.BLOCK),
    ],
)
def test_the_limit(rows, bad, limit, outcome):
    decision = decide(verdict_of(rows, (Policy.QUARANTINE, range(bad))), quarantine_limit=limit)
    assert decision.outcome is outcome
    assert len(decision.quarantined) == (bad if outcome is Outcome.PUBLISH else 0)


def test_an_empty_batch_that_keeps_its_promises_is_published():
    decision = decide(Verdict(results=(), mask=RowMask(0, {}), row_count=0), quarantine_limit=0.0)
    assert decision.outcome is Outcome.PUBLISH


def test_rows_that_do_not_conform_count_once():
    verdict = verdict_of(10, (Policy.QUARANTINE, [1, 2]))
    assert decide(verdict, quarantine_limit=0.3, rejected={2, 5}).quarantined.tolist() == [1, 2, 5]
    assert decide(verdict, quarantine_limit=0.2, rejected={2, 5}).outcome is Outcome.BLOCK


def test_reasons_do_not_tell_what_is_masked():
    highest = result(Policy.BLOCK, name="highest", observed_value="4929-1234")
    broken = result(Policy.BLOCK, name="broken", error="cannot compare 4929-1234")
    verdict = Verdict(results=(highest, broken), mask=RowMask(3, {}), row_count=3)
    assert "4929" in "".join(decide(verdict, quarantine_limit=0.5).reasons)
    hidden = decide(verdict, quarantine_limit=0.5, masked={"c"}).reasons
    assert len(hidden) == 2
    assert "4929" not in "".join(hidden)


def test_a_long_observed_value_is_cut():
    (reason,) = decide(
        Verdict(results=(result(Policy.BLOCK, observed_value=list(range(10_000))),), mask=RowMask(1, {}), row_count=1),
        quarantine_limit=0.5,
    ).reasons
    assert len(reason) < 300


@st.composite
def verdicts(draw):
    count = draw(st.integers(0, 12))
    rows = st.sets(st.integers(0, max(count - 1, 0)), max_size=count)
    return verdict_of(count, *draw(st.lists(st.tuples(st.sampled_from(Policy), rows), max_size=4)))


@given(verdicts(), st.floats(0, 1), st.data())
def test_whatever_the_verdict(verdict, limit, data):
    count = verdict.row_count
    rejected = data.draw(st.sets(st.integers(0, max(count - 1, 0)), max_size=count))
    decision = decide(verdict, quarantine_limit=limit, rejected=rejected)
    kept_out = decision.quarantined
    assert kept_out.tolist() == sorted(set(kept_out.tolist()))
    if decision.outcome is Outcome.BLOCK:
        assert len(kept_out) == 0
        assert decision.reasons
    else:
        # Never an empty batch out of one with rows, never more than the limit, and all that is rejected.
        assert len(kept_out) < count or count == 0
        assert len(kept_out) <= limit * count + 1e-9
        assert rejected <= set(kept_out.tolist())
        assert not any(item.policy is Policy.BLOCK for item in verdict.failed)
    if any(item.policy is Policy.BLOCK for item in verdict.failed):
        assert decision.outcome is Outcome.BLOCK
    assert (decision.outcome is Outcome.HOLD) <= any(item.policy is Policy.HOLD for item in verdict.failed)
    wanted = {row for index, item in enumerate(verdict.results) if item.policy is Policy.QUARANTINE and not item.success
              for row in verdict.mask.rows([index]).tolist()} | rejected  # fmt: skip
    if decision.outcome is not Outcome.BLOCK:
        assert set(kept_out.tolist()) == wanted
    assert decision.quarantined.dtype == np.int64

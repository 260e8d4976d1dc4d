"""Whether two engines say the same of a batch, to the last digit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dagster_sluice.errors import Culprit, EngineDisagreement
from dagster_sluice.gates.mask import RowMask
from dagster_sluice.gates.verdict import ExpectationResult

__all__ = ["demand_agreement", "differences", "disagreements"]

_COMPARED = (
    "success",
    "element_count",
    "missing_count",
    "unexpected_count",
    "unexpected_percent",
    "partial_unexpected_list",
    "observed_value",
    "details",
    "error",
)
_SHOWN = 5


def differences(left: ExpectationResult, right: ExpectationResult) -> list[str]:
    """What two results of one expectation differ in, one sentence each; types count, and NaN equals NaN."""
    return [
        f"{name} is {getattr(left, name)!r} by {left.engine} and {getattr(right, name)!r} by {right.engine}."
        for name in _COMPARED
        if not _same(getattr(left, name), getattr(right, name))
    ]


def disagreements(
    left: Sequence[ExpectationResult],
    left_mask: RowMask,
    right: Sequence[ExpectationResult],
    right_mask: RowMask,
) -> list[tuple[int, str]]:
    """What two judgements of one batch differ in: the expectation's index and one sentence, each."""
    found: list[tuple[int, str]] = []
    for index, (one, other) in enumerate(zip(left, right, strict=True)):
        found.extend((index, problem) for problem in differences(one, other))
        rows, others = left_mask.rows([index]), right_mask.rows([index])
        if not np.array_equal(rows, others):
            apart = np.setxor1d(rows, others)
            shown = ", ".join(map(str, apart[:_SHOWN].tolist()))
            found.append((index, f"{len(apart)} rows are failing by one engine only, such as {shown}."))
    return found


def demand_agreement(
    left: Sequence[ExpectationResult],
    left_mask: RowMask,
    right: Sequence[ExpectationResult],
    right_mask: RowMask,
) -> None:
    """Compare two judgements of one batch.

    Raises:
        EngineDisagreement: They differ, with every difference.
    """
    culprits = [
        Culprit(where=f"{left[index].name} ({left[index].type})", problem=problem)
        for index, problem in disagreements(left, left_mask, right, right_mask)
    ]
    if culprits:
        raise EngineDisagreement(
            "The engines disagree.",
            culprits=culprits,
            mend='Judge with engine="gx", and report the difference: it is a fault of the fast engine.',
        )


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        same_length = type(left) is type(right) and len(left) == len(right)
        return same_length and all(_same(one, other) for one, other in zip(left, right, strict=True))
    if type(left) is not type(right):
        return False
    if isinstance(left, float) and math.isnan(left):
        return math.isnan(right)
    return bool(left == right)

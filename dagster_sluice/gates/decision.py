"""What a verdict means for a batch: publish it, publish part of it, hold it, or block it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from dagster_sluice.contracts import Policy
from dagster_sluice.contracts.own import IN_SQL, TYPES
from dagster_sluice.gates.verdict import ExpectationResult, Verdict

__all__ = ["Decision", "Outcome", "decide"]


# Characters of an observed value in a sentence; a set of distinct values may be long.
_SHOWN = 200


class Outcome(str, Enum):
    """What becomes of a batch."""

    PUBLISH = "publish"
    HOLD = "hold"
    BLOCK = "block"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of a batch, and why.

    Attributes:
        outcome: Publish, hold or block.
        quarantined: Positions of the rows kept out of the publish, ascending. Empty unless something is published or
            held.
        reasons: One sentence for each thing that holds or blocks the batch.
    """

    outcome: Outcome
    quarantined: npt.NDArray[np.int64]
    reasons: tuple[str, ...] = ()


def decide(
    verdict: Verdict, *, quarantine_limit: float, rejected: Collection[int] = (), masked: Collection[str] = ()
) -> Decision:
    """Decide what becomes of a batch.

    Args:
        verdict: The gate's verdict on the batch.
        quarantine_limit: Largest share of the batch's rows (0 to 1) that may be quarantined.
        rejected: Positions of further rows that cannot be published, such as those that do not conform.
        masked: Columns whose values the reasons may not tell.

    Returns:
        The decision. The gravest policy among the failed expectations wins. A batch of which every row would be
        quarantined, or more than the limit, is blocked: an empty or hollow partition is never published. A failed
        expectation with policy ``quarantine`` blocks if it names no rows: because it could not be judged, or because
        it is one on the table or an aggregate.
    """
    blocking: list[str] = []
    holding: list[str] = []
    quarantining: list[int] = []
    for index, result in enumerate(verdict.results):
        if result.success or result.policy is Policy.WARN:
            continue
        if result.policy is Policy.BLOCK:
            blocking.append(describe(result, masked))
        elif result.policy is Policy.HOLD:
            holding.append(describe(result, masked))
        elif result.error is not None or not len(verdict.mask.rows([index])):
            blocking.append(f"{describe(result, masked)} Which rows to quarantine is therefore unknown.")
        else:
            quarantining.append(index)
    quarantined = np.union1d(verdict.mask.rows(quarantining), np.asarray(sorted(rejected), dtype=np.int64))
    if len(quarantined) and not blocking:
        blocking.extend(_too_many(len(quarantined), verdict.row_count, quarantine_limit))
        if blocking:
            blocking.extend(describe(verdict.results[index], masked) for index in quarantining)
    if blocking:
        return Decision(outcome=Outcome.BLOCK, quarantined=np.empty(0, dtype=np.int64), reasons=(*blocking, *holding))
    outcome = Outcome.HOLD if holding else Outcome.PUBLISH
    return Decision(outcome=outcome, quarantined=quarantined, reasons=tuple(holding))


def touches(result: ExpectationResult, columns: Collection[str]) -> bool:
    """Whether an expectation is about one of these columns. In SQL, and in a class of one's own, it may be any."""
    if result.type in IN_SQL or (result.engine == "gx" and result.type not in TYPES):
        return bool(columns)
    named = [result.kwargs.get(argument) for argument in ("column", "column_A", "column_B")]
    listed = [result.kwargs.get(argument) or () for argument in ("column_list", "column_set")]
    return any(name in columns for name in [*named, *(name for names in listed for name in names)])


def describe(result: ExpectationResult, masked: Collection[str] = ()) -> str:
    """One sentence a person understands: which expectation failed, and by how much.

    Args:
        result: What it found.
        masked: Columns whose values may not be told.
    """
    hidden = touches(result, masked)
    if result.error is not None:
        return f"{result.name} could not be judged{'' if hidden else f': {result.error}'}."
    if result.unexpected_count is not None and result.element_count is not None:
        return f"{result.name} failed: {result.unexpected_count:,} of {result.element_count:,} rows."
    if hidden:
        return f"{result.name} failed."
    observed = repr(result.observed_value)
    return f"{result.name} failed: observed {observed if len(observed) <= _SHOWN else observed[:_SHOWN] + '…'}."


def _too_many(quarantined: int, rows: int, limit: float) -> list[str]:
    if quarantined == rows:
        return [f"All {rows:,} rows would be quarantined; an empty partition is never published."]
    # A quotient is rounded as the limit was when it was written; 0.29 * 100 is less than 29.
    share = quarantined / rows
    if share > limit:
        return [f"{quarantined:,} of {rows:,} rows ({share:.1%}) would be quarantined; the limit is {limit:.1%}."]
    return []

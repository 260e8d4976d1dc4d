"""Expectations in, a verdict out: the gate.

``audit(frame, expectations=[...])`` is a plain function over values; it knows nothing of Dagster. The meaning of every
expectation is that of Great Expectations on pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_sluice.lazy import lazily

if TYPE_CHECKING:
    from dagster_sluice.gates.decision import Decision, Outcome, decide
    from dagster_sluice.gates.gate import audit
    from dagster_sluice.gates.mask import RowMask
    from dagster_sluice.gates.past import PastAudit
    from dagster_sluice.gates.verdict import ExpectationResult, Verdict

__all__ = ["Decision", "ExpectationResult", "Outcome", "PastAudit", "RowMask", "Verdict", "audit", "decide"]

# The engines need numpy, pandas and Great Expectations: none of that is wanted where a code location only loads.
_HOMES = {
    "Decision": "decision",
    "ExpectationResult": "verdict",
    "Outcome": "decision",
    "PastAudit": "past",
    "RowMask": "mask",
    "Verdict": "verdict",
    "audit": "gate",
    "decide": "decision",
}

__getattr__ = lazily(__name__, _HOMES)

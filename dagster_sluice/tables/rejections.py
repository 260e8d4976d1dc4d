"""Which rows a verdict keeps out, with all that is known of them. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dagster_sluice.contracts import Policy, Severity
from dagster_sluice.gates.decision import Decision
from dagster_sluice.gates.verdict import ExpectationResult, Verdict
from dagster_sluice.tables.conform import Conformed, Misfit
from dagster_sluice.tables.naming import CONFORMS
from dagster_sluice.tables.payload import row_payloads
from dagster_sluice.warehouse import RejectedRow

__all__ = ["misfit_kinds", "rejected_rows", "with_conformity"]

_KEPT_VALUES = 20
_KEPT_KINDS = 5
# Characters of a value in a reason; the row keeps it whole.
_SHOWN = 200


def with_conformity(verdict: Verdict, conformed: Conformed) -> Verdict:
    """The verdict with the result of ``conforms`` in front."""
    rows = {misfit.row for misfit in conformed.misfits}
    total = conformed.rows.num_rows
    result = ExpectationResult(
        name=CONFORMS,
        type=CONFORMS,
        kwargs={},
        success=not rows,
        element_count=total,
        missing_count=0,
        unexpected_count=len(rows),
        unexpected_percent=100.0 * len(rows) / total if total else 0.0,
        partial_unexpected_list=tuple(
            f"{misfit.column}={misfit.value[:_SHOWN]!r} {misfit.reason}" for misfit in conformed.misfits[:_KEPT_VALUES]
        ),
        severity=Severity.CRITICAL,
        policy=Policy.QUARANTINE,
        engine="sluice",
    )
    return verdict.preceded_by(result, sorted(rows))


def misfit_kinds(conformed: Conformed, masked: Collection[str]) -> tuple[str, ...]:
    """What does not fit, one sentence for each column and reason, the most frequent first; with a value to look for."""
    kinds: dict[tuple[str, str], list[Misfit]] = {}
    for misfit in conformed.misfits:
        kinds.setdefault((misfit.column, misfit.reason), []).append(misfit)
    told = []
    for (column, reason), found in sorted(kinds.items(), key=lambda kind: -len(kind[1]))[:_KEPT_KINDS]:
        value = "a value" if column in masked else repr(found[0].value[:_SHOWN])
        # What a parser says of it, in parentheses, names the value too.
        why = reason.partition(" (")[0] if column in masked else reason
        more = f", in {len(found):,} rows" if len(found) > 1 else ""
        told.append(f"Column {column!r}: {value} {why}{more}.")
    return tuple(told)


def rejected_rows(verdict: Verdict, decision: Decision, conformed: Conformed) -> list[RejectedRow]:
    """The quarantined rows of a decision, whole and with their reasons."""
    positions = decision.quarantined.tolist()
    misfits: dict[int, list[Misfit]] = {}
    for misfit in conformed.misfits:
        misfits.setdefault(misfit.row, []).append(misfit)
    rejected = []
    for position, payload in zip(positions, row_payloads(conformed.rows, positions), strict=True):
        reasons: list[dict[str, Any]] = []
        for index in verdict.mask[position]:
            result = verdict.results[index]
            if result.type == CONFORMS:
                for misfit in misfits[position]:
                    payload[misfit.column] = misfit.value
                    shown = misfit.value[:_SHOWN]
                    reasons.append(
                        {"expectation": CONFORMS, "column": misfit.column, "value": shown, "why": misfit.reason}
                    )
            elif result.policy is Policy.QUARANTINE and not result.success:
                reason: dict[str, Any] = {"expectation": result.name}
                column = result.kwargs.get("column")
                if isinstance(column, str):
                    reason |= {"column": column, "value": payload.get(column)}
                reasons.append(reason)
        rejected.append(RejectedRow(payload=payload, reasons=reasons))
    return rejected

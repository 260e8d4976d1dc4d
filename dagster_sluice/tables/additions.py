"""Rows that come to a batch from the quarantine: replayed ones, and mended ones in place of rows rejected again. Pure.

They are judged together with the rows they are to stand beside, because uniqueness and the like need both; but only they
may be rejected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from dagster_sluice.contracts import Contract, Policy, Reference
from dagster_sluice.gates.decision import Decision, Outcome, describe
from dagster_sluice.gates.gate import audit
from dagster_sluice.gates.verdict import Verdict
from dagster_sluice.tables.conform import Conformed, Misfit, conform
from dagster_sluice.tables.naming import CONFORMS, masked_columns
from dagster_sluice.tables.payload import row_payloads
from dagster_sluice.tables.rejections import rejected_rows, with_conformity
from dagster_sluice.warehouse import Mended, RejectedRow
from dagster_sluice.warehouse.rejects import identities

__all__ = ["Additions", "Candidate", "Restored", "conform_payloads", "judge_additions", "restore"]

REPLACEMENT = "replacement_passes"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A row that wants to be added.

    Attributes:
        payload: The row in JSON's types, as `dagster_sluice.tables.payload` writes it.
        reasons: Why it was rejected before, as far as that speaks of values that are still the same.
    """

    payload: Mapping[str, Any]
    reasons: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What became of some candidates.

    Attributes:
        verdict: On the standing rows and the candidates together.
        blocking: Why none may be added; one sentence each.
        rows: The candidates that pass, conformed. Empty if something blocks.
        passed: Their positions among the candidates, and what each is in JSON's types.
        failed: The positions of those that do not pass, and why. Empty if something blocks.
    """

    verdict: Verdict
    blocking: tuple[str, ...]
    rows: pa.Table
    passed: tuple[tuple[int, Mapping[str, Any]], ...]
    failed: tuple[tuple[int, Sequence[Mapping[str, Any]]], ...]


def judge_additions(
    standing: pa.Table,
    candidates: Sequence[Candidate],
    contract: Contract,
    references: Mapping[Reference, Sequence[Any]],
) -> Additions:
    """Judge candidates together with the rows they are to be added to.

    Args:
        standing: The rows that are there, in the contract's columns and types.
        candidates: The rows to add.
        contract: The table's contract.
        references: The sets that live in other tables.

    Raises:
        ExpectationError: An expectation cannot be judged as it is written.
    """
    first = standing.num_rows
    own = conform_payloads(candidates, contract)
    whole = Conformed(
        rows=pa.concat_tables([standing.cast(own.rows.schema), own.rows]),
        misfits=tuple(replace(misfit, row=misfit.row + first) for misfit in own.misfits),
    )
    verdict = with_conformity(audit(whole.rows, contract, references=references), whole)
    broken = {result.name for result in verdict.failed if result.policy is Policy.HOLD}
    if broken and first:
        # What stands breaks the promise too: a person released it so, and more of it is no news.
        standing_alone = audit(whole.rows.slice(0, first), contract, references=references)
        broken -= {result.name for result in standing_alone.failed}
    blocking, failing = _decide(verdict, first, masked_columns(contract), broken)
    if blocking:
        return Additions(verdict=verdict, blocking=blocking, rows=own.rows.slice(0, 0), passed=(), failed=())
    decision = Decision(outcome=Outcome.PUBLISH, quarantined=failing)
    rejected = rejected_rows(verdict, decision, whole)
    failed = [int(position) - first for position in failing]
    passing = sorted(set(range(len(candidates))) - set(failed))
    return Additions(
        verdict=verdict,
        blocking=(),
        rows=own.rows.take(pa.array(passing, pa.int64())),
        passed=tuple(zip(passing, row_payloads(own.rows, passing), strict=True)),
        failed=tuple((position, row.reasons) for position, row in zip(failed, rejected, strict=True)),
    )


def _decide(verdict: Verdict, first: int, masked: set[str], holding: set[str]) -> tuple[tuple[str, ...], Any]:
    """Why nothing may be added, and the positions (from ``first``) of rows that must stay out.

    As in `dagster_sluice.gates.decide`, save that neither a limit nor an empty remainder counts: what stands, stands.
    Of the promises with the policy ``hold``, only ``holding`` stop anything.
    """
    blocking: list[str] = []
    quarantining: list[int] = []
    for index, result in enumerate(verdict.results):
        if result.success or result.policy is Policy.WARN:
            continue
        if result.policy is Policy.BLOCK or result.name in holding:
            blocking.append(describe(result, masked))
        elif result.policy is Policy.HOLD:
            continue
        elif result.error is not None or not len(verdict.mask.rows([index])):
            blocking.append(f"{describe(result, masked)} Which rows to keep out is therefore unknown.")
        else:
            quarantining.append(index)
    rows = verdict.mask.rows(quarantining)
    return tuple(blocking), rows[rows >= first] if len(rows) else np.empty(0, dtype=np.int64)


def conform_payloads(candidates: Sequence[Candidate], contract: Contract) -> Conformed:
    """Rows in JSON's types as rows in the contract's: the way back from `row_payloads`.

    A value of which it is known that it does not fit its column's type still does not fit, though it is text by now and
    text might: the number 7 was not a string, and is none for having been kept as ``"7"``.
    """
    known = [_known_misfits(row, candidate, contract) for row, candidate in enumerate(candidates)]
    columns = {}
    for column in contract.columns:
        values = [
            None if column.name in misfits else _text(candidate.payload.get(column.name))
            for candidate, misfits in zip(candidates, known, strict=True)
        ]
        columns[column.name] = pa.array(values, pa.string())
    conformed = conform(pa.table(columns), contract)
    misfits = [*conformed.misfits, *(misfit for found in known for misfit in found.values())]
    return Conformed(rows=conformed.rows, misfits=tuple(sorted(misfits, key=lambda misfit: misfit.row)))


def _known_misfits(row: int, candidate: Candidate, contract: Contract) -> dict[str, Misfit]:
    found = {}
    for reason in candidate.reasons:
        column = contract.column(str(reason.get("column")))
        if reason.get("expectation") != CONFORMS or column is None:
            continue
        why = str(reason.get("why", ""))
        # If the contract promises another type by now, the value gets another chance.
        if why.startswith((f"is not a {column.type.value}", f"is not an {column.type.value}")):
            value = str(candidate.payload.get(column.name))
            found[column.name] = Misfit(row=row, column=column.name, value=value, reason=why)
    return found


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, (int, float)) else json.dumps(value)


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A batch into which mended rows were put in place of those that were rejected again.

    Attributes:
        rows: The good rows and the mended ones.
        rejected: What is still rejected.
        ids: Numbers of the quarantined rows whose replacements are among ``rows``.
    """

    rows: pa.Table
    rejected: Sequence[RejectedRow]
    ids: tuple[int, ...] = ()


def restore(
    good: pa.Table,
    rejected: Sequence[RejectedRow],
    mended: Sequence[Mended],
    contract: Contract,
    references: Mapping[Reference, Sequence[Any]],
) -> Restored:
    """Put mended rows in place of the rejected rows that a person mended before: a mend survives the night.

    A replacement goes through the gate again, with the good rows. One that does not pass any more is not published: the
    row is rejected as it came, is open again, and has a reason more that says so.
    """
    by_identity = {(item.row_hash, item.occurrence): item for item in mended}
    found = identities(rejected)
    matched = [position for position, identity in enumerate(found) if identity in by_identity]
    if not matched:
        return Restored(rows=good, rejected=rejected)
    items = [by_identity[found[position]] for position in matched]
    additions = judge_additions(good, [Candidate(payload=item.payload) for item in items], contract, references)
    gone = {matched[position] for position, _ in additions.passed}
    why = {
        matched[position]: [str(reason.get("expectation")) for reason in told] for position, told in additions.failed
    }
    kept = []
    for position, row in enumerate(rejected):
        if position in gone:
            continue
        reasons = list(row.reasons)
        if position in matched:
            words = ", ".join(why.get(position, ())) or " ".join(additions.blocking)
            reasons.append({"expectation": REPLACEMENT, "why": f"what a replay published for it fails: {words}"})
        # Its place among equal rows must not change because another one of them is gone.
        kept.append(replace(row, reasons=reasons, occurrence=found[position][1]))
    return Restored(
        rows=pa.concat_tables([good, additions.rows]),
        rejected=kept,
        ids=tuple(items[position].id for position, _ in additions.passed),
    )

"""The data path: conform, audit, decide, publish. Knows a warehouse, but not Dagster."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from dagster_sluice.contracts import Contract, Policy, Reference
from dagster_sluice.errors import FrameError
from dagster_sluice.failpoints import failpoint
from dagster_sluice.gates.decision import Decision, Outcome, decide
from dagster_sluice.gates.gate import audit
from dagster_sluice.gates.past import PastAudit
from dagster_sluice.gates.verdict import Verdict
from dagster_sluice.tables.additions import Restored, restore
from dagster_sluice.tables.approval import approval, waits
from dagster_sluice.tables.conform import Conformed, Misfit, conform
from dagster_sluice.tables.content import content_hash
from dagster_sluice.tables.frames import batch_of
from dagster_sluice.tables.memory import past_audits
from dagster_sluice.tables.naming import masked_columns
from dagster_sluice.tables.payload import jsonable
from dagster_sluice.tables.rejections import misfit_kinds, rejected_rows, with_conformity
from dagster_sluice.warehouse import Address, AuditRecord, Batch, Hold, Publication, Warehouse

__all__ = ["Judged", "Origin", "admit", "judge", "record"]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a batch comes from.

    Attributes:
        run_id: The run that computed it.
        correlation_id: What caused that run.
        code_version: Of the function that computed it.
        base: Number of the publication that was current when the computation began, ``None`` if none was.
        started: ``time.perf_counter()`` when the computation began.
    """

    run_id: str
    correlation_id: str
    code_version: str
    base: int | None
    started: float


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A batch that came to the gate, and what became of it.

    Attributes:
        verdict: The gate's verdict; its first result is that of ``conforms``.
        decision: What it means for the batch.
        rows: The whole batch, conformed.
        publication: What stands in the warehouse now; ``None`` if the batch was blocked or is held.
        seconds: Wall-clock time from the start of the computation to the end of the publish.
        restored: How many mended rows of earlier replays are in place of rows rejected again.
        hold: The hold in which the batch waits for a person; ``None`` if it does not.
        released: The hold that a person released before with this very content, which therefore does not wait again.
        misfits: The values that do not fit their columns' types, which are NULL in ``rows``.
    """

    verdict: Verdict
    decision: Decision
    rows: pa.Table
    publication: Publication | None
    seconds: float
    restored: int = 0
    hold: Hold | None = None
    released: Hold | None = None
    misfits: tuple[Misfit, ...] = ()


def judge(
    frame: Any,
    contract: Contract,
    references: Mapping[Reference, Sequence[Any]],
    history: Sequence[PastAudit] | None = None,
) -> tuple[Verdict, Decision, Conformed]:
    """Conform a frame, judge it by its contract and decide what becomes of it. Nothing is written.

    ``history`` are the table's past audits, oldest first, where the contract is about them.

    Raises:
        FrameError: The frame's columns are not those of the contract.
        ExpectationError: An expectation cannot be judged as it is written.
    """
    conformed = conform(batch_of(frame), contract)
    found = audit(conformed.rows, contract, references=references, history=history)
    verdict = with_conformity(found, conformed)
    misfit_rows = {misfit.row for misfit in conformed.misfits}
    decision = decide(
        verdict,
        quarantine_limit=contract.quarantine_limit,
        rejected=misfit_rows,
        masked=masked_columns(contract),
    )
    if decision.outcome is Outcome.BLOCK and conformed.misfits:
        kinds = misfit_kinds(conformed, masked_columns(contract))
        decision = replace(decision, reasons=(*decision.reasons, *kinds))
    return verdict, decision, conformed


def admit(
    frame: Any,
    *,
    contract: Contract,
    warehouse: Warehouse,
    address: Address,
    partition: str | None,
    origin: Origin,
    references: Mapping[Reference, Sequence[Any]],
) -> Judged:
    """Take a frame through the gate and, if it passes, publish it. The heart of the package.

    Args:
        frame: What the table's function returned.
        contract: The table's contract.
        warehouse: Where it is published.
        address: The table there.
        partition: The partition key, ``None`` for a table that is not partitioned.
        origin: Where the frame comes from.
        references: The sets that live in other tables.

    Returns:
        What was found and what became of it. A batch that is blocked or held is returned too: it has no publication.

    Raises:
        FrameError: The frame's columns are not those of the contract.
        ExpectationError: An expectation cannot be judged as it is written.
        PublishError: The warehouse refused; nothing has changed.
    """
    try:
        history = past_audits(warehouse, address, partition, contract)
        verdict, decision, conformed = judge(frame, contract, references, history)
    except FrameError as failure:
        warehouse.record_block(
            address, partition, record(contract, origin, None, [str(failure)], rows_in=_rows_in(frame))
        )
        raise
    if decision.outcome is Outcome.BLOCK:
        warehouse.record_block(address, partition, record(contract, origin, verdict, decision.reasons))
        seconds = time.perf_counter() - origin.started
        return Judged(
            verdict=verdict,
            decision=decision,
            rows=conformed.rows,
            publication=None,
            seconds=seconds,
            misfits=conformed.misfits,
        )
    good = conformed.rows
    if len(decision.quarantined):
        keep = pa.array(range(good.num_rows), pa.int64())
        good = good.filter(pa.compute.invert(pa.compute.is_in(keep, pa.array(decision.quarantined))))
    restored = Restored(rows=good, rejected=rejected_rows(verdict, decision, conformed))
    if restored.rejected and (mended := warehouse.mended(address, partition)):
        restored = restore(good, restored.rejected, mended, contract, references)
    batch = Batch(
        address=address,
        columns=contract.columns,
        partition=partition,
        rows=restored.rows,
        rejected=restored.rejected,
        restored=restored.ids,
        content_hash=content_hash(restored.rows),
        base=origin.base,
        audit=record(contract, origin, verdict, decision.reasons),
        computed_at=dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=time.perf_counter() - origin.started),
    )
    failpoint("table.judged")
    publication, hold, released = None, None, None
    if decision.outcome is Outcome.HOLD and (released := approval(warehouse, batch)) is None:
        hold = warehouse.hold(batch)
        decision = replace(decision, reasons=(*decision.reasons, waits(hold.id)))
    else:
        publication = warehouse.publish(batch)
    return Judged(
        verdict=verdict,
        decision=decision,
        rows=conformed.rows,
        publication=publication,
        seconds=time.perf_counter() - origin.started,
        restored=len(batch.restored),
        hold=hold,
        released=released,
        misfits=conformed.misfits,
    )


def _rows_in(frame: Any) -> int:
    try:
        return len(frame)
    except TypeError:
        return 0


def record(
    contract: Contract, origin: Origin, verdict: Verdict | None, reasons: Sequence[str], rows_in: int = 0
) -> AuditRecord:
    """What an audit found, for the warehouse's own records."""
    results = verdict.results if verdict else ()
    stopping = {Policy.BLOCK, Policy.HOLD}
    failed = sum(not result.success and result.policy in stopping for result in results)
    passed = sum(result.success for result in results)
    return AuditRecord(
        run_id=origin.run_id,
        correlation_id=origin.correlation_id,
        contract_version=contract.version,
        contract_fingerprint=contract.fingerprint,
        code_version=origin.code_version,
        rows_in=verdict.row_count if verdict else rows_in,
        passed=passed,
        warned=len(results) - passed - failed,
        failed=failed,
        seconds=time.perf_counter() - origin.started,
        results=[
            {
                "name": result.name,
                "type": result.type,
                "success": result.success,
                "policy": result.policy.value,
                "severity": result.severity.value,
                "element_count": result.element_count,
                "missing_count": result.missing_count,
                "unexpected_count": result.unexpected_count,
                "observed_value": jsonable(result.observed_value),
                "engine": result.engine,
                "error": jsonable(result.error),
            }
            for result in results
        ],
        reasons=[str(jsonable(reason)) for reason in reasons],
    )

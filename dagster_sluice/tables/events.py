"""A judged batch in Dagster's words: check results, a materialization, a failure.

A step over one partition (or none) yields Dagster's documented results. A step over a range cannot: a result there has
no partition, and would be recorded once for the whole range. It yields the events themselves, each with its partition,
as soon as that partition is through.

The materialization comes before its checks: Dagster takes a check to be out of date, and shows nothing of it, if it
does not name the latest materialization as the one it is about.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import dagster as dg

from dagster_sluice.contracts import Contract, Policy
from dagster_sluice.failpoints import failpoint
from dagster_sluice.gates.decision import describe, touches
from dagster_sluice.gates.verdict import ExpectationResult, Verdict
from dagster_sluice.tables.approval import waiting_for
from dagster_sluice.tables.gatekeeper import Judged
from dagster_sluice.tables.naming import masked_columns
from dagster_sluice.tables.payload import jsonable, row_payloads
from dagster_sluice.warehouse import Publication

__all__ = [
    "batch_events",
    "blocked",
    "broken",
    "check_events",
    "figures",
    "handed_on",
    "latest_materialization",
    "stopping",
    "typed",
]

_SAMPLE_ROWS = 10
_SHOWN = 200


def batch_events(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    contract: Contract,
    judged: Judged,
    partition: str | None,
    code_version: str,
    *,
    in_range: bool,
    checks: set[str],
    report: Mapping[str, Any] | None = None,
) -> Iterator[Any]:
    """The events of one batch: its materialization if something was published, and its checks.

    ``report`` is the metadata that links to its report: of the materialization, and of the checks that fail.
    """
    publication = judged.publication
    if publication is not None:
        yield _materialized(key, judged, publication, partition, code_version, report or {}, in_range=in_range)
        failpoint("events.materialized")
    yield from check_events(
        context,
        key,
        contract,
        judged.verdict,
        judged.rows,
        partition,
        in_range=in_range,
        checks=checks,
        extra=_about(judged),
        notes={result.name: report for result in judged.verdict.failed} if report else None,
        released=waiting_for(judged.released.audit) if judged.released else (),
    )
    failpoint("events.checked")


def _about(judged: Judged) -> dict[str, Any]:
    """What a check is about: a publication, or a hold."""
    if judged.hold is not None:
        return {"sluice/hold": judged.hold.id}
    about = {"sluice/publication": judged.publication.id} if judged.publication else {}
    return about | ({"sluice/released_hold": judged.released.id} if judged.released else {})


def _materialized(
    key: dg.AssetKey,
    judged: Judged,
    publication: Publication,
    partition: str | None,
    code_version: str,
    report: Mapping[str, Any],
    *,
    in_range: bool,
) -> Any:
    metadata: dict[str, Any] = {
        **report,
        "dagster/row_count": publication.rows_published,
        "dagster/table_name": str(publication.address),
        "sluice/rows_in": judged.verdict.row_count,
        "sluice/rows_quarantined": publication.rows_quarantined,
        "sluice/result": publication.result.value,
        "sluice/publication": publication.id,
        "sluice/seconds": round(judged.seconds, 3),
    }
    if judged.restored:
        metadata["sluice/rows_restored"] = judged.restored
    if judged.released:
        metadata["sluice/released_hold"] = judged.released.id
    if partition is not None:
        metadata["dagster/partition_row_count"] = publication.rows_published
    if in_range:
        tags = {"dagster/data_version": publication.content_hash, "dagster/code_version": code_version}
        return dg.AssetMaterialization(key, partition=partition, metadata=metadata, tags=tags)
    return dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=dg.DataVersion(publication.content_hash))


def check_events(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    key: dg.AssetKey,
    contract: Contract,
    verdict: Verdict,
    rows: Any,
    partition: str | None,
    *,
    in_range: bool,
    checks: set[str],
    extra: Mapping[str, Any],
    notes: Mapping[str, Mapping[str, Any]] | None = None,
    blocking: bool | None = None,
    released: Collection[str] = (),
) -> Iterator[Any]:
    """One event for each result of a verdict whose check is asked for.

    ``notes`` are further metadata of single checks, by name; ``blocking`` says of all what else their policy says. The
    failure of a check in ``released`` stops nothing: a person has accepted it.
    """
    target = latest_materialization(context.instance, key, partition) if in_range else None
    masked = masked_columns(contract)
    for index, result in enumerate(verdict.results):
        if result.name not in checks:
            continue
        stops = stopping(result, blocking) and result.name not in released
        grave = stops or (result.policy in (Policy.BLOCK, Policy.HOLD) and result.name not in released)
        severity = dg.AssetCheckSeverity.ERROR if grave else dg.AssetCheckSeverity.WARN
        hidden = touches(result, masked)
        metadata = {**figures(result, hidden=hidden), **_sample(contract, verdict, index, rows), **extra}
        metadata |= (notes or {}).get(result.name, {})
        description = None if result.success else describe(result, masked)
        if in_range:
            yield dg.AssetCheckEvaluation(
                asset_key=key,
                check_name=result.name,
                passed=result.success,
                severity=severity,
                metadata={name: typed(value) for name, value in metadata.items()},
                description=description,
                blocking=stops,
                partition=partition,
                target_materialization_data=target,
            )
        else:
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=result.name,
                passed=result.success,
                severity=severity,
                metadata=metadata,
                description=description,
            )


def stopping(result: ExpectationResult, blocking: bool | None) -> bool:
    """Whether the failure of an expectation stops what is downstream: by its policy, unless ``blocking`` says it."""
    return result.policy in (Policy.BLOCK, Policy.HOLD) if blocking is None else blocking


def latest_materialization(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None) -> Any:
    """What a check of a partition is about; Dagster looks this up itself for a step over one partition."""
    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData,
    )

    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=None if partition is None else [partition])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        return AssetCheckEvaluationTargetMaterializationData(
            run_id=record.run_id, storage_id=record.storage_id, timestamp=record.timestamp
        )
    return None


def typed(value: Any) -> dg.MetadataValue[Any]:
    """A value of a check's metadata as an evaluation takes it: a result would wrap it by itself."""
    if isinstance(value, str):
        return dg.MetadataValue.text(value)
    if isinstance(value, dg.MetadataValue):
        return value
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    return dg.MetadataValue.float(value)


def figures(result: ExpectationResult, *, hidden: bool) -> dict[str, Any]:
    """What an expectation found, as metadata of its check; ``hidden`` leaves out what was observed."""
    found: dict[str, Any] = {"policy": result.policy.value, "engine": result.engine}
    if result.element_count is not None:
        found["rows"] = result.element_count
        found["failing_rows"] = result.unexpected_count or 0
        found["null_rows"] = result.missing_count or 0
    if result.unexpected_percent is not None:
        found["failing_percent"] = round(float(result.unexpected_percent), 4)
    if result.observed_value is not None and not hidden:
        observed = jsonable(result.observed_value)
        simple = isinstance(observed, (str, int, float, bool))
        found["observed_value"] = observed if simple else dg.MetadataValue.json(observed)
    found |= {
        key: result.details[key] for key in ("median", "allowed_from", "allowed_to", "note") if key in result.details
    }
    if result.error is not None and not hidden:
        found["error"] = jsonable(result.error)
    return found


def _sample(contract: Contract, verdict: Verdict, index: int, rows: Any) -> dict[str, Any]:
    """The first failing rows, with what the contract calls personal or secret masked."""
    positions = verdict.mask.rows([index])[:_SAMPLE_ROWS].tolist()
    if not positions:
        return {}
    masked = masked_columns(contract)
    records = [
        dg.TableRecord({name: "•••" if name in masked else _cell(value) for name, value in row.items()})
        for row in row_payloads(rows, positions)
    ]
    types = {column.name: column.type.value for column in contract.columns}
    columns = [dg.TableColumn(field.name, types.get(field.name, str(field.type))) for field in rows.schema]
    return {"failing_sample": dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns))}


def _cell(value: Any) -> str | int | float | bool:
    if value is None or isinstance(value, (bool, int, float)):
        return "" if value is None else value
    text = str(value)
    # The event log is no place for a document; the quarantine keeps the row whole.
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def blocked(
    key: dg.AssetKey,
    reasons: Mapping[str | None, tuple[str, ...]],
    holds: Mapping[str | None, int] | None = None,
    reports: Mapping[str, Any] | None = None,
) -> dg.Failure:
    """The failure of a step in which batches were blocked or held: which, and why. A retry would end the same way.

    Args:
        key: The table.
        reasons: Why each batch is not published, by partition.
        holds: The numbers of the holds in which some of them wait.
        reports: Metadata that links to what was found.
    """
    waiting = holds or {}
    lines = [
        f"{key.to_user_string()}{f' [{partition}]' if partition is not None else ''}: {' '.join(why)}"
        for partition, why in reasons.items()
    ]
    what = "Blocked"
    if waiting:
        what = "Held for a person" if len(waiting) == len(reasons) else "Blocked, or held for a person,"
    metadata: dict[str, Any] = {**(reports or {}), "sluice/blocked": len(reasons) - len(waiting)}
    if waiting:
        metadata["sluice/holds"] = dg.MetadataValue.json(list(waiting.values()))
    if len(waiting) == 1:
        metadata["sluice/hold"] = next(iter(waiting.values()))
    return dg.Failure(
        description=f"{what} at the gate; what was published before stands.\n" + "\n".join(lines),
        metadata=metadata,
        allow_retries=False,
    )


def broken(
    key: dg.AssetKey,
    reasons: Mapping[str | None, tuple[str, ...]],
    raised: Mapping[str | None, Exception],
    holds: Mapping[str | None, int] | None = None,
    reports: Mapping[str, Any] | None = None,
) -> dg.Failure:
    """The failure of a step over a range in which the function raised for some partitions; a retry may help."""
    lines = [
        f"{key.to_user_string()} [{partition}]: {type(failure).__name__}: {failure}"
        for partition, failure in raised.items()
    ]
    metadata: dict[str, Any] = {**(reports or {}), "sluice/blocked": 0}
    if reasons:
        others = blocked(key, reasons, holds, reports)
        lines.append(others.description or "")
        metadata = dict(others.metadata)
    return dg.Failure(
        description="The table's function raised; the other partitions went on.\n" + "\n".join(lines),
        metadata={"sluice/raised": len(raised), **metadata},
    )


def handed_on(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Iterator[dg.Output[None]]:
    """The outputs of a step over a range, whose events have been yielded one by one already.

    Without an output, Dagster would skip what is downstream; with an ordinary one it would record every partition of
    the range once more. This metadata key is Dagster's own way of saying "the events are out already"; pinned in
    ``tests/upstream/test_dagster_events.py``.
    """
    from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

    for name in sorted(context.op_execution_context.selected_output_names):
        yield dg.Output(None, output_name=name, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})

"""What Dagster is told of a released batch: the asset's materialization, and its checks as they were judged.

The checks are told once more because Dagster shows nothing of a check that is not about the latest materialization.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from dagster_sluice.contracts import Contract, Policy, Severity
from dagster_sluice.failpoints import failpoint
from dagster_sluice.gates.decision import describe, touches
from dagster_sluice.gates.verdict import ExpectationResult
from dagster_sluice.holds.assets import Asset
from dagster_sluice.tables.approval import waiting_for
from dagster_sluice.tables.events import figures, latest_materialization, typed
from dagster_sluice.tables.naming import masked_columns
from dagster_sluice.warehouse import Hold, Publication, Warehouse

__all__ = ["release_events", "untold_release"]


def release_events(
    asset: Asset, hold: Hold, publication: Publication, instance: dg.DagsterInstance
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """The events of a release, each to be recorded before the next is asked for."""
    yield _materialization(asset, hold, publication)
    if asset.contract is not None:
        yield from _checks(asset, asset.contract, hold, publication, instance)
    failpoint("release.told")


def _checks(
    asset: Asset, contract: Contract, hold: Hold, publication: Publication, instance: dg.DagsterInstance
) -> Iterator[dg.AssetCheckEvaluation]:
    target = latest_materialization(instance, asset.key, hold.partition)
    masked = masked_columns(contract)
    accepted = waiting_for(hold.audit)
    for result in _results(contract, hold):
        if result.name not in asset.checks:
            continue
        grave = result.policy in (Policy.BLOCK, Policy.HOLD) and result.name not in accepted
        metadata = {
            **figures(result, hidden=touches(result, masked)),
            "sluice/publication": publication.id,
            "sluice/released_hold": hold.id,
        }
        yield dg.AssetCheckEvaluation(
            asset_key=asset.key,
            check_name=result.name,
            passed=result.success,
            severity=dg.AssetCheckSeverity.ERROR if grave else dg.AssetCheckSeverity.WARN,
            metadata={name: typed(value) for name, value in metadata.items()},
            description=None if result.success else describe(result, masked),
            blocking=False,
            partition=hold.partition,
            target_materialization_data=target,
        )


def untold_release(instance: dg.DagsterInstance, warehouse: Warehouse, asset: Asset, hold: Hold) -> Publication | None:
    """The publication of a release that stands and of which Dagster has not heard: whoever released it was killed.

    ``None`` if there is nothing to tell.
    """
    if hold.status != "released":
        return None
    wanted = None if hold.partition is None else [hold.partition]
    standing = warehouse.current(hold.address, wanted).get(hold.partition)
    if standing is None or standing.id != hold.publication:
        return None
    for record in instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset.key, asset_partitions=wanted), limit=1
    ).records:
        event = record.asset_materialization
        told = event.metadata.get("sluice/publication") if event else None
        if told is not None and told.value == standing.id:
            return None
    return standing


def _materialization(asset: Asset, hold: Hold, publication: Publication) -> dg.AssetMaterialization:
    metadata: dict[str, Any] = {
        "dagster/row_count": publication.rows_published,
        "dagster/table_name": str(publication.address),
        "sluice/rows_in": hold.audit.rows_in,
        "sluice/rows_quarantined": publication.rows_quarantined,
        "sluice/result": publication.result.value,
        "sluice/publication": publication.id,
        "sluice/released_hold": hold.id,
        "sluice/released_by": hold.decided_by,
        "sluice/why": hold.why,
    }
    if hold.partition is not None:
        metadata["dagster/partition_row_count"] = publication.rows_published
    return dg.AssetMaterialization(
        asset.key,
        partition=hold.partition,
        metadata=metadata,
        tags={"dagster/data_version": publication.content_hash, "dagster/code_version": publication.code_version},
    )


def _results(contract: Contract, hold: Hold) -> Iterator[ExpectationResult]:
    """What the audit found, from the warehouse's own records."""
    promised = {expectation.name: expectation for expectation in contract.expectations}
    for told in hold.audit.results:
        expectation = promised.get(told["name"])
        judged = (told.get("element_count") or 0) - (told.get("missing_count") or 0)
        unexpected = told.get("unexpected_count")
        yield ExpectationResult(
            name=told["name"],
            type=told["type"],
            kwargs=expectation.kwargs if expectation else {},
            success=told["success"],
            element_count=told.get("element_count"),
            missing_count=told.get("missing_count"),
            unexpected_count=unexpected,
            unexpected_percent=100.0 * unexpected / judged if unexpected is not None and judged else None,
            observed_value=told.get("observed_value"),
            severity=Severity(told["severity"]),
            policy=Policy(told["policy"]),
            engine=told["engine"],
            error=told.get("error"),
        )

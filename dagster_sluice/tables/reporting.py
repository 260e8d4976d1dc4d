"""Reports of what a step does, written as it goes and linked from its events.

A report that cannot be written is a warning in the log: it never fails a step.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_sluice.contracts import Contract
from dagster_sluice.reports.folder import Folder
from dagster_sluice.tables.gatekeeper import Judged, Origin, record
from dagster_sluice.tables.naming import CONFORMS, masked_columns
from dagster_sluice.tables.payload import jsonable, row_payloads
from dagster_sluice.warehouse import Address, AuditDetail, Result, Warehouse

__all__ = ["REPORT", "Reporter", "reports_folder"]

REPORT = "sluice/report"
"""The metadata key of the link."""

_SAMPLE_ROWS = 10
_VALUES = 20


def reports_folder(instance: dg.DagsterInstance, resource: Any) -> Folder | None:
    """Where reports are kept; ``None`` if none are wanted.

    Args:
        instance: Dagster's, for its storage directory.
        resource: The `WarehouseResource`, for its settings.
    """
    # A resource of somebody's own may know nothing of reports.
    chosen = getattr(resource, "reports", None)
    if chosen is None:
        return None
    root = Path(chosen).expanduser().absolute() if chosen else Path(instance.storage_directory(), "sluice", "reports")
    return Folder(root=root, keep=resource.reports_kept)


class Reporter:
    """Writes one report for each batch of a step, and over a range of partitions a list of them.

    Args:
        address: The table.
        contract: What it promises; without one there is nothing to report.
        resource: The `WarehouseResource`.
        run_id: The run.
        instance: Dagster's.
        log: The run's.
    """

    def __init__(
        self,
        *,
        address: Address,
        contract: Contract | None,
        resource: Any,
        run_id: str,
        instance: dg.DagsterInstance,
        log: Any,
    ) -> None:
        self._address = address
        self._contract = contract
        self._warehouse: Warehouse = resource.open()
        self._url: str | None = getattr(resource, "reports_url", None)
        self._run_id = run_id
        self._log = log
        self._folder: Folder | None = None
        self._written: list[tuple[Path, Any]] = []
        self._index: Path | None = None
        self._complained = False
        try:
            self._folder = reports_folder(instance, resource) if contract is not None else None
        except Exception as failure:  # noqa: BLE001 (a report never fails a step)
            self._complain(None, failure)

    def write(self, partition: str | None, correlation_id: str, judged: Judged) -> dict[str, Any]:
        """Write the report of a batch; returns the metadata that links to it, empty if there is none."""
        if self._folder is None or self._contract is None:
            return {}
        try:
            audit = self._audit(self._contract, partition, correlation_id, judged)
            return self._write(audit, _examples(judged, self._contract), _samples(judged))
        except Exception as failure:  # noqa: BLE001 (a report never fails a step)
            return self._complain(partition, failure)

    def refused(self, partition: str | None, correlation_id: str, failure: Exception) -> dict[str, Any]:
        """Write the report of a batch that could not be judged at all."""
        if self._folder is None or self._contract is None:
            return {}
        try:
            asked = None if partition is None else [partition]
            known = self._warehouse.history(self._address, partitions=asked, run_id=self._run_id)
            audit = next((past for past in reversed(known) if past.result is Result.BLOCKED), None)
            return self._write(audit or self._audit(self._contract, partition, correlation_id, failure), {}, {})
        except Exception as failed:  # noqa: BLE001 (a report never fails a step)
            return self._complain(partition, failed)

    def summary(self) -> dict[str, Any]:
        """What a step links to at its end: its one report, or the list of all it wrote."""
        if self._folder is None or not self._written:
            return {}
        if len(self._written) == 1:
            return self._link(self._written[0][0])
        try:
            if self._index is None:
                self._index = self._listing(self._folder)
            return self._link(self._index)
        except Exception as failure:  # noqa: BLE001 (a report never fails a step)
            return self._complain(None, failure)

    def _write(
        self,
        audit: AuditDetail,
        examples: Mapping[str, Sequence[Any]],
        samples: Mapping[str, Sequence[Mapping[str, Any]]],
    ) -> dict[str, Any]:
        from dagster_sluice.reports import compose, report_page

        if self._folder is None or self._contract is None:
            return {}
        report = compose(
            audit,
            contract=self._contract,
            masked=masked_columns(self._contract),
            history=self._warehouse.history(self._address, until=audit.partition),
            examples=examples,
            samples=samples,
        )
        path = self._folder.path(self._address, audit.partition, self._run_id)
        self._written.append((self._folder.write(path, report_page(report)), report))
        return self._link(path)

    def _listing(self, folder: Folder) -> Path:
        from dagster_sluice.reports import index_page

        path = folder.index_path(self._address, self._run_id)
        entries = [(f"../{page.parent.name}/{page.name}", report) for page, report in self._written]
        return folder.write(path, index_page(str(self._address), f"Run {self._run_id}", entries))

    def _audit(
        self, contract: Contract, partition: str | None, correlation_id: str, found: Judged | Exception
    ) -> AuditDetail:
        """The audit as the warehouse remembers it, without asking the warehouse."""
        judged = found if isinstance(found, Judged) else None
        origin = Origin(run_id=self._run_id, correlation_id=correlation_id, code_version="", base=None, started=0.0)
        reasons = judged.decision.reasons if judged else (str(found),)
        audit = record(contract, origin, judged.verdict if judged else None, reasons)
        publication, hold = (judged.publication, judged.hold) if judged else (None, None)
        return AuditDetail(
            address=self._address,
            partition=partition,
            result=publication.result if publication else Result.HELD if hold else Result.BLOCKED,
            rows_in=audit.rows_in,
            rows_published=publication.rows_published if publication else 0,
            rows_quarantined=publication.rows_quarantined if publication else 0,
            passed=audit.passed,
            warned=audit.warned,
            failed=audit.failed,
            seconds=judged.seconds if judged else 0.0,
            judged_at=dt.datetime.now(dt.timezone.utc),
            reasons=tuple(reasons),
            hold=hold.id if hold else None,
            id=0,
            run_id=self._run_id,
            correlation_id=correlation_id,
            contract_version=contract.version,
            contract_fingerprint=contract.fingerprint,
            publication=publication.id if publication else None,
            results=tuple(audit.results),
        )

    def _link(self, path: Path) -> dict[str, Any]:
        if self._url and self._folder is not None:
            relative = path.relative_to(self._folder.root).as_posix()
            return {REPORT: dg.MetadataValue.url(f"{self._url.rstrip('/')}/{relative}")}
        return {REPORT: dg.MetadataValue.path(str(path))}

    def _complain(self, partition: str | None, failure: Exception) -> dict[str, Any]:
        if not self._complained:
            where = f"{self._address}{f' [{partition}]' if partition is not None else ''}"
            self._log.warning(f"No report of {where} could be written: {type(failure).__name__}: {failure}")
        self._complained = True
        return {}


def _examples(judged: Judged, contract: Contract) -> dict[str, list[Any]]:
    """Some failing values of each broken promise."""
    from dagster_sluice.reports.samples import misfit_text

    masked = masked_columns(contract)
    found = {
        result.name: [jsonable(value) for value in result.partial_unexpected_list]
        for result in judged.verdict.results
        if result.partial_unexpected_list and result.type != CONFORMS
    }
    if judged.misfits:
        found[CONFORMS] = [
            misfit_text(misfit.column, misfit.value, misfit.reason, masked) for misfit in judged.misfits[:_VALUES]
        ]
    return found


def _samples(judged: Judged) -> dict[str, list[dict[str, Any]]]:
    """The first failing rows of each broken promise, whole; read out of the batch at once."""
    from dagster_sluice.reports.compose import SAMPLED

    positions: dict[str, list[int]] = {}
    for index, result in enumerate(judged.verdict.results):
        if not result.success and len(positions) < SAMPLED:
            rows = judged.verdict.mask.rows([index])[:_SAMPLE_ROWS].tolist()
            if rows:
                positions[result.name] = rows
    every = sorted({row for rows in positions.values() for row in rows})
    payloads = dict(zip(every, row_payloads(judged.rows, every), strict=True)) if every else {}
    misfits: dict[int, dict[str, Any]] = {}
    for misfit in judged.misfits:
        if misfit.row in payloads:
            misfits.setdefault(misfit.row, {})[misfit.column] = misfit.value
    # What does not conform is told as it came, and first.
    return {
        name: [misfits.get(row, {}) | payloads[row] | misfits.get(row, {}) for row in rows]
        if name == CONFORMS
        else [payloads[row] for row in rows]
        for name, rows in positions.items()
    }

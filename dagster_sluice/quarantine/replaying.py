"""Quarantined rows through the gate again, and those that pass into the published partition."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from dagster_sluice.contracts import Contract, Reference
from dagster_sluice.errors import PublishError, TableError
from dagster_sluice.tables.additions import Additions, Candidate, judge_additions
from dagster_sluice.tables.conform import conform
from dagster_sluice.tables.content import content_hash
from dagster_sluice.tables.gatekeeper import Origin, record
from dagster_sluice.tables.naming import CONFORMS
from dagster_sluice.warehouse import Address, Publication, QuarantinedRow, Replay, Warehouse

__all__ = ["Promise", "Replayed", "Replayer"]

NEVER_PUBLISHED = "Nothing is published there yet, so there is nothing to add rows to; materialize it first."


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What the rows of a table are judged by.

    Attributes:
        contract: The table's contract.
        references: The sets that live in other tables.
    """

    contract: Contract
    references: Mapping[Reference, Sequence[Any]]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What became of the replayed rows of one partition.

    Attributes:
        address: The table.
        partition: The partition.
        added: Numbers of the rows that passed, and are published unless this was a dry run.
        failed: Why each of the others stays open, by number.
        blocked: Why nothing was changed at all; empty otherwise.
        publication: What stands in the warehouse now; ``None`` if nothing was added.
    """

    address: Address
    partition: str | None
    added: tuple[int, ...] = ()
    failed: Mapping[int, Sequence[Mapping[str, Any]]]
    blocked: tuple[str, ...] = ()
    publication: Publication | None = None

    @property
    def good(self) -> bool:
        """Whether every row passed."""
        return not self.failed and not self.blocked


class Replayer:
    """Takes quarantined rows through the gate of their table.

    Args:
        warehouse: Where the tables and the quarantine are.
        promise: What the rows of a table are judged by.
        run_id: The run, or whatever else asks for the replay.
        correlation_id: What caused that.
    """

    def __init__(
        self, warehouse: Warehouse, promise: Callable[[Address], Promise], *, run_id: str, correlation_id: str
    ) -> None:
        self._warehouse = warehouse
        self._promise = promise
        self._run_id = run_id
        self._correlation_id = correlation_id

    def replay(
        self,
        rows: Sequence[QuarantinedRow],
        mends: Mapping[int, Mapping[str, Any]] | None = None,
        *,
        why: str = "",
        dry_run: bool = False,
    ) -> list[Replayed]:
        """Replay open rows, each partition in a transaction of its own.

        Rows that are not open are passed over, so that a second replay of the same rows finds nothing to do.

        Args:
            rows: The rows as they are kept.
            mends: For rows that were mended, by number: the whole row in JSON's types.
            why: For the record.
            dry_run: Judge and tell, change nothing.

        Raises:
            TableError: A table has no contract that could be found.
        """
        mended = mends or {}

        def place(row: QuarantinedRow) -> tuple[str, bool, str]:
            return str(row.address), row.partition is not None, row.partition or ""

        wanted = sorted((row for row in rows if row.status == "open"), key=lambda row: (place(row), row.id))
        # Every contract is found before the first partition is touched.
        promises = {row.address: self._promise(row.address) for row in wanted}
        found = []
        for _, group in groupby(wanted, key=place):
            batch = list(group)
            found.append(self._partition(batch, promises[batch[0].address], mended, why=why, dry_run=dry_run))
        return found

    def _partition(
        self,
        rows: list[QuarantinedRow],
        promise: Promise,
        mends: Mapping[int, Mapping[str, Any]],
        *,
        why: str,
        dry_run: bool,
    ) -> Replayed:
        started = time.perf_counter()
        address, partition, contract = rows[0].address, rows[0].partition, promise.contract
        standing = self._warehouse.current(address, None if partition is None else [partition]).get(partition)
        if standing is None:
            return Replayed(address=address, partition=partition, failed={}, blocked=(NEVER_PUBLISHED,))
        origin = Origin(
            run_id=self._run_id,
            correlation_id=self._correlation_id,
            code_version=standing.code_version,
            base=standing.id,
            started=started,
        )
        try:
            published = self._published(address, partition, contract)
            candidates = [candidate(row, mends.get(row.id)) for row in rows]
            additions = judge_additions(published, candidates, contract, promise.references)
            audit = record(contract, origin, additions.verdict, additions.blocking)
            if additions.blocking:
                if not dry_run:
                    self._warehouse.record_block(address, partition, audit)
                return Replayed(address=address, partition=partition, failed={}, blocked=additions.blocking)
            if dry_run:
                return _told(rows, additions, None)
            publication = self._warehouse.replay(
                Replay(
                    address=address,
                    columns=contract.columns,
                    partition=partition,
                    rows=additions.rows,
                    passed=[(rows[position].id, payload) for position, payload in additions.passed],
                    failed=[(rows[position].id, reasons) for position, reasons in additions.failed],
                    content_hash=content_hash(pa.concat_tables([published, additions.rows])),
                    base=standing.id,
                    audit=audit,
                    why=why,
                )
            )
        except (PublishError, TableError) as failure:
            # One partition that cannot take rows does not stop the others.
            return Replayed(address=address, partition=partition, failed={}, blocked=(str(failure),))
        return _told(rows, additions, publication)

    def _published(self, address: Address, partition: str | None, contract: Contract) -> pa.Table:
        """The rows that stand there, in the contract's columns and types."""
        rows = self._warehouse.read(
            address,
            columns=[column.name for column in contract.columns],
            partitions=None if partition is None else [partition],
        )
        found = conform(rows, contract)
        if found.misfits:
            first = found.misfits[0]
            raise TableError(
                f"What is published in {address} does not conform to its contract any more:"
                f" {first.column} {first.reason}.",
                mend="Materialize it first, then replay.",
            )
        return found.rows


def candidate(row: QuarantinedRow, mended: Mapping[str, Any] | None) -> Candidate:
    """A kept row as one that wants to be added, as it is or mended. Pure."""
    if mended is None:
        return Candidate(payload=row.payload, reasons=row.reasons)
    unchanged = [
        reason
        for reason in row.reasons
        if reason.get("expectation") == CONFORMS
        and mended.get(str(reason.get("column"))) == row.payload.get(str(reason.get("column")))
    ]
    return Candidate(payload=mended, reasons=unchanged)


def _told(rows: list[QuarantinedRow], additions: Additions, publication: Publication | None) -> Replayed:
    return Replayed(
        address=rows[0].address,
        partition=rows[0].partition,
        added=tuple(rows[position].id for position, _ in additions.passed),
        failed={rows[position].id: reasons for position, reasons in additions.failed},
        publication=publication,
    )

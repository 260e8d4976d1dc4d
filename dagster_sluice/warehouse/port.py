"""What a warehouse must be able to do. One adapter per file beside this one; the rest of the package speaks only to this.

The values that cross the border are in ``values.py``.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster_sluice.warehouse.values import (
    PARTITION_COLUMN,
    Address,
    Audit,
    AuditDetail,
    AuditRecord,
    Batch,
    Hold,
    Ledger,
    Mended,
    Publication,
    QuarantineCount,
    QuarantinedRow,
    Replay,
    TableStatus,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from dagster_sluice.warehouse.selects import Select
    from dagster_sluice.warehouse.timelines import Newest, Place, Timeline

__all__ = ["PARTITION_COLUMN", "Warehouse"]


class Warehouse(ABC):
    """Where tables live. Safe to use from several processes at once; one instance belongs to one thread.

    Every method raises `DatabaseUnreachable` if the database does not answer.
    """

    @abstractmethod
    def prepare(self) -> None:
        """Create or bring up to date the warehouse's own records. Doing it again changes nothing."""

    @abstractmethod
    def publish(self, batch: Batch) -> Publication:
        """Replace one partition (or the whole unpartitioned table) in one transaction.

        The good rows, the publication, the audit's record and the quarantined rows become visible together or not at
        all. If the content is already what is published, nothing is rewritten and the result says ``unchanged``.

        Raises:
            PublishError: Somebody else published this partition since ``batch.base``, or the table in the warehouse
                does not fit the columns.
        """

    @abstractmethod
    def record_block(self, address: Address, partition: str | None, audit: AuditRecord) -> None:
        """Record an audit whose batch was blocked. What is published stays."""

    @abstractmethod
    def current(self, address: Address, partitions: Sequence[str] | None = None) -> dict[str | None, Publication]:
        """The current publication of each partition (all by default), in one query."""

    @abstractmethod
    def ledgers(self, codes: Mapping[Address, str]) -> dict[Address, Ledger]:
        """What stands of each of these tables, in two queries however many tables and partitions there are.

        Args:
            codes: The tables, with the code version that each is to be compared with.
        """

    @abstractmethod
    def timelines(
        self, since: Mapping[Address, str], *, refreshed: Mapping[Address, dt.datetime] | None = None
    ) -> dict[Address, Timeline]:
        """When the partitions of each of these tables were first published, and whether they are now.

        In three queries however many tables and partitions there are.

        Args:
            since: The tables, each with the least of the keys that matter (by code point); those before it are left out.
            refreshed: Tables of which every publication and confirmation since a moment is wanted.
        """

    @abstractmethod
    def newest(self, columns: Sequence[Place]) -> dict[Place, Newest]:
        """The greatest value of each of these columns, in two queries; one that is not there, or of no moments, is left out.

        Args:
            columns: Tables with a column of timestamps or dates.
        """

    @abstractmethod
    def durations(self, addresses: Sequence[Address]) -> dict[Address, float]:
        """How many seconds a batch of each of these tables took: the median of the last 30 that were published.

        In one query; a table that has none is left out.
        """

    @abstractmethod
    def audits(self, correlation_id: str) -> list[Audit]:
        """What became of every batch of one cause, in the order of judging."""

    @abstractmethod
    def history(
        self,
        address: Address,
        *,
        partitions: Sequence[str] | None = None,
        until: str | None = None,
        run_id: str | None = None,
        limit: int = 30,
    ) -> list[AuditDetail]:
        """The latest audit of each partition, of the last partitions by key, in the order of their keys; in one query.

        Of a table without partitions, its last audits, oldest first. Keys are ordered by code point, as dates are in
        time. Replays are left out: they judge rows that are added, not a batch.

        Args:
            address: The table.
            partitions: Only these; all by default.
            until: Only this one and those before it.
            run_id: Only what this run judged.
            limit: At most so many, the last.
        """

    @abstractmethod
    def read(
        self, address: Address, *, columns: Sequence[str] | None = None, partitions: Sequence[str] | None = None
    ) -> pa.Table:
        """Rows of a published table, without the bookkeeping column.

        Args:
            address: The table.
            columns: The columns wanted, all by default.
            partitions: The partitions wanted, all by default.

        Raises:
            TableError: There is no such table, or no such column.
        """

    @abstractmethod
    def query(self, select: Select, parameters: Mapping[str, Any], *, timezone: str = "UTC") -> pa.Table:
        """The rows of a SELECT, in a transaction that can change nothing.

        Args:
            select: The statement.
            parameters: A value for each of its parameters, bound and never written into the text: text, numbers, truth
                values, dates, moments with time zone.
            timezone: The clock by which dates are made of moments and moments of dates.

        Returns:
            The rows, in whatever types they come; ``numeric`` may be wrapped text as in `read`.

        Raises:
            QueryError: The database refuses the statement, or it would change something.
            FrameError: A value cannot be computed, such as a quotient of nothing.
        """

    @abstractmethod
    def columns(self, address: Address) -> dict[str, str]:
        """The columns of a table and their types in the database's words, in order; empty if there is no table.

        A partitioned table has one more than its contract, `PARTITION_COLUMN`.
        """

    @abstractmethod
    def values(self, address: Address, column: str) -> list[Any]:
        """The distinct values of a published column, without NULL.

        Raises:
            TableError: There is no such table, or no such column.
        """

    @abstractmethod
    def tables(self) -> list[TableStatus]:
        """Every table that has a publication, by address."""

    @abstractmethod
    def quarantined(
        self,
        address: Address | None = None,
        partition: str | None = None,
        *,
        status: str | None = "open",
        limit: int | None = 100,
    ) -> list[QuarantinedRow]:
        """Rows in quarantine, newest first; ``None`` asks for any status, or for all of them."""

    @abstractmethod
    def quarantine_rows(self, ids: Sequence[int]) -> list[QuarantinedRow]:
        """These rows of the quarantine, by number, whatever their status; those that are not there are left out."""

    @abstractmethod
    def quarantine_counts(self) -> list[QuarantineCount]:
        """How many rows are kept, by table and status."""

    @abstractmethod
    def mended(self, address: Address, partition: str | None) -> list[Mended]:
        """The replayed rows of a partition, with what was published for them."""

    @abstractmethod
    def replay(self, request: Replay) -> Publication | None:
        """Add quarantined rows to a published partition, in one transaction.

        The rows, the new publication, the audit's record and the new status of the quarantined rows become visible
        together or not at all. Without ``request.rows`` only the reasons of the failed ones change, and there is no
        new publication.

        Raises:
            PublishError: Somebody else published this partition since ``request.base``, or one of the rows is not open
                any more; nothing has changed.
        """

    @abstractmethod
    def discard(self, ids: Sequence[int], *, why: str) -> list[int]:
        """Mark open rows as not wanted; returns the numbers of those that were open."""

    @abstractmethod
    def prune(
        self,
        *,
        before: dt.datetime | None = None,
        keep: int | None = None,
        include_open: bool = False,
        dry_run: bool = False,
    ) -> list[QuarantineCount]:
        """Drop rows from the quarantine, the oldest first; open ones only if asked to, and last.

        Args:
            before: Rows that were last seen before this moment go.
            keep: So many rows may be left; of what is more, the oldest go.
            include_open: Whether open rows may go too. They are lost: nothing else has them.
            dry_run: Change nothing.

        Returns:
            What went (or would go), by table and status.
        """

    @abstractmethod
    def hold(self, batch: Batch) -> Hold:
        """Stage a batch for a person, in one transaction: rows, rejected rows and the audit's record. What is published stays.

        An open hold of the same partition is superseded, and what it staged is dropped, in the same transaction. The
        same batch held again is the hold that is open already: only its audit is recorded. A publish of the partition
        supersedes its open hold too, in the publish's transaction, also if the content is ``unchanged``.

        Raises:
            PublishError: Somebody else published this partition since ``batch.base``, so that the batch could never be
                released, or a row does not fit the columns.
        """

    @abstractmethod
    def holds(
        self,
        address: Address | None = None,
        partition: str | None = None,
        *,
        status: str | None = "open",
        limit: int | None = 100,
    ) -> list[Hold]:
        """Holds, newest first; ``None`` asks for any status, or for all of them."""

    @abstractmethod
    def numbered_holds(self, ids: Sequence[int]) -> list[Hold]:
        """These holds, by number, whatever their status; those that are not there are left out."""

    @abstractmethod
    def held_rows(self, number: int, *, limit: int | None = None) -> pa.Table:
        """The rows that an open hold would publish, in the columns and types of its batch.

        Raises:
            PublishError: There is no such hold, or it is not open any more.
        """

    @abstractmethod
    def release(self, number: int, *, by: str, why: str) -> Publication:
        """Publish what an open hold staged, in one transaction.

        The rows, the publication, the audit's record, the quarantined rows and the hold's new status become visible
        together or not at all; what was staged is dropped. The audit and the publication are of the run that computed
        the batch.

        Args:
            number: The hold.
            by: Who decides.
            why: Why; both are kept with the hold.

        Raises:
            PublishError: There is no such hold; it is not open any more (of two who decide at once, one reads this);
                somebody published the partition since its base; or the table in the warehouse does not fit the columns.
                Nothing has changed.
        """

    @abstractmethod
    def reject(self, number: int, *, by: str, why: str) -> Hold:
        """Give up an open hold: what it staged is dropped, what is published stays.

        Raises:
            PublishError: There is no such hold, or it is not open any more.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of connections. The next call opens new ones."""

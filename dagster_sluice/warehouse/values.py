"""The values that cross the border of a warehouse: frozen, and the same for every adapter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from dagster_sluice.contracts import Column
from dagster_sluice.errors import Culprit, TableError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "PARTITION_COLUMN",
    "Address",
    "Audit",
    "AuditDetail",
    "AuditRecord",
    "Batch",
    "Hold",
    "Ledger",
    "Mended",
    "Publication",
    "QuarantineCount",
    "QuarantinedRow",
    "RejectedRow",
    "Replay",
    "Result",
    "Stopped",
    "TableStatus",
    "is_name",
    "is_text",
]

PARTITION_COLUMN = "_partition"
RECORDS_SCHEMA = "sluice"
STAGING_SCHEMA = "sluice_staging"
LEAVES_SCHEMA = "sluice_partitions"


def is_text(text: str) -> bool:
    """Whether every warehouse takes this as a value: UTF-8, without NUL."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def is_name(text: str) -> bool:
    """Whether every warehouse takes this as a name: 1 to 63 bytes of UTF-8, without NUL."""
    return is_text(text) and 0 < len(text.encode()) <= 63


@dataclass(frozen=True, kw_only=True, order=True)
class Address:
    """Where a table lives: ``schema.table``."""

    schema: str
    table: str

    def __post_init__(self) -> None:
        for part in (self.schema, self.table):
            # Postgres cuts longer names silently, and two tables would become one.
            if not is_name(part):
                raise TableError(
                    "A table's address cannot be used.",
                    culprits=[Culprit(where=ascii(part), problem="a name takes 1 to 63 bytes of UTF-8 and no NUL.")],
                )
        if self.schema in (RECORDS_SCHEMA, STAGING_SCHEMA, LEAVES_SCHEMA):
            raise TableError(
                "A table's address cannot be used.",
                culprits=[Culprit(where=str(self), problem="that schema holds the warehouse's own records.")],
                mend="Give the asset another key, or the contract another schema.",
            )

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


class Result(str, Enum):
    """What became of one batch at the warehouse."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    HELD = "held"
    BLOCKED = "blocked"


@dataclass(frozen=True, kw_only=True)
class RejectedRow:
    """A row kept out of a publish.

    Attributes:
        payload: The whole row, column by column, in JSON's types.
        reasons: Why: one mapping per reason with ``expectation``, ``column`` and ``value`` where there is one.
        occurrence: Which of several equal rows it is, from 1; ``None`` counts them as they come.
    """

    payload: Mapping[str, Any]
    reasons: Sequence[Mapping[str, Any]]
    occurrence: int | None = None


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """What an audit found, for the warehouse's own records.

    Attributes:
        run_id: The Dagster run that judged.
        correlation_id: What caused that run.
        contract_version: The contract's version.
        contract_fingerprint: Its decisive content, hashed.
        code_version: Of the function that computed the batch.
        rows_in: Rows that came to the gate.
        passed: Expectations that held.
        warned: Expectations that failed and did not stop the publish.
        failed: Expectations that failed and did.
        seconds: Wall-clock time from the start of the computation to the start of the publish.
        results: One mapping per expectation, in JSON's types.
        reasons: Why the batch is blocked, if it is.
    """

    run_id: str
    correlation_id: str
    contract_version: str
    contract_fingerprint: str
    code_version: str
    rows_in: int
    passed: int
    warned: int
    failed: int
    seconds: float
    results: Sequence[Mapping[str, Any]] = ()
    reasons: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Batch:
    """All that one publish changes: the good rows, the rejected ones, the record.

    Attributes:
        address: The table.
        columns: Its columns, in the order of the table.
        partition: The partition key; ``None`` for a table that is not partitioned.
        rows: The good rows, in the columns' types.
        rejected: The rows to quarantine.
        content_hash: Hash of ``rows``, whatever their order.
        base: Number of the publication that was current when the computation began, ``None`` if there was none.
            The publish is refused if another one has come between.
        audit: What the audit found.
        restored: Numbers of the quarantined rows whose mended replacements are among ``rows``.
        computed_at: When the computation began: what its sources had later is not in it. The moment of publishing by
            default.
    """

    address: Address
    columns: tuple[Column, ...]
    partition: str | None
    rows: pa.Table
    rejected: Sequence[RejectedRow]
    content_hash: str
    base: int | None
    audit: AuditRecord
    restored: Sequence[int] = ()
    computed_at: dt.datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Publication:
    """The warehouse's own record of a publish."""

    id: int
    address: Address
    partition: str | None
    content_hash: str
    contract_fingerprint: str
    code_version: str
    rows_published: int
    rows_quarantined: int
    published_at: dt.datetime
    run_id: str
    result: Result = Result.PUBLISHED


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What became of one batch, as the warehouse remembers it. ``hold`` is the number of a held one's `Hold`."""

    address: Address
    partition: str | None
    result: Result
    rows_in: int
    rows_published: int
    rows_quarantined: int
    passed: int
    warned: int
    failed: int
    seconds: float
    judged_at: dt.datetime
    reasons: tuple[str, ...] = ()
    hold: int | None = None


@dataclass(frozen=True, kw_only=True)
class AuditDetail(Audit):
    """An audit with all that the warehouse remembers of it.

    Attributes:
        id: Its number; a later audit has a higher one.
        run_id: The run that judged.
        correlation_id: What caused that run.
        contract_version: The contract's version.
        contract_fingerprint: Its decisive content, hashed.
        publication: What it published or reaffirmed; ``None`` if nothing.
        results: One mapping per expectation, as in `AuditRecord`.
    """

    id: int
    run_id: str
    correlation_id: str
    contract_version: str
    contract_fingerprint: str
    publication: int | None = None
    results: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """A batch that was blocked or held, and not published since."""

    judged_at: dt.datetime
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ledger:
    """What stands of one table, partition by partition, as arrays: a table may have 100,000.

    Attributes:
        partitions: The published ones, as an Arrow array of strings; the empty key for a table without partitions.
        published: When what stands there was published (int64, microseconds since 1970).
        computed: When the computation began that last gave it (likewise).
        other_code: Whether it was made by another code version than the one asked about (bool).
        stopped: The partitions whose last batch was blocked or held, published ones or not.
    """

    partitions: pa.Array[Any]
    published: Any
    computed: Any
    other_code: Any
    stopped: Mapping[str, Stopped]


@dataclass(frozen=True, kw_only=True)
class TableStatus:
    """A published table at a glance."""

    address: Address
    partitions: int
    rows: int
    rows_quarantined: int
    last_publish: dt.datetime
    first_partition: str | None = None
    last_partition: str | None = None


@dataclass(frozen=True, kw_only=True)
class QuarantinedRow:
    """A row in quarantine, with all that is known of it.

    Attributes:
        id: Its number, for as long as it is kept.
        address: The table it was kept out of.
        partition: The partition.
        payload: The row as it came, in JSON's types.
        reasons: Why it is kept out.
        status: ``"open"``, ``"passed"`` (no longer rejected), ``"replayed"`` (published by a replay) or
            ``"discarded"``.
        run_id: The run that judged it last.
        correlation_id: What caused that run.
        first_seen: When it was first rejected.
        last_seen: When it was last rejected, or replaced by its mended form.
        replacement: The row as a replay published it; ``None`` if none has.
        publication: The publication of that replay.
        why: What the person who replayed or discarded it said.
        settled_at: When it was replayed or discarded.
    """

    id: int
    address: Address
    partition: str | None
    payload: Mapping[str, Any]
    reasons: Sequence[Mapping[str, Any]]
    status: str
    run_id: str
    correlation_id: str
    first_seen: dt.datetime
    last_seen: dt.datetime = field(compare=False)
    replacement: Mapping[str, Any] | None = None
    publication: int | None = None
    why: str = ""
    settled_at: dt.datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class QuarantineCount:
    """How many rows of one table and status are kept.

    Attributes:
        address: The table.
        status: As of `QuarantinedRow`.
        rows: How many.
        oldest: When the oldest of them was last seen.
        newest: When the newest was.
    """

    address: Address
    status: str
    rows: int
    oldest: dt.datetime
    newest: dt.datetime


@dataclass(frozen=True, kw_only=True)
class Mended:
    """A rejected row for which a replay published another: what stands in its place when it is rejected again.

    Attributes:
        id: The quarantined row's number.
        row_hash: Of the row as it came; see `dagster_sluice.warehouse.rejects`.
        occurrence: Which of the equal rows it is, from 1.
        payload: The row that was published, in JSON's types.
    """

    id: int
    row_hash: str
    occurrence: int
    payload: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Replay:
    """All that one replay changes: quarantined rows added to a published partition, others told anew why not.

    Attributes:
        address: The table.
        columns: Its columns, in the order of the table.
        partition: The partition key; ``None`` for a table that is not partitioned.
        rows: The rows to add, in the columns' types.
        passed: For each of ``rows``, the number of the quarantined row and the payload that is added for it.
        failed: The rows that stay open, with today's reasons.
        content_hash: Hash of the whole partition once ``rows`` are added.
        base: Number of the publication they were judged with. The replay is refused if another one has come between.
        audit: What the audit found.
        why: What the person who asked for it said.
    """

    address: Address
    columns: tuple[Column, ...]
    partition: str | None
    rows: pa.Table
    passed: Sequence[tuple[int, Mapping[str, Any]]]
    failed: Sequence[tuple[int, Sequence[Mapping[str, Any]]]]
    content_hash: str
    base: int
    audit: AuditRecord
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A batch that waits, or waited, for a person.

    Attributes:
        id: Its number.
        address: The table it would be published in.
        partition: The partition; ``None`` for a table that is not partitioned.
        status: ``"open"``, ``"released"`` (published), ``"rejected"``, or ``"superseded"`` (a newer batch came).
        columns: The columns of its rows, without what only a contract knows of them.
        content_hash: Hash of the rows that wait, as of `Batch`.
        base: Number of the publication that it would replace, ``None`` if there was none. If another one is current by
            now, it cannot be released any more.
        rows: How many rows wait to be published.
        rows_quarantined: How many would come into quarantine.
        audit: What the audit found.
        held_at: When it was staged.
        publication: What its release published.
        decided_by: Who released or rejected it.
        why: What that person said; of a superseded hold, what superseded it.
        decided_at: When it ceased to be open.
    """

    id: int
    address: Address
    partition: str | None
    status: str
    columns: tuple[Column, ...]
    content_hash: str
    base: int | None
    rows: int
    rows_quarantined: int
    audit: AuditRecord
    held_at: dt.datetime
    publication: int | None = None
    decided_by: str = ""
    why: str = ""
    decided_at: dt.datetime | None = None

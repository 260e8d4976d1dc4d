"""What a table promises, as plain values.

A `Contract` is read from an ODCS v3 file (`dagster_sluice.contracts.odcs`) or written in Python. It knows nothing of
Dagster, of Great Expectations or of a warehouse.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from dagster_sluice.contracts.deadlines import Deadline, Recency
from dagster_sluice.errors import ContractError, Culprit

__all__ = ["Column", "Contract", "Expectation", "LogicalType", "Policy", "Reference", "Severity"]


class LogicalType(str, Enum):
    """The ODCS logical types (v3.1, ``logicalType``)."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIME = "time"
    OBJECT = "object"
    ARRAY = "array"


class Policy(str, Enum):
    """What a failed expectation does."""

    WARN = "warn"
    """Say so; publish all the same."""
    QUARANTINE = "quarantine"
    """Keep the failing rows out of the publish, with their reasons; publish the rest."""
    HOLD = "hold"
    """Stage the batch and wait for a person."""
    BLOCK = "block"
    """Publish nothing; what was published before stays."""


class Severity(str, Enum):
    """How grave a failure is, in the words of Great Expectations."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A set of values that lives in another table's column, as in ``{"from": "airports.faa"}``.

    Attributes:
        table: Name of the other table, as its contract names it; ``schema.table`` where the schema differs.
        column: The column whose published values form the set.
    """

    table: str
    column: str


def _take_word(value: Any, field_name: str, kind: type[Enum]) -> None:
    """Let a contract in Python say ``"integer"`` or ``"block"``, as a file does."""
    given = getattr(value, field_name)
    try:
        object.__setattr__(value, field_name, kind(given))
    except ValueError:
        known = ", ".join(str(one.value) for one in kind)
        culprit = Culprit(
            where=f"{type(value).__name__} {value.name!r}", problem=f"{field_name} is {given!r}, none of {known}."
        )
        raise ContractError("A contract cannot be read.", culprits=[culprit]) from None


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        name: The column's name, exactly as in the frame and in the warehouse.
        type: Its logical type.
        physical_type: The warehouse type, where the logical one is not precise enough (``"numeric(12,2)"``).
        description: For people; shown in the UI.
        required: Whether NULL breaks the promise. (The expectation for it is among the contract's expectations.)
        classification: ODCS ``classification`` (``"confidential"``, ``"pii"``…); such values are masked in reports.
        tags: Free words.
        timezone: For timestamps, whether values carry a time zone. A naive column is refused where this is true.
        sources: The columns its values are made of, ``"flights.raw_flights.carrier"`` (ODCS
            ``transformSourceObjects``); ``None`` where nothing is said, empty for one that is made of no column.
        logic: How it is made of them, in words or SQL (ODCS ``transformLogic``).
    """

    name: str
    type: LogicalType
    physical_type: str | None = None
    description: str = ""
    required: bool = False
    classification: str | None = None
    tags: tuple[str, ...] = ()
    timezone: bool = True
    sources: tuple[str, ...] | None = None
    logic: str = ""

    def __post_init__(self) -> None:
        _take_word(self, "type", LogicalType)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One expectation of Great Expectations, with what its failure does.

    Attributes:
        name: Unique within its contract and stable from run to run; the asset check has this name
            (letters, digits and underscores).
        type: The GX type, such as ``"expect_column_values_to_be_between"``.
        kwargs: Its arguments as GX takes them. A set may live in another table: ``{"from": "airports.faa"}``.
        severity: How grave a failure is.
        policy: What a failure does.
        description: For people; what is promised, in words.
        meta: Passed through to the result.
        import_path: Where the class of an expectation of one's own is, ``"my.module:ExpectColumnValuesToBeIban"``;
            not needed if it is one of Great Expectations or imported before anything is judged.
        file: Where it was written, if in a file.
        line: Line in ``file``, from 1.
    """

    name: str
    type: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = Severity.CRITICAL
    policy: Policy = Policy.BLOCK
    description: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    import_path: str | None = None
    file: Path | None = None
    line: int | None = None

    def __post_init__(self) -> None:
        _take_word(self, "severity", Severity)
        _take_word(self, "policy", Policy)

    def references(self) -> dict[str, Reference]:
        """The arguments whose value is a set in another table, by argument name."""
        found = {}
        for key, value in self.kwargs.items():
            if isinstance(value, Mapping) and set(value) == {"from"}:
                table, _, column = str(value["from"]).rpartition(".")
                found[key] = Reference(table=table, column=column)
        return found


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a table promises: columns, expectations, owner.

    Attributes:
        table: The table's name in the warehouse.
        schema: The warehouse schema it is published in; ``None`` leaves it to the asset's key.
        version: The contract's own version (``"1.0.0"``).
        columns: In the order of the published table.
        expectations: In declared order; names are unique.
        description: For people.
        owners: Dagster owners: e-mail addresses or ``team:name``.
        tags: Free words.
        quarantine_limit: Largest share of a batch's rows (0 to 1) that may be quarantined; above it the batch is
            blocked.
        timezone: IANA name; the zone in which the table's days begin.
        file: The file it was read from, if any.
        deadlines: When each partition must be published.
        recency: How old the newest row may be.
    """

    table: str
    columns: tuple[Column, ...]
    expectations: tuple[Expectation, ...] = ()
    schema: str | None = None
    version: str = "0.0.0"
    description: str = ""
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    quarantine_limit: float = 0.5
    timezone: str = "UTC"
    file: Path | None = None
    deadlines: tuple[Deadline, ...] = ()
    recency: tuple[Recency, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column of that name, or ``None``."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def fingerprint(self) -> str:
        """A hash (hex) of all that decides a verdict and the shape of the table: columns, expectations, limits.

        Descriptions, owners, deadlines and the place of the file do not count: editing them does not make data stale.
        """
        decisive = {
            "columns": [[c.name, c.type.value, c.physical_type, c.timezone] for c in self.columns],
            "expectations": [
                [e.name, e.type, e.kwargs, e.severity.value, e.policy.value, *filter(None, [e.import_path])]
                for e in self.expectations
            ],
            "quarantine_limit": self.quarantine_limit,
        }
        text = json.dumps(decisive, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

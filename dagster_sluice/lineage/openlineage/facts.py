"""What is told to others of assets, runs and steps: plain values, without Dagster and without OpenLineage."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["Assertion", "AssetFacts", "Column", "RunFacts", "State", "Used", "child_run_id"]

_NAMESPACE = uuid.UUID("6f0f8a3e-6b0e-5b52-9d43-3a4a7f1c2d10")
"""Of our run ids. It never changes: an event that is sent again has the id that it had."""


class State(str, Enum):
    """What happens to a run: OpenLineage's ``eventType``."""

    START = "START"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    ABORT = "ABORT"
    OTHER = "OTHER"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column as others are told of it."""

    name: str
    type: str | None = None
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class AssetFacts:
    """An asset as others are told of it.

    Attributes:
        name: The parts of its key, joined by ``/``.
        columns: In order; none where they are not known.
        lineage: For each column that is known, what it is made of: (asset, column).
        description: For people.
        table: ``schema.table`` where it is published; ``None`` for what is no table.
    """

    name: str
    columns: tuple[Column, ...] = ()
    lineage: Mapping[str, tuple[tuple[str, str], ...]] | None = None
    description: str = ""
    table: str | None = None


@dataclass(frozen=True, kw_only=True)
class Assertion:
    """The outcome of one check."""

    check: str
    passed: bool
    severity: str
    column: str | None = None
    description: str = ""
    partition: str | None = None


@dataclass(frozen=True, kw_only=True)
class Used:
    """An asset that a step reads or writes.

    Attributes:
        asset: The asset.
        partitions: Which of its partitions; ``None`` where it has none or that is not known.
        rows: Rows written.
        version: Its data version, where one was written.
        assertions: Checks that looked at it.
    """

    asset: AssetFacts
    partitions: tuple[str, ...] | None = None
    rows: int | None = None
    version: str | None = None
    assertions: tuple[Assertion, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """A run of a job, or of a part of one.

    Attributes:
        id: A UUID.
        job: The job's name.
        kind: OpenLineage's ``jobType``.
        parent: The run that it is a part of.
        window: The time that its partitions stand for: start and end (exclusive), with time zone.
        correlation_id: What caused it.
        description: Of the job.
    """

    id: str
    job: str
    kind: str
    parent: RunFacts | None = None
    window: tuple[dt.datetime, dt.datetime] | None = None
    correlation_id: str | None = None
    description: str = ""

    @property
    def root(self) -> RunFacts:
        """The run that all of it is a part of."""
        return self.parent.root if self.parent else self


def child_run_id(run_id: str, *parts: str) -> str:
    """The id of a part of a run, always the same for the same part."""
    return str(uuid.uuid5(_NAMESPACE, "\0".join((run_id, *parts))))

"""Partitions that a plan has to itself. Values."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

__all__ = ["Claim", "Claimed", "OpenPlan"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A partition that a plan wants for itself.

    Attributes:
        table: The table.
        partition: The partition.
        reasons: Why, as bits of `Reason`.
        inputs: What it will be made of: code version and source version.
    """

    table: str
    partition: str
    reasons: int
    inputs: str


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """What a plan got of what it wanted."""

    plan_id: int
    partitions: dict[str, list[str]]

    @property
    def count(self) -> int:
        """How many partitions it got, counted per table."""
        return sum(len(keys) for keys in self.partitions.values())


@dataclass(frozen=True, kw_only=True)
class OpenPlan:
    """A plan whose outcome has not been taken into memory."""

    id: int
    planner: str
    backfill_id: str
    correlation_id: str
    night: dt.datetime
    made_at: dt.datetime
    launched_at: dt.datetime | None
    claims: tuple[Claim, ...]

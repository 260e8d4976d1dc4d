"""How often a partition may be tried, and when again. Pure: a record and what happened in, the next record out."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from dagster_sluice.backfills.faults import Fault, FaultClass

__all__ = ["AttemptRecord", "RetryRules", "Standing", "after_failure", "released", "standing"]


@dataclass(frozen=True, kw_only=True)
class RetryRules:
    """When a partition that failed is tried again, and when no more.

    Attributes:
        park_after: So many failures in a row park a partition: it is not tried again until a person releases it, or
            its code or its source changes.
        pause: The least time before the second attempt; doubled with each failure after that.
        longest_pause: The pauses grow no longer than this.
        jitter: Each pause is longer or shorter by up to this share, so that what failed together does not come back
            together.
    """

    park_after: int = 4
    pause: dt.timedelta = dt.timedelta(minutes=10)
    longest_pause: dt.timedelta = dt.timedelta(days=3)
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if self.park_after < 1:
            raise ValueError(f"park_after is {self.park_after}; at least one attempt is needed.")
        if not dt.timedelta() <= self.pause <= self.longest_pause:
            raise ValueError(f"pause is {self.pause}; it lies between 0 and longest_pause ({self.longest_pause}).")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter is {self.jitter}, not a share from 0 to below 1.")


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """What is remembered of a partition that failed; a success forgets it.

    Attributes:
        failures: In a row.
        kind: Of the last failure.
        message: Of the last failure.
        signature: Of the last failure: equal for failures with one cause.
        failed_at: When the last one was.
        next_at: Not before this moment again.
        parked_at: When it was parked; ``None`` while it may be tried.
        inputs: What the last attempt was made of: code version and source version. If that changes, the record is void.
    """

    failures: int
    kind: FaultClass
    message: str
    signature: str
    failed_at: dt.datetime
    next_at: dt.datetime
    parked_at: dt.datetime | None
    inputs: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Whether a partition may be tried now.

    Attributes:
        parked: It waits for a person, or for other inputs.
        waits_until: It is not tried before this moment.
    """

    parked: bool = False
    waits_until: dt.datetime | None = None

    @property
    def free(self) -> bool:
        """It may be tried."""
        return not self.parked and self.waits_until is None


def after_failure(
    record: AttemptRecord | None, fault: Fault, *, at: dt.datetime, inputs: str, rules: RetryRules, chance: float
) -> AttemptRecord:
    """The record after one more failure.

    Args:
        record: What was remembered; ``None`` before the first failure.
        fault: What happened.
        at: When, with a time zone.
        inputs: What this attempt was made of.
        rules: How often and when.
        chance: A random number from 0 to 1, for the jitter.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone.")
    before = record.failures if record is not None and record.inputs == inputs else 0
    failures = before + 1
    # Doubling an hour a hundred times is more than a timedelta holds.
    pause = min(rules.pause * 2 ** min(failures - 1, 30), rules.longest_pause)
    pause *= 1 + rules.jitter * (2 * chance - 1)
    was_parked = record.parked_at if record is not None and record.inputs == inputs else None
    return AttemptRecord(
        failures=failures,
        kind=fault.kind,
        message=fault.message,
        signature=fault.signature,
        failed_at=at,
        next_at=at + pause,
        parked_at=was_parked or (at if failures >= rules.park_after else None),
        inputs=inputs,
    )


def standing(record: AttemptRecord | None, *, now: dt.datetime, inputs: str) -> Standing:
    """Whether a partition may be tried now, with these inputs."""
    if record is None or record.inputs != inputs:
        return Standing()
    if record.parked_at is not None:
        return Standing(parked=True)
    return Standing(waits_until=record.next_at) if now < record.next_at else Standing()


def released(record: AttemptRecord) -> AttemptRecord:
    """The record after a person released it: it may be tried at once, and is parked again only after as many failures."""
    return replace(record, failures=0, parked_at=None, next_at=record.failed_at)

"""What is known of a table's partitions, and which of them need work: values, a column per fact.

A table may have 100,000 partitions, so a fact is an array over all of them and a gap is a position, not an object.
Moments are microseconds since 1970 in UTC; 0 stands for never.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ALL_REASONS", "Bools", "Gap", "Ints", "Parent", "Reason", "TableFacts", "TableGaps"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Reason(IntFlag):
    """Why a partition needs work. Several may hold at once."""

    MISSING = 1
    """It was never published."""
    FAILED = 2
    """Its last run failed."""
    BLOCKED = 4
    """Its last batch was blocked at the gate."""
    LATE_DATA = 8
    """Its source changed after it was computed."""
    UPSTREAM_NEWER = 16
    """An upstream partition was published after it was computed."""
    CODE_CHANGED = 32
    """It was computed by another version of the code or of the contract."""
    REQUESTED = 64
    """A person asked for it."""
    UPSTREAM_PLANNED = 128
    """The same plan renews an upstream partition. Only a planner gives this reason."""

    @property
    def words(self) -> tuple[str, ...]:
        """The reasons by name, in this order."""
        return tuple(name for bit, name in _NAMES if self & bit)

    @classmethod
    def named(cls, words: Sequence[str]) -> Reason:
        """The reasons of these names.

        Raises:
            ValueError: One of them is no reason; the message lists those there are.
        """
        known = {name: bit for bit, name in _NAMES}
        if wrong := [word for word in words if word not in known]:
            raise ValueError(f"{', '.join(map(repr, wrong))}: no reason; there are {', '.join(known)}.")
        found = cls(0)
        for word in words:
            found |= known[word]
        return found


_NAMES = tuple((Reason(1 << bit), str(Reason(1 << bit).name).lower()) for bit in range(8))
ALL_REASONS = Reason(0x7F)


@dataclass(frozen=True, kw_only=True, eq=False)
class Parent:
    """The upstream partitions of which each partition of a table is made.

    Those of partition ``i`` are ``indices[offsets[i]:offsets[i + 1]]``, positions among the upstream table's keys; of one
    that is ``everywhere``, each partition is made of all ``indices``.

    Attributes:
        table: The upstream table.
        offsets: One more than there are partitions.
        indices: Positions; -1 is an upstream partition that does not exist and never will.
        everywhere: Every partition is made of the same ones; then ``offsets`` only tells how many partitions there are.
        optional: A partition can be made of those that are published; otherwise all of them are needed.
    """

    table: str
    offsets: Ints
    indices: Ints
    everywhere: bool = False
    optional: bool = False

    @classmethod
    def same(cls, table: str, count: int) -> Parent:
        """Each partition is made of the upstream partition at the same position."""
        return cls(table=table, offsets=np.arange(count + 1, dtype=np.int64), indices=np.arange(count, dtype=np.int64))

    @classmethod
    def of(cls, table: str, positions: Sequence[Sequence[int]]) -> Parent:
        """From the positions of each partition, listed."""
        sizes = np.array([len(some) for some in positions], np.int64)
        flat = [position for some in positions for position in some]
        return cls(
            table=table,
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            indices=np.array(flat, np.int64),
        )

    @classmethod
    def shared(cls, table: str, positions: Sequence[int], count: int, *, optional: bool = False) -> Parent:
        """Each of ``count`` partitions is made of the same upstream partitions."""
        offsets = np.zeros(count + 1, np.int64)
        indices = np.array(positions, np.int64)
        return cls(table=table, offsets=offsets, indices=indices, everywhere=True, optional=optional)

    def positions(self, index: int) -> Ints:
        """Those of one partition."""
        if self.everywhere:
            return self.indices
        return self.indices[self.offsets[index] : self.offsets[index + 1]]

    def greatest(self, values: Ints) -> Ints:
        """For each partition the greatest of its upstream partitions' values; 0 where it has none."""
        count = len(self.offsets) - 1
        if not len(self.indices):
            return np.zeros(count, np.int64)
        taken = np.where(self.indices < 0, 0, values[self.indices] if len(values) else 0)
        if self.everywhere:
            return np.full(count, taken.max(), np.int64)
        filled = self.offsets[:-1] < self.offsets[1:]
        found = np.zeros(count, np.int64)
        # A segment that is empty would take the value of its neighbour.
        found[filled] = np.maximum.reduceat(taken, self.offsets[:-1][filled])
        return found

    def owners(self, places: Ints) -> Ints:
        """The partitions to which these places among ``indices`` belong, and for each its place, as two rows."""
        if self.everywhere:
            count = len(self.offsets) - 1
            return np.stack([np.repeat(np.arange(count), len(places)), np.tile(places, count)])
        return np.stack([np.searchsorted(self.offsets, places, side="right") - 1, places])

    def spread(self, values: Ints, count: int) -> Ints:
        """For each of ``count`` upstream partitions the sum of the values of the partitions made of it."""
        there = self.indices >= 0
        if self.everywhere:
            found = np.zeros(count, np.int64)
            found[self.indices[there]] = values.sum()
            return found
        sums = np.bincount(self.indices[there], np.repeat(values, np.diff(self.offsets))[there], minlength=count)
        return sums.astype(np.int64)

    def any(self, values: Bools) -> Bools:
        """For each partition whether one of its upstream partitions is marked."""
        return self.greatest(values.astype(np.int64)) > 0


def _nothing(count: int) -> Bools:
    return np.zeros(count, np.bool_)


@dataclass(frozen=True, kw_only=True, eq=False)
class TableFacts:
    """What is known of one table. Arrays are as long as ``keys``.

    Attributes:
        table: The asset key, as a person writes it.
        keys: All its partition keys, in their order; one empty key for a table that is not partitioned.
        starts: Where each partition stands in time: the start of its window; positions for those without time.
        wanted: The partitions in the window that is looked at.
        published: When what stands there was published.
        computed: When the computation began that last gave it.
        failed: The last run failed.
        blocked: The last batch was blocked.
        code_changed: What stands there was made by another version.
        source_changed: When the source was last seen to change.
        requested: Asked for by a person.
        running: A run or an open plan has it.
        unfillable: Positions that can never be filled, and why.
        parents: The upstream tables.
        reasons: The reasons that count for this table.
        ranges: Whether one run takes a whole range of its partitions.
    """

    table: str
    keys: Sequence[str]
    starts: Ints
    wanted: Bools
    published: Ints
    computed: Ints
    failed: Bools
    blocked: Bools
    code_changed: Bools
    source_changed: Ints
    requested: Bools
    running: Bools
    unfillable: dict[int, str] = field(default_factory=dict)
    parents: tuple[Parent, ...] = ()
    reasons: Reason = ALL_REASONS
    ranges: bool = True

    @classmethod
    def blank(cls, table: str, keys: Sequence[str], **known: Any) -> TableFacts:
        """A table of which nothing is known but its partitions, and what ``known`` says."""
        count = len(keys)
        facts: dict[str, Any] = {
            "starts": np.arange(count, dtype=np.int64),
            "wanted": np.ones(count, np.bool_),
            **{name: np.zeros(count, np.int64) for name in ("published", "computed", "source_changed")},
            **{name: _nothing(count) for name in ("failed", "blocked", "code_changed", "requested", "running")},
        }
        return cls(table=table, keys=keys, **{**facts, **known})


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A partition that needs work, with the reason."""

    table: str
    partition: str
    reasons: Reason


@dataclass(frozen=True, kw_only=True, eq=False)
class TableGaps:
    """The gaps of one table.

    Attributes:
        facts: What they were found from.
        reasons: Per partition its `Reason`, 0 where there is nothing to do.
        unfillable: Gaps that can never be filled, by position, and why; not among ``reasons``.
    """

    facts: TableFacts
    reasons: Ints
    unfillable: dict[int, str] = field(default_factory=dict)

    @property
    def table(self) -> str:
        """The table's name."""
        return self.facts.table

    @property
    def positions(self) -> Ints:
        """Where the gaps are."""
        return np.flatnonzero(self.reasons)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.reasons))

    def __iter__(self) -> Iterator[Gap]:
        for position in self.positions:
            yield Gap(
                table=self.table, partition=self.facts.keys[position], reasons=Reason(int(self.reasons[position]))
            )

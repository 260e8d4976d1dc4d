"""Which rows fail which expectations: the complete row mask of a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

__all__ = ["RowMask"]

Rows = npt.NDArray[np.int64]


class RowMask(Sequence[tuple[int, ...]]):
    """For each row of a batch, the indices of the expectations which that row fails.

    Complete: every failing row is in it, however many there are. Stored by expectation, so that a clean batch of any
    size costs nothing.

    Args:
        length: Rows in the batch.
        rows_by_expectation: For each expectation with failing rows, by its index in declared order, the positions of
            those rows (from 0).
    """

    def __init__(self, length: int, rows_by_expectation: Mapping[int, Iterable[int] | Rows]) -> None:
        self._length = length
        self._rows: dict[int, Rows] = {}
        for index, rows in sorted(rows_by_expectation.items()):
            positions = np.unique(np.asarray(rows if isinstance(rows, np.ndarray) else list(rows), dtype=np.int64))
            if len(positions) and (positions[0] < 0 or positions[-1] >= length):
                raise ValueError(f"row mask of {length} rows has a position outside it: {positions[[0, -1]].tolist()}")
            if len(positions):
                self._rows[index] = positions

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, row: int) -> tuple[int, ...]: ...
    @overload
    def __getitem__(self, row: slice) -> list[tuple[int, ...]]: ...
    def __getitem__(self, row: int | slice) -> tuple[int, ...] | list[tuple[int, ...]]:
        if isinstance(row, slice):
            return [self[position] for position in range(*row.indices(self._length))]
        position = row + self._length if row < 0 else row
        if not 0 <= position < self._length:
            raise IndexError(row)
        return tuple(index for index, rows in self._rows.items() if _holds(rows, position))

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        failing: dict[int, list[int]] = {}
        for index, rows in self._rows.items():
            for position in rows.tolist():
                failing.setdefault(position, []).append(index)
        return (tuple(failing.get(position, ())) for position in range(self._length))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RowMask):
            return NotImplemented
        return (
            self._length == other._length
            and self._rows.keys() == other._rows.keys()
            and all(np.array_equal(rows, other._rows[index]) for index, rows in self._rows.items())  # noqa: SLF001
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        counts = {index: len(rows) for index, rows in self._rows.items()}
        return f"RowMask(length={self._length}, failing={counts})"

    def preceded_by(self, rows: Iterable[int]) -> RowMask:
        """The mask with one more expectation in front, which these rows fail."""
        return RowMask(self._length, {0: list(rows), **{index + 1: found for index, found in self._rows.items()}})

    def rows(self, expectations: Iterable[int] | None = None) -> Rows:
        """Positions of the rows that fail any of these expectations (any at all by default), ascending."""
        wanted = self._rows.keys() if expectations is None else [i for i in expectations if i in self._rows]
        found = [self._rows[index] for index in wanted]
        return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)


def _holds(rows: Rows, position: int) -> bool:
    at = int(np.searchsorted(rows, position))
    return at < len(rows) and int(rows[at]) == position

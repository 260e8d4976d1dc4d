"""What an expectation compiles to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Flags", "Hashes", "RowRule", "Rule", "Shape", "Sql", "TableRule"]

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Sql:
    """A condition in SQL.

    Attributes:
        text: The condition, with ``{0}``, ``{1}``… for the columns and ``?`` for the parameters.
        columns: The columns, by name.
        parameters: The values, in the order of their question marks; a value never stands in the text.
    """

    text: str
    columns: tuple[str, ...]
    parameters: tuple[Any, ...] = ()


class Hashes(Protocol):
    """What a rule may ask of the scan: a 64-bit hash of several columns per row, equal where the values are equal."""

    def hashes(self, columns: Sequence[str]) -> npt.NDArray[np.uint64]:
        """One hash per row; NULL equals NULL."""


class Shape(str, Enum):
    """How the values of a failing row are listed."""

    COLUMN = "column"
    PAIR = "pair"
    RECORD = "record"


@dataclass(frozen=True, kw_only=True)
class RowRule:
    """An expectation on rows.

    Attributes:
        columns: The columns whose values are listed.
        shape: How they are listed.
        mostly: The share of judged rows that has to keep the promise.
        unexpected: Per row, whether it breaks the promise: in SQL, where NULL means no; or computed.
        judged: How many rows are judged, or which; ``None`` where NULL itself is judged.
    """

    columns: tuple[str, ...]
    shape: Shape = Shape.COLUMN
    mostly: float
    unexpected: Sql | Callable[[Hashes], Flags]
    judged: int | Sql | None


@dataclass(frozen=True, kw_only=True)
class TableRule:
    """An expectation on the table or an aggregate.

    Attributes:
        compute: Gives whether it held, and the ``result`` in Great Expectations' shape.
    """

    compute: Callable[[], tuple[bool, dict[str, Any]]]


Rule = RowRule | TableRule

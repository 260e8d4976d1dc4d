"""An expectation's arguments, taken only where Great Expectations leaves them as they are.

Great Expectations coerces: ``"5"`` becomes 5.0, ``5.5`` becomes 5, a tuple becomes a list. Whatever would be changed in
a way that is not plain here is left to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dagster_sluice.contracts.catalogue import CATALOGUE, CONDITION_ARGUMENTS
from dagster_sluice.gates.duckdb.columns import EXACT, Column, Kind, NotEligible, Source

__all__ = ["Arguments", "is_exact", "is_number"]


def is_number(value: Any) -> bool:
    """Whether it is a plain number: no bool, no NaN, and if whole, small enough for float64 to hold it exactly."""
    if type(value) is int:
        return -EXACT < value < EXACT
    return type(value) is float and not math.isnan(value)


def is_exact(value: Any) -> bool:
    """Whether it is a plain number that no other whole number becomes when it is turned into float64."""
    return is_number(value) and -EXACT < value < EXACT


class Arguments:
    """The arguments of one expectation on one source.

    Args:
        type_name: The GX type.
        kwargs: Its arguments.
        source: The frame that is judged.
    """

    def __init__(self, type_name: str, kwargs: Mapping[str, Any], source: Source) -> None:
        known = CATALOGUE.get(type_name)
        if known is None:
            raise NotEligible("the expectation is none of Great Expectations' own")
        unknown = sorted(set(kwargs) - set(known.arguments) - CONDITION_ARGUMENTS)
        if unknown:
            raise NotEligible(f"the arguments {unknown} are unknown")
        lacking = sorted(argument for argument in known.required if kwargs.get(argument) is None)
        if lacking:
            raise NotEligible(f"the arguments {lacking} are missing")
        self.source = source
        self.kwargs = kwargs

    def column(self, argument: str = "column") -> Column:
        """A column of the frame."""
        return self._known(self.kwargs[argument])

    def judged(self, *kinds: Kind, argument: str = "column") -> Column:
        """A column of the frame, of one of these kinds."""
        return _of_kind(self.column(argument), kinds)

    def columns(self, *kinds: Kind, argument: str = "column_list") -> list[Column]:
        """Several columns of the frame, each of one of these kinds (any, if none are given)."""
        names = self.kwargs[argument]
        if not isinstance(names, (list, tuple)) or len(names) < 2 or len(set(map(str, names))) < len(names):
            raise NotEligible(f"`{argument}` is no list of at least two different columns")
        found = [self._known(name) for name in names]
        return [_of_kind(column, kinds) for column in found] if kinds else found

    def _known(self, name: Any) -> Column:
        if type(name) is not str or name not in self.source.names:
            raise NotEligible(f"there is no column {name!r}")
        return self.source.column(name)

    def mostly(self) -> float:
        """The share of rows that has to keep the promise, 0 to 1."""
        value = self.kwargs.get("mostly", 1)
        if not is_number(value) or not 0 <= value <= 1:
            raise NotEligible("`mostly` is no plain number from 0 to 1")
        return float(value)

    def flag(self, argument: str, *, default: bool = False) -> bool:
        """A flag; ``None`` where it is not given."""
        value = self.kwargs.get(argument, default)
        if type(value) is not bool:
            raise NotEligible(f"`{argument}` is neither true nor false")
        return value

    def choice(self, argument: str, *choices: str) -> str:
        """One of some words, the first by default."""
        value = self.kwargs.get(argument, choices[0])
        if value not in choices:
            raise NotEligible(f"`{argument}` is none of {list(choices)}")
        return str(value)

    def number(self, argument: str) -> float:
        """A number, as a float."""
        value = self.kwargs.get(argument)
        if not is_number(value):
            raise NotEligible(f"`{argument}` is no plain number below 2**53")
        return float(value)  # type: ignore[arg-type]

    def text(self, argument: str) -> str:
        """A text."""
        value = self.kwargs.get(argument)
        if type(value) is not str:
            raise NotEligible(f"`{argument}` is no text")
        return value

    def values(self, argument: str) -> list[Any]:
        """A list of anything."""
        value = self.kwargs.get(argument)
        if not isinstance(value, (list, tuple)):
            raise NotEligible(f"`{argument}` is no list")
        return list(value)

    def bounds(self, *, needed: bool = True) -> tuple[float | None, float | None]:
        """Both numeric bounds, at least one of them given if needed, the lower one not above the upper one."""
        low = None if self.kwargs.get("min_value") is None else self.number("min_value")
        high = None if self.kwargs.get("max_value") is None else self.number("max_value")
        if needed and low is None and high is None:
            raise NotEligible("no bound is given")
        if low is not None and high is not None and low > high:
            raise NotEligible("the lower bound is above the upper one")
        return low, high

    def counts(self, *, needed: bool = True) -> tuple[int | None, int | None]:
        """Both bounds as whole numbers."""
        for argument in ("min_value", "max_value"):
            value = self.kwargs.get(argument)
            if value is not None and type(value) is not int:
                raise NotEligible(f"`{argument}` is no whole number")
        self.bounds(needed=needed)
        return self.kwargs.get("min_value"), self.kwargs.get("max_value")

    def strict(self) -> tuple[bool, bool]:
        """Whether the lower and the upper bound are themselves outside."""
        return self.flag("strict_min"), self.flag("strict_max")


def _of_kind(column: Column, kinds: tuple[Kind, ...]) -> Column:
    if column.kind is Kind.OTHER:
        raise NotEligible(f"column {column.name!r}: {column.reason}")
    if column.kind not in kinds:
        raise NotEligible(f"column {column.name!r} is of kind {column.kind.value}")
    return column

"""ODCS operators (``mustBe``, ``mustBeLessThan``...) as the interval of numbers that keeps the promise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dagster_sluice.contracts.document import Document, Steps

__all__ = ["Interval", "read_interval"]

_OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The counts, or percentages, that keep a promise.

    Attributes:
        low: Least number; ``None`` for no end.
        high: Largest number; ``None`` for no end.
        low_open: Whether ``low`` itself is outside.
        high_open: Whether ``high`` itself is outside.
    """

    low: Decimal | None = None
    high: Decimal | None = None
    low_open: bool = False
    high_open: bool = False

    @property
    def free_below(self) -> bool:
        """Whether no count can be too small."""
        return self.low is None or self.low < 0 or (self.low == 0 and not self.low_open)

    def whole(self) -> tuple[int, int | None]:
        """Least and most whole number in it."""
        low = 0 if self.low is None else math.floor(self.low) + 1 if self.low_open else math.ceil(self.low)
        if self.high is None:
            return max(low, 0), None
        return max(low, 0), math.ceil(self.high) - 1 if self.high_open else math.floor(self.high)


def read_interval(document: Document, rule: Mapping[str, Any], steps: Steps, *, default_none: bool) -> Interval | None:
    """The interval that a rule's operator stands for; ``None`` with a culprit where it stands for none.

    Args:
        document: Takes the culprits.
        rule: One entry of ``quality``.
        steps: Where it stands.
        default_none: Whether a rule without an operator means that there may be none.
    """
    given = [operator for operator in _OPERATORS if operator in rule]
    if not given:
        if default_none:
            return Interval(low=Decimal(0), high=Decimal(0))
        if not any(key.startswith("must") for key in rule):
            document.blame(steps, "The rule compares its metric with nothing.", "Add an operator, such as `mustBe: 0`.")
        return None
    if len(given) > 1:
        document.blame((*steps, given[1]), f"`{given[0]}` and `{given[1]}` in one rule.", "Write two rules.", key=True)
        return None
    operator, value = given[0], rule[given[0]]
    here: Steps = (*steps, operator)
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(n, bool) or not isinstance(n, int | float) or not math.isfinite(n) for n in numbers) or (
        len(numbers) != (2 if operator.endswith("Between") else 1)
    ):
        document.blame(here, f"`{operator}` takes {'two numbers' if operator.endswith('Between') else 'a number'}.")
        return None
    bounds = [Decimal(str(number)) for number in numbers]
    if len(bounds) > 1 and bounds[0] > bounds[1]:
        document.blame(here, f"The range begins at {numbers[0]} and ends at {numbers[1]}.", "Swap them.")
        return None
    if operator in {"mustNotBe", "mustNotBeBetween"}:
        if bounds[0] == 0 or (len(bounds) > 1 and bounds[0] < 0 <= bounds[1]):
            return Interval(low=bounds[-1], low_open=True)
        document.blame(
            here,
            f"Great Expectations has nothing for `{operator}` other than 0.",
            "Say what it must be, with `mustBeBetween` or another operator.",
            key=True,
        )
        return None
    return {
        "mustBe": Interval(low=bounds[0], high=bounds[0]),
        "mustBeGreaterThan": Interval(low=bounds[0], low_open=True),
        "mustBeGreaterOrEqualTo": Interval(low=bounds[0]),
        "mustBeLessThan": Interval(high=bounds[0], high_open=True),
        "mustBeLessOrEqualTo": Interval(high=bounds[0]),
        "mustBeBetween": Interval(low=bounds[0], high=bounds[-1]),
    }[operator]

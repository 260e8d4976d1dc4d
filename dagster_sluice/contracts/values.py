"""Gives values written in a contract the type of the column they are compared with."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any
from zoneinfo import ZoneInfo

from dagster_sluice.contracts.contract import Column, LogicalType

__all__ = ["conform_value"]

_DATED = frozenset({LogicalType.DATE, LogicalType.TIMESTAMP})
_LARGEST_EXACT = 2**53
"""Above it not every whole number is a double."""


def conform_value(
    value: Any, column: Column, timezone: str, *, bound: bool = False
) -> tuple[Any, tuple[str, str] | None]:
    """Give a value the type of the column it is compared with.

    Args:
        value: As YAML or Python has it.
        column: The column it is compared with.
        timezone: The zone of a timestamp that names none, where the column's values carry a zone.
        bound: Whether it is compared by order, in which Great Expectations turns numbers into doubles.

    Returns:
        The value, and problem with mend where it does not fit.
    """
    kind = column.type
    what = f"`{column.name}` is a {kind.value}" if kind is not LogicalType.INTEGER else f"`{column.name}` is an integer"
    if kind in _DATED:
        return _moment(value, column, timezone, what)
    if kind is LogicalType.STRING and not isinstance(value, str):
        shown = str(value).lower() if isinstance(value, bool) else value
        hint = "Quote it; YAML reads yes, no, on and off as true or false." if isinstance(value, bool) else "Quote it."
        return value, (f"{what}, but this value is read as {type(value).__name__} `{shown}`.", hint)
    if kind is LogicalType.BOOLEAN and not isinstance(value, bool):
        return value, (f"{what}, but this value is `{value}`.", "Write true or false.")
    if kind in {LogicalType.INTEGER, LogicalType.NUMBER}:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value, (f"{what}, but this value is `{value}`.", "Write a number, without quotes.")
        if (wrong := _inexact(value, bound=bound)) is not None:
            return value, wrong
        if kind is LogicalType.INTEGER and not bound and isinstance(value, float) and not value.is_integer():
            return value, (f"{what}, so no value can be `{value}`.", "Write whole numbers.")
    return value, None


def _inexact(value: float, *, bound: bool) -> tuple[str, str] | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"`{value}` is not a number that anything can be compared with.", "Leave it out, or write a number."
    if bound and isinstance(value, int) and abs(value) > _LARGEST_EXACT:
        try:
            exact = int(float(value)) == value
        except OverflowError:
            exact = False
        if not exact:
            return f"Great Expectations compares in double precision, which cannot hold {value}.", "Round the bound."
    return None


def _read_moment(text: str) -> dt.datetime:
    """One form for every Python: what `datetime.fromisoformat` takes differs between 3.10 and 3.11."""
    plain = re.sub(r"[zZ]$", "+00:00", text.strip())
    if not re.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{3}|\.\d{6})?)?([+-]\d\d:\d\d)?)?", plain, re.ASCII):
        raise ValueError(text)
    return dt.datetime.fromisoformat(plain)


def _moment(value: Any, column: Column, timezone: str, what: str) -> tuple[Any, tuple[str, str] | None]:
    if isinstance(value, str):
        try:
            value = _read_moment(value)
        except ValueError:
            return value, (f"{what}, but `{value}` is no date.", "Write it as 2024-12-31 or 2024-12-31T23:59:59.")
    if not isinstance(value, dt.date):
        return value, (f"{what}, but this value is `{value}`.", "Write it as 2024-12-31 or 2024-12-31T23:59:59.")
    if column.type is LogicalType.DATE:
        if not isinstance(value, dt.datetime):
            return value, None
        if value.time() != dt.time.min or value.tzinfo is not None:
            return value, (f"{what}, but this value has a time of day.", "Write the date alone.")
        return value.date(), None
    if not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time.min)
    if value.tzinfo is None and column.timezone:
        value = value.replace(tzinfo=ZoneInfo(timezone))
    if value.tzinfo is None:
        return value, None
    if not column.timezone:
        return value, (f"The values of `{column.name}` carry no time zone, but this one does.", "Leave the zone out.")
    try:
        return value.astimezone(dt.timezone.utc), None
    except OverflowError:
        return value, (f"`{value}` is out of reach.", "Leave the bound out.")

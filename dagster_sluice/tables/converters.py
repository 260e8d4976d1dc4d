"""How one value becomes one of another type, where Arrow's own cast would change what it means. Pure.

A converter raises `ValueError` or `TypeError` with the reason, which follows "is not a number (" in a misfit.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from dagster_sluice.contracts import LogicalType
from dagster_sluice.tables.jsons import canonical_json

__all__ = ["converter_of", "database_text", "is_text", "json_kind", "json_reader", "uuid_text"]


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def converter_of(given: pa.DataType, wanted: LogicalType) -> Callable[[Any], Any] | None:
    """How to convert one value where Arrow's own cast would change its meaning; ``None`` where it does not."""
    temporal = pa.types.is_temporal(given)
    if wanted is LogicalType.BOOLEAN and _is_number(given):
        return _truth
    if wanted is LogicalType.NUMBER and pa.types.is_integer(given):
        return _double
    if wanted is LogicalType.DATE and pa.types.is_timestamp(given):
        return _day
    if wanted in (LogicalType.INTEGER, LogicalType.NUMBER) and temporal:
        return _refusal("a moment or a duration is not a number without a unit")
    if wanted in (LogicalType.DATE, LogicalType.TIMESTAMP, LogicalType.TIME) and _is_number(given):
        return _refusal("a number has no unit")
    if wanted is LogicalType.TIME and is_text(given):
        return _clock
    if wanted is LogicalType.TIME and temporal and not pa.types.is_time(given):
        return _refusal("it has a date")
    return None


def _refusal(why: str) -> Callable[[Any], Any]:
    def refuse(_: Any) -> Any:
        raise ValueError(why)

    return refuse


def _truth(value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError("only 0 and 1 are")
    return bool(value)


def _double(value: int) -> float:
    if int(float(value)) != value:
        raise ValueError("no double is equal to it")
    return float(value)


def _day(value: Any) -> dt.date:
    if isinstance(value, str):
        # Python has no such moment.
        raise ValueError("its year is not one of 1 to 9999")  # noqa: TRY004 (it is text because of its value)
    if value.time() != dt.time.min or getattr(value, "nanosecond", 0):
        raise ValueError("it has a time of day")
    day: dt.date = value.date()
    return day


def _clock(value: str) -> dt.time:
    # One form for every Python: what `time.fromisoformat` takes differs between 3.10 and 3.11.
    if not re.fullmatch(r"\d\d:\d\d(:\d\d(\.\d{3}|\.\d{6})?)?", value.strip(), re.ASCII):
        raise ValueError("it is not written as 23:59:59")
    return dt.time.fromisoformat(value.strip())


def json_reader(given: pa.DataType, wanted: LogicalType) -> Callable[[Any], str]:
    """How to write one value as JSON of the wanted kind."""
    text = is_text(given)

    def read(value: Any) -> str:
        if pa.types.is_map(given):
            pairs = dict(value)
            if len(pairs) < len(value):
                raise ValueError("it has a key more than once")
            value = pairs
        return canonical_json(value, json_kind(wanted), text=text)

    return read


def uuid_text(value: str) -> str:
    """In the spelling in which every database gives it back."""
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise ValueError("it is not written as a UUID") from None


def database_text(value: Any) -> str:
    """Text that every database takes."""
    if not isinstance(value, str):
        raise TypeError("it is not text")
    if "\0" in value:
        raise ValueError("it has a NUL, which no database takes in text")
    return value


def json_kind(kind: LogicalType) -> type:
    """What JSON of an object or an array is in Python."""
    return dict if kind is LogicalType.OBJECT else list

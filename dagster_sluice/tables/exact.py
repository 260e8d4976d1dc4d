"""What a column's ``physicalType`` would change of its values, so that what is published is what was audited. Pure.

A database rounds a fraction to the decimals of its type, cuts blanks, and refuses what is out of range: after the audit,
and of the whole batch. Here each such value is found before. Which types are known, stands in
`dagster_sluice.warehouse.physical`; whether any other type holds a value as it is, only the database can say.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dagster_sluice.contracts import Column, LogicalType
from dagster_sluice.warehouse.physical import EXACT, Physical, physical_of

__all__ = ["inexact_numbers", "unfit"]

Mask = npt.NDArray[np.bool_]
_SURE = 2.0**50
"""Below it a double times a power of ten is nearer to the right integer than to any other."""
_LARGEST_POWER = 22
"""Powers of ten up to this are doubles."""
_RANGES = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
_FIRST = dt.date(1, 1, 1)
_LAST = dt.date(9999, 12, 31)
_EPOCH = dt.date(1970, 1, 1)
_DIGITS = 15
"""So many digits a double tells exactly."""


def unfit(values: Any, column: Column) -> list[tuple[Mask, str]]:
    """Which values a column of the warehouse would not hold as they are, and why not; NULL fits everywhere.

    Args:
        values: The column in its contract's type, `dagster_sluice.warehouse.types.arrow_type`.
        column: What the contract says of it.

    Returns:
        One mask over the rows for each reason, which says what the value is: ``"is not …"``, ``"does not fit …"``.
    """
    found = []
    if column.type in (LogicalType.DATE, LogicalType.TIMESTAMP):
        found.append(
            (_outside_the_calendar(values), f"is not a {column.type.value} (its year is not one of 1 to 9999)")
        )
    kind = physical_of(column)
    if kind is not None and kind.name in EXACT[column.type]:
        found.extend(
            (mask, f"does not fit {column.physical_type} ({why})") for mask, why in _misfits(values, kind, column)
        )
    return [(mask, reason) for mask, reason in found if mask.any()]


def _outside_the_calendar(values: Any) -> Mask:
    """The years that neither ISO 8601 nor Python can write; one rule for every database."""
    bounds: Any = pc.min_max(values)
    unit, whole = (1, pa.int32()) if pa.types.is_date(values.type) else (86_400_000_000, pa.int64())
    low, high = ((day - _EPOCH).days * unit for day in (_FIRST, _LAST))
    high += unit
    least, most = (bounds[name].cast(whole).as_py() for name in ("min", "max"))
    if least is None or (least >= low and most < high):
        return np.zeros(len(values), bool)
    numbers = _whole(values.cast(whole))
    return (numbers < low) | (numbers >= high)


def _misfits(values: Any, kind: Physical, column: Column) -> list[tuple[Mask, str]]:
    if column.type is LogicalType.STRING:
        return _texts(values, kind)
    if column.type is LogicalType.INTEGER:
        return _integers(values, kind)
    if column.type is LogicalType.NUMBER:
        return _numbers(values, kind)
    if column.type in (LogicalType.TIMESTAMP, LogicalType.TIME) and kind.arguments and kind.arguments[0] < 6:
        step = 10 ** (6 - kind.arguments[0])
        ticks = _whole(values.cast(pa.int64()))
        places = kind.arguments[0]
        why = f"its seconds have more than {places} decimals" if places else "it has a fraction of a second"
        return [(ticks % step != 0, why)]
    return []


def _texts(values: Any, kind: Physical) -> list[tuple[Mask, str]]:
    found = []
    if kind.name in ("varchar", "char") and kind.arguments:
        length = kind.arguments[0]
        found.append((_whole(pc.utf8_length(values)) > length, f"it has more than {length} characters"))
    if kind.name == "char":
        found.append((_mask(pc.ends_with(values, " ")), "it ends in a blank, which char cuts"))
    return found


def _integers(values: Any, kind: Physical) -> list[tuple[Mask, str]]:
    numbers = _whole(values)
    if kind.name in _RANGES:
        if kind.name == "bigint":
            return []
        limit = _RANGES[kind.name]
        return [((numbers < -limit) | (numbers >= limit), "it is out of range")]
    if kind.name == "numeric":
        digits = kind.arguments[0] - (kind.arguments[1] if len(kind.arguments) > 1 else 0) if kind.arguments else 19
        if digits >= 19:
            return []
        limit = 10 ** max(digits, 0)
        return [((numbers <= -limit) | (numbers >= limit), f"it has more than {max(digits, 0)} digits")]
    width: Callable[[int], Any] = np.float32 if kind.name == "real" else np.float64
    exact = 2**24 if kind.name == "real" else 2**53
    doubtful = np.flatnonzero((numbers < -exact) | (numbers > exact))
    mask = np.zeros(len(numbers), bool)
    mask[doubtful] = [int(width(value)) != value for value in numbers[doubtful].tolist()]
    return [(mask, f"no {kind.name} is equal to it")]


def _numbers(values: Any, kind: Physical) -> list[tuple[Mask, str]]:
    present = ~_mask(pc.is_null(values))
    numbers = _plain(_filled(values, 0.0))
    nan = np.isnan(numbers)
    with np.errstate(all="ignore"):
        if kind.name == "real":
            return [
                (
                    (numbers.astype(np.float32).astype(np.float64) != numbers) & ~nan,
                    "it has more digits than real keeps",
                )
            ]
        if kind.name in _RANGES:
            limit = float(_RANGES[kind.name])
            part = np.isfinite(numbers) & (numbers != np.trunc(numbers))
            outside = (nan & present) | (numbers < -limit) | (numbers >= limit)
            return [(part, "it is not whole"), (outside, "it is out of range")]
        if kind.name == "numeric" and kind.arguments:
            scale = kind.arguments[1] if len(kind.arguments) > 1 else 0
            return _decimals(numbers, nan, kind.arguments[0], scale)
    return []


def _decimals(numbers: npt.NDArray[np.float64], nan: Mask, precision: int, scale: int) -> list[tuple[Mask, str]]:
    """Of a numeric with precision and scale. A double fits if it is the nearest one to a number of that many decimals."""
    finite = np.isfinite(numbers)
    if scale <= _LARGEST_POWER:
        power = 10.0**scale
        shifted = np.rint(np.where(finite, numbers, 0.0) * power)
        sure = finite & (np.abs(shifted) < _SURE)
        more = sure & (shifted / power != numbers)
        large = (
            sure & (np.abs(shifted) >= 10.0**precision) if precision <= _LARGEST_POWER else np.zeros(len(numbers), bool)
        )
    else:
        sure = more = large = np.zeros(len(numbers), bool)
    more, large = more.copy(), (large & ~more) | (~finite & ~nan)
    for row in np.flatnonzero(finite & ~sure):
        said = Decimal(repr(float(numbers[row]))).normalize()
        exponent = said.as_tuple().exponent
        more[row] = bool(said) and isinstance(exponent, int) and -exponent > scale
        large[row] = not more[row] and abs(said) >= Decimal(10) ** (precision - scale)
    return [
        (more, f"it has more than {scale} decimals" if scale else "it is not whole"),
        (large, f"it has more than {max(precision - scale, 0)} digits before the point"),
    ]


def inexact_numbers(given: Any, numbers: Any, column: Column) -> Mask:
    """Which decimals or texts say more than the doubles that were made of them.

    A text that has a fraction is read as the nearest double, as everywhere, unless the column is a ``numeric``, which
    would keep all of it.

    Args:
        given: Decimals or texts.
        numbers: The same as float64.
        column: What the contract says of the column.
    """
    mask = np.zeros(len(given), bool)
    kind = physical_of(column)
    decimal = pa.types.is_decimal(given.type)
    if decimal or (kind is not None and kind.name == "numeric"):
        doubtful = _whole(pc.utf8_length(pc.utf8_rtrim(given.cast(pa.string()), "0"))) > _DIGITS
    else:
        doubtful = _mask(pc.match_substring_regex(given, rf"^[+-]?[0-9]{{{_DIGITS + 1},}}$"))
    as_double = kind is None or kind.name != "numeric"
    rows = np.flatnonzero(doubtful & ~_mask(pc.is_null(numbers)))
    if len(rows):
        said, told = (values.take(pa.array(rows)).to_pylist() for values in (given, numbers))
        mask[rows] = [not _same(one, other, as_double=as_double) for one, other in zip(said, told, strict=True)]
    return mask


def _same(said: Any, number: float, *, as_double: bool) -> bool:
    """Whether a double is told by what was said; written in a ``numeric``, it has the fewest digits that tell it."""
    try:
        exactly = Decimal(said)
    except ArithmeticError:
        return True
    if not exactly.is_finite():
        return True
    return exactly == Decimal(repr(number)) or (as_double and math.isfinite(number) and exactly == Decimal(number))


def _whole(values: Any) -> npt.NDArray[np.int64]:
    return _plain(_filled(values, 0))


def _mask(values: Any) -> Mask:
    return _plain(_filled(values, False)).astype(bool)


def _filled(values: Any, value: Any) -> Any:
    return pc.fill_null(values, value)


def _plain(values: Any) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = (
        values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()
    )
    return found

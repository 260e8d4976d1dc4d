"""Bring a frame into the columns and types that its contract promises. Pure."""

from __future__ import annotations

import datetime as dt
import difflib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Union

import pyarrow as pa
import pyarrow.compute as pc

from dagster_sluice.contracts import Column, Contract, LogicalType
from dagster_sluice.errors import Culprit, FrameError
from dagster_sluice.tables.payload import jsonable, told
from dagster_sluice.warehouse.types import arrow_type

__all__ = ["Conformed", "Misfit", "conform"]

Values = Union["pa.ChunkedArray[Any]", "pa.Array[Any]"]


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """A value that is not of its column's type.

    Attributes:
        row: Its row, from 0.
        column: Its column.
        value: The value as text, whole: it is all that remains of it.
        reason: Why it does not fit, one sentence.
    """

    row: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Conformed:
    """A frame in its contract's columns and types.

    Attributes:
        rows: Every row of the frame; a value that does not fit is NULL here.
        misfits: The values that do not fit, by row.
    """

    rows: pa.Table
    misfits: tuple[Misfit, ...]


def conform(frame: pa.Table, contract: Contract) -> Conformed:
    """Put columns in the contract's order and cast them to its types; lose nothing.

    A cast that would change a value (a fraction to an integer, an overflow) or guess what it means (a number as a
    moment) is a misfit, not a rounding.

    Args:
        frame: rows × columns, in any order.
        contract: The contract whose columns are wanted.

    Raises:
        FrameError: A column is missing, or there is one that the contract does not know.
    """
    _same_columns(frame.column_names, [column.name for column in contract.columns])
    arrays: list[Values] = []
    misfits: list[Misfit] = []
    for column in contract.columns:
        array, found = _cast(frame.column(column.name), column)
        arrays.append(array)
        misfits.extend(found)
    schema = pa.schema([pa.field(column.name, arrow_type(column)) for column in contract.columns])
    rows = pa.Table.from_arrays(arrays, schema=schema) if arrays else frame
    return Conformed(rows=rows, misfits=tuple(sorted(misfits, key=lambda misfit: misfit.row)))


def _same_columns(present: list[str], promised: list[str]) -> None:
    missing = [name for name in promised if name not in present]
    unknown = [name for name in present if name not in promised]
    if not missing and not unknown:
        return
    culprits = []
    for name in missing:
        close = difflib.get_close_matches(name, unknown, n=1)
        mend = f"The frame has {close[0]!r}: rename it." if close else ""
        culprits.append(Culprit(where=f"column {name!r}", problem="is promised and missing.", mend=mend))
    culprits.extend(Culprit(where=f"column {name!r}", problem="is not in the contract.") for name in unknown)
    raise FrameError(
        "The frame's columns are not those of the contract.",
        culprits=culprits,
        mend="Return exactly the promised columns, or change the contract.",
    )


def _cast(array: Values, column: Column) -> tuple[Values, list[Misfit]]:
    wanted = arrow_type(column)
    array = _plain(array)
    if column.type is LogicalType.TIMESTAMP:
        zoned = getattr(array.type, "tz", None) is not None
        dated = pa.types.is_timestamp(array.type) or pa.types.is_date(array.type)
        clash = dated and zoned != column.timezone and (column.timezone or pa.types.is_timestamp(array.type))
        if clash and array.null_count < len(array):
            has, needs = ("a", "none") if not column.timezone else ("no", "one")
            raise FrameError(
                f"Column {column.name!r} has {has} time zone and its contract promises {needs}.",
                mend="Localize or convert it where it is computed: a zone is never guessed.",
            )
    if pa.types.is_null(array.type):
        return array.cast(wanted), []
    if column.type in (LogicalType.OBJECT, LogicalType.ARRAY):
        return _one_by_one(array, column, _json_reader(column.type, text=_is_text(array.type)))
    if column.type is LogicalType.STRING:
        return _without_nul(array.cast(wanted), column) if _is_text(array.type) else _one_by_one(array, column, _text)
    if array.type == wanted:
        return array, []
    convert = _converter(array.type, column.type)
    try:
        cast = array.cast(wanted)
        if convert is None or _same_values(array, cast, column.type):
            return cast, []
    except pa.ArrowException:
        pass
    return _one_by_one(array, column, convert)


def _plain(array: Values) -> Values:
    """Without what wraps the values: a dictionary, or an extension type such as JSON's or a UUID's."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if isinstance(array.type, pa.BaseExtensionType):
        if array.type.extension_name == "arrow.uuid":
            return pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string())
        array = array.cast(array.type.storage_type)
    return array


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _converter(given: pa.DataType, wanted: LogicalType) -> Callable[[Any], Any] | None:
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
    if wanted is LogicalType.TIME and _is_text(given):
        return _clock
    if wanted is LogicalType.TIME and temporal and not pa.types.is_time(given):
        return _refusal("it has a date")
    return None


def _same_values(array: Values, cast: Values, wanted: LogicalType) -> bool:
    """Whether a cast that can lose something has lost nothing here; ``False`` where that needs a closer look."""
    if wanted is LogicalType.NUMBER and pa.types.is_integer(array.type):
        return True  # Arrow refuses integers that float64 may not hold.
    if wanted is LogicalType.DATE and pa.types.is_timestamp(array.type):
        given: Any = array
        naive = pc.local_timestamp(given) if given.type.tz else given
        return bool(pc.all(pc.equal(cast.cast(naive.type), naive), min_count=0).as_py())
    return False


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
    if value.time() != dt.time.min or getattr(value, "nanosecond", 0):
        raise ValueError("it has a time of day")
    day: dt.date = value.date()
    return day


def _clock(value: str) -> dt.time:
    # One form for every Python: what `time.fromisoformat` takes differs between 3.10 and 3.11.
    if not re.fullmatch(r"\d\d:\d\d(:\d\d(\.\d{3}|\.\d{6})?)?", value.strip(), re.ASCII):
        raise ValueError("it is not written as 23:59:59")
    return dt.time.fromisoformat(value.strip())


def _json_reader(wanted: LogicalType, *, text: bool) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        found = json.loads(value, parse_constant=_no_constant) if text else jsonable(value)
        if not isinstance(found, dict if wanted is LogicalType.OBJECT else list):
            raise TypeError(f"it is JSON of another kind, {type(found).__name__}")
        if not text:
            return json.dumps(found)
        if "\\u" in value:
            # What Postgres does not take in JSON: NUL and lone surrogates.
            json.dumps(found, ensure_ascii=False).encode()
            if "\\u0000" in json.dumps(found):
                raise ValueError("it has a NUL, which no database takes in text")
        return str(value)

    return read


def _no_constant(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")


def _without_nul(array: Values, column: Column) -> tuple[Values, list[Misfit]]:
    found = pc.match_substring(array, "\0")
    if not pc.any(found).as_py():
        return array, []
    return _one_by_one(array, column, _text)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it is not text")
    if "\0" in value:
        raise ValueError("it has a NUL, which no database takes in text")
    return value


def _one_by_one(array: Values, column: Column, convert: Callable[[Any], Any] | None) -> tuple[Values, list[Misfit]]:
    """Cast value by value: slow, and so only for a column of which the whole does not cast."""
    wanted = arrow_type(column)
    values: list[Any] = []
    misfits: list[Misfit] = []
    for row, scalar in enumerate(array):
        value = told(scalar)
        try:
            if value is None:
                values.append(None)
            else:
                # Arrow's own scalar, because Python's moments have no nanoseconds.
                values.append(scalar.cast(wanted).as_py() if convert is None else convert(value))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as failure:
            values.append(None)
            text = str(value).encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
            problem = str(failure).splitlines()[0] if isinstance(failure, (TypeError, ValueError)) else ""
            reason = f"is not {_a(column.type.value)}" + (f" ({problem})" if problem else "")
            misfits.append(Misfit(row=row, column=column.name, value=text, reason=reason))
    return pa.array(values, wanted), misfits


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"

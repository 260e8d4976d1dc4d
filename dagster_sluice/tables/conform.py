"""Bring a frame into the columns and types that its contract promises. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Union

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dagster_sluice.contracts import Column, Contract, LogicalType
from dagster_sluice.errors import Culprit, FrameError, TableError
from dagster_sluice.tables.converters import converter_of, database_text, is_text, json_kind, json_reader, uuid_text
from dagster_sluice.tables.exact import inexact_numbers, unfit
from dagster_sluice.tables.jsons import canonical_json
from dagster_sluice.tables.payload import told
from dagster_sluice.warehouse.physical import mistyped, physical_of
from dagster_sluice.warehouse.types import arrow_type

__all__ = ["Conformed", "Misfit", "conform"]

Values = Union["pa.ChunkedArray[Any]", "pa.Array[Any]"]

_UNFIT = (pa.ArrowException, FrameError, UnicodeError, OverflowError, TypeError, ValueError)
"""What converting Python's values to Arrow's raises."""


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


def conform(frame: pa.Table | Mapping[str, Values | Sequence[Any]], contract: Contract) -> Conformed:
    """Put columns in the contract's order and cast them to its types; lose nothing.

    A cast that would change a value (a fraction to an integer, an overflow) or guess what it means (a number as a
    moment) is a misfit, not a rounding. So is a value that the column's ``physicalType`` would change, so that what is
    published is what was audited.

    Args:
        frame: rows × columns, in any order; a column that has no one type in Arrow as a list of Python's values.
        contract: The contract whose columns are wanted.

    Raises:
        FrameError: A column is missing, or there is one that the contract does not know; or a column is of a kind of
            which no value can fit.
        TableError: A column's ``physicalType`` and its type exclude each other.
    """
    names = frame.column_names if isinstance(frame, pa.Table) else list(frame)
    _same_columns(names, [column.name for column in contract.columns])
    excluded = [culprit for column in contract.columns if (culprit := mistyped(column)) is not None]
    if excluded:
        raise TableError("The contract has columns that the warehouse cannot keep as promised.", culprits=excluded)
    arrays: list[Values] = []
    misfits: list[Misfit] = []
    for column in contract.columns:
        given: Any = frame[column.name]
        array, found = _of_objects(given, column) if isinstance(given, list) else _fitted(_plain(given, column), column)
        arrays.append(array)
        misfits.extend(found)
    schema = pa.schema([pa.field(column.name, arrow_type(column)) for column in contract.columns])
    if arrays or not isinstance(frame, pa.Table):
        frame = pa.Table.from_arrays(arrays, schema=schema)
    return Conformed(rows=frame, misfits=tuple(sorted(misfits, key=lambda misfit: misfit.row)))


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


def _fitted(array: Values, column: Column) -> tuple[Values, list[Misfit]]:
    """A column in its type, without the values that the warehouse would change."""
    values, misfits = _cast(array, column)
    refused = unfit(values, column)
    if column.type is LogicalType.NUMBER and (is_text(array.type) or pa.types.is_decimal(array.type)):
        inexact = inexact_numbers(array, values, column)
        refused += [(inexact, "is not a number (no double is equal to it)")] if inexact.any() else []
    if not refused:
        return values, misfits
    gone = np.zeros(len(values), bool)
    for mask, reason in refused:
        for row in np.flatnonzero(mask & ~gone).tolist():
            misfits.append(Misfit(row=row, column=column.name, value=_shown(told(array[row])), reason=reason))
        gone |= mask
    kept: Any = pc.if_else(pa.array(gone), pa.scalar(None, values.type), values)
    return kept, misfits


def _of_objects(values: Sequence[Any], column: Column) -> tuple[Values, list[Misfit]]:
    """A column of Python's values, each kind of them for itself: one value of another kind spoils no others."""
    if column.type in (LogicalType.OBJECT, LogicalType.ARRAY):
        return _json_objects(values, column)
    kinds: dict[Any, list[int]] = {}
    for row, value in enumerate(values):
        if not _is_missing(value):
            kinds.setdefault((type(value), getattr(value, "tzinfo", None) is None), []).append(row)
    nothing: Any = pa.array([None], arrow_type(column))
    parts: list[Any] = [nothing]
    places = np.zeros(len(values), np.int64)
    misfits: list[Misfit] = []
    for rows in kinds.values():
        try:
            part, found = _fitted(_plain(pa.array([values[row] for row in rows]), column), column)
            groups = [(rows, part, found)]
        except _UNFIT:
            groups = [([row], *_alone(values[row], column)) for row in rows]
        for own, part, found in groups:
            places[own] = np.arange(len(own)) + sum(map(len, parts))
            parts.extend(part.chunks if isinstance(part, pa.ChunkedArray) else [part])
            misfits.extend(replace(misfit, row=own[misfit.row]) for misfit in found)
    return pa.concat_arrays(parts).take(pa.array(places)), misfits


def _json_objects(values: Sequence[Any], column: Column) -> tuple[Values, list[Misfit]]:
    found: list[str | None] = []
    misfits: list[Misfit] = []
    for row, value in enumerate(values):
        try:
            missing = _is_missing(value)
            found.append(
                None if missing else canonical_json(value, json_kind(column.type), text=isinstance(value, str))
            )
        except (TypeError, ValueError) as failure:
            found.append(None)
            misfits.append(_misfit(row, value, column, failure))
    return pa.array(found, arrow_type(column)), misfits


def _misfit(row: int, value: Any, column: Column, failure: Exception) -> Misfit:
    problem = str(failure).splitlines()[0] if isinstance(failure, (TypeError, ValueError)) and str(failure) else ""
    reason = f"is not {_a(column.type.value)}" + (f" ({problem})" if problem else "")
    return Misfit(row=row, column=column.name, value=_shown(value), reason=reason)


def _alone(value: Any, column: Column) -> tuple[Values, list[Misfit]]:
    try:
        # Integers of more than 64 bits; a double may be equal to one.
        wide = isinstance(value, int) and column.type in (LogicalType.NUMBER, LogicalType.INTEGER)
        return _fitted(_plain(pa.array([Decimal(value) if wide else value]), column), column)
    except _UNFIT as failure:
        if isinstance(failure, UnicodeError):
            why = "it has a lone surrogate, which is no Unicode text"
        elif isinstance(failure, FrameError):
            why = "it has no time zone" if column.timezone else "it has a time zone"
        else:
            why = f"it is a {type(value).__name__}"
        reason = f"is not {_a(column.type.value)} ({why})"
        return pa.array([None], arrow_type(column)), [
            Misfit(row=0, column=column.name, value=_shown(value), reason=reason)
        ]


def _is_missing(value: Any) -> bool:
    """What pandas takes for a missing value: None, NaN, NaT, NA."""
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 (NaN and NaT are not equal to themselves)
    except (TypeError, ValueError):
        # NA compares to NA, which is neither true nor false; so is an array, which is not missing.
        return type(value).__name__ == "NAType"


def _shown(value: Any) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _cast(array: Values, column: Column) -> tuple[Values, list[Misfit]]:
    wanted = arrow_type(column)
    if pa.types.is_decimal(array.type) and pa.types.is_floating(wanted):
        # Arrow's own cast divides by a power of ten, and is off by the last bit: 0.69 would not be 0.69.
        array = array.cast(pa.string())
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
        return _one_by_one(array, column, json_reader(array.type, column.type))
    if column.type is LogicalType.STRING:
        if not is_text(array.type):
            return _one_by_one(array, column, database_text)
        return _texts(array.cast(wanted), column)
    if array.type == wanted:
        return array, []
    convert = converter_of(array.type, column.type)
    try:
        cast = array.cast(wanted)
        if convert is None or _same_values(array, cast, column.type):
            return cast, []
    except pa.ArrowException:
        pass
    return _one_by_one(array, column, convert)


def _plain(array: Values, column: Column) -> Values:
    """Without what wraps the values: a dictionary, or an extension type such as JSON's or a UUID's."""
    kind: Any = array.type
    if pa.types.is_run_end_encoded(kind):
        decode: Any = pc.run_end_decode  # type: ignore[attr-defined]
        array = decode(array)
    elif pa.types.is_dictionary(kind):
        array = _decoded(array)
    kind = array.type
    if not isinstance(kind, pa.BaseExtensionType):
        return array
    if kind.extension_name == "arrow.uuid":
        return pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string())
    if kind.extension_name.startswith("pandas."):
        raise FrameError(
            f"Column {column.name!r} is a {kind.extension_name}, which only pandas can read.",
            mend="Turn it into moments or text where it is computed, for instance with astype(str).",
        )
    array = array.cast(kind.storage_type)
    if getattr(kind, "type_name", None) == "numeric" and column.type is LogicalType.INTEGER:
        # Postgres writes 7 as 7.00 where the type has decimals.
        return pc.replace_substring_regex(array, r"\.0+$", "")
    return array


def _decoded(array: Any) -> Values:
    """The values of a dictionary. Arrow itself cannot decode one of string views, which Polars makes."""
    chunks = []
    chunk: Any
    for chunk in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
        values = chunk.dictionary
        chunks.append((values.cast(pa.large_string()) if is_text(values.type) else values).take(chunk.indices))
    return pa.chunked_array(chunks, None if chunks else array.type.value_type)


def _same_values(array: Values, cast: Values, wanted: LogicalType) -> bool:
    """Whether a cast that can lose something has lost nothing here; ``False`` where that needs a closer look."""
    if wanted is LogicalType.NUMBER and pa.types.is_integer(array.type):
        return True  # Arrow refuses integers that float64 may not hold.
    if wanted is LogicalType.DATE and pa.types.is_timestamp(array.type):
        given: Any = array
        naive = pc.local_timestamp(given) if given.type.tz else given
        return bool(pc.all(pc.equal(cast.cast(naive.type), naive), min_count=0).as_py())
    return False


def _texts(array: Values, column: Column) -> tuple[Values, list[Misfit]]:
    kind = physical_of(column)
    if kind is not None and kind.name == "uuid":
        written = pc.match_substring_regex(array, "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        return (array, []) if pc.all(written, min_count=0).as_py() else _one_by_one(array, column, uuid_text)
    if not pc.any(pc.match_substring(array, "\0")).as_py():
        return array, []
    return _one_by_one(array, column, database_text)


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
            misfits.append(_misfit(row, value, column, failure))
    return pa.array(values, wanted), misfits


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"

"""What a frame happens to hold, column by column: the observations that a first contract is written from. Pure.

Values are looked at as a gate will see them: in the Arrow types into which the contract's columns conform (64-bit
integers and doubles, microseconds, UTC), with NaN counted as NULL, because Great Expectations on pandas does. Otherwise
a bound observed here could be broken by the very rows it was observed in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dagster_sluice.contracts.contract import LogicalType
from dagster_sluice.errors import Culprit, FrameError

__all__ = ["ObservedColumn", "Profile", "profile"]

MOST_VALUES = 20
"""A column of texts with more distinct values is not a set of words."""
LARGEST_SHARE = 0.05
"""Nor is one where more than this share of the rows are distinct."""
_LONGEST_NAME = 63
"""Bytes; Postgres cuts longer names."""
_ORDERED = frozenset({LogicalType.INTEGER, LogicalType.NUMBER, LogicalType.DATE, LogicalType.TIMESTAMP})
_NESTED = frozenset({LogicalType.OBJECT, LogicalType.ARRAY})
_PAIR = 2


@dataclass(frozen=True, kw_only=True)
class ObservedColumn:
    """What one column holds.

    Attributes:
        name: Its name.
        type: The logical type that its values conform to.
        guessed: Whether the type is a guess, because there is no value that would show it.
        timezone: For timestamps, whether values carry a time zone.
        physical_type: The warehouse type, where the logical one does not say it.
        rows: Rows seen.
        missing: How many of them are NULL or NaN.
        nan: How many of these are NaN.
        infinite: How many values are infinite.
        missing_share: Share of rows (0 to 1) that are missing; of partitions, that of the worst.
        distinct: Distinct values, where they can be told apart.
        unique: Whether no value stands twice. Two values are needed to show it; of booleans it means nothing.
        minimum: The least value of an ordered column; ``None`` where it is minus infinity.
        maximum: The greatest; ``None`` where it is infinity.
        earliest: As text, the least time of day, which no expectation can bound.
        latest: The greatest.
        shortest: Characters of the shortest text.
        longest: Characters of the longest.
        values: All distinct texts, sorted, if they are few.
    """

    name: str
    type: LogicalType
    guessed: bool = False
    timezone: bool = True
    physical_type: str | None = None
    rows: int
    missing: int
    nan: int = 0
    infinite: int = 0
    missing_share: Fraction
    distinct: int | None = None
    unique: bool = False
    minimum: Any = None
    maximum: Any = None
    earliest: str | None = None
    latest: str | None = None
    shortest: int | None = None
    longest: int | None = None
    values: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a frame holds.

    Attributes:
        rows: Rows seen.
        columns: In the order of the frame.
        partition_rows: Rows of each partition, ascending; ``None`` for a frame that is one batch.
    """

    rows: int
    columns: tuple[ObservedColumn, ...]
    partition_rows: tuple[int, ...] | None = None


class _Unfit(Exception):  # noqa: N818  # never leaves this module
    def __init__(self, problem: str, mend: str) -> None:
        self.problem, self.mend = problem, mend
        super().__init__(problem)


@dataclass(frozen=True, kw_only=True)
class _Settled:
    """A column's values in the type in which they will be judged."""

    values: Any
    type: LogicalType
    guessed: bool = False
    timezone: bool = True
    physical_type: str | None = None


def profile(frame: pa.Table, *, partition_column: str | None = None) -> Profile:
    """Observe a frame.

    Args:
        frame: rows × columns.
        partition_column: A column that tells the partition of each row and is not the table's own. A gate judges one
            partition at a time: shares and row counts are then observed in each, and everything else in all of them.

    Raises:
        FrameError: Some columns cannot stand in a contract, or hold what no warehouse takes; every culprit.
    """
    partitions: Any = frame.column(partition_column) if partition_column is not None else None
    names = [name for name in frame.column_names if name != partition_column]
    culprits = _names(names)
    columns: list[ObservedColumn] = []
    for position, name in enumerate(frame.column_names):
        if name == partition_column:
            continue
        try:
            columns.append(_observe(name, _settle(frame.column(position)), partitions))
        except _Unfit as unfit:
            culprits.append(Culprit(where=f"column {name!r}", problem=unfit.problem, mend=unfit.mend))
    if culprits or not names:
        what = "No contract can be written of this frame." if names else "The frame has no columns to promise."
        raise FrameError(what, culprits=culprits)
    counts = _counts(partitions) if partitions is not None else None
    return Profile(rows=frame.num_rows, columns=tuple(columns), partition_rows=counts)


def _names(names: list[str]) -> list[Culprit]:
    """The names that a contract cannot tell, or that no warehouse takes."""
    culprits = []
    for name in dict.fromkeys(names):
        problem = ""
        if not name.strip():
            problem = "has no name."
        elif name != name.strip():
            problem = "begins or ends with a blank, which a contract cannot tell."
        elif "\0" in name:
            problem = "has a NUL in its name, which no warehouse takes."
        elif len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
            problem = f"has a name of more than {_LONGEST_NAME} bytes, which no warehouse takes."
        elif names.count(name) > 1:
            problem = f"stands {names.count(name)} times."
        if problem:
            culprits.append(Culprit(where=f"column {name!r}", problem=problem, mend="Rename it."))
    return culprits


def _counts(partitions: Any) -> tuple[int, ...]:
    counted = pc.value_counts(partitions).to_pylist()
    return tuple(sorted(entry["counts"] for entry in counted))


def _settle(array: Any) -> _Settled:
    """A column in the type it conforms to.

    Raises:
        _Unfit: There is none, or some values do not fit it.
    """
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if isinstance(array.type, pa.BaseExtensionType):
        kind: Any = array.type
        if kind.extension_name == "arrow.uuid":
            texts = [None if value is None else str(value) for value in array.to_pylist()]
            return _Settled(values=pa.chunked_array([pa.array(texts, pa.string())]), type=LogicalType.STRING)
        storage = array.cast(kind.storage_type)
        if kind.extension_name == "arrow.json":
            return _json(storage)
        if getattr(kind, "type_name", None) == "numeric":
            return _Settled(values=_cast(storage, pa.float64()), type=LogicalType.NUMBER)
        array = storage
    for fits, settle in _KINDS:
        if fits(array.type):
            return settle(array)
    raise _Unfit(f"is of type {array.type}, for which a contract has no word.", "Leave it out, or turn it into text.")


def _null(array: Any) -> _Settled:
    return _Settled(values=array.cast(pa.string()), type=LogicalType.STRING, guessed=True)


def _text(array: Any) -> _Settled:
    values = array.cast(pa.string())
    if pc.any(pc.match_substring(values, "\0")).as_py():
        raise _Unfit("holds a NUL, which no database takes in text.", "Remove it where the column is computed.")
    return _Settled(values=values, type=LogicalType.STRING)


def _integer(array: Any) -> _Settled:
    return _Settled(values=_cast(array, pa.int64()), type=LogicalType.INTEGER)


def _float(array: Any) -> _Settled:
    return _Settled(values=_cast(array, pa.float64()), type=LogicalType.NUMBER)


def _decimal(array: Any) -> _Settled:
    """Integers where there are no places and 64 bits hold them, as of a DuckDB ``sum``; else doubles.

    Numbers are doubles on their way through the gate, which one that no double is equal to would not pass.
    """
    if array.type.scale <= 0:
        try:
            return _integer(array)
        except _Unfit:
            pass
    scale = max(array.type.scale, 0)
    physical = f"numeric({array.type.precision},{scale})"
    # By way of text: Arrow's own cast of decimals is off by the last bit, and so would be the bounds.
    texts = array.cast(pa.string())
    doubles = _cast(texts, pa.float64())
    if any(not _told(text, number) for text, number in zip(texts.to_pylist(), doubles.to_pylist(), strict=True)):
        why = f"holds values of type {array.type} that no double is equal to."
        raise _Unfit(why, "Round them, or make them text, where they are computed.")
    return _Settled(values=doubles, type=LogicalType.NUMBER, physical_type=physical)


def _told(text: str | None, number: float | None) -> bool:
    """Whether a double, written with the fewest digits that tell it, is the decimal that it was made of."""
    return text is None or number is None or Decimal(repr(number)) == Decimal(text)


def _boolean(array: Any) -> _Settled:
    return _Settled(values=array, type=LogicalType.BOOLEAN)


def _date(array: Any) -> _Settled:
    return _Settled(values=_reachable(_cast(array, pa.date32())), type=LogicalType.DATE)


def _timestamp(array: Any) -> _Settled:
    zone = array.type.tz
    values = _reachable(_cast(array, pa.timestamp("us", tz="UTC" if zone else None)))
    return _Settled(values=values, type=LogicalType.TIMESTAMP, timezone=zone is not None)


def _time(array: Any) -> _Settled:
    return _Settled(values=_cast(array, pa.time64("us")), type=LogicalType.TIME)


def _object(array: Any) -> _Settled:
    return _Settled(values=array, type=LogicalType.OBJECT)


def _array(array: Any) -> _Settled:
    return _Settled(values=array, type=LogicalType.ARRAY)


_types: Any = pa.types
_KINDS: tuple[tuple[Callable[[Any], bool], Callable[[Any], _Settled]], ...] = (
    (_types.is_null, _null),
    (lambda kind: _types.is_string(kind) or _types.is_large_string(kind) or _types.is_string_view(kind), _text),
    (_types.is_boolean, _boolean),
    (_types.is_integer, _integer),
    (_types.is_floating, _float),
    (_types.is_decimal, _decimal),
    (_types.is_date, _date),
    (_types.is_timestamp, _timestamp),
    (_types.is_time, _time),
    (_types.is_struct, _object),
    (lambda kind: _types.is_list(kind) or _types.is_large_list(kind) or _types.is_fixed_size_list(kind), _array),
)


def _json(array: Any) -> _Settled:
    """Postgres's JSON: objects or arrays where all of it is one of the two, else text that is called jsonb."""
    kinds: set[Any] = {type(json.loads(text)) for text in pc.unique(array.drop_null()).to_pylist()}
    found = {frozenset({dict}): LogicalType.OBJECT, frozenset({list}): LogicalType.ARRAY}.get(frozenset(kinds))
    if found is not None:
        return _Settled(values=array, type=found)
    return replace(_text(array), physical_type="jsonb", guessed=not kinds)


def _cast(array: Any, wanted: pa.DataType) -> Any:
    try:
        return array.cast(wanted)
    except pa.ArrowException:
        mend = "Round or convert it where it is computed."
        kinds = {"int64": "a 64-bit integer", "double": "a double"}
        unit = kinds.get(str(wanted), "a moment in whole microseconds")
        raise _Unfit(f"holds values of type {array.type} that do not fit {unit}.", mend) from None


def _reachable(array: Any) -> Any:
    """The same dates, if Python and so every frame can hold them: years 1 to 9999."""
    bounds: Any = pc.min_max(array)
    try:
        bounds.as_py()
    except (ValueError, OverflowError):
        raise _Unfit("holds dates beyond the years 1 to 9999.", "Leave them out, or make them NULL.") from None
    return array


def _observe(name: str, settled: _Settled, partitions: Any) -> ObservedColumn:
    values, rows = settled.values, len(settled.values)
    absent = pc.is_null(values, nan_is_null=True)
    present = values.filter(pc.invert(absent))
    missing = rows - len(present)
    column = ObservedColumn(
        name=name,
        type=settled.type,
        guessed=settled.guessed,
        timezone=settled.timezone,
        physical_type=settled.physical_type,
        rows=rows,
        missing=missing,
        nan=missing - values.null_count,
        missing_share=_worst_share(absent, partitions) if rows else Fraction(0),
    )
    if settled.type in _NESTED or not len(present):
        return column
    if settled.type is LogicalType.NUMBER:
        # Arrow tells -0.0 from 0.0, pandas does not; their sum with 0.0 is the same.
        present = pc.add(present, 0.0)
        column = replace(column, infinite=pc.sum(pc.cast(pc.is_inf(present), pa.int64())).as_py())
    distinct: int = pc.count_distinct(present).as_py()
    shown = len(present) >= _PAIR and settled.type is not LogicalType.BOOLEAN
    column = replace(column, distinct=distinct, unique=shown and distinct == len(present))
    if settled.type in _ORDERED:
        bounds: Any = pc.min_max(present).as_py()
        low, high = (None if isinstance(end, float) and math.isinf(end) else end for end in bounds.values())
        return replace(column, minimum=low, maximum=high)
    if settled.type is LogicalType.TIME:
        hours: Any = pc.min_max(present).as_py()
        return replace(column, earliest=hours["min"].isoformat(), latest=hours["max"].isoformat())
    if settled.type is LogicalType.STRING:
        lengths: Any = pc.min_max(pc.utf8_length(present)).as_py()
        few = distinct <= MOST_VALUES and distinct <= LARGEST_SHARE * rows
        words = tuple(sorted(pc.unique(present).to_pylist())) if few else None
        return replace(column, shortest=lengths["min"], longest=lengths["max"], values=words)
    return column


def _worst_share(absent: Any, partitions: Any) -> Fraction:
    whole = Fraction(pc.sum(pc.cast(absent, pa.int64())).as_py() or 0, len(absent))
    if partitions is None or whole == 0:
        return whole
    table = pa.table({"partition": partitions, "absent": pc.cast(absent, pa.int64())})
    counted = table.group_by("partition").aggregate([("absent", "sum"), ("absent", "count")]).to_pylist()
    return max(Fraction(entry["absent_sum"], entry["absent_count"]) for entry in counted)

"""What a frame's columns are: their kinds, their values as pandas shows them, and as DuckDB scans them.

Great Expectations judges pandas. A frame that is not pandas is therefore seen as the pandas frame it converts to,
though only what is asked for is ever converted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dagster_sluice.gates.frames import as_arrow, as_pandas

__all__ = ["EXACT", "Column", "Kind", "NotEligible", "Source", "Text", "open_source"]

EXACT = 2**53
"""Integers from here on are not all told apart by float64, in which Great Expectations compares."""

_BEYOND_ASCII = 0x80
Flags = npt.NDArray[np.bool_]
Arrow: TypeAlias = Any
"""A ``pa.Array`` or ``pa.ChunkedArray``, of whatever type."""


class NotEligible(Exception):  # noqa: N818 (it says what is; it is no failure)
    """The fast engine does not judge this expectation; its text says why."""


class Kind(str, Enum):
    """What a column holds, as far as the meaning of an expectation depends on it."""

    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    STRING = "string"
    DATE = "date"
    TIMESTAMP = "timestamp"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Column:
    """What is known of one column without looking at its values twice.

    Attributes:
        name: As in the frame.
        kind: What it holds.
        dtype: The pandas type it has, or would have.
        nulls: How many of its rows are NULL, as pandas counts them (NaN and NaT are NULL).
        reason: Why no more than its NULLs can be judged, where the kind is ``OTHER``.
    """

    name: str
    kind: Kind
    dtype: Any
    nulls: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Text:
    """Facts about all the characters of a string column, on which the meaning of a regular expression may depend."""

    ascii: bool
    newline: bool
    control: bool


class Source(Protocol):
    """A frame, whatever its make."""

    rows: int
    names: list[str]

    def column(self, name: str) -> Column:
        """What is known of a column."""

    def series(self, name: str) -> pd.Series[Any]:
        """The whole column as pandas shows it."""

    def nulls(self, name: str) -> Flags:
        """Per row, whether the column is NULL."""

    def take(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> pd.DataFrame:
        """Some rows of some columns, in the types which the whole columns have in pandas."""

    def scanned(self, name: str) -> Arrow:
        """The column as DuckDB scans it: dates and moments as whole numbers of their unit, NaN left as it is."""

    def text(self, name: str) -> Text:
        """Facts about a string column's characters."""

    def frame(self) -> pd.DataFrame:
        """The whole frame in pandas."""


def open_source(frame: Any) -> Source:
    """A frame of any make as a source.

    Raises:
        FrameError: The frame cannot be judged at all.
    """
    if isinstance(frame, pd.DataFrame):
        as_arrow(frame.iloc[:0])
        return PandasSource(frame)
    table = as_arrow(frame)
    return ArrowSource(table)


class _Cached:
    """Remembers what was computed for a column."""

    @cached_property
    def _memory(self) -> dict[tuple[str, str], Any]:
        return {}

    def _once(self, what: str, name: str, compute: Callable[[], Any]) -> Any:
        key = (what, name)
        if key not in self._memory:
            self._memory[key] = compute()
        return self._memory[key]


class PandasSource(_Cached):
    """A pandas frame, judged as it is."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self.rows = len(frame)
        self.names: list[str] = list(frame.columns)

    def frame(self) -> pd.DataFrame:
        return self._frame

    def series(self, name: str) -> pd.Series[Any]:
        return self._frame[name]

    def column(self, name: str) -> Column:
        found: Column = self._once("column", name, lambda: self._classify(name))
        return found

    def _classify(self, name: str) -> Column:
        series = self._frame[name]
        kind, reason = _pandas_kind(series)
        nulls = 0 if series.dtype.kind in "iub" else int(np.count_nonzero(self.nulls(name)))
        return Column(name=name, kind=kind, dtype=series.dtype, nulls=nulls, reason=reason)

    def nulls(self, name: str) -> Flags:
        found: Flags = self._once("nulls", name, lambda: self._frame[name].isna().to_numpy(dtype=bool))
        return found

    def take(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> pd.DataFrame:
        return self._frame[list(names)].iloc[rows]

    def scanned(self, name: str) -> Arrow:
        return self._once("scanned", name, lambda: self._scanned(name))

    def _scanned(self, name: str) -> Arrow:
        column = self.column(name)
        series = self._frame[name]
        if column.kind is Kind.TIMESTAMP:
            whole = series.to_numpy("datetime64[ns]") if column.dtype.kind != "M" else series.array.asi8
            return pa.array(np.asarray(whole).view("i8"), mask=self.nulls(name) if column.nulls else None)
        if column.kind is Kind.DATE:
            return pa.array(series, type=pa.date32(), from_pandas=True).cast(pa.int32())
        if column.kind is Kind.STRING:
            return _one_string_type(pa.array(series, from_pandas=True))
        if column.kind is Kind.BOOLEAN:
            return pa.array(series, type=pa.bool_(), from_pandas=True)
        return pa.array(series.to_numpy(), from_pandas=False)

    def text(self, name: str) -> Text:
        found: Text = self._once("text", name, lambda: _text(self.scanned(name)))
        return found


def _pandas_kind(series: pd.Series[Any]) -> tuple[Kind, str]:
    dtype: Any = series.dtype
    if isinstance(dtype, np.dtype):
        kinds = {"i": Kind.INTEGER, "u": Kind.INTEGER, "b": Kind.BOOLEAN, "M": Kind.TIMESTAMP}
        if dtype.kind in kinds and dtype.isnative:
            return kinds[dtype.kind], ""
        if dtype.kind == "f" and dtype.itemsize in (4, 8) and dtype.isnative:
            return Kind.FLOAT, ""
        if dtype.kind == "O":
            return _object_kind(series)
    elif isinstance(dtype, pd.DatetimeTZDtype):
        return Kind.TIMESTAMP, ""
    elif isinstance(dtype, pd.StringDtype) and isinstance(dtype.na_value, float):
        return Kind.STRING, ""
    return Kind.OTHER, f"columns of type {dtype} are left to Great Expectations"


def _object_kind(series: pd.Series[Any]) -> tuple[Kind, str]:
    found = pd.api.types.infer_dtype(series, skipna=True)
    if found in ("string", "date", "boolean"):
        return {"string": Kind.STRING, "date": Kind.DATE, "boolean": Kind.BOOLEAN}[found], ""
    return Kind.OTHER, f"columns of type object that hold {found} values are left to Great Expectations"


class ArrowSource(_Cached):
    """An Arrow table, seen as the pandas frame it converts to."""

    def __init__(self, table: pa.Table) -> None:
        for position, field in enumerate(table.schema):
            # Polars gives views of strings, which Arrow cannot take rows from.
            if str(field.type) == "string_view":
                table = table.set_column(position, field.name, table.column(position).cast(pa.large_string()))
        self._table = table
        self.rows = table.num_rows
        self.names: list[str] = list(table.column_names)

    def frame(self) -> pd.DataFrame:
        found: pd.DataFrame = self._once("frame", "", lambda: as_pandas(self._table))
        return found

    def series(self, name: str) -> pd.Series[Any]:
        found: pd.Series[Any] = self._once("series", name, lambda: as_pandas(self._table.select([name]))[name])
        return found

    def column(self, name: str) -> Column:
        found: Column = self._once("column", name, lambda: self._classify(name))
        return found

    def _classify(self, name: str) -> Column:
        chunks = self._table.column(name)
        kind = _arrow_kind(chunks.type)
        missing = chunks.null_count
        if kind is Kind.OTHER:
            reason = f"columns of Arrow type {chunks.type} are left to Great Expectations"
            nulls = int(self.series(name).isna().sum())
            return Column(name=name, kind=kind, dtype=self.series(name).dtype, nulls=nulls, reason=reason)
        if kind is Kind.FLOAT:
            missing = int(np.count_nonzero(self.nulls(name)))
        dtype = self._dtypes[name] if not self._wide(name) else self.series(name).dtype
        if not isinstance(dtype, np.dtype) and kind is Kind.INTEGER:
            reason = "whole numbers beyond 2**53 together with NULLs are left to Great Expectations"
            return Column(name=name, kind=Kind.OTHER, dtype=dtype, nulls=missing, reason=reason)
        return Column(name=name, kind=kind, dtype=dtype, nulls=missing)

    @cached_property
    def _dtypes(self) -> dict[str, Any]:
        """The pandas type of each column of a kind that is known, whole numbers beyond float64 apart."""
        found: dict[str, Any] = {}
        for filled in (True, False):
            empty = {
                field.name: pa.nulls(0 if filled else 1, field.type)
                for field in self._table.schema
                if _arrow_kind(field.type) is not Kind.OTHER
                and (self._table.column(field.name).null_count == 0) is filled
            }
            found.update(as_pandas(pa.table(empty)).dtypes)
        return found

    def nulls(self, name: str) -> Flags:
        found: Flags = self._once("nulls", name, lambda: self._nulls(name))
        return found

    def _nulls(self, name: str) -> Flags:
        chunks = self._table.column(name)
        if _arrow_kind(chunks.type) is Kind.OTHER:
            return self.series(name).isna().to_numpy(dtype=bool)
        if _arrow_kind(chunks.type) is not Kind.FLOAT and not chunks.null_count:
            return np.zeros(self.rows, dtype=bool)
        missing: Any = pc.is_null(chunks, nan_is_null=True)
        return np.asarray(missing.to_numpy(), dtype=bool)

    def take(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> pd.DataFrame:
        picked = {}
        for name in names:
            chunks = self._table.column(name)
            if _arrow_kind(chunks.type) is Kind.OTHER or self._wide(name):
                picked[name] = self.series(name).iloc[rows].reset_index(drop=True)
                continue
            part = _one_chunk(chunks.take(rows))
            if chunks.null_count:
                # A NULL anywhere decides the type of the whole column in pandas.
                part = pa.concat_arrays([part, pa.nulls(1, part.type)])
            picked[name] = as_pandas(pa.table({name: part}))[name].iloc[: len(rows)]
        return pd.DataFrame(picked, columns=list(names), copy=False)

    def _wide(self, name: str) -> bool:
        chunks = self._table.column(name)
        if not pa.types.is_integer(chunks.type) or not chunks.null_count:
            return False
        bounds: Any = self._once("bounds", name, lambda: pc.min_max(chunks).as_py())
        return bounds["min"] is not None and bool(max(-bounds["min"], bounds["max"]) > EXACT)

    def scanned(self, name: str) -> Arrow:
        return self._once("scanned", name, lambda: self._scanned(name))

    def _scanned(self, name: str) -> Arrow:
        chunks: Any = self._table.column(name)
        if pa.types.is_timestamp(chunks.type):
            return chunks.cast(pa.int64()) if chunks.num_chunks == 0 else _viewed(chunks, pa.int64())
        if pa.types.is_date(chunks.type):
            return chunks.cast(pa.int32())
        return chunks

    def text(self, name: str) -> Text:
        found: Text = self._once("text", name, lambda: _text(self.scanned(name)))
        return found


class RowsOf(_Cached):
    """Some rows of an Arrow table, in the pandas types that its whole columns have."""

    def __init__(self, source: ArrowSource, positions: npt.NDArray[np.int64]) -> None:
        self._source = source
        self._positions = positions
        self.rows = len(positions)
        self.names: list[str] = source.names

    def frame(self) -> pd.DataFrame:
        return self._source.frame().iloc[self._positions]

    def series(self, name: str) -> pd.Series[Any]:
        found: pd.Series[Any] = self._once("series", name, lambda: self._source.take([name], self._positions)[name])
        return found

    def column(self, name: str) -> Column:
        whole = self._source.column(name)
        return replace(whole, nulls=int(np.count_nonzero(self.nulls(name))) if whole.nulls else 0)

    def nulls(self, name: str) -> Flags:
        return self._source.nulls(name)[self._positions]

    def take(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> pd.DataFrame:
        return self._source.take(names, self._positions[rows])

    def scanned(self, name: str) -> Arrow:
        return self._once(
            "scanned", name, lambda: self._source.scanned(name).take(pa.array(self._positions, pa.int64()))
        )

    def text(self, name: str) -> Text:
        found: Text = self._once("text", name, lambda: _text(self.scanned(name)))
        return found


def _arrow_kind(kind: pa.DataType) -> Kind:
    if pa.types.is_integer(kind):
        return Kind.INTEGER
    if pa.types.is_float32(kind) or pa.types.is_float64(kind):
        return Kind.FLOAT
    if pa.types.is_boolean(kind):
        return Kind.BOOLEAN
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return Kind.STRING
    if pa.types.is_date32(kind):
        return Kind.DATE
    if pa.types.is_timestamp(kind):
        return Kind.TIMESTAMP
    return Kind.OTHER


def _one_chunk(array: Arrow) -> Arrow:
    if isinstance(array, pa.ChunkedArray):
        whole: Any = array.combine_chunks()
        if isinstance(whole, pa.ChunkedArray):
            return pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], type=array.type)
        return whole
    return array


def _viewed(chunks: Any, kind: Any) -> Arrow:
    return pa.chunked_array([chunk.view(kind) for chunk in chunks.chunks], type=kind)


def _one_string_type(array: Arrow) -> Arrow:
    return array if pa.types.is_string(array.type) else array.cast(pa.large_string())


def _text(strings: Arrow) -> Text:
    chunks = strings.chunks if isinstance(strings, pa.ChunkedArray) else [strings]
    plain, newline, control = True, False, False
    for chunk in chunks:
        width: Any = np.int64 if pa.types.is_large_string(chunk.type) else np.int32
        buffers: list[Any] = chunk.buffers()
        _, offsets, data = buffers
        if data is None or not len(chunk):
            continue
        ends = np.frombuffer(offsets, dtype=width)[chunk.offset : chunk.offset + len(chunk) + 1]
        bytes_ = np.frombuffer(data, dtype=np.uint8)[int(ends[0]) : int(ends[-1])]
        if len(bytes_):
            plain = plain and int(bytes_.max()) < _BEYOND_ASCII
            newline = newline or bool((bytes_ == ord("\n")).any())
            control = control or bool(((bytes_ < ord(" ")) & (bytes_ != ord("\t")) & (bytes_ != ord("\n"))).any())
    return Text(ascii=plain, newline=newline, control=control)

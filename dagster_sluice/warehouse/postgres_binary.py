"""Arrow rows in the binary form of Postgres's COPY, made by whole columns.

The form: Postgres manual, COPY, "Binary Format". ADBC writes it value by value, at five times the cost; here NumPy lays
out what has a fixed width and Arrow joins the pieces of each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dagster_sluice.errors import Culprit, PublishError

__all__ = ["encoded", "postgres_name"]

_Array: TypeAlias = "npt.NDArray[Any]"

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_JSONB_VERSION = b"\x01"
_ROWS = 16_384
_BYTES = 16 * 2**20
_WIDE = 2**29
_EPOCH_DAYS = 10_957
_EPOCH_MICROSECONDS = _EPOCH_DAYS * 86_400_000_000
_NAMES = {
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.time64("us"): "time without time zone",
    pa.string(): "text",
    pa.large_string(): "text",
}


def postgres_name(kind: pa.DataType) -> str:
    """The Postgres type whose binary form the values of an Arrow type are given.

    Raises:
        TypeError: There is none.
    """
    if pa.types.is_timestamp(kind) and kind.unit == "us":
        return "timestamp with time zone" if kind.tz else "timestamp without time zone"
    if kind not in _NAMES:
        raise TypeError(f"Rows of Arrow type {kind} cannot be sent to Postgres.")
    return _NAMES[kind]


def encoded(rows: pa.Table, *, jsonb: frozenset[str] = frozenset()) -> Iterator[memoryview | bytes]:
    """The rows as Postgres reads them from ``COPY … FROM STDIN (FORMAT binary)``, piece by piece.

    Args:
        rows: Columns of the types that `postgres_name` knows.
        jsonb: The columns, JSON text, that go into a column of type ``jsonb``, which has a binary form of its own.

    Raises:
        PublishError: A moment lies outside what Postgres can hold.
    """
    yield _SIGNATURE
    at_once = max(1, min(_ROWS, _BYTES * rows.num_rows // max(rows.nbytes, 1)))
    for batch in rows.to_batches(max_chunksize=at_once):
        if batch.num_rows:
            yield _batch(batch, jsonb)
    yield _TRAILER


def _batch(batch: pa.RecordBatch, jsonb: frozenset[str]) -> memoryview:
    # Texts of gigabytes need offsets of 64 bits; all others are quicker without.
    wide = batch.nbytes > _WIDE
    kind = pa.large_binary() if wide else pa.binary()
    nothing = pa.scalar(b"", kind)
    pieces: list[Any] = []
    # What has a width and no NULL is laid out side by side, with the lengths of what follows.
    beside: list[tuple[_Array | int, str]] = [(batch.num_columns, ">i2")]
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            text: Any = column.cast(pa.large_string() if wide else pa.string()).cast(kind)
            if name in jsonb:
                text = pc.binary_join_element_wise(pa.scalar(_JSONB_VERSION, kind), text, nothing)
            lengths: Any = pc.fill_null(pc.binary_length(text).cast(pa.int32()), -1)
            beside.append((lengths.to_numpy(zero_copy_only=False), ">i4"))
            pieces += [_side_by_side(beside, batch.num_rows, kind), pc.fill_null(text, b"")]
            beside = []
            continue
        values = _values(name, column)
        width = values.dtype.itemsize
        if not column.null_count:
            beside += [(width, ">i4"), (values, values.dtype.str)]
            continue
        present = pc.is_valid(column).to_numpy(zero_copy_only=False)
        beside.append((np.where(present, width, -1), ">i4"))
        ends = np.concatenate(([0], np.cumsum(present * width)))
        pieces += [_side_by_side(beside, batch.num_rows, kind), _pieces(ends, values[present], kind)]
        beside = []
    if beside:
        pieces.append(_side_by_side(beside, batch.num_rows, kind))
    joined = pc.binary_join_element_wise(*pieces, nothing)
    _, offsets, content = joined.buffers()
    ends = np.frombuffer(offsets, np.int64 if wide else np.int32)
    return memoryview(content)[ends[joined.offset] : ends[joined.offset + len(joined)]]


def _values(name: str, column: Any) -> _Array:
    """The values big-endian, counted from Postgres's epoch; anything where there is none."""
    kind, shift = column.type, 0
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif pa.types.is_date32(kind):
        column, shift = column.cast(pa.int32()), _EPOCH_DAYS
    elif pa.types.is_timestamp(kind):
        column, shift = column.cast(pa.int64()), _EPOCH_MICROSECONDS
    elif pa.types.is_time64(kind):
        column = column.cast(pa.int64())
    filled: Any = pc.fill_null(column, 0)
    values: _Array = filled.to_numpy(zero_copy_only=False)
    if shift:
        # The least value of all is Postgres's -infinity.
        early = values <= np.iinfo(values.dtype).min + shift
        if early.any():
            unit = "days" if pa.types.is_date32(kind) else "microseconds"
            problem = f"holds {int(values[early][0])} {unit} since 1970."
            raise PublishError(
                "Postgres has no moment that early.",
                culprits=[Culprit(where=f"column {name!r}", problem=problem)],
                mend="Correct the value; NULL stands for no moment.",
            )
        values = values - values.dtype.type(shift)
    return values.astype(values.dtype.newbyteorder(">"))


def _side_by_side(beside: list[tuple[_Array | int, str]], rows: int, kind: pa.DataType) -> pa.Array[Any]:
    """Per row the values one after the other, without gaps."""
    record = np.empty(rows, np.dtype([(f"f{place}", form) for place, (_, form) in enumerate(beside)]))
    for place, (values, _) in enumerate(beside):
        record[f"f{place}"] = values
    return _pieces(np.arange(rows + 1) * record.dtype.itemsize, record, kind)


def _pieces(offsets: _Array, content: _Array, kind: pa.DataType) -> pa.Array[Any]:
    width = np.int32 if kind == pa.binary() else np.int64
    parts: list[Any] = [offsets.astype(width), np.ascontiguousarray(content)]
    return pa.Array.from_buffers(kind, len(offsets) - 1, [None, *map(pa.py_buffer, parts)])

"""Frames of any make as Arrow, and Arrow as the pandas frame that Great Expectations judges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dagster_sluice.errors import Culprit, FrameError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["as_arrow", "as_pandas"]

# Integers beyond this cannot be told apart as float64, which is what pandas makes of integers with NULLs.
_EXACT_FLOAT = 2**53


def as_arrow(frame: Any) -> pa.Table:
    """The same rows and columns as an Arrow table.

    Args:
        frame: An Arrow table or record batch, a pandas or Polars frame, or anything with ``__arrow_c_stream__``
            (a DuckDB relation, for one), or the path of a Parquet file. A pandas index is not a column and is dropped.

    Raises:
        FrameError: The frame has two columns of one name, is of an unknown kind, or cannot be told in Arrow's types.
    """
    table: pa.Table
    if isinstance(frame, pa.Table):
        table = frame
    elif isinstance(frame, pa.RecordBatch):
        table = pa.Table.from_batches([frame])
    elif isinstance(frame, Path):
        table = _read(frame)
    else:
        _refuse_repeats([str(name) for name in getattr(frame, "columns", ())])
        table = _convert(frame)
    _refuse_repeats(table.column_names)
    return table


def _read(file: Path) -> pa.Table:
    import pyarrow.parquet as pq

    try:
        # Read as one file: a directory of its own name says nothing about its columns.
        return pq.ParquetFile(file).read()
    except (pa.ArrowException, OSError) as failure:
        raise FrameError(
            "The file is no Parquet file that can be read.",
            culprits=[Culprit(where=str(file), problem=_words(failure) if failure.args else "cannot be read.")],
        ) from failure


def _convert(frame: Any) -> pa.Table:
    try:
        if type(frame).__module__.split(".")[0] == "pandas":
            return pa.Table.from_pandas(frame, preserve_index=False)
        if hasattr(frame, "__arrow_c_stream__"):
            return pa.table(frame)
    except (pa.ArrowException, UnicodeError) as failure:
        raise FrameError(
            "The frame holds values that Arrow cannot carry.",
            culprits=[Culprit(problem=_words(failure))],
            mend="Give each column one type, for instance with astype().",
        ) from failure
    raise FrameError(
        f"A {type(frame).__name__} is not a frame.",
        mend="Return a pandas, Polars or Arrow table, or a DuckDB relation.",
    )


def _words(failure: Exception) -> str:
    text = str(failure) if isinstance(failure, UnicodeError) else " ".join(str(part) for part in failure.args)
    # What could not be encoded must not stand in a message, which is encoded in its turn.
    return text.strip().encode("utf-8", "backslashreplace").decode()


def _refuse_repeats(names: list[str]) -> None:
    repeats = sorted({name for name in names if names.count(name) > 1})
    if repeats:
        raise FrameError(
            "The frame has columns of one name.",
            culprits=[
                Culprit(where=f"column {name!r}", problem=f"stands {names.count(name)} times.") for name in repeats
            ],
            mend="Rename or drop them before they are returned.",
        )


def as_pandas(table: pa.Table) -> pd.DataFrame:
    """The pandas frame on which expectations get their meaning: default types, index 0 to rows - 1.

    Integers with NULLs become float64 as pandas has it, unless one of them is beyond 2**53, where float64 would make
    two different integers equal: such a column stays ``Int64``.
    """
    import pandas as pd
    import pyarrow.compute as pc

    wide = {}
    for field in table.schema:
        column = table.column(field.name)
        if pa.types.is_integer(field.type) and column.null_count:
            bounds: Any = pc.min_max(column).as_py()
            if bounds["min"] is not None and max(-bounds["min"], bounds["max"]) > _EXACT_FLOAT:
                wide[field.name] = pd.Int64Dtype() if pa.types.is_signed_integer(field.type) else pd.UInt64Dtype()
    try:
        # What pandas once wrote into the table about its index and types is no part of the data.
        frame = table.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, ValueError, OverflowError) as failure:
        raise FrameError(
            "The frame holds values that pandas cannot carry.", culprits=[Culprit(problem=_words(failure))]
        ) from failure
    for name, dtype in wide.items():
        frame[name] = pd.array(table.column(name).to_pylist(), dtype=dtype)
    return frame

"""Reads the rows of a file that a first contract is to be written from: CSV or Parquet.

A CSV has no types, so they are read off the values; where that would change a value, the column stays text: ``00501``
is a postal code, not the number 501. An empty field is NULL. In columns of numbers, moments and truth values so are the
usual words (``NA``, ``NULL``, ``NaN``…); in a column of texts they are texts, since Namibia is called NA.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dagster_sluice.contracts.csv_faults import first_fault, unclosed
from dagster_sluice.errors import Culprit, FrameError

__all__ = ["READABLE", "is_readable", "read_rows"]

READABLE = (".csv", ".tsv", ".parquet", ".pq")
_PACKED = (".gz", ".bz2", ".zst")
_DELIMITERS = ",;\t|"
_LEADING_ZERO = r"^\s*[+-]?0[0-9]"
_PACKED_BLOCK, _LARGEST_BLOCK = 1 << 28, 1 << 30
"""Bytes. Arrow reads the types off the first block, so that is the whole file if it can be."""


def is_readable(path: Path) -> bool:
    """Whether the name is that of a file which can be read."""
    return _kind(path) in READABLE


def read_rows(path: Path) -> pa.Table:
    """The rows of a CSV or Parquet file.

    Raises:
        FrameError: There is no such file, it is of another kind, or it is broken.
    """
    if not path.exists():
        raise _unreadable(path, "There is no such file.", "Check the path; it is taken from the working directory.")
    if path.is_dir():
        raise _unreadable(path, "This is a directory, not a file.", "Name one file in it.")
    kind = _kind(path)
    if kind not in READABLE:
        raise _unreadable(
            path, f"Files of kind {kind or 'without suffix'} are not read.", f"Use {', '.join(READABLE)}."
        )
    try:
        if kind in (".parquet", ".pq"):
            import pyarrow.parquet as pq

            # Read as a file, not as a data set: folders called year=2024 are no columns.
            return pq.ParquetFile(path).read()
        return _csv(path, "\t" if kind == ".tsv" else None)
    except (pa.ArrowException, OSError, UnicodeError) as failure:
        if kind in (".csv", ".tsv") and isinstance(failure, pa.ArrowInvalid):
            _refuse_fault(path, "\t" if kind == ".tsv" else _delimiter(path))
        words = str(failure).strip().splitlines() or [type(failure).__name__]
        raise _unreadable(path, f"{words[0]}") from failure


def _kind(path: Path) -> str:
    suffixes = [suffix.casefold() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _unreadable(path: Path, problem: str, mend: str = "") -> FrameError:
    return FrameError("The file cannot be read.", culprits=[Culprit(file=path, problem=problem, mend=mend)])


def _refuse_fault(path: Path, delimiter: str) -> None:
    fault = first_fault(_bytes(path), delimiter=delimiter)
    if fault is not None:
        mend = "Save the file as UTF-8." if "UTF-8" in fault[1] else "Correct the line."
        culprit = Culprit(file=path, line=fault[0], problem=fault[1], mend=mend)
        raise FrameError("The file cannot be read.", culprits=[culprit])


def _bytes(path: Path) -> bytes:
    with pa.input_stream(path, compression="detect") as stream:
        data: bytes = stream.read()
    return data


def _csv(path: Path, delimiter: str | None) -> pa.Table:
    read = _reader(path, delimiter or _delimiter(path))
    table = read({})
    unsure = [field.name for field in table.schema if pa.types.is_binary(field.type)]
    if unsure:
        _refuse_fault(path, delimiter or _delimiter(path))
        raise _unreadable(path, f"Column {unsure[0]!r} is not UTF-8.", "Save the file as UTF-8.")
    if unclosed(_bytes(path)):
        _refuse_fault(path, delimiter or _delimiter(path))
    doubtful = [field.name for field in table.schema if pa.types.is_integer(field.type) or pa.types.is_null(field.type)]
    if doubtful and len(set(table.column_names)) == len(table.column_names):
        texts = read(dict.fromkeys(doubtful, pa.string()))
        changed = [name for name in doubtful if _is_text(texts[name], table.schema.field(name).type)]
        if changed:
            table = read(dict.fromkeys(changed, pa.string()))
    arrays: list[Any] = [
        pc.if_else(pc.equal(column, pa.scalar("", column.type)), pa.scalar(None, column.type), column)
        if pa.types.is_string(column.type)
        else column
        for column in table.columns
    ]
    return pa.Table.from_arrays(arrays, names=table.column_names)


def _is_text(texts: Any, inferred: pa.DataType) -> bool:
    """Whether texts were taken for something that they are not: numbers, or nothing."""
    pattern = ".+" if pa.types.is_null(inferred) else _LEADING_ZERO
    return bool(pc.any(pc.match_substring_regex(texts, pattern)).as_py())


def _reader(path: Path, delimiter: str) -> Any:
    from pyarrow import csv

    packed = path.suffix.casefold() in _PACKED
    block = _PACKED_BLOCK if packed else min(max(path.stat().st_size + 1, 1 << 20), _LARGEST_BLOCK)

    def read(types: dict[str, pa.DataType]) -> pa.Table:
        return csv.read_csv(
            path,
            read_options=csv.ReadOptions(block_size=block),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=types),
        )

    return read


def _delimiter(path: Path) -> str:
    """The character that parts the names in the first line; a comma if none does."""
    with pa.input_stream(path, compression="detect") as stream:
        head: bytes = stream.read(1 << 16)
    first = re.sub(r'"[^"]*"', "", head.decode("utf-8", "replace").lstrip("\ufeff\r\n")).splitlines()
    counts = Counter(character for character in (first[0] if first else "") if character in _DELIMITERS)
    return max(_DELIMITERS, key=lambda character: counts[character])

"""Where a CSV file is broken. Fast readers say what is wrong, if they notice at all, but not in which line."""

from __future__ import annotations

import csv
import io

__all__ = ["Fault", "first_fault", "unclosed"]

Fault = tuple[int, str]
"""The line, from 1, and what is wrong with it."""

# A field may be as long as it is: Python's own limit is 128 KiB.
_LONGEST = 2**31 - 1


def unclosed(data: bytes) -> bool:
    """Whether a quote may be open at the end: then the last field holds lines that are rows. `first_fault` knows."""
    return data.count(b'"') % 2 == 1


def first_fault(data: bytes, *, delimiter: str) -> Fault | None:
    """The first fault of a CSV: bytes that are no UTF-8, a quote that is never closed, a row of other length.

    Args:
        data: The whole file. A byte order mark and any ends of lines are right.
        delimiter: What parts its fields.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = data.count(b"\n", 0, failure.start) + 1
        return line, f"is not UTF-8: byte 0x{data[failure.start]:02x}."
    csv.field_size_limit(_LONGEST)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    width, line = None, 1
    try:
        for cells in reader:
            if width is None and cells:
                width = len(cells)
            elif any(cells) and len(cells) != width:
                return line, f"has {len(cells)} {'field' if len(cells) == 1 else 'fields'}, the first line {width}."
            line = reader.line_num + 1
    except csv.Error as failure:
        ends = "unexpected end" in str(failure)
        return line, "opens a quote that is never closed." if ends else f"cannot be read: {failure}."
    return None

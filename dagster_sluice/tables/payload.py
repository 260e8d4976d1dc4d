"""Rows and values in JSON's types, exactly: for quarantine, for records, for metadata."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["jsonable", "row_payloads"]


def jsonable(value: Any) -> Any:
    """A value in JSON's types: what JSON lacks (NaN, dates, decimals, bytes) becomes text that tells it exactly."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        # Postgres takes neither NUL nor a lone surrogate in jsonb.
        return value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        # jsonb has no negative zero.
        return value if math.isfinite(value) and (value or math.copysign(1, value) > 0) else str(value)
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(jsonable(key)): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((jsonable(item) for item in value), key=json.dumps)
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    return str(value)


def row_payloads(rows: pa.Table, positions: Sequence[int]) -> list[dict[str, Any]]:
    """These rows of a table, each as a mapping from column to value in JSON's types."""
    taken = rows.take(pa.array(positions, pa.int64()))
    columns = {name: [jsonable(told(scalar)) for scalar in taken.column(name)] for name in taken.column_names}
    return [{name: values[row] for name, values in columns.items()} for row in range(taken.num_rows)]


def told(scalar: Any) -> Any:
    """An Arrow scalar as Python has it; as text where Python has no such value: nanoseconds, the year 10000."""
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        if pa.types.is_timestamp(scalar.type):
            # Arrow writes no year beyond 32767.
            moment = np.datetime64(scalar.value, scalar.type.unit)
            return f"{moment}{'Z' if scalar.type.tz else ''}"
        return str(pc.cast(scalar, pa.string()).as_py())

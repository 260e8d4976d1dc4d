"""Frames as hypothesis makes them up: small, and awkward on purpose."""

import datetime as dt
import math

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

TEXTS = (
    "",
    " ",
    "a",
    "ab",
    "abc",
    "A1",
    "a1b2",
    "x-1",
    "2024-01-05",
    "é",
    "日本",
    "🦆👩‍👩‍👧",
    "a\nb",
    "a\n",
    "\tz",
    "a\x0bb",
    "\u0661",
    "\u0130",
)
FLOATS = (
    0.0,
    -0.0,
    1.0,
    1.5,
    -2.25,
    0.1,
    0.2,
    0.30000000000000004,
    3.0,
    1e308,
    -1e308,
    2.0**53,
    2.0**60,
    5e-324,
    math.inf,
    -math.inf,
)
SMALL = (-3, -1, 0, 1, 2, 3, 7)
HUGE = (2**60 + 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**62, 2**63 - 1, -(2**63))
DATES = (dt.date(2024, 1, 1), dt.date(2024, 2, 29), dt.date(1969, 12, 31), dt.date(2024, 1, 2))
MOMENTS = tuple(
    dt.datetime.fromisoformat(text)
    for text in (
        "2024-01-01T00:00:00",
        "2024-01-01T12:30:15.123456",
        "1969-12-31T23:59:59.999999",
        "2024-11-03T05:30:00",
        "2024-11-03T06:30:00",
    )
)
ZONES = ("UTC", "America/New_York", "Asia/Kolkata")


def _column(values, missing):
    return st.one_of(st.sampled_from(values), st.just(missing)) if missing is not ... else st.sampled_from(values)


def _maybe(draw, *missing):
    return draw(st.sampled_from([*missing, ...]))


def _numbers(dtype, pool, missing=None):
    def make(draw, values):
        return pd.Series(values(pool, ... if missing is None else _maybe(draw, missing)), dtype=dtype)

    return make


def _whole(draw, values):
    return pd.Series(values(SMALL + draw(st.sampled_from([(), HUGE]))), dtype="int64")


def _objects(pool, *missing):
    def make(draw, values):
        return pd.Series(values(pool, _maybe(draw, *missing)), dtype=object)

    return make


def _strings(draw, values):
    plain = [text for text in TEXTS if text.isascii() and text.isprintable()]
    found = values(draw(st.sampled_from([plain, TEXTS])), _maybe(draw, None))
    return pd.Series(found, dtype="str" if pd.__version__ >= "3" else object)


def _naive(draw, values, units=("s", "ms", "us", "ns")):
    found = pd.to_datetime(pd.Series(values(MOMENTS, _maybe(draw, None)), dtype=object))
    return found.astype(f"datetime64[{draw(st.sampled_from(units))}]")


def _zoned(draw, values):
    return _naive(draw, values, ("us", "ns")).dt.tz_localize("UTC").dt.tz_convert(draw(st.sampled_from(ZONES)))


def _extension(dtype, pool, missing):
    return lambda _, values: pd.Series(values(pool, missing), dtype=dtype)


_UNSIGNED = (0, 1, 2, 3, 2**53 + 1, 2**64 - 1)
_SINGLE = (0.0, 0.1, 1.5, -2.0, 1e30, math.inf)
_COMMON = (_whole, _numbers("float64", FLOATS + SMALL, math.nan), _strings, _naive)
_SERIES = (
    *_COMMON * 3,
    _numbers("int8", SMALL),
    _numbers("int32", SMALL),
    _numbers("uint8", (0, 1, 2, 3, 7)),
    _numbers("uint64", _UNSIGNED),
    _numbers("float32", _SINGLE, math.nan),
    _numbers("bool", (True, False)),
    _objects((True, False), None),
    _objects(TEXTS, None, math.nan),
    _objects(TEXTS, None, math.nan),
    _objects(DATES, None),
    _objects((1, "1", 1.0, "a"), None),
    _objects((None,)),
    _zoned,
    _extension("Int64", SMALL + HUGE, pd.NA),
    _extension("string", TEXTS, pd.NA),
    _extension("category", ("a", "b", "c"), None),
)


@st.composite
def _series(draw, rows):
    """One pandas column of some type, with or without NULLs."""

    def values(pool, missing=...):
        return draw(st.lists(_column(pool, missing), min_size=rows, max_size=rows))

    return draw(st.sampled_from(_SERIES))(draw, values)


@st.composite
def frames(draw):
    """A frame of 2 to 5 columns and up to 9 rows, in pandas or in Arrow."""
    rows = draw(st.integers(0, 9))
    others = draw(st.sampled_from([["b", "c"], ["b", "c"], ["A", "c"], ["b", "`a`"]]))
    names = ["a", *others, 'q"; --', "ü x"][: draw(st.integers(2, 5))]
    twin = draw(st.booleans())
    columns = {}
    for position, name in enumerate(names):
        if twin and position == 1:
            # Two columns of one type, so that pairs can be compared.
            shuffled = draw(st.permutations(range(rows)))
            columns[name] = columns["a"].iloc[list(shuffled)].reset_index(drop=True)
        else:
            columns[name] = draw(_series(rows))
    frame = pd.DataFrame(columns)
    make = draw(st.sampled_from(["pandas", "arrow", "index"]))
    if make == "index":
        frame.index = pd.Index(list(draw(st.permutations(range(rows)))))
    if make == "arrow":
        return _arrow(frame, draw(st.booleans()))
    return frame


def _arrow(frame, whole):
    arrays = {}
    for name in frame.columns:
        column = frame[name]
        if (
            column.dtype.kind == "f"
            and whole
            and not np.isinf(column).any()
            and (column.dropna() == column.dropna().round()).all()
        ):
            # Whole numbers with NULLs, which pandas shows as floats.
            numbers = [None if math.isnan(value) else int(value) for value in column]
            try:
                arrays[name] = pa.array(numbers, type=pa.int64())
                continue
            except (pa.ArrowInvalid, OverflowError):
                pass
        try:
            # NaN stays NaN where it is not NULL.
            arrays[name] = pa.array(column.to_numpy()) if column.dtype.kind == "f" else pa.array(column)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            arrays[name] = pa.array(column.astype("str"))
    table = pa.table(arrays)
    if len(frame) > 1:
        table = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    return table

"""What a table's function returned, column by column, with nothing lost on the way to Arrow.

Arrow gives each column one type. Of a pandas column of Python objects it makes what the first of them looks like: it drops
the time of day beside a date, takes a naive moment for UTC, and refuses the whole frame for one text among numbers. Such a
column goes on as a list of its values, each of which is then conformed for itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from dagster_sluice.errors import Culprit, FrameError
from dagster_sluice.gates.frames import as_arrow

__all__ = ["batch_of"]

_MISSING = {"NoneType", "NAType", "NaTType"}
_HARMLESS = ({"str", "float"}, {"int", "float"})
"""Kinds that Arrow keeps apart or refuses, and never takes for one another; pandas writes NaN for a missing text."""
_ODD_IN_POLARS = {"Object", "Int128", "UInt128"}
_UNFIT = (pa.ArrowException, FrameError, UnicodeError, OverflowError, TypeError, ValueError)


def batch_of(frame: Any) -> pa.Table | Mapping[str, Any]:
    """The columns of a frame: as an Arrow table, or by name with those as lists that have no one type in Arrow.

    Args:
        frame: As of `dagster_sluice.gates.frames.as_arrow`.

    Raises:
        FrameError: It is no frame, two columns have one name, or a name is no Unicode text.
    """
    made_by = type(frame).__module__.split(".")[0]
    if made_by == "pandas" and hasattr(frame, "columns"):
        return _of_pandas(frame)
    if made_by == "polars":
        # A lazy frame is one that is yet to be computed.
        frame = frame.collect() if type(frame).__name__ == "LazyFrame" else frame
        odd = [place for place, kind in enumerate(getattr(frame, "dtypes", ())) if str(kind) in _ODD_IN_POLARS]
        if odd:
            return {
                name: frame[name].to_list() if at in odd else frame[name].to_arrow()
                for at, name in enumerate(frame.columns)
            }
    if hasattr(frame, "to_frame") and not hasattr(frame, "columns"):
        raise FrameError(
            f"A {type(frame).__name__} is not a frame.", mend="Return a frame, for instance with to_frame()."
        )
    try:
        return as_arrow(frame)
    except (OverflowError, TypeError, ValueError) as failure:
        problem = f"{type(failure).__name__}: {failure}".encode("utf-8", "backslashreplace").decode()
        raise FrameError("The frame cannot be told in Arrow's types.", culprits=[Culprit(problem=problem)]) from failure


def _of_pandas(frame: Any) -> pa.Table | Mapping[str, Any]:
    names = [str(name) for name in frame.columns]
    _refuse_names(names)
    odd = [place for place in range(len(names)) if _is_odd(frame.iloc[:, place])]
    if not odd:
        try:
            return as_arrow(frame).rename_columns(names)
        except _UNFIT:
            pass
    return {name: _column(frame.iloc[:, place], odd=place in odd) for place, name in enumerate(names)}


def _refuse_names(names: Sequence[str]) -> None:
    culprits = []
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            culprits.append(Culprit(where=f"column {name!a}", problem=f"stands {names.count(name)} times."))
        try:
            name.encode()
        except UnicodeEncodeError:
            culprits.append(
                Culprit(where=f"column {name!a}", problem="has a lone surrogate, which is no Unicode text.")
            )
    if culprits:
        raise FrameError(
            "The frame has columns whose names cannot be used.", culprits=culprits, mend="Rename or drop them."
        )


def _is_odd(column: Any) -> bool:
    """Whether Arrow would make other values of a pandas column than are in it."""
    if str(column.dtype).startswith("Sparse"):
        return True
    if column.dtype != object:
        return False
    kinds = {kind for kind in set(map(type, column.to_numpy())) if kind.__name__ not in _MISSING}
    if len(kinds) <= 1:
        return any(issubclass(kind, (set, frozenset)) or _is_moment(kind) for kind in kinds) and _is_mixed(
            column, kinds
        )
    return {kind.__name__ for kind in kinds} not in _HARMLESS


def _is_moment(kind: type) -> bool:
    return issubclass(kind, dt.datetime)


def _is_mixed(column: Any, kinds: set[type]) -> bool:
    if not all(map(_is_moment, kinds)):
        return True
    return len({value.tzinfo is None for value in column.dropna()}) > 1


def _column(column: Any, *, odd: bool) -> Any:
    if not odd:
        try:
            return pa.array(column, from_pandas=True)
        except _UNFIT:
            pass
    return column.tolist()

"""The DuckDB side: one scan that counts, and one that marks the rows of what failed.

Each audit has the connection of its own thread, in memory, into which the frame is registered under a fixed name and
columns under numbers: no name and no value of a user ever stands in a statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dagster_sluice.gates.duckdb.columns import Kind, Source
from dagster_sluice.gates.duckdb.rules import Flags, Sql
from dagster_sluice.gates.duckdb.session import registered

__all__ = ["Scan"]

_FRAME = "judged_frame"


class Scan:
    """Conditions on one frame.

    Args:
        source: The frame.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def counts(self, conditions: Sequence[Sql]) -> list[int]:
        """For how many rows each condition is true, all in one scan."""
        if not conditions or not self._source.rows:
            return [0] * len(conditions)
        with self._registered(conditions) as (connection, alias, relation):
            counted = ", ".join(f"count_if({self._text(condition, alias)})" for condition in conditions)
            statement = f"SELECT {counted} FROM {relation}"  # noqa: S608 (aliases and question marks only)
            rows = connection.execute(statement, _parameters(conditions)).fetchall()
        # Where a condition is NULL in every row, some versions count NULL.
        return [int(count or 0) for count in rows[0]]

    def marks(self, conditions: Sequence[Sql]) -> list[Flags]:
        """For each condition the rows for which it is true, all in one scan."""
        marked = [np.zeros(self._source.rows, dtype=bool) for _ in conditions]
        if not conditions or not self._source.rows:
            return marked
        with self._registered(conditions, numbered=True) as (connection, alias, relation):
            shown = ", ".join(
                f"coalesce({self._text(condition, alias)}, FALSE) AS m{position}"
                for position, condition in enumerate(conditions)
            )
            statement = f"SELECT row_number_, {shown} FROM {relation}"  # noqa: S608 (as above)
            found = connection.execute(statement, _parameters(conditions)).fetchnumpy()
        # A set may be judged by a join, which does not keep the order of the rows.
        order = found["row_number_"]
        for position, flags in enumerate(marked):
            flags[order] = found[f"m{position}"]
        return marked

    def hashes(self, columns: Sequence[str]) -> npt.NDArray[np.uint64]:
        """One hash per row over several columns; rows with equal values have equal hashes, NULL equals NULL."""
        if not self._source.rows:
            return np.empty(0, dtype=np.uint64)
        every = Sql(text=", ".join(f"{{{position}}}" for position in range(len(columns))), columns=tuple(columns))
        with self._registered([every], numbered=True) as (connection, alias, relation):
            statement = f"SELECT row_number_, hash({self._text(every, alias)}) AS h FROM {relation}"  # noqa: S608
            found = connection.execute(statement).fetchnumpy()
        ordered = np.empty(self._source.rows, dtype=np.uint64)
        ordered[found["row_number_"]] = found["h"]
        return ordered

    @contextmanager
    def _registered(
        self, conditions: Sequence[Sql], *, numbered: bool = False
    ) -> Iterator[tuple[Any, dict[str, str], str]]:
        names = dict.fromkeys(name for condition in conditions for name in condition.columns)
        alias = {name: f"c{position}" for position, name in enumerate(names)}
        arrays: dict[str, Any] = {alias[name]: self._source.scanned(name) for name in names}
        if numbered or not arrays:
            arrays["row_number_"] = pa.array(np.arange(self._source.rows, dtype=np.int64))
        with registered(_FRAME, pa.table(arrays)) as connection:
            yield connection, alias, self._relation(alias, numbered=numbered)

    def _relation(self, alias: dict[str, str], *, numbered: bool) -> str:
        """The frame, with NaN as NULL and single floats as doubles, as pandas compares them."""
        shown = ["row_number_"] if numbered else []
        changed = False
        for name, short in alias.items():
            column = self._source.column(name)
            text = short
            if column.kind is Kind.FLOAT and column.dtype.itemsize == 4:
                text = f"CAST({text} AS DOUBLE)"
            if column.kind is Kind.FLOAT and column.nulls:
                text = f"nullif({text}, 'NaN'::DOUBLE)"
            changed = changed or text != short
            shown.append(f"{text} AS {short}")
        return f"(SELECT {', '.join(shown)} FROM {_FRAME})" if changed else _FRAME  # noqa: S608 (aliases only)

    @staticmethod
    def _text(condition: Sql, alias: dict[str, str]) -> str:
        return condition.text.format(*(alias[name] for name in condition.columns))


def _parameters(conditions: Sequence[Sql]) -> list[Any]:
    return [value for condition in conditions for value in condition.parameters]

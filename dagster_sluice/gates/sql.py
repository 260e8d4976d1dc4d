"""Expectations in SQL, judged by DuckDB on the batch alone. Great Expectations has none of them on pandas.

NULL is unknown, and what is unknown is no failure, as in a CHECK constraint. NaN is NULL, as everywhere in a gate.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dagster_sluice.contracts import Expectation
from dagster_sluice.contracts.own import IN_SQL
from dagster_sluice.contracts.sql import BATCH, NUMBERED, ROW, BadSql, first_line, read_condition, read_query, sandbox
from dagster_sluice.errors import Culprit, ExpectationError, FrameError
from dagster_sluice.gates.duckdb.results import LISTED, between, mapped, mostly_holds
from dagster_sluice.gates.frames import as_arrow
from dagster_sluice.gates.verdict import ExpectationResult

__all__ = ["judge", "read"]

Rows: TypeAlias = npt.NDArray[np.int64]
Resolved: TypeAlias = Sequence[tuple[Expectation, Mapping[str, Any]]]
Judged: TypeAlias = tuple[dict[int, ExpectationResult], dict[int, Rows], int]


def read(resolved: Resolved) -> dict[int, Any]:
    """The statements of the expectations that are in SQL, by index.

    Raises:
        ExpectationError: Some cannot be run, whatever the frame; all of them are named.
    """
    found: dict[int, Any] = {}
    culprits: list[Culprit] = []
    for index, (expectation, kwargs) in enumerate(resolved):
        if expectation.type not in IN_SQL:
            continue
        try:
            found[index] = _statement(expectation.type, kwargs)
        except BadSql as wrong:
            culprits.append(
                Culprit(
                    where=expectation.name,
                    file=expectation.file,
                    line=expectation.line,
                    problem=f"{expectation.type}: {wrong}",
                    mend=wrong.mend,
                )
            )
    if culprits:
        raise ExpectationError("Expectations in SQL cannot be judged.", culprits=culprits)
    return found


def _statement(kind: str, kwargs: Mapping[str, Any]) -> Any:
    argument = {"expect_rows_to_satisfy": "condition", "unexpected_rows_expectation": "unexpected_rows_query"}.get(
        kind, "query"
    )
    text = kwargs.get(argument)
    if not isinstance(text, str):
        raise BadSql(f"`{argument}` is no text.")
    if argument == "condition":
        _arguments(kwargs, {"condition", "mostly"})
        mostly = kwargs.get("mostly", 1)
        if isinstance(mostly, bool) or not isinstance(mostly, (int, float)) or not 0 <= mostly <= 1:
            raise BadSql("`mostly` is no number from 0 to 1.")
        return read_condition(text)
    if argument == "query":
        _arguments(kwargs, {"query", "min_value", "max_value", "strict_min", "strict_max", "outside"})
        bounds = [kwargs[name] for name in ("min_value", "max_value") if kwargs.get(name) is not None]
        if not bounds or any(isinstance(bound, bool) or not isinstance(bound, (int, float)) for bound in bounds):
            raise BadSql("`min_value` or `max_value` must be given, as numbers.")
        return read_query(text)
    # Great Expectations takes these of each of its own; they say how to report, not what to judge.
    _arguments(kwargs, {"unexpected_rows_query", "result_format", "catch_exceptions", "batch_id"})
    return read_query(text, formatted=True)


def _arguments(kwargs: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(kwargs) - known)
    if unknown:
        raise BadSql(f"It takes no `{'`, `'.join(unknown)}`.")


def judge(frame: Any, resolved: Resolved, statements: Mapping[int, Any], timezone: str) -> Judged:
    """Judge a frame by the expectations that are in SQL.

    Args:
        frame: As for ``audit``.
        resolved: Every expectation.
        statements: As `read` gives them.
        timezone: In which a moment has a date.

    Returns:
        The results and the positions of failing rows, by index, and the number of rows.
    """
    batch, left_out = _batch(frame)
    results: dict[int, ExpectationResult] = {}
    failing: dict[int, Rows] = {}
    with _registered(batch, timezone) as connection:
        for index, statement in statements.items():
            expectation, kwargs = resolved[index]
            started = time.perf_counter()
            rows: Rows = np.empty(0, dtype=np.int64)
            details: dict[str, Any] = {}
            try:
                if (twin := _twins(batch.column_names)) is not None:
                    raise BadSql(f"SQL cannot tell these columns apart: {twin}.")  # noqa: TRY301 (told as any other)
                judged = _JUDGES.get(expectation.type, _value)
                success, details, rows = judged(connection, batch, statement, kwargs)
                error = None
            except BadSql as wrong:
                success, error = False, str(wrong).rstrip(".")
            except _duckdb_error() as failure:
                success, error = False, first_line(failure).rstrip(".") + _absent(failure, left_out)
            results[index] = ExpectationResult.of(
                expectation,
                kwargs,
                details,
                success=success,
                engine="duckdb",
                error=error,
                seconds=time.perf_counter() - started,
            )
            if len(rows) and error is None:
                failing[index] = rows
    return results, failing, batch.num_rows


def _duckdb_error() -> type[Exception]:
    import duckdb

    return duckdb.Error


def _absent(failure: Exception, left_out: Mapping[str, str]) -> str:
    named = [name for name in left_out if f'"{name}"' in str(failure)]
    return f"; column {named[0]!r} cannot be told in SQL's types: {left_out[named[0]]}" if named else ""


def _batch(frame: Any) -> tuple[pa.Table, dict[str, str]]:
    """The frame for SQL, and the columns that Arrow cannot carry, with why."""
    left_out: dict[str, str] = {}
    try:
        table = as_arrow(frame)
    except FrameError:
        if not hasattr(frame, "columns") or type(frame).__module__.split(".")[0] != "pandas":
            raise
        arrays: dict[str, Any] = {}
        for name in frame.columns:
            try:
                arrays[str(name)] = pa.array(frame[name], from_pandas=True)
            except (pa.ArrowException, UnicodeError, TypeError, ValueError) as failure:
                left_out[str(name)] = str(failure).splitlines()[0].encode("utf-8", "backslashreplace").decode()
        table = pa.table(arrays) if arrays else _bare(len(frame))
    for position, field in enumerate(table.schema):
        if pa.types.is_floating(field.type) and not pa.types.is_float16(field.type):
            column: Any = table.column(position)
            missing: Any = pc.is_nan(column)
            if pc.any(missing).as_py():
                table = table.set_column(position, field.name, pc.if_else(missing, None, column))
    return _readable(table, left_out), left_out


def _readable(table: pa.Table, left_out: dict[str, str]) -> pa.Table:
    """The columns of types that DuckDB reads; the others are added to what is left out."""
    connection = sandbox().cursor()

    def refused(part: pa.Table) -> str | None:
        try:
            connection.register(BATCH, part)
        except _duckdb_error() as failure:
            return first_line(failure).rstrip(".")
        return None

    try:
        if refused(table) is None:
            return table
        for name in table.column_names:
            if (reason := refused(table.select([name]))) is not None:
                left_out[name] = reason
    finally:
        connection.close()
    kept = [name for name in table.column_names if name not in left_out]
    return table.select(kept) if kept else _bare(table.num_rows)


def _bare(rows: int) -> pa.Table:
    """So many rows of which nothing can be said."""
    return pa.table({"_": pa.nulls(rows)})


def _twins(names: Sequence[str]) -> str | None:
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            return f"{seen[name.lower()]!r} and {name!r}"
        seen[name.lower()] = name
    return None


@contextmanager
def _registered(batch: pa.Table, timezone: str) -> Iterator[Any]:
    connection = sandbox(timezone).cursor()
    try:
        connection.register(BATCH, batch)
        connection.register(NUMBERED, batch.append_column(ROW, pa.array(np.arange(batch.num_rows, dtype=np.int64))))
        yield connection
    finally:
        connection.close()


def _rows_satisfy(
    connection: Any, batch: pa.Table, statement: Any, kwargs: Mapping[str, Any]
) -> tuple[bool, dict[str, Any], Rows]:
    found = connection.sql(
        f"SELECT {ROW}, held FROM ({statement.text}) WHERE held IS DISTINCT FROM TRUE"  # noqa: S608 (made from its tree)
    ).to_arrow_table()
    failed: Any = pc.equal(found.column("held"), pa.scalar(False))
    rows = np.sort(np.asarray(found.column(ROW).filter(pc.fill_null(failed, False)).to_numpy(), dtype=np.int64))
    judged = batch.num_rows - found.column("held").null_count
    details = mapped(
        rows=batch.num_rows, judged=judged, unexpected=len(rows), values=_records(batch, statement, rows[:LISTED])
    )
    return mostly_holds(judged, len(rows), float(kwargs.get("mostly", 1))), details, rows


def _unexpected_rows(
    connection: Any, batch: pa.Table, statement: Any, kwargs: Mapping[str, Any]
) -> tuple[bool, dict[str, Any], Rows]:
    del kwargs
    numbers: Any = None if statement.rows is None else connection.sql(statement.rows).to_arrow_table().column(0)
    if numbers is None or numbers.null_count:
        # An outer join may give a row that none of the batch stands behind.
        found = connection.sql(statement.text).to_arrow_table()
        listed = found.slice(0, LISTED).to_pylist()
        details = {"observed_value": found.num_rows, "details": {"unexpected_rows": listed}}
        return found.num_rows == 0, details, np.empty(0, np.int64)
    rows = np.unique(np.asarray(numbers.to_numpy(), dtype=np.int64))
    values = _records(batch, statement, rows[:LISTED])
    details = mapped(rows=batch.num_rows, judged=batch.num_rows, unexpected=len(rows), values=values)
    details |= {"observed_value": len(numbers), "details": {"unexpected_rows": values}}
    return not len(numbers), details, rows


def _value(
    connection: Any, batch: pa.Table, statement: Any, kwargs: Mapping[str, Any]
) -> tuple[bool, dict[str, Any], Rows]:
    del batch
    found = connection.execute(statement.text).fetchmany(2)
    if len(found) != 1 or len(found[0]) != 1:
        shape = "no row" if not found else "more than one row" if len(found) > 1 else f"{len(found[0])} columns"
        raise BadSql(f"The query gives {shape}, not one value.")
    value = found[0][0]
    if value is not None and (isinstance(value, bool) or not hasattr(value, "__float__")):
        raise BadSql(f"The query gives a {type(value).__name__}, not a number.")
    if value is not None and not isinstance(value, (int, float)):
        value = float(value)
    success, details = between(
        value,
        kwargs.get("min_value"),
        kwargs.get("max_value"),
        strict_low=bool(kwargs.get("strict_min")),
        strict_high=bool(kwargs.get("strict_max")),
    )
    if kwargs.get("outside") and details["observed_value"] is not None:
        success = not success
    return success, details, np.empty(0, np.int64)


_JUDGES: Mapping[str, Any] = {
    "expect_rows_to_satisfy": _rows_satisfy,
    "expect_query_value_to_be_between": _value,
    "unexpected_rows_expectation": _unexpected_rows,
}


def _records(batch: pa.Table, statement: Any, rows: Rows) -> list[dict[str, Any]]:
    """The rows, by the columns that the statement names; by all, if it may look at any."""
    if not len(rows):
        return []
    named = [name for name in batch.column_names if statement.columns is None or _names(statement.columns, name)]
    listed: list[dict[str, Any]] = (
        batch.select(named or batch.column_names).take(pa.array(rows, pa.int64())).to_pylist()
    )
    return listed


def _names(columns: frozenset[str], name: str) -> bool:
    return name.lower() in {column.lower() for column in columns}

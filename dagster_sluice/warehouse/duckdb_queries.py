"""SELECTs that people wrote, with DuckDB's message where one is wrong. The file is open for reading only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dagster_sluice.errors import FrameError
from dagster_sluice.warehouse.selects import Select

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["query"]

_LINE = re.compile(r"\n\s*LINE (\d+):")


def query(
    connection: duckdb.DuckDBPyConnection, select: Select, parameters: Mapping[str, Any], timezone: str
) -> pa.Table:
    """The rows of a SELECT.

    Args:
        connection: To a file that is open for reading only.
        select: The statement.
        parameters: A value for each of its parameters.
        timezone: The session's.

    Raises:
        QueryError: DuckDB refuses the statement.
        FrameError: A value cannot be computed.
    """
    import duckdb

    text = select.bound(lambda _, name: f"${name}")
    values = {name: parameters[name] for name in select.parameters}
    # A name that is none of a zone does not come into the text.
    connection.execute(f"SET SESSION TimeZone = '{ZoneInfo(timezone).key}'")
    try:
        # Only so does DuckDB say in which line a mistake is.
        connection.execute(f"EXPLAIN {text}", values or None)
        found: pa.Table = connection.sql(text, params=values or None).to_arrow_table()
    except duckdb.Error as failure:
        message = str(failure)
        told = _LINE.search(message)
        if isinstance(failure, duckdb.DataError):
            raise FrameError(
                f"The SQL of {select.label} cannot be computed: {' '.join(_LINE.split(message)[0].split())}"
            ) from failure
        if isinstance(failure, (duckdb.OperationalError, duckdb.InternalError)):
            raise
        raise select.refused(_LINE.split(message)[0], int(told[1]) if told else None) from failure
    return found

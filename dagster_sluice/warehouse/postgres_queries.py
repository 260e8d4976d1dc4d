"""SELECTs that people wrote: read-only, with bound parameters, and with Postgres's message where one is wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dagster_sluice.errors import FrameError
from dagster_sluice.warehouse.postgres_shape import identifier
from dagster_sluice.warehouse.selects import Select

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_manager import dbapi

__all__ = ["query"]

# Lost connections, shutdowns, full disks, cancelled statements, locks: not the statement's fault.
_ELSEWHERE = ("08", "28", "3D", "40", "53", "55", "57", "58")


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "bigint"),
    (float, "double precision"),
    (dt.date, "date"),
)


def query(cursor: dbapi.Cursor, select: Select, parameters: Mapping[str, Any], timezone: str) -> pa.Table:
    """The rows of a SELECT.

    Args:
        cursor: At the start of a transaction.
        select: The statement.
        parameters: A value for each of its parameters.
        timezone: The session's, for this transaction.

    Raises:
        QueryError: Postgres refuses the statement.
        FrameError: A value cannot be computed.
    """
    import pyarrow as pa
    from adbc_driver_manager import dbapi

    cursor.execute("SET TRANSACTION READ ONLY")
    cursor.execute("SELECT set_config('TimeZone', $1, true)", parameters=[timezone])
    cursor.fetchall()
    bound = {name: _bound(parameters[name]) for name in select.parameters}
    text = select.bound(lambda place, name: f"(${place + 1}::{bound[name][1]})")
    values = pa.record_batch({name: pa.array([value]) for name, (value, _) in bound.items()}) if bound else None
    try:
        cursor.execute(_carried(cursor, text), parameters=values)
        return cursor.fetch_arrow_table()
    except dbapi.Error as failure:
        state = str(failure.sqlstate or "")
        if not state or state.startswith(_ELSEWHERE):
            raise
        message, position = _told(failure)
        if state.startswith("22"):
            raise FrameError(f"The SQL of {select.label} cannot be computed: {message}.") from failure
        line = text.count("\n", 0, position - 1) + 1 if position else None
        raise select.refused(message, line) from failure


def _bound(value: Any) -> tuple[Any, str]:
    """A value as it is sent, and the type it is given in the statement."""
    if isinstance(value, dt.datetime):
        # As text: the driver sets the session's clock to UTC where it binds a moment.
        return value.isoformat(), "timestamptz"
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return value, name
    return str(value), "numeric" if isinstance(value, Decimal) else "text"


def _carried(cursor: dbapi.Cursor, text: str) -> str:
    """The statement, with text in place of what the driver cannot carry; see `dagster_sluice.warehouse.postgres_exact`."""
    fields = list(cursor.adbc_execute_schema(text))
    names = [field.name for field in fields]
    columns = [_column(field) for field in fields]
    if len(set(names)) < len(names) or columns == [identifier(name) for name in names]:
        return text
    return f"SELECT {', '.join(columns)} FROM (\n{text}\n) AS asked"


def _column(field: pa.Field[Any]) -> str:
    import pyarrow as pa

    kind: Any = field.type
    column = identifier(field.name)
    native = (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
    if native == "bpchar":
        return f"{column}::text AS {column}"
    if pa.types.is_list(kind) and _strange(kind.value_type, numeric=True):
        return f"to_jsonb({column})::text AS {column}"
    if native == "money" or _strange(kind, numeric=False):
        return f"CASE WHEN {column} IS NOT NULL THEN format('%s', {column}) END AS {column}"
    return column


def _strange(kind: Any, *, numeric: bool) -> bool:
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "arrow.opaque":
        return numeric or not pa.types.is_string(kind.storage_type)
    return bool(pa.types.is_interval(kind))


def _told(failure: Exception) -> tuple[str, int]:
    """Postgres's own message, and the character of the statement (from 1) that it is about; 0 for none."""
    details: dict[str, bytes] = {str(_text(key)): value for key, value in getattr(failure, "details", None) or ()}
    message = _text(details.get("PG_DIAG_MESSAGE_PRIMARY", str(failure)))
    hint = _text(details.get("PG_DIAG_MESSAGE_HINT", ""))
    position = _text(details.get("PG_DIAG_STATEMENT_POSITION", "0"))
    return f"{message}{f' ({hint})' if hint else ''}", int(position)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

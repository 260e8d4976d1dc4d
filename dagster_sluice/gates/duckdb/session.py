"""Each thread's own DuckDB, in memory: connecting to a new one costs more than a small audit."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["registered"]

_OWN = threading.local()


@contextmanager
def registered(name: str, table: Any) -> Iterator[Any]:
    """The thread's connection, in which an Arrow table has this name for the time being."""
    connection = _connection()
    connection.register(name, table)
    try:
        yield connection
    finally:
        connection.unregister(name)


def _connection() -> Any:
    import duckdb

    # A forked child makes a new one.
    if getattr(_OWN, "process", None) != os.getpid():
        _OWN.connection = duckdb.connect(":memory:")
        _OWN.process = os.getpid()
    return _OWN.connection

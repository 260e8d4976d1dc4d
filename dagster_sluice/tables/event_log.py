"""Dagster's event log within a step of many events: one open connection, where its Postgres storage opens one per query.

An event of a check costs six connections there, some 20 ms, and a step over a range yields thousands; here it costs 2.
Dagster's web server keeps its connections for itself, too (``optimize_for_webserver``). The private names this takes are pinned in
``tests/upstream/test_dagster_event_storage.py``; where a release changes them, events are stored as before.
"""

# ruff: noqa: SLF001 - the one place that reaches into Dagster's storage

from __future__ import annotations

import functools
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

__all__ = ["open_event_log"]


@contextmanager
def open_event_log(instance: dg.DagsterInstance) -> Iterator[None]:
    """Keep a connection to the event log open meanwhile, if it is in Postgres.

    A connection that was lost is replaced before it is used, so that a restart of the server between two events is
    survived as well as with none kept. The server does not wait for its disk after each event, but once, at the end: if
    the server itself crashes before, Dagster may not know of what was published in the second before, as it may not know
    after the kill of a step. The warehouse does, and the partition's next run tells it.
    """
    storage = _postgres(instance)
    if storage is None:
        yield
        return
    before = storage._engine
    kept = _pooled(storage)
    storage._engine = kept
    # Asked before each event of a check. A table that is there is not dropped under a running step.
    storage.has_table = functools.cache(storage.has_table)
    try:
        yield
        _flush(kept)
    finally:
        storage._engine = before
        del storage.has_table
        kept.dispose()


def _flush(engine: Any) -> None:
    """Commit once as usual: what was committed before it is on disk then too."""
    from sqlalchemy import text

    with engine.connect() as connection:
        connection.execute(text("SET synchronous_commit TO on"))
        # Only a transaction that wrote something waits for the disk.
        connection.execute(text("SELECT pg_logical_emit_message(true, 'dagster-sluice', '')"))


def _postgres(instance: dg.DagsterInstance) -> Any:
    """The event log's storage, if it is Dagster's own in Postgres and keeps no connection."""
    module = sys.modules.get("dagster_postgres.event_log.event_log")
    if module is None:
        return None
    from sqlalchemy.pool import NullPool

    storage: Any = instance.event_log_storage
    known = isinstance(storage, module.PostgresEventLogStorage) and {"_engine", "_token_provider"} <= {*vars(storage)}
    return storage if known and isinstance(storage._engine.pool, NullPool) else None


def _pooled(storage: Any) -> Any:
    from dagster_postgres.utils import create_pg_engine
    from sqlalchemy import event
    from sqlalchemy.exc import DisconnectionError
    from sqlalchemy.pool import QueuePool

    engine = create_pg_engine(
        storage.postgres_url,
        storage._token_provider,
        isolation_level="AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=-1,
    )

    def answer_at_once(connection: Any, *_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit TO off")

    def refuse_lost(connection: Any, *_: Any) -> None:
        # A server that ends a connection says so on it. To ask it each time would cost a quarter of an event.
        if connection.closed or select.select([connection.fileno()], [], [], 0)[0]:
            raise DisconnectionError

    event.listen(engine, "connect", answer_at_once)
    event.listen(engine, "checkout", refuse_lost)
    return engine

"""The file of a DuckDB warehouse: opened for one operation and closed again, waited for while others have it.

DuckDB gives a file to one process that writes or to several that only read. Nobody here keeps it for longer than one
operation takes, and whoever finds it taken tries again until it is free; decision 11 says why.

DuckDB's lock is one of the process, which loses it if it opens and closes the file by any other way, even to read a byte.
So nothing here does.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.failpoints import failpoint
from dagster_sluice.warehouse.duckdb_errors import foreign, is_taken, taken, translate, unreachable
from dagster_sluice.warehouse.statements import statements

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["SCHEME", "DuckDBFile", "ask", "run", "send"]

SCHEME = "duckdb"
_EXAMPLE = "duckdb:////data/warehouse.duckdb"
_LOCK_TIMEOUT = 60.0
_CONFIG: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": False}
"""Nothing is fetched from elsewhere because a contract names a type, or a file is one of SQLite."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1

_turns: dict[str, threading.Lock] = {}
_turns_lock = threading.Lock()


def _forget_turns() -> None:
    """A forked child has none of the threads that hold a turn."""
    global _turns_lock  # noqa: PLW0603
    _turns_lock = threading.Lock()
    _turns.clear()


os.register_at_fork(after_in_child=_forget_turns)


class DuckDBFile:
    """One DuckDB file.

    Args:
        url: ``duckdb:///relative/path`` or ``duckdb:////absolute/path``, as SQLAlchemy writes them, with
            ``?lock_timeout=SECONDS`` where 60 do not suit.

    Raises:
        SettingError: That is no such URL, or the database would be in memory.
    """

    def __init__(self, url: str) -> None:
        self.path, self.lock_timeout = _read_url(url)

    @property
    def exists(self) -> bool:
        """Whether the file is there. If not, the first write makes it.

        Raises:
            DatabaseUnreachable: Neither is it there nor could it be.
        """
        try:
            self.path.lstat()
        except OSError as failure:
            if isinstance(failure, FileNotFoundError) and self.path.parent.is_dir():
                return False
            raise unreachable(self.path, failure) from failure
        return True

    @contextlib.contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A snapshot of the file.

        Raises:
            DatabaseUnreachable: The file cannot be opened, or others have it for longer than ``lock_timeout``.
        """
        with self._connected(read_only=True) as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction: committed if the block ends well, else undone. Nobody else has the file meanwhile.

        Raises:
            DatabaseUnreachable: The file cannot be opened, or others have it for longer than ``lock_timeout``.
        """
        if not self.exists:
            self._create()
        with self._connected(read_only=False) as connection:
            yield connection
            failpoint("bulk.before_commit")
            connection.commit()
            failpoint("bulk.committed")

    @contextlib.contextmanager
    def _connected(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        import duckdb

        until = time.monotonic() + self.lock_timeout
        turn = self._turn()
        if not turn.acquire(timeout=self.lock_timeout):
            raise taken(self.path, self.lock_timeout, "another thread of this process is at work in it.")
        try:
            # To close the connection undoes what is not committed.
            with contextlib.closing(self._open(until, read_only=read_only)) as connection:
                if not ask(connection, "queries", "is_file"):
                    # A Parquet file, for instance, which DuckDB opens as a view in memory.
                    raise foreign(self.path)
                connection.execute("SET SESSION TimeZone = 'UTC'")
                connection.begin()
                yield connection
        except duckdb.Error as failure:
            translate(self.path, failure)
        finally:
            turn.release()

    def _turn(self) -> threading.Lock:
        """One operation at a time within this process: DuckDB refuses to open a file both for reading and for writing."""
        with _turns_lock:
            return _turns.setdefault(str(self.path), threading.Lock())

    def _open(self, until: float, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        import duckdb

        pause = _FIRST_PAUSE
        while True:
            try:
                return _connect(self.path, read_only=read_only)
            except duckdb.Error as failure:
                if not is_taken(failure):
                    raise unreachable(self.path, failure) from failure
                left = until - time.monotonic()
                if left <= 0:
                    raise taken(self.path, self.lock_timeout, str(failure)) from failure
                # Of several that wait, none shall always come just too late.
                time.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311
                pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _create(self) -> None:
        """Make the file whole or not at all: DuckDB takes half a header for a foreign file, for ever."""
        import duckdb

        made = self.path.with_name(f".{self.path.name[:200]}.{secrets.token_hex(4)}.new")
        try:
            duckdb.connect(str(made)).close()
            with contextlib.suppress(FileExistsError):
                os.link(made, self.path)
        except (duckdb.Error, OSError) as failure:
            raise unreachable(self.path, failure) from failure
        finally:
            made.unlink(missing_ok=True)


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Open the file. Where this process has it open already, as a user's code may, only the same settings are let in."""
    import duckdb

    for others_read_only in (True, False) if read_only else (False,):
        for config in (_CONFIG, None):
            with contextlib.suppress(duckdb.ConnectionException):
                return duckdb.connect(str(path), read_only=others_read_only, config=config or {})
    return duckdb.connect(str(path))


def _read_url(url: str) -> tuple[Path, float]:
    def wrong(problem: str, mend: str = f"Write {_EXAMPLE}.") -> SettingError:
        return SettingError(
            "The URL of the DuckDB warehouse cannot be used.", culprits=[Culprit(where=url, problem=problem)], mend=mend
        )

    head, _, query = url.strip().partition("?")
    scheme, colon, place = head.partition("://")
    if not colon or scheme.lower() != SCHEME:
        raise wrong(f"does not begin with {SCHEME}://.")
    if place.strip("/") in ("", ":memory:"):
        raise wrong(
            "names no file, and a database in memory is one that no other process can see.",
            f"Name a file: {_EXAMPLE}.",
        )
    if not place.startswith("/"):
        raise wrong(
            "has two slashes, after which comes a host.",
            f"Write {SCHEME}:///{place} for a path from the working directory, {SCHEME}:////… for an absolute one.",
        )
    name = unquote(place[1:])
    if "\0" in name or name.endswith("/"):
        raise wrong("names no file.")
    seconds = _LOCK_TIMEOUT
    for option, value in parse_qsl(query, keep_blank_values=True):
        if option != "lock_timeout":
            raise wrong(f"has an option {option!r}, and the only one there is is lock_timeout.")
        if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value):
            raise wrong(f"has a lock_timeout of {value!r}, which is no number of seconds.")
        seconds = float(value)
    # One spelling for one file: DuckDB tells by that whether this process has it open already.
    return Path(os.path.realpath(name)), seconds


def send(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    """Make a temporary table of these rows; it lasts to the end of the connection."""
    connection.register("sluice_sent", table)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM sluice_sent")
    connection.unregister("sluice_sent")


def run(connection: duckdb.DuckDBPyConnection, file: str, name: str, **names: str) -> None:
    """Run a statement of an SQL file, with quoted identifiers in its places."""
    connection.execute(_text(file, name, names))


def ask(
    connection: duckdb.DuckDBPyConnection,
    file: str,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    **names: str,
) -> list[tuple[Any, ...]]:
    """Run a statement of an SQL file with bound parameters, and return its rows."""
    found = connection.sql(_text(file, name, names), params=dict(parameters or {})).to_arrow_table()
    return list(zip(*(column.to_pylist() for column in found.columns), strict=True))


def _text(file: str, name: str, names: Mapping[str, str]) -> str:
    # In one pass, because a name may look like a placeholder itself.
    return re.sub(r"\{(\w+)\}", lambda found: names[found[1]], statements("duckdb", file)[name])

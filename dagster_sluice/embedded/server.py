"""A private PostgreSQL server per checkout, shared by its processes, started on first need, stopped by the last user.

Who is alive is asked of the kernel, by three locks in the server's directory:

- ``start.lock``, exclusive, while somebody decides to start or stop the server;
- ``users.lock``, shared, by every process that uses the server: whoever can make it exclusive was the last one;
- ``server.lock``, exclusive, by the server itself: the descriptor is handed to the postmaster and inherited by all
  its processes, so it is free only when the last of them is gone, whatever killed them.
"""

# ruff: noqa: SLF001 - the hooks of the process look into every leased server

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from dagster_sluice.embedded.cluster import FAST_STOP_SECONDS, PORT, Cluster, take
from dagster_sluice.embedded.data import DATABASE, USER
from dagster_sluice.embedded.home import sluice_home
from dagster_sluice.embedded.locks import FileLock, close_inherited
from dagster_sluice.embedded.program import account_for
from dagster_sluice.errors import EmbeddedServerError, SluiceError

__all__ = ["EmbeddedPostgres", "ServerStatus"]

_logger = logging.getLogger(__name__)

_DECIDE_SECONDS = 150.0


@dataclass(frozen=True, kw_only=True)
class ServerStatus:
    """What there is to know about an embedded server at one moment.

    Attributes:
        running: Whether the server answers.
        pid: Process id of the postmaster, if it runs.
        since: When it was started, in UTC, if it runs.
        directory: Where it keeps its data, log and locks.
        kept: Whether it was asked to stay after its last user (:meth:`EmbeddedPostgres.keep_running`).
        in_use: Whether any process, this one included, holds a lease on it.
        version: Major version of the data, such as ``"18"``; ``None`` where there is no data yet.
    """

    running: bool
    pid: int | None
    since: datetime | None
    directory: Path
    kept: bool
    in_use: bool
    version: str | None


class EmbeddedPostgres:
    """The private server of one directory, and this process's use of it.

    A process that uses the server holds a lease. The first lease starts the server (creating its data first where
    there is none) and the last one that ends stops it. A lease also ends when its process does, however it dies.
    A forked child does not inherit its parent's lease.

    Args:
        directory: Holds data, log and locks; ``sluice_home() / "postgres"`` by default. Made on first start.

    Raises:
        SettingError: No directory was given and the default one cannot be used.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = (sluice_home() / "postgres" if directory is None else directory).resolve()
        self._cluster = Cluster(self.directory)
        self._mutex = threading.RLock()
        self._users: FileLock | None = None
        self._is_held = False
        self._depth = 0

    def __repr__(self) -> str:
        return f"EmbeddedPostgres({str(self.directory)!r})"

    # -- using it

    def acquire(self) -> None:
        """Takes a lease until :meth:`release` or the end of the process, and makes sure that the server runs.

        Taking it twice is taking it once; the server is looked after each time, and started again if it was killed.

        Raises:
            EmbeddedServerError: The server cannot be created or started.
        """
        with self._mutex:
            self._join()
            self._is_held = True

    def release(self) -> None:
        """Ends the lease of :meth:`acquire`; without one, does nothing. The last user of the server stops it."""
        with self._mutex:
            self._is_held = False
            self._leave()

    @contextlib.contextmanager
    def lease(self) -> Iterator[EmbeddedPostgres]:
        """Uses the server for the length of a ``with`` block. May be nested.

        Raises:
            EmbeddedServerError: The server cannot be created or started.
        """
        with self._mutex:
            self._join()
            self._depth += 1
        pid = os.getpid()
        try:
            yield self
        finally:
            # A child that was forked inside the block leaves it too, and has no lease to end.
            if os.getpid() == pid:
                with self._mutex:
                    self._depth -= 1
                    self._leave()

    def keep_running(self) -> None:
        """Starts the server if need be, and lets it run on after its last user, until :meth:`stop`.

        Raises:
            EmbeddedServerError: The server cannot be created or started.
        """
        with self.lease(), self._deciding():
            self._keep.touch()

    def stop(self) -> None:
        """Stops the server, even if other processes use it, and forgets :meth:`keep_running`.

        Raises:
            EmbeddedServerError: The server cannot be stopped.
        """
        if not self.directory.is_dir():
            return
        with self._mutex, self._deciding():
            self._keep.unlink(missing_ok=True)
            self._cluster.shut_down()

    def status(self) -> ServerStatus:
        """What there is to know about the server now. Starts and changes nothing."""
        postmaster = self._cluster.running()
        return ServerStatus(
            running=postmaster is not None,
            pid=postmaster.pid if postmaster else None,
            since=postmaster.since if postmaster else None,
            directory=self.directory,
            kept=self._keep.exists(),
            in_use=postmaster is not None and self._is_in_use(),
            version=self._cluster.version(),
        )

    def url(self, database: str = DATABASE, driver: str | None = None) -> str:
        """The URL of a database of this server. Does not start it.

        Args:
            database: Name of the database; ``sluice`` exists from the start.
            driver: Python driver for SQLAlchemy, such as ``psycopg2``; ``None`` for the plain URL that libpq reads.
        """
        postmaster = self._cluster.running()
        directory = postmaster.socket_directory if postmaster else self._cluster.socket_directory()
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        # The port names the socket file; without it, a PGPORT in the environment would.
        return f"{scheme}://{USER}@/{quote(database, safe='')}?host={quote(str(directory))}&port={PORT}"

    # -- leases

    @property
    def _keep(self) -> Path:
        return self.directory / "keep"

    @contextlib.contextmanager
    def _deciding(self, timeout: float = _DECIDE_SECONDS) -> Iterator[None]:
        """Holds ``start.lock``."""
        owner = account_for(self.directory).owner
        deadline = time.monotonic() + timeout
        while True:
            lock = FileLock(self.directory / "start.lock", owner=owner)
            try:
                if not lock.lock(timeout=max(0.0, deadline - time.monotonic())):
                    raise EmbeddedServerError(
                        f"Another process has been starting or stopping the server in {self.directory}"
                        f" for {timeout:.0f} seconds.",
                        mend="Wait for it, or end that process.",
                    )
                # Somebody may have deleted the directory while we waited for a lock in it.
                if lock.is_current():
                    yield
                    return
            finally:
                lock.close()

    def _join(self) -> None:
        if self._users is not None and not self._users.is_current():
            self._users.close()
            self._users = None
        if self._users is not None and self._cluster.running() is not None:
            return
        account = self._cluster.prepare()
        with self._deciding():
            users = self._users or FileLock(self.directory / "users.lock", owner=account.owner)
            try:
                take(users, shared=True)
                self._cluster.ensure_running(account)
            except BaseException:
                # Ctrl-C while it starts, too: nobody would stop a server that has no user.
                self._users = None
                with contextlib.suppress(SluiceError):
                    if users.try_lock() and not self._keep.exists():
                        self._cluster.shut_down()
                users.close()
                raise
            self._users = users
            _leased.add(self)

    def _leave(self, timeout: float = _DECIDE_SECONDS) -> None:
        users = self._users
        if users is None or self._is_held or self._depth:
            return
        self._users = None
        _leased.discard(self)
        try:
            # In a directory that was deleted and made anew, the server is no longer ours to stop.
            if users.is_current():
                with self._deciding(timeout):
                    if not self._keep.exists() and users.try_lock():
                        self._cluster.shut_down()
        finally:
            users.close()

    def _is_in_use(self) -> bool:
        if self._users is not None:
            return True
        with contextlib.suppress(EmbeddedServerError), self._deciding(timeout=0.5):
            users = FileLock(self.directory / "users.lock", owner=account_for(self.directory).owner)
            try:
                return not users.try_lock()
            finally:
                users.close()
        return True

    @staticmethod
    def _leave_all() -> None:
        """At the end of the process."""
        for server in list(_leased):
            server._is_held, server._depth = False, 0
            try:
                server._leave(timeout=FAST_STOP_SECONDS)
            except SluiceError as error:
                _logger.warning("%s", error)

    @staticmethod
    def _after_fork() -> None:
        """In a forked child, which has no lease, and none of the threads that may have held a mutex."""
        close_inherited()
        for server in list(_leased):
            server._mutex = threading.RLock()
            server._users, server._is_held, server._depth = None, False, 0
        _leased.clear()


_leased: set[EmbeddedPostgres] = set()

atexit.register(EmbeddedPostgres._leave_all)
os.register_at_fork(after_in_child=EmbeddedPostgres._after_fork)

"""The PostgreSQL server of one directory: its data, its process, its socket; made, started and ended.

Whoever calls what starts or ends it holds ``start.lock`` (see ``server.py``). Whether anything of a server is alive is
asked of the kernel: ``server.lock`` is handed to the postmaster as a descriptor and inherited by all its processes, so it
is free only when the last of them is gone, whatever killed them.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from dagster_sluice.embedded.data import create_data
from dagster_sluice.embedded.locks import FileLock, is_locked
from dagster_sluice.embedded.processes import is_postgres, is_postgres_in, postgres_in
from dagster_sluice.embedded.program import (
    MAJOR_VERSION,
    Account,
    account_for,
    environment,
    give,
    grant_access,
    programs,
    switch,
)
from dagster_sluice.errors import EmbeddedServerError

__all__ = ["FAST_STOP_SECONDS", "PORT", "START_SECONDS", "Cluster", "Postmaster", "take"]

_logger = logging.getLogger(__name__)

PORT = 5432
# The shortest limit of the systems we run on is that of macOS: 104 bytes with the closing zero.
_SOCKET_PATH_BYTES = 103

START_SECONDS = 120.0
FAST_STOP_SECONDS = 30.0
_ORPHAN_SECONDS = 3.0
_HARD_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.01


@dataclass(frozen=True, kw_only=True)
class Postmaster:
    """What ``postmaster.pid`` says, which may be stale."""

    pid: int
    since: datetime
    socket_directory: Path
    is_ready: bool

    @classmethod
    def read(cls, data: Path) -> Postmaster | None:
        """What the file in a data directory says; ``None`` where there is none, or only half of one."""
        try:
            lines = (data / "postmaster.pid").read_text(errors="replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise EmbeddedServerError(
                f"The embedded Postgres in {data.parent} cannot be looked at: {error.strerror}.",
                mend="Use it as the user that made it, or set SLUICE_HOME to another directory.",
            ) from error
        # The server writes the file line by line while it starts.
        try:
            return cls(
                pid=int(lines[0]),
                since=datetime.fromtimestamp(int(lines[2]), tz=timezone.utc),
                socket_directory=Path(lines[4].strip()),
                is_ready=lines[7].strip() == "ready",
            )
        except (IndexError, ValueError):
            return None


class Cluster:
    """The server of one directory.

    Args:
        directory: Holds its data, log and lock.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _start_log(self) -> Path:
        return self.directory / "start.log"

    @property
    def _server_lock(self) -> Path:
        return self.directory / "server.lock"

    @property
    def _hashed_name(self) -> str:
        return f"sluice-{hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]}"

    def socket_directory(self) -> Path:
        """The server's own directory, unless its path is too long for a socket or cannot stand in a URL's host."""
        candidates = [self.directory, Path(tempfile.gettempdir()) / self._hashed_name, Path("/tmp") / self._hashed_name]  # noqa: S108 - checked before use
        for candidate in candidates:
            fits = len(os.fsencode(candidate / f".s.PGSQL.{PORT}")) <= _SOCKET_PATH_BYTES
            # libpq reads a comma as several hosts, SQLAlchemy a colon as a port.
            if fits and not set(str(candidate)) & set(",:\n\"'\\"):
                return candidate
        raise EmbeddedServerError(
            f"No directory has a path short enough for a socket; tried {', '.join(map(str, candidates))}.",
            mend="Set TMPDIR to a short path.",
        )

    def version(self) -> str | None:
        """Major version of the data; ``None`` where there is none yet."""
        try:
            return (self._data / "PG_VERSION").read_text().strip()
        except OSError:
            return None

    def running(self) -> Postmaster | None:
        """The running server, if it is ours and answers."""
        postmaster = Postmaster.read(self._data)
        if postmaster is None or not postmaster.is_ready or not self._answers(postmaster):
            return None
        if is_locked(self._server_lock) or is_postgres_in(postmaster.pid, self._data):
            return postmaster
        return None

    def _answers(self, postmaster: Postmaster) -> bool:
        # After a move or copy the file names the socket of the old place, where by now another server may be.
        if postmaster.socket_directory != self.directory and postmaster.socket_directory.name != self._hashed_name:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5.0)
            try:
                client.connect(str(postmaster.socket_directory / f".s.PGSQL.{PORT}"))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except OSError:
                # A full backlog or a missing right: somebody is there.
                return True
        return True

    def prepare(self) -> Account:
        """Makes the directory, and says as which user the server runs."""
        try:
            account = account_for(self.directory)
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.directory.stat()
            if account.is_other and found.st_uid != account.uid:
                os.chown(self.directory, *account.owner)
            if stat.S_IMODE(found.st_mode) & 0o077 and (account.is_other or found.st_uid == account.uid):
                self.directory.chmod(0o700)
            if not os.access(self.directory, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(0, f"this user (id {os.geteuid()}) cannot write to it")
        except OSError as error:
            raise EmbeddedServerError(
                f"The embedded Postgres cannot keep its data in {self.directory}: {error.strerror or error}.",
                mend="Set SLUICE_HOME to a directory that this user can write to.",
            ) from error
        return account

    def ensure_running(self, account: Account) -> None:
        """Starts the server unless it runs; ends what is left of a killed one first."""
        begun = time.monotonic()
        while True:
            if self.running() is not None:
                return
            postmaster = Postmaster.read(self._data)
            if not is_locked(self._server_lock):
                if postmaster is not None and is_postgres_in(postmaster.pid, self._data):
                    # Started by hand with pg_ctl, on a socket that we do not know.
                    self.shut_down()
                self._start(account)
                return
            # The server is starting or stopping, or what is left of a killed one is going down.
            waited = time.monotonic() - begun
            if postmaster is not None and is_postgres(postmaster.pid):
                if postmaster.is_ready and not self._answers(postmaster):
                    self.shut_down()
            elif not self._data.exists() or waited > _ORPHAN_SECONDS:
                self._end_orphans()
            if waited > START_SECONDS:
                raise EmbeddedServerError(
                    f"The server in {self.directory} has been neither ready nor gone for {waited:.0f} seconds.",
                    mend=f"Read its log in {self.directory / 'log'}; after a crash it may need more time.",
                )
            time.sleep(_POLL_SECONDS)

    def _start(self, account: Account) -> None:
        bin_path = programs()
        grant_access(account, bin_path, self.directory)
        lock = FileLock(self._server_lock, owner=account.owner)
        try:
            take(lock)
            self._ensure_data(account, bin_path, lock)
            socket_directory = self._ensure_socket_directory(account)
            # We hold the server's lock, so whatever these files say, their server is gone. Postgres would believe
            # a stale pid that another program has by now.
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            for leftover in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
                (socket_directory / leftover).unlink(missing_ok=True)
            self._spawn(account, bin_path, lock, socket_directory)
        except OSError as error:
            raise EmbeddedServerError(
                f"The embedded Postgres in {self.directory} cannot be started: {error}.",
                mend="Mend the cause, or set SLUICE_HOME to another directory.",
            ) from error
        finally:
            lock.close()
        self._await_ready()

    def _spawn(self, account: Account, bin_path: Path, lock: FileLock, socket_directory: Path) -> None:
        log = self.directory / "log"
        log.mkdir(mode=0o700, exist_ok=True)
        give(log, account)
        quoted = '"' + str(socket_directory).replace('"', '""') + '"'
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": quoted,
            "unix_socket_permissions": "0700",
            "logging_collector": "on",
            "log_directory": str(log),
            # One file per day of the week, overwritten a week later.
            "log_filename": "postgres-%a.log",
            "log_truncate_on_rotation": "on",
            "log_rotation_age": "1d",
            "log_rotation_size": "0",
        }
        command = [str(bin_path / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self._start_log.open("wb") as output:
            # The shell leaves at once, so the server is no child of ours: neither a zombie when it ends, nor found
            # by those who wait for "any child". Its own session keeps Ctrl-C away from it.
            subprocess.run(
                ["/bin/sh", "-c", '"$@" &', "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.directory,
                env=environment(),
                start_new_session=True,
                pass_fds=(lock.fileno(),),
                check=True,
                **switch(account),
            )

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.running() is None:
            if not is_locked(self._server_lock):
                raise EmbeddedServerError(
                    f"The embedded Postgres in {self.directory} ended while it started. Its last words:\n"
                    + self._last_words(),
                    mend="Mend the cause, or move that directory away to begin with an empty database.",
                )
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"The embedded Postgres in {self.directory} is not ready after {START_SECONDS:.0f} seconds."
                    f" Its last words:\n{self._last_words()}",
                    mend="After a crash it may need more time: try again.",
                )
            time.sleep(_POLL_SECONDS)

    def _last_words(self) -> str:
        logs = sorted((self.directory / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)[-1:]
        lines: list[str] = []
        for path in (self._start_log, *logs):
            with contextlib.suppress(OSError):
                lines += path.read_text(errors="replace").splitlines()[-8:]
        return "\n".join(f"    {line}" for line in lines) or "    (none)"

    def _ensure_socket_directory(self, account: Account) -> Path:
        directory = self.socket_directory()
        if directory == self.directory:
            return directory
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
        # The name can be guessed, and the temporary directory is everybody's.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), account.uid):
            raise EmbeddedServerError(
                f"The directory for the server's socket, {directory}, belongs to somebody else.",
                mend="Remove it, or set TMPDIR to a directory of your own.",
            )
        if found.st_uid != account.uid:
            os.chown(directory, *account.owner, follow_symlinks=False)
        directory.chmod(0o700)
        grant_access(account, programs(), directory)
        return directory

    def _ensure_data(self, account: Account, bin_path: Path, lock: FileLock) -> None:
        version = self.version()
        if version is None:
            # A server whose data was deleted lives on for up to a minute, and takes the new socket along when it goes.
            self._end_orphans()
            if self._data.is_dir() and not any(self._data.iterdir()):
                self._data.rmdir()
            if self._data.exists():
                raise EmbeddedServerError(
                    f"{self._data} holds files but no PostgreSQL data (PG_VERSION is missing).",
                    mend="Restore it, or move it away to begin with an empty database.",
                )
            create_data(self._data, account=account, bin_path=bin_path, lock=lock)
        elif version != str(MAJOR_VERSION):
            raise EmbeddedServerError(
                f"{self._data} was made by PostgreSQL {version}; this release runs PostgreSQL {MAJOR_VERSION}.",
                mend=f"Dump it with PostgreSQL {version} (pg_dumpall) and load it into a new directory, or move it"
                " away to begin with an empty database.",
            )
        found = self._data.stat()
        if found.st_uid != account.uid:
            # A copy made by root belongs to root.
            give(self._data, account)
        if stat.S_IMODE(found.st_mode) & 0o027:
            self._data.chmod(0o700)

    def shut_down(self) -> None:
        """Stops the server if it runs, as ``pg_ctl stop -m fast`` does; ``start.lock`` is held."""
        postmaster = Postmaster.read(self._data)
        pid = postmaster.pid if postmaster is not None else 0
        if not pid or not is_postgres(pid) or not (is_locked(self._server_lock) or is_postgres_in(pid, self._data)):
            if is_locked(self._server_lock):
                self._end_orphans()
            return
        for number, seconds in ((signal.SIGINT, FAST_STOP_SECONDS), (signal.SIGQUIT, _HARD_STOP_SECONDS)):
            _send([pid], number)
            if self._is_gone([pid], seconds):
                if postmaster is not None and postmaster.socket_directory.name == self._hashed_name:
                    with contextlib.suppress(OSError):
                        postmaster.socket_directory.rmdir()
                return
        raise EmbeddedServerError(
            f"The server in {self.directory} (process {pid}) does not stop.",
            mend=f"Read its log in {self.directory / 'log'}.",
        )

    def _end_orphans(self) -> None:
        """Ends server processes that have lost their postmaster or their data, so that nothing of theirs is lost."""
        for number, seconds in ((signal.SIGQUIT, _ORPHAN_SECONDS), (signal.SIGKILL, _HARD_STOP_SECONDS)):
            orphans = postgres_in(self._data)
            if not orphans:
                return
            _logger.warning("Ending processes of a killed server in %s: %s", self.directory, orphans)
            _send(orphans, number)
            deadline = time.monotonic() + seconds
            while postgres_in(self._data) and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)

    def _is_gone(self, pids: Sequence[int], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while is_locked(self._server_lock) or any(is_postgres_in(pid, self._data) for pid in pids):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def take(lock: FileLock, *, shared: bool = False) -> None:
    """Takes a lock that only a foreign program could hold for long."""
    if not lock.lock(shared=shared, timeout=START_SECONDS):
        raise EmbeddedServerError(f"{lock.path} is held by another program.", mend="End the program that holds it.")


def _send(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
        except PermissionError as error:
            raise EmbeddedServerError(
                f"The server process {pid} belongs to another user.", mend="Stop it as the user that started it."
            ) from error

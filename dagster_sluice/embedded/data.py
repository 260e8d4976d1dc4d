"""The making of a server's data directory: complete or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dagster_sluice.embedded.locks import FileLock
from dagster_sluice.embedded.program import Account, check_known, environment, switch
from dagster_sluice.errors import EmbeddedServerError
from dagster_sluice.failpoints import failpoint

DATABASE = "sluice"
USER = "postgres"

_PROGRAM_SECONDS = 120.0

_INITIAL_SETTINGS = {
    "shared_buffers": "128MB",
    # Dagster opens a few connections per run, step and daemon thread.
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %q%d ",
}


def create_data(data: Path, *, account: Account, bin_path: Path, lock: FileLock) -> None:
    """Makes the data beside its place and moves it there when it is complete, database included.

    Args:
        data: Where the data shall be; its directory exists.
        account: The user that the server runs as.
        bin_path: The directory with the programs.
        lock: The lock of the server, held, for the programs to hold too.

    Raises:
        EmbeddedServerError: A program failed; the message has its last words. Nothing is left behind.
    """
    directory = data.parent
    check_known(account)
    for leftover in directory.glob("init-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    made = directory / f"init-{secrets.token_hex(4)}"
    made.mkdir(mode=0o700)
    try:
        if account.is_other:
            os.chown(made, *account.owner)
        initdb = str(bin_path / "initdb")
        settings = [part for name, value in _INITIAL_SETTINGS.items() for part in ("--set", f"{name}={value}")]
        _run(
            [initdb, "-D", str(made), "--username", USER, "--auth-local", "trust", "--auth-host", "reject",
             # The builtin provider needs no locale of the system.
             "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
             "--no-sync", "--no-instructions", *settings],
            directory, account, lock,
        )  # fmt: skip
        _run(
            [str(bin_path / "postgres"), "--single", "-F", "-c", "exit_on_error=true", "-D", str(made), "postgres"],
            directory,
            account,
            lock,
            text=f"CREATE DATABASE {DATABASE};\n",
        )
        _run([initdb, "--sync-only", "-D", str(made)], directory, account, lock)
        failpoint("server.data_made")
        made.rename(data)
        _sync(directory)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _run(command: Sequence[str], directory: Path, account: Account, lock: FileLock, *, text: str = "") -> None:
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=directory,
            env=environment(),
            start_new_session=True,
            # If we are killed, whoever comes next waits until this one is gone.
            pass_fds=(lock.fileno(),),
            **switch(account),
        )
        try:
            failpoint("server.program_started")
            process.communicate(text.encode(), timeout=_PROGRAM_SECONDS)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise EmbeddedServerError(
                    f"{command[0]} did not end within {_PROGRAM_SECONDS:.0f} seconds.",
                    mend="The machine or its disk may be overloaded: try again.",
                ) from error
            raise
        if process.returncode != 0:
            output.seek(0)
            words = output.read().decode(errors="replace").splitlines()[-8:]
            raise EmbeddedServerError(
                f"The embedded Postgres in {directory} cannot be created:"
                f" {Path(command[0]).name} ended with {process.returncode}. Its last words:\n"
                + "\n".join(f"    {line}" for line in words),
                mend="Mend the cause (a full disk?), or set SLUICE_HOME to another directory.",
            )

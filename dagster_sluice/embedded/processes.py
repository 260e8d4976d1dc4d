"""Which Postgres processes work in a data directory, asked of the kernel and not of a pid file.

A pid file may be stale, copied along with its directory, or name a pid that another program has by now.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_PROC = Path("/proc")


def is_postgres(pid: int) -> bool:
    """Whether ``pid`` is a living process (no zombie) of a Postgres server."""
    if _has_proc():
        try:
            stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
        except OSError:
            return False
        name, _, rest = stat.partition("(")[2].rpartition(")")
        return name == "postgres" and rest.split()[0] not in "ZX"
    return pid in _listed()


def is_postgres_in(pid: int, data: Path) -> bool:
    """Whether ``pid`` is a process of a Postgres server that works in ``data``."""
    if not is_postgres(pid):
        return False
    if not _has_proc():
        return _names(_listed()[pid], data)
    process = _PROC / str(pid)
    try:
        # The link is followed by inode, so this holds when the directory was moved under a running server.
        there = (process / "cwd").stat()
    except PermissionError:
        # Root without CAP_SYS_PTRACE, as in most containers: the command line still tells.
        return _names(_command(pid), data)
    except OSError:
        return False
    try:
        here = data.stat()
    except OSError:
        return _is_deleted(process, data)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) or _is_deleted(process, data)


def postgres_in(data: Path) -> list[int]:
    """The processes of Postgres servers that work in ``data``, or did until somebody deleted it."""
    if not _has_proc():
        return [pid for pid, command in _listed().items() if _names(command, data)]
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())
    return [pid for pid in pids if is_postgres_in(pid, data)]


def _has_proc() -> bool:
    return (_PROC / "self" / "stat").exists()


def _is_deleted(process: Path, data: Path) -> bool:
    try:
        return (process / "cwd").readlink() == Path(f"{data} (deleted)")
    except OSError:
        return False


def _command(pid: int) -> str:
    try:
        return " ".join(os.fsdecode(part) for part in (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0"))
    except OSError:
        return ""


def _names(command: str, data: Path) -> bool:
    return f" -D {data} " in f"{command} "


def _listed() -> dict[int, str]:
    """Where there is no /proc (macOS): pid -> command line of every living Postgres process."""
    listing = subprocess.run(
        ["ps", "-axo", "pid=,state=,command="], capture_output=True, text=True, errors="replace", check=False
    ).stdout
    found = {}
    for line in listing.splitlines():
        pid, state, command = (*line.split(None, 2), "", "", "")[:3]
        program = command.split(" -D ")[0].split(":")[0]
        if pid.isdecimal() and not state.startswith("Z") and Path(program).name == "postgres":
            found[int(pid)] = command
    return found

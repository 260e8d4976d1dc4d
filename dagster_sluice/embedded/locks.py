"""File locks that the kernel frees when their holder dies, however it dies.

``flock`` is used and not a file of process ids: a process killed with SIGKILL leaves no lock behind, process ids that
are used again cannot lie, and a copied or deleted directory has other inodes and so other locks.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from dagster_sluice.errors import EmbeddedServerError

_POLL_SECONDS = 0.02
_held: set[int] = set()


class FileLock:
    """An open lock file that may hold a shared or an exclusive lock.

    Closed on exec, so that child programs do not hold it by accident; :meth:`fileno` can be passed on on purpose.

    Args:
        path: The lock file; made when it is missing.
        owner: User and group id that the file shall belong to when we are root.

    Raises:
        EmbeddedServerError: The file cannot be opened for writing.
    """

    def __init__(self, path: Path, *, owner: tuple[int, int] | None = None) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise EmbeddedServerError(
                f"The lock file {path} cannot be opened: {error.strerror}.",
                mend="Make the directory writable for this user, or set SLUICE_HOME to one that is.",
            ) from error
        _held.add(self._fd)
        if owner is not None and os.geteuid() == 0 and os.fstat(self._fd).st_uid != owner[0]:
            os.fchown(self._fd, *owner)

    def fileno(self) -> int:
        """The file descriptor, for a child process that shall hold the lock too."""
        return self._fd

    def is_current(self) -> bool:
        """Whether the path still names this file: false once the directory was deleted or swapped."""
        try:
            there, here = self.path.stat(), os.fstat(self._fd)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def try_lock(self, *, shared: bool = False) -> bool:
        """Takes the lock, or changes its kind, without waiting. A change that fails loses the lock that was held."""
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lock(self, *, shared: bool = False, timeout: float) -> bool:
        """Takes the lock, waiting at most ``timeout`` seconds. Returns whether it was taken."""
        deadline = time.monotonic() + timeout
        while not self.try_lock(shared=shared):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def close(self) -> None:
        """Lets go. A child process that was given the descriptor still holds the lock."""
        if self._fd in _held:
            _held.discard(self._fd)
            os.close(self._fd)


def is_locked(path: Path) -> bool:
    """Whether somebody holds an exclusive lock on ``path``. A missing file is not locked."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise EmbeddedServerError(
            f"The lock file {path} cannot be read: {error.strerror}.",
            mend="Use the same user that made it, or set SLUICE_HOME to another directory.",
        ) from error
    try:
        # Shared, so that two who only look do not see each other.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def close_inherited() -> None:
    """In a forked child: closes the parent's lock files. Closing a copy leaves the parent's locks as they are."""
    for fd in _held:
        os.close(fd)
    _held.clear()

"""Where a checkout keeps what it makes at run time: the embedded server, logs, local files."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dagster_sluice.errors import SettingError

_TOOL_DG = re.compile(r"^\s*\[\s*tool\s*\.\s*dg\s*[.\]]", re.MULTILINE)


def sluice_home() -> Path:
    """The directory for run-time files, made on first use.

    ``$SLUICE_HOME`` if it is set, else ``.sluice`` in the project: the working directory or its nearest parent that
    holds a ``workspace.yaml``, or a ``pyproject.toml`` with a ``[tool.dg]`` table; else in the working directory.
    A directory that is made here ignores itself for git.

    Returns:
        An absolute path that exists and can be written to.

    Raises:
        SettingError: The directory cannot be made or written to.
    """
    named = os.environ.get("SLUICE_HOME", "").strip()
    home = Path(named).expanduser().absolute() if named else _project_root(Path.cwd()) / ".sluice"
    where = "SLUICE_HOME" if named else "the directory for run-time files (SLUICE_HOME is not set)"
    try:
        is_new = not home.exists()
        home.mkdir(parents=True, exist_ok=True)
        # A directory that the user made and named may be a repository: only what is ours ignores itself.
        if (is_new or not named) and not (home / ".gitignore").exists():
            (home / ".gitignore").write_text("*\n")
    except OSError as error:
        raise _unusable(home, where, error.strerror or str(error)) from error
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise _unusable(home, where, "it cannot be written to")
    return home


def _unusable(home: Path, where: str, cause: str) -> SettingError:
    return SettingError(
        f"{home} cannot be used as {where}: {cause}.",
        mend="Set SLUICE_HOME to a directory that this user can write to.",
    )


def _project_root(start: Path) -> Path:
    for directory in (start, *start.parents):
        if (directory / "workspace.yaml").is_file() or _has_dg_table(directory / "pyproject.toml"):
            return directory
    return start


def _has_dg_table(file: Path) -> bool:
    try:
        return _TOOL_DG.search(file.read_text(encoding="utf-8", errors="replace")) is not None
    except OSError:
        return False

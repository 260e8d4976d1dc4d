"""Errors of DuckDB in our words."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NoReturn

from dagster_sluice.errors import DatabaseUnreachable, PublishError

__all__ = ["foreign", "is_taken", "taken", "translate", "unreachable"]

_MEND = "Correct the path in SLUICE_WAREHOUSE_URL, or what it names."
_FOREIGN = ("not a valid DuckDB database file", "existing extension", "in-memory database in read-only mode")
"""How DuckDB says so of any file, of one of SQLite, and of one of Parquet."""
_HOLDER = re.compile(r"Conflicting lock is held in (?P<program>.*?)\s*\(PID (?P<pid>\d+)\)")


def is_taken(failure: Exception) -> bool:
    """Whether somebody else has the file, so that it is worth waiting for."""
    text = str(failure)
    return "Could not set lock on file" in text or "with a different configuration" in text


def taken(path: Path, seconds: float, told: str) -> DatabaseUnreachable:
    """Who has the file, as far as DuckDB says."""
    holder = _HOLDER.search(told)
    if holder:
        who = f"process {holder['pid']} ({holder['program']}) has it open."
    elif "with a different configuration" in told:
        who = "this process itself has it open with other settings."
    else:
        who = _one_line(told)
    return DatabaseUnreachable(
        f"The DuckDB warehouse {path} was not free within {seconds:g} seconds: {who}",
        mend="Close it there, or wait longer with ?lock_timeout=SECONDS at the end of its URL.",
    )


def foreign(path: Path) -> DatabaseUnreachable:
    """What is said of a file of others."""
    return DatabaseUnreachable(f"The DuckDB warehouse {path} cannot be opened: it is not a DuckDB file.", mend=_MEND)


def unreachable(path: Path, failure: Exception) -> DatabaseUnreachable:
    """Why the file cannot be opened, or not be made."""
    text = _one_line(str(failure))
    mend = _MEND
    if not os.path.isdir(path.parent):  # noqa: PTH112 (Path.is_dir raises where a name is too long)
        why, mend = f"there is no directory {path.parent}.", "Create it, or correct the path."
    elif os.path.isdir(path):  # noqa: PTH112
        why, mend = "it is a directory.", "Name a file in it."
    elif any(words in text for words in _FOREIGN):
        return foreign(path)
    elif "we can only read" in text:
        age = "an older" if "an older" in text else "a newer"
        why = f"{age} DuckDB made it than this one can read. {text.split('. See')[0]}"
        mend = "Install the DuckDB that made it, or export and import the database with that."
    else:
        why = text
    return DatabaseUnreachable(f"The DuckDB warehouse {path} cannot be opened: {why}", mend=mend)


def translate(path: Path, failure: Exception) -> NoReturn:
    """An error of an operation in our words."""
    import duckdb

    text = _one_line(str(failure))
    if isinstance(failure, duckdb.TransactionException) and "onflict" in text:
        raise PublishError(f"Another transaction stood in the way: {text}", mend="Run it again.") from failure
    if isinstance(failure, (duckdb.DataError, duckdb.IntegrityError)):
        raise PublishError(
            f"DuckDB refused a value: {text}", mend="Correct the column's type in the contract, or the value."
        ) from failure
    if isinstance(failure, (duckdb.OperationalError, duckdb.InternalError)):
        raise DatabaseUnreachable(
            f"The DuckDB warehouse {path} failed: {text}", mend="Mend the cause (a full disk?) and run it again."
        ) from failure
    raise PublishError(f"DuckDB refused: {text}") from failure


def _one_line(text: str) -> str:
    """Without the statement that DuckDB quotes below its message."""
    return " ".join(re.split(r"\n\s*LINE \d+:", text)[0].split())

"""Errors of ADBC and psycopg in our words."""

from __future__ import annotations

from typing import NoReturn

from dagster_sluice.errors import DatabaseUnreachable, PublishError, SluiceError

__all__ = ["translate"]

_UNREADABLE = ("percent-encoded", " URI", "connection info string", "for connection option")


def translate(url: str, failure: Exception) -> NoReturn:
    """An error of ADBC or psycopg in our words, by its SQLSTATE class (Postgres manual, appendix A)."""
    state = str(getattr(failure, "sqlstate", None) or "")
    text = " ".join(str(failure).split())
    if state[:2] == "40" or state == "55P03":
        raise PublishError(f"Another transaction stood in the way: {text}", mend="Run it again.") from failure
    if state[:2] == "22":
        raise PublishError(
            f"Postgres refused a value: {text}", mend="Correct the column's type in the contract, or the value."
        ) from failure
    if not state or state[:2] in ("08", "57", "53", "28", "3D"):
        raise _unreachable(url, failure) from failure
    raise PublishError(f"Postgres refused: {text}") from failure


def _unreachable(url: str, failure: Exception) -> SluiceError:
    from dagster_sluice.embedded import redact

    text = " ".join(str(failure).split())
    # libpq quotes what it cannot read of a URL, and that may be the password.
    if any(words in text for words in _UNREADABLE):
        text = "the URL cannot be read."
    return DatabaseUnreachable(
        f"The warehouse at {redact(url)} does not answer: {text}",
        mend="Start it, or correct SLUICE_DATABASE_URL; `sluice doctor` tells more.",
    )

"""Errors of ADBC and psycopg in our words."""

from __future__ import annotations

from typing import NoReturn

from dagster_sluice.errors import DatabaseUnreachable, OutcomeUnknown, PublishError, SluiceError

__all__ = ["translate"]

_UNREADABLE = ("percent-encoded", " URI", "connection info string", "for connection option")


def translate(url: str, failure: Exception, *, committing: bool = False) -> NoReturn:
    """An error of ADBC or psycopg in our words, by its SQLSTATE class (Postgres manual, appendix A).

    With ``committing`` a commit had been sent: if the connection is lost then, nobody here knows what became of it.
    """
    state = str(getattr(failure, "sqlstate", None) or "")
    # The driver repeats the statement, which is ours and tells a reader nothing.
    text = " ".join(str(failure).partition("Query was:")[0].split())
    if committing and (not state or state[:2] == "08" or state[:3] == "57P"):
        raise _unknown(url, text) from failure
    if state[:2] == "40" or state == "55P03":
        raise PublishError(f"Another transaction stood in the way: {text}", mend="Run it again.") from failure
    import psycopg

    # The driver itself refuses what cannot be bound, such as text with a NUL.
    if state[:2] == "22" or (not state and isinstance(failure, psycopg.DataError)):
        raise PublishError(
            f"Postgres refused a value: {text}", mend="Correct the column's type in the contract, or the value."
        ) from failure
    if not state or state[:2] in ("08", "57", "53", "28", "3D"):
        raise _unreachable(url, failure) from failure
    raise PublishError(f"Postgres refused: {text}") from failure


def _unknown(url: str, text: str) -> SluiceError:
    from dagster_sluice.embedded import redact

    return OutcomeUnknown(
        f"The warehouse at {redact(url)} was lost while a change was being committed, and it is not known whether the"
        f" change took place: {text}",
        mend="It took place wholly or not at all. Run it again: what was committed counts, what was not is done then.",
    )


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

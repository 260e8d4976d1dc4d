"""Every error that dagster-sluice raises, in one tree.

::

    SluiceError
    ├── SettingError            a setting (environment variable, option, file) is wrong
    ├── DatabaseUnreachable     the database in the settings does not answer
    │   └── OutcomeUnknown      it was lost during a commit, and nobody knows whether that took place
    ├── EmbeddedServerError     the private Postgres cannot be made or started
    ├── ContractError           one or more contracts are wrong; every culprit with file, line, column
    ├── ExpectationError        expectations that cannot be judged as written; every culprit
    ├── EngineDisagreement      two engines judge one batch differently; every difference
    ├── FrameError              a frame that cannot be judged or published at all
    ├── TableError              a table declared wrongly, or asked for and not there
    ├── QueryError              SQL that is refused; with its file and line
    └── PublishError            a publish that was refused; nothing has changed

An error says **what** is wrong, **which** culprits, and **what to do**. It takes its culprits as data, builds its
own message, and survives pickling, because errors cross process borders in Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "ContractError",
    "Culprit",
    "DatabaseUnreachable",
    "EmbeddedServerError",
    "EngineDisagreement",
    "ExpectationError",
    "FrameError",
    "OutcomeUnknown",
    "PublishError",
    "QueryError",
    "SettingError",
    "SluiceError",
    "TableError",
]


@dataclass(frozen=True, kw_only=True)
class Culprit:
    """One place that is wrong.

    Attributes:
        problem: What is wrong there, one sentence.
        mend: What to do about it, one sentence; empty where the problem says it.
        file: The file it stands in, if any.
        line: Line in ``file``, counted from 1.
        column: Column in that line, counted from 1.
        where: A place that is not in a file: a setting, a table, an expectation.
    """

    problem: str
    mend: str = ""
    file: Path | None = None
    line: int | None = None
    column: int | None = None
    where: str | None = None

    def __str__(self) -> str:
        place = str(self.file) if self.file is not None else ""
        if place and self.line is not None:
            place += f":{self.line}"
            if self.column is not None:
                place += f":{self.column}"
        if self.where:
            place = f"{place} ({self.where})" if place else self.where
        text = f"{place}: {self.problem}" if place else self.problem
        return f"{text} {self.mend}" if self.mend else text


def _rebuild(cls: type[SluiceError], what: str, culprits: tuple[Culprit, ...], mend: str) -> SluiceError:
    return cls(what, culprits=culprits, mend=mend)


class SluiceError(Exception):
    """The root: catch this to catch everything the package raises on purpose.

    Args:
        what: What went wrong, one sentence.
        culprits: Each place that is wrong; all of them, not the first.
        mend: What to do, one sentence.
    """

    def __init__(self, what: str, *, culprits: Sequence[Culprit] = (), mend: str = "") -> None:
        self.what = what
        self.culprits = tuple(culprits)
        self.mend = mend
        lines = [what, *(f"  - {culprit}" for culprit in self.culprits)]
        if mend:
            lines.append(mend)
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.what, self.culprits, self.mend)


class SettingError(SluiceError):
    """A setting is missing or wrong: an environment variable, an option, a path."""


class DatabaseUnreachable(SluiceError):  # noqa: N818 (it says what is, as httpx names its errors)
    """The database that the settings name does not answer, or refuses us."""


class OutcomeUnknown(DatabaseUnreachable):
    """The database was lost while a change was being committed. It took place wholly or not at all; a rerun settles it."""


class EmbeddedServerError(SluiceError):
    """The private Postgres cannot be created, started or stopped."""


class ContractError(SluiceError):
    """One or more contracts are wrong. Carries every culprit, each with file, line and column."""


class ExpectationError(SluiceError):
    """Expectations that cannot be judged as written: unknown type, wrong arguments, or an engine that lacks them."""


class EngineDisagreement(SluiceError):  # noqa: N818 (it says what is; neither engine has failed)
    """Two engines judge one batch differently, which they are proven not to. Carries every difference."""


class FrameError(SluiceError):
    """A frame that cannot be judged or published at all, such as one with a column missing."""


class TableError(SluiceError):
    """A table that is declared wrongly, or asked for and not there."""


class QueryError(SluiceError):
    """SQL that is refused, by us or by the database. Carries its place and the database's message."""


class PublishError(SluiceError):
    """A publish that was refused. Nothing has changed in the warehouse."""

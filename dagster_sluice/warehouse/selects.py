"""A SELECT that a person wrote, with parameters in braces: ``WHERE day = {partition}``.

The text is looked at only as far as it must be to tell code from quotes and comments; what it means, the database says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from dagster_sluice.errors import Culprit, QueryError

__all__ = ["Select", "read_select"]

_PIECES = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<quoted> (?:\b[eE])?'(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z) )
    | (?P<parameter> \{[ ]*(?P<name>[^\W\d]\w*)[ ]*\} )
    | (?P<end> ; )
    | (?P<word> [\w.]+ )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_FIRST = {"select", "with", "values", "table"}
_NAME = re.compile(r"\{[ ]*([^\W\d]\w*)[ ]*\}")


@dataclass(frozen=True, kw_only=True)
class Select:
    """One statement that reads.

    Attributes:
        text: As it was written, without what follows its end.
        parameters: The names that stand in braces in it, each once, in order.
        file: Where it stands, if in a file.
        label: What it is the SELECT of, for messages.
    """

    text: str
    parameters: tuple[str, ...]
    file: Path | None
    label: str

    def bound(self, mark: Callable[[int, str], str]) -> str:
        """The text as a database takes it.

        Args:
            mark: What stands for a parameter: by its place among `parameters`, from 0, and its name.
        """
        return "".join(
            mark(self.parameters.index(found["name"]), found["name"]) if found["parameter"] else found[0]
            for found in _pieces(self.text)
        )

    def refused(self, message: str, line: int | None) -> QueryError:
        """The error that a database's message becomes, at its line (from 1)."""
        return _error(self.label, self.file, line, " ".join(message.split()))


def read_select(text: str, *, known: Collection[str], file: Path | None, label: str) -> Select:
    """Read a statement.

    Args:
        text: The SQL, with parameters in braces.
        known: The parameters that have values.
        file: Where it stands, if in a file.
        label: What it is the SELECT of, for messages.

    Raises:
        QueryError: It is no statement that only reads, more than one, or has a parameter that has no value or stands
            within quotes, where it would be text.
    """
    names: list[str] = []
    first, end = "", len(text)
    for found in _pieces(text):
        line = text.count("\n", 0, found.start()) + 1
        if found["comment"] or found[0].isspace():
            continue
        if end < len(text):
            if not found["end"]:
                _refuse(label, file, line, "another statement begins here, and there may be one.")
            continue
        if found["end"]:
            end = found.start()
        elif found["quoted"]:
            inside = [name for name in _NAME.findall(found[0]) if name in known]
            if inside:
                _refuse(
                    label,
                    file,
                    line,
                    f"{{{inside[0]}}} stands within quotes, where it would be text: leave out the quotes.",
                )
        elif found["parameter"]:
            if found["name"] not in known:
                told = f"Known are {', '.join(f'{{{name}}}' for name in known)}." if known else "There are none here."
                _refuse(label, file, line, f"there is no parameter {{{found['name']}}}. {told}")
            names.append(found["name"])
        if not first and found[0] != "(":
            first = found[0].lower()
            if first not in _FIRST and not found["end"]:
                _refuse(label, file, line, f"it begins with {found[0]!r}; a table is made by a SELECT.")
    if not first or first == ";":
        _refuse(label, file, 1, "there is no SELECT.")
    return Select(text=text[:end], parameters=tuple(dict.fromkeys(names)), file=file, label=label)


def _pieces(text: str) -> Iterator[re.Match[str]]:
    return _PIECES.finditer(text)


def _refuse(label: str, file: Path | None, line: int, problem: str) -> NoReturn:
    raise _error(label, file, line, problem)


def _error(label: str, file: Path | None, line: int | None, problem: Any) -> QueryError:
    where = None if file is not None or line is None else f"line {line}"
    return QueryError(
        f"The SQL of {label} is refused.", culprits=[Culprit(file=file, line=line, where=where, problem=str(problem))]
    )

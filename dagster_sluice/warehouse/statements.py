"""SQL lives in files; here they are read. A file holds statements, each headed by ``-- name: …``."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

__all__ = ["migrations", "statements"]

_HEADING = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(dialect: str, file: str, package: str = __package__) -> dict[str, str]:
    """The statements of one SQL file of a package by name, without comments that head them."""
    parts = _HEADING.split(_text(dialect, f"{file}.sql", package))
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def migrations(dialect: str) -> tuple[tuple[int, str], ...]:
    """The numbered migrations of the warehouse's own records, in order: (version, SQL)."""
    folder = resources.files(__package__).joinpath("sql", dialect)
    names = sorted(entry.name for entry in folder.iterdir() if re.match(r"\d{4}_", entry.name))
    return tuple((int(name[:4]), _text(dialect, name)) for name in names)


def _text(dialect: str, name: str, package: str = __package__) -> str:
    return resources.files(package).joinpath("sql", dialect, name).read_text(encoding="utf-8")

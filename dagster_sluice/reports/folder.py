"""Where reports are kept: one folder for a table, in it one for each partition, in that the latest few runs."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from dagster_sluice.warehouse import Address

__all__ = ["Folder", "file_name", "write_page"]

WHOLE = "_whole"
INDEXES = "_runs"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A directory of reports.

    Attributes:
        root: The directory; it is made when it is first needed.
        keep: So many reports of each partition are kept, the latest.
    """

    root: Path
    keep: int = 10

    def path(self, address: Address, partition: str | None, run_id: str) -> Path:
        """Where the report of a run on a partition is."""
        place = WHOLE if partition is None else file_name(partition)
        return self._table(address) / place / f"{file_name(run_id)}.html"

    def index_path(self, address: Address, run_id: str) -> Path:
        """Where the list of all that a run judged is."""
        return self._table(address) / INDEXES / f"{file_name(run_id)}.html"

    def write(self, path: Path, html: str) -> Path:
        """Write a page whole or not at all, and drop what is more than may be kept beside it.

        Raises:
            OSError: It cannot be written.
        """
        write_page(path, html)
        self._prune(path)
        return path

    def _prune(self, written: Path) -> None:
        pages = [page for page in written.parent.glob("*.html") if page != written]
        # Another run may be dropping the same ones.
        aged = sorted(((_age(page), page) for page in pages), reverse=True)
        for _, page in aged[max(self.keep, 1) - 1 :]:
            page.unlink(missing_ok=True)

    def _table(self, address: Address) -> Path:
        return self.root / f"{file_name(address.schema)}.{file_name(address.table)}"


def write_page(path: Path, html: str) -> None:
    """Write a page whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{file_name(path.name)}.{os.getpid()}")
    try:
        made.write_text(html, encoding="utf-8")
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def _age(page: Path) -> float:
    try:
        return page.stat().st_mtime
    except OSError:
        return 0.0


def file_name(text: str) -> str:
    """A name for a file, on every file system: one for each text, and readable.

    What is not plain (a letter in upper case too, for some file systems do not tell it from the lower) becomes an
    underscore, and a hash keeps the name apart from others.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", text)[:60].strip(".")
    if plain == text and re.fullmatch(r"[a-z0-9][a-z0-9._-]*", text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:10]
    return f"{plain.lstrip('._-') or 'x'}-{digest}"

"""Builders of small contract files."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_sluice.contracts import Contract, load_contract
from dagster_sluice.errors import ContractError, Culprit

HEADER = """\
apiVersion: v3.1.0
kind: DataContract
id: flights
version: 1.0.0
status: active
"""

Write = Callable[[str], Path]


def dedent(text: str) -> str:
    return textwrap.dedent(text).strip("\n") + "\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A contract file of some text."""

    def write(text: str) -> Path:
        path = tmp_path / "flights.odcs.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def load(write: Write) -> Callable[[str], Contract]:
    """The contract of a text that follows the usual first lines."""
    return lambda text: load_contract(write(HEADER + dedent(text)))


@pytest.fixture
def blame(write: Write) -> Callable[[str], list[Culprit]]:
    """The culprits of a text that follows the usual first lines; lines count from the head of the file, which has five."""

    def blame(text: str) -> list[Culprit]:
        path = write(HEADER + dedent(text))
        with pytest.raises(ContractError) as caught:
            load_contract(path)
        assert all(culprit.file == path for culprit in caught.value.culprits)
        assert all(culprit.line and culprit.column for culprit in caught.value.culprits)
        return list(caught.value.culprits)

    return blame

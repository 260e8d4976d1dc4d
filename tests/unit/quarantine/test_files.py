"""Rows out to a file and back: what was not touched is what was kept, exactly."""

import csv
import datetime as dt

import pyarrow.parquet as pq
import pytest
import scenario

from dagster_sluice.errors import FrameError, SettingError
from dagster_sluice.quarantine.files import mended_payload, read_mends, write_rows
from dagster_sluice.tables.payload import row_payloads
from dagster_sluice.warehouse import Address, QuarantinedRow

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
NAMES = [column.name for column in scenario.COLUMNS]


def kept(number, payload, *reasons, partition="day"):
    return QuarantinedRow(
        id=number,
        address=Address(schema="s", table="awkward"),
        partition=partition,
        payload=payload,
        reasons=reasons,
        status="open",
        run_id="",
        correlation_id="",
        first_seen=NOW,
        last_seen=NOW,
    )


@pytest.fixture
def awkward():
    rows = scenario.rows()
    return [kept(number, payload) for number, payload in enumerate(row_payloads(rows, range(rows.num_rows)), 1)]


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "ROWS.CSV"])
def test_what_was_not_touched_is_what_was_kept(awkward, tmp_path, name):
    path = tmp_path / name
    write_rows(awkward, scenario.COLUMNS, path)
    mends = read_mends(path)
    assert list(mends) == [row.id for row in awkward]
    for row in awkward:
        assert repr(mended_payload(row, mends[row.id], NAMES, path)) == repr(dict(row.payload))


def test_a_parquet_file_has_the_types_of_the_table(awkward, tmp_path):
    path = tmp_path / "rows.parquet"
    write_rows(awkward, scenario.COLUMNS, path)
    found = pq.read_schema(path)
    assert found.names[:4] == ["_quarantine_id", "_partition", "_status", "_reasons"]
    assert [str(found.field(name).type) for name in ("big", "number", "day", "moment")] == [
        "int64",
        "double",
        "date32[day]",
        "timestamp[us, tz=UTC]",
    ]


def test_a_column_in_which_a_value_does_not_fit_is_text(tmp_path):
    reason = {"expectation": "conforms", "column": "big", "value": "none", "why": "is not an integer"}
    path = tmp_path / "rows.parquet"
    rows = [kept(1, dict.fromkeys(NAMES) | {"big": "none"}, reason), kept(2, dict.fromkeys(NAMES) | {"big": 5})]
    write_rows(rows, scenario.COLUMNS, path)
    assert pq.read_table(path).column("big").to_pylist() == ["none", "5"]
    mends = read_mends(path)
    assert mended_payload(rows[1], mends[2], NAMES, path)["big"] == 5


def edited(path, row, column, value, *, delimiter=","):
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    lines[row][lines[0].index(column)] = value
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(lines)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_an_edited_cell_is_a_mend_and_an_emptied_one_is_null(awkward, tmp_path, delimiter):
    path = tmp_path / "rows.csv"
    write_rows(awkward, scenario.COLUMNS, path)
    edited(path, 1, "big", "42")
    path.write_text(path.read_text(encoding="utf-8-sig"), encoding="utf-8")
    edited(path, 1, "text", "", delimiter=delimiter)
    payload = mended_payload(awkward[0], read_mends(path)[1], NAMES, path)
    assert (payload["big"], payload["text"]) == ("42", None)
    assert payload["number"] == awkward[0].payload["number"]


def test_no_rows(tmp_path):
    for name in ("rows.csv", "rows.parquet"):
        write_rows([], scenario.COLUMNS, tmp_path / name)
        assert read_mends(tmp_path / name) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "_quarantine_id"),
        ("id,x\n1,2\n", "_quarantine_id"),
        ("_quarantine_id,x\n1,2\n1,3\n", "once more"),
        ("_quarantine_id,x\nabc,2\n", "'abc'"),
        ("_quarantine_id,x\n1,2,3\n", "3 fields"),
        ('_quarantine_id,x\n1,"open\n', "rows.csv"),
    ],
)
def test_a_file_that_cannot_be_told(tmp_path, text, words):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(FrameError, match=words):
        read_mends(path)


def test_a_file_of_another_kind_or_none(tmp_path, awkward):
    with pytest.raises(FrameError):
        read_mends(tmp_path / "absent.csv")
    with pytest.raises(SettingError, match="CSV or Parquet"):
        write_rows(awkward, scenario.COLUMNS, tmp_path / "rows.xlsx")
    (tmp_path / "broken.parquet").write_text("x")
    with pytest.raises(FrameError):
        read_mends(tmp_path / "broken.parquet")
    (tmp_path / "latin.csv").write_bytes("_quarantine_id,größe\n".encode("latin-1"))
    with pytest.raises(FrameError):
        read_mends(tmp_path / "latin.csv")


def test_a_column_that_the_table_has_not(tmp_path, awkward):
    with pytest.raises(FrameError, match="'new'"):
        mended_payload(awkward[0], {"new": "x"}, NAMES, tmp_path / "rows.csv")

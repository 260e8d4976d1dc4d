"""What a warehouse must read of a table that others wrote, whatever the database: the rows of a slice, and no others."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
import scenario
from test_warehouse import FLIGHTS

from dagster_sluice.errors import TableError
from dagster_sluice.warehouse.slices import Slice, Slicing, read_slice

NEW_YORK = ZoneInfo("America/New_York")
SECOND = Slice(
    column="moment",
    key="2026-03-08",
    start=dt.datetime(2026, 3, 8, tzinfo=NEW_YORK),
    end=dt.datetime(2026, 3, 9, tzinfo=NEW_YORK),
)
"""A day of 23 hours."""


class Whole:
    """A warehouse that cannot seek, whose tables are read whole."""

    def __init__(self, warehouse: Any) -> None:
        self.read = warehouse.read


def hours(place, kind):
    """A row for each hour from 6 to 10 March, UTC, and one that says nothing."""
    start = dt.datetime(2026, 3, 6)  # noqa: DTZ001 (it is written into SQL with its zone)
    rows = []
    for number in range(100):
        moment = start + dt.timedelta(hours=number)
        told = moment.date().isoformat() if kind in ("date", "text") else f"{moment.isoformat(sep=' ')}"
        zone = "+00" if kind == "timestamp with time zone" else ""
        rows.append(f"('{told}{zone}', '{'abc'[number % 3]}', {number})")
    place.by_hand(
        "CREATE SCHEMA raw",
        f"CREATE TABLE raw.flights (moment {kind}, place text, id bigint)",
        f"INSERT INTO raw.flights VALUES {', '.join(rows)}, (NULL, NULL, 100)",
    )


@pytest.mark.parametrize("kind", ["timestamp with time zone", "timestamp", "date", "text"])
def test_a_slice_is_cut_alike_by_the_database_and_by_arrow(place, warehouse, kind):
    hours(place, kind)
    assert isinstance(warehouse, Slicing)
    for slices, rows in (([SECOND], 23 if "with" in kind else 24), ([SECOND, Slice(column="place", key="b")], 8)):
        sought = read_slice(warehouse, FLIGHTS, ["id"], slices)
        cut = read_slice(Whole(warehouse), FLIGHTS, ["id"], slices)
        assert sorted(sought["id"].to_pylist()) == sorted(cut["id"].to_pylist())
        assert abs(sought.num_rows - rows) <= 1
    assert read_slice(warehouse, FLIGHTS, ["place", "id"], []).num_rows == 101


def test_a_key_that_looks_like_sql_is_a_key(place, warehouse):
    quoted = scenario.AWKWARD_TEXTS[3].replace("'", "''")
    place.by_hand("CREATE SCHEMA raw", "CREATE TABLE raw.flights (place text, id bigint)",
                  f"INSERT INTO raw.flights VALUES ('{quoted}', 1), ('x', 2)")  # fmt: skip
    found = read_slice(warehouse, FLIGHTS, ["id"], [Slice(column="place", key=scenario.AWKWARD_TEXTS[3])])
    assert found.column("id").to_pylist() == [1]


def test_whole_numbers_tell_partitions_by_their_digits(place, warehouse):
    place.by_hand("CREATE SCHEMA raw", "CREATE TABLE raw.flights AS SELECT 7 AS year UNION ALL SELECT 70")
    assert read_slice(warehouse, FLIGHTS, ["year"], [Slice(column="year", key="7")]).num_rows == 1


def test_what_cannot_be_sliced_is_told(place, warehouse):
    with pytest.raises(TableError, match=r"raw\.flights"):
        read_slice(warehouse, FLIGHTS, ["id"], [])
    hours(place, "date")
    with pytest.raises(TableError, match="'gone'"):
        read_slice(warehouse, FLIGHTS, ["id"], [Slice(column="gone", key="x")])
    hour = Slice(column="moment", key="01", start=SECOND.start, end=SECOND.start + dt.timedelta(hours=1))
    with pytest.raises(TableError, match="holds days"):
        read_slice(warehouse, FLIGHTS, ["id"], [hour])
    assert isinstance(read_slice(warehouse, FLIGHTS, ["id"], [SECOND]), pa.Table)

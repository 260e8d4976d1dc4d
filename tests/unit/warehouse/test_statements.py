"""SQL in files, types of columns, rows to quarantine: what the adapters are made of."""

import json
from importlib import resources

import pytest
import scenario

from dagster_sluice.contracts import Column, LogicalType
from dagster_sluice.errors import TableError
from dagster_sluice.warehouse import RejectedRow
from dagster_sluice.warehouse.rejects import rejected_table
from dagster_sluice.warehouse.statements import migrations, statements
from dagster_sluice.warehouse.types import arrow_type, cast_type, columns_as_they_are, postgres_type

DIALECTS = sorted(
    entry.name for entry in resources.files("dagster_sluice.warehouse").joinpath("sql").iterdir() if entry.is_dir()
)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_statement_has_a_name_and_a_body(dialect):
    folder = resources.files("dagster_sluice.warehouse").joinpath("sql", dialect)
    for file in folder.iterdir():
        if file.name[:4].isdigit():
            continue
        found = statements(dialect, file.name.removesuffix(".sql"))
        assert found
        assert all(body for body in found.values())
        assert file.read_text().count("-- name:") == len(found)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_migrations_are_numbered_without_gaps(dialect):
    found = migrations(dialect)
    assert [version for version, _ in found] == list(range(1, len(found) + 1))
    assert all(script.strip() for _, script in found)


@pytest.mark.parametrize("kind", LogicalType)
def test_every_logical_type_has_an_arrow_type_and_a_postgres_type(kind):
    column = Column(name="c", type=kind)
    assert arrow_type(column)
    assert postgres_type(column)


def test_the_zone_of_a_timestamp_is_part_of_its_type():
    zoned, naive = (Column(name="c", type=LogicalType.TIMESTAMP, timezone=zone) for zone in (True, False))
    assert arrow_type(zoned).tz == "UTC"
    assert arrow_type(naive).tz is None
    assert postgres_type(zoned) == "timestamp with time zone"
    assert postgres_type(naive) == "timestamp without time zone"


@pytest.mark.parametrize(
    ("physical", "cast"),
    [
        ("text", "text"),
        ("numeric(12,2)", "numeric"),
        ("NUMERIC (12, 2)", "NUMERIC"),
        ("varchar(5)", "varchar"),
        ("char(3)", "bpchar"),
        ("CHARACTER(3)", "bpchar"),
        ("character varying(5)", "character varying"),
        ("timestamp(3) with time zone", "timestamp with time zone"),
        ("double precision", "double precision"),
        ("text[]", "text[]"),
        ("public.mood", "public.mood"),
    ],
)
def test_a_physical_type_is_taken_as_it_stands_and_cast_to_without_its_length(physical, cast):
    column = Column(name="c", type=LogicalType.STRING, physical_type=physical)
    assert postgres_type(column) == physical
    assert cast_type(column) == cast


@pytest.mark.parametrize(
    "physical", ["text; DROP TABLE x", "text)", "text--", "te'xt", 'te"xt', "numeric(a)", "1nt", "text\n", "(5)", "é"]
)
def test_a_physical_type_is_nothing_but_a_type(physical):
    with pytest.raises(TableError, match="'c'"):
        postgres_type(Column(name="c", type=LogicalType.STRING, physical_type=physical))


def rejected(*rows):
    return rejected_table([RejectedRow(payload=row, reasons=[{"expectation": "x"}]) for row in rows]).to_pylist()


def test_a_row_is_known_by_its_values_and_not_by_the_order_of_its_columns():
    first, second, third = rejected({"a": 1, "b": "ü"}, {"b": "ü", "a": 1}, {"a": 2, "b": "ü"})
    assert first["row_hash"] == second["row_hash"] != third["row_hash"]
    assert [first["occurrence"], second["occurrence"], third["occurrence"]] == [1, 2, 1]


def test_payloads_of_any_make_are_plain_ascii():
    for row in rejected(*({"text": text} for text in scenario.AWKWARD_TEXTS)):
        assert row["payload"].isascii()
        assert json.loads(row["payload"])["text"] in scenario.AWKWARD_TEXTS


def test_no_rows_have_a_shape_all_the_same():
    assert rejected_table([]).column_names == ["row_hash", "occurrence", "payload", "reasons"]


def test_an_equal_row_keeps_the_place_it_was_given():
    same = {"payload": {"a": 1}, "reasons": []}
    rows = [RejectedRow(**same, occurrence=3), RejectedRow(**same), RejectedRow(**same, occurrence=1)]
    assert [row["occurrence"] for row in rejected_table(rows).to_pylist()] == [3, 2, 1]


@pytest.mark.parametrize("kind", LogicalType)
def test_columns_without_a_contract_have_the_types_of_the_warehouse(kind):
    as_text = {LogicalType.OBJECT, LogicalType.ARRAY}
    (found,) = columns_as_they_are({"c": postgres_type(Column(name="c", type=kind)), "_partition": "text"})
    assert found.type is (LogicalType.STRING if kind in as_text else kind)


def test_a_type_nobody_knows_is_text():
    types = {"a": "numeric(12,2)", "b": "timestamp(3) without time zone", "c": "uuid"}
    number, moment, other = columns_as_they_are(types)
    assert (number.type, other.type) == (LogicalType.NUMBER, LogicalType.STRING)
    assert (moment.type, moment.timezone) == (LogicalType.TIMESTAMP, False)

"""What is published is what was audited, whatever ``physicalType`` a contract gives: nothing rounded, cut or respelt."""

import datetime as dt
import itertools
import math
import random
import time
from decimal import Decimal

import pyarrow as pa
import pytest
import scenario

from dagster_sluice.contracts import Column, Contract, LogicalType
from dagster_sluice.errors import PublishError, TableError
from dagster_sluice.tables.conform import conform
from dagster_sluice.tables.content import content_hash
from dagster_sluice.tables.gatekeeper import Origin, admit
from dagster_sluice.warehouse import Address
from dagster_sluice.warehouse.physical import EXACT, physical_of

UTC = dt.timezone.utc
_numbers = itertools.count(1)


def doubles() -> list[float]:
    """Short ones, long ones, on and beside every border; the same in each run."""
    chance = random.Random(20240310)
    return [
        *scenario.AWKWARD_NUMBERS,
        *(round(chance.uniform(-1e4, 1e4), places) for places in range(6) for _ in range(20)),
        *(chance.uniform(-1, 1) * 10 ** chance.randint(-20, 20) for _ in range(60)),
        *(float(sign * 10**power + step) for power in range(17) for step in (-1, 0, 0.5) for sign in (-1, 1)),
        *(math.nextafter(value, math.inf) for value in (0.29, 1.005, 2.5, 9999999999.99, 2.0**53)),
        *(float(value) for value in (2**15, 2**15 - 1, -(2**15), 2**31, 2**31 - 1, -(2**31), -(2**63))),
        0.1 + 0.2,
        1 / 3,
        123456789.123456789,
        9007199254740991.0,
        4.35,
        1.1754943508222875e-38,
        3.4028234663852886e38,
        3.5e38,
    ]


def integers() -> list[int]:
    borders = [2**bits for bits in (7, 15, 24, 31, 53, 62)] + [10**power for power in range(19)]
    near = [sign * (border + step) for border in borders for step in (-1, 0, 1) for sign in (-1, 1)]
    return [*scenario.AWKWARD_INTEGERS, *near]


def moments() -> list[dt.datetime]:
    day = dt.datetime(2024, 3, 10, 6, 59, 59, tzinfo=UTC)
    fractions = [0, 1, 10, 100, 1_000, 10_000, 100_000, 500_000, 999_999, 123_456]
    return [*scenario.doubled_hour(), *(day.replace(microsecond=fraction) for fraction in fractions)]


TEXTS = [*scenario.AWKWARD_TEXTS, "x ", "xyz", "abcde", "abcdef", "abcde ", "🦆🦆🦆🦆🦆", "🦆🦆🦆🦆🦆🦆", "a\u0301"]
UUIDS = [
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
    "{a0eebc999c0b4ef8bb6d6bb9bd380a11}",
    "x",
]
OBJECTS = [
    '{"bb":1,"a":2, "größe": 0.10, "é": [1,  {}]}',
    '{"n": 1e2, "m": 1.50, "z": -0.0, "long": 12345678901234567890.123456789}',
    '{"a": 1, "a": 2}',
    '{"t": "\\u00e9\\n\\u001f/\\/"}',
    '{"🦆": null, "b": true}',
    '{"n": 1e400000}',
    "[1]",
]
ARRAYS = ["[1,2]", '["b", "a" ]', "[1.0, 1e3, []]", "[[[[]]]]", "{}"]

CASES = {
    LogicalType.STRING: (TEXTS, ["text", "varchar", "varchar(5)", "char(5)", "character varying(3)", "CHAR", "nchar(2)"]),
    LogicalType.INTEGER: (
        integers(),
        ["smallint", "int2", "integer", "int", "bigint", "numeric(10)", "numeric(12,2)", "numeric", "decimal(19,0)", "real", "float8"],
    ),
    LogicalType.NUMBER: (
        doubles(),
        [
            "numeric(12,2)", "numeric(5)", "numeric(38,10)", "numeric(60,30)", "NUMERIC", "decimal(18, 4)", "numeric(3,3)",
            "real", "float4", "float(10)", "float(53)", "double precision", "smallint", "integer", "bigint",
        ],
    ),
    LogicalType.BOOLEAN: ([True, False], ["boolean", "bool"]),
    LogicalType.DATE: ([dt.date(1, 1, 1), dt.date(2024, 2, 29), dt.date(9999, 12, 31)], ["date"]),
    LogicalType.TIMESTAMP: (
        moments(),
        ["timestamp with time zone", "timestamptz", "timestamp(0) with time zone", "timestamptz(3)", "timestamptz(6)"],
    ),
    LogicalType.TIME: ([moment.time() for moment in moments()], ["time", "time(0)", "time(3) without time zone"]),
    LogicalType.OBJECT: (OBJECTS, ["jsonb", "json", "text"]),
    LogicalType.ARRAY: (ARRAYS, ["jsonb", "json", "text"]),
}  # fmt: skip


def test_every_type_that_is_known_is_tried() -> None:
    tried = {
        (kind, found.name)
        for kind, (_, types) in CASES.items()
        for physical in types
        if (found := physical_of(Column(name="c", type=kind, physical_type=physical)))
    }
    tried |= {(LogicalType.STRING, "uuid"), (LogicalType.TIMESTAMP, "timestamp without time zone")}
    assert tried == {(kind, name) for kind, names in EXACT.items() for name in names}


def published(warehouse, values, column, given_type=None):
    """The judged batch, and what stands in the warehouse, in the contract's types."""
    address = Address(schema="exact", table=f"t{next(_numbers)}")
    number = Column(name="row", type=LogicalType.INTEGER)
    contract = Contract(table=address.table, schema="exact", columns=(number, column), quarantine_limit=1.0)
    frame = pa.table({"row": range(len(values)), "c": pa.array(values, given_type)})
    origin = Origin(run_id="r", correlation_id="c", code_version="v", base=None, started=time.perf_counter())
    judged = admit(
        frame, contract=contract, warehouse=warehouse, address=address, partition=None, origin=origin, references={}
    )
    assert judged.publication is not None, judged.decision.reasons
    assert judged.publication.rows_published + judged.publication.rows_quarantined == len(values)
    back = conform(warehouse.read(address), contract)
    assert back.misfits == ()
    assert content_hash(back.rows) == judged.publication.content_hash
    kept = warehouse.quarantined(address, limit=None)
    assert len(kept) == judged.publication.rows_quarantined
    return dict(zip(back.rows.column("row").to_pylist(), back.rows.column("c").to_pylist(), strict=True)), {
        row.payload["row"]: row.payload["c"] for row in kept
    }


@pytest.mark.parametrize(
    ("kind", "physical"), [(kind, physical) for kind, (_, types) in CASES.items() for physical in types]
)
def test_what_is_published_is_what_was_audited(warehouse, kind, physical) -> None:
    values = [*CASES[kind][0], None]
    stands, kept = published(warehouse, values, Column(name="c", type=kind, physical_type=physical))
    assert set(stands) | set(kept) == set(range(len(values)))
    for row, value in stands.items():
        before = values[row]
        if kind in (LogicalType.OBJECT, LogicalType.ARRAY):
            continue
        same = value == before or (isinstance(before, float) and math.isnan(before) and math.isnan(value))
        assert same, (before, value)
    for row, value in kept.items():
        assert str(values[row]) == value


def test_uuids_are_respelt_before_they_are_audited(warehouse) -> None:
    column = Column(name="c", type=LogicalType.STRING, physical_type="uuid")
    stands, kept = published(warehouse, UUIDS, column)
    assert stands == dict.fromkeys(range(3), UUIDS[0])
    assert kept == {3: "x"}


def test_moments_without_a_zone(warehouse) -> None:
    values = [moment.replace(tzinfo=None) for moment in moments()]
    column = Column(name="c", type=LogicalType.TIMESTAMP, timezone=False, physical_type="timestamp(3)")
    stands, kept = published(warehouse, values, column)
    assert stands == {row: value for row, value in enumerate(values) if value.microsecond % 1000 == 0}
    assert len(kept) == sum(value.microsecond % 1000 > 0 for value in values)


@pytest.mark.parametrize("physical", ["numeric(12,2)", "numeric(40,20)", None])
@pytest.mark.parametrize("kind", [pa.decimal128(38, 18), pa.decimal256(60, 18), pa.string()])
def test_decimals_are_not_rounded_on_their_way_through_a_double(warehouse, kind, physical) -> None:
    texts = ["1.25", "0.1", "123456789.01", "12345678901234567.89", "0.100000000000000006", "7"]
    values = texts if kind == pa.string() else [Decimal(text) for text in texts]
    column = Column(name="c", type=LogicalType.NUMBER, physical_type=physical)
    stands, kept = published(warehouse, values, column, kind)
    assert {0, 1, 2, 5} <= set(stands)
    assert set(kept) == (set() if kind == pa.string() and physical is None else {3, 4})
    assert stands[1] == 0.1


def test_the_reason_says_what_does_not_fit_and_a_replay_does_not_forget_it() -> None:
    column = Column(name="c", type=LogicalType.NUMBER, physical_type="numeric(5,2)")
    found = conform(pa.table({"c": [1.005, 123456.0, math.inf, 1.25]}), Contract(table="t", columns=(column,)))
    assert [(misfit.value, misfit.reason) for misfit in found.misfits] == [
        ("1.005", "does not fit numeric(5,2) (it has more than 2 decimals)"),
        ("123456.0", "does not fit numeric(5,2) (it has more than 3 digits before the point)"),
        ("inf", "does not fit numeric(5,2) (it has more than 3 digits before the point)"),
    ]
    assert found.rows.column("c").to_pylist() == [None, None, None, 1.25]


@pytest.mark.parametrize(
    ("kind", "physical", "value"),
    [
        (LogicalType.STRING, "inet", "10.0.0.1"),
        (LogicalType.STRING, "interval", "1 day 02:00:00"),
        (LogicalType.STRING, "bit(3)", "101"),
        (LogicalType.STRING, "name", "x"),
        (LogicalType.STRING, "xml", None),
        (LogicalType.STRING, "numeric(12,2)", "1.50"),
        (LogicalType.STRING, "int4range", "[1,3)"),
        (LogicalType.INTEGER, "text", 7),
    ],
)
def test_types_that_only_postgres_knows_keep_what_they_give_back(warehouse, kind, physical, value) -> None:
    values = [value, None]
    stands, _ = published(warehouse, values, Column(name="c", type=kind, physical_type=physical))
    assert stands == {0: value, 1: None}


@pytest.mark.parametrize(
    ("kind", "physical", "value"),
    [
        (LogicalType.STRING, "inet", "10.0.0.1/32"),
        (LogicalType.STRING, "interval", "26 hours"),
        (LogicalType.STRING, "interval(0)", "00:00:01.5"),
        (LogicalType.STRING, "bit(3)", "1010"),
        (LogicalType.STRING, "name", "x" * 64),
        (LogicalType.STRING, "numeric(12,2)", "1.5"),
        (LogicalType.STRING, "jsonb", '{"a":1}'),
        (LogicalType.STRING, "money", "1.25"),
        (LogicalType.TIME, "time with time zone", dt.time(12)),
    ],
)
def test_and_refuse_what_they_would_change(warehouse, kind, physical, value) -> None:
    with pytest.raises(PublishError, match="would not hold what was audited") as caught:
        published(warehouse, [value], Column(name="c", type=kind, physical_type=physical))
    assert "1 values would be changed" in str(caught.value)
    assert warehouse.tables() == []


@pytest.mark.parametrize(("zoned", "physical"), [(True, "timestamp"), (False, "timestamptz(3)"), (True, "date")])
def test_a_zone_that_the_type_would_drop_or_invent_is_refused(warehouse, zoned, physical) -> None:
    column = Column(name="c", type=LogicalType.TIMESTAMP, timezone=zoned, physical_type=physical)
    with pytest.raises(TableError, match="'c'"):
        published(warehouse, [None], column)


@pytest.mark.parametrize(
    ("native", "literal", "kind", "expected"),
    [
        ("inet", "10.0.0.1", LogicalType.STRING, "10.0.0.1"),
        ("interval", "26:00", LogicalType.STRING, "26:00:00"),
        ("money", "1.25", LogicalType.STRING, "$1.25"),
        ("char(5)", "x", LogicalType.STRING, "x"),
        ("text[]", "{a,NULL,c}", LogicalType.ARRAY, '["a", null, "c"]'),
        ("numeric[]", "{1.50}", LogicalType.ARRAY, "[1.50]"),
        ("inet[]", "{10.0.0.1}", LogicalType.ARRAY, '["10.0.0.1"]'),
        ("integer[]", "{1,2}", LogicalType.ARRAY, "[1, 2]"),
        ("numeric(12,2)", "7.00", LogicalType.INTEGER, 7),
        ("numeric", "0.1", LogicalType.NUMBER, 0.1),
        ("uuid", UUIDS[1], LogicalType.STRING, UUIDS[0]),
        ("smallint", "7", LogicalType.NUMBER, 7.0),
    ],
)  # fmt: skip
def test_columns_that_others_wrote_are_read_as_what_they_are(warehouse, database_url, native, literal, kind, expected):
    import psycopg

    with psycopg.connect(database_url) as session:
        session.execute(f"CREATE TABLE others (c {native}, day date)".encode())
        session.execute(f"INSERT INTO others VALUES ('{literal}', '2024-01-01'), (NULL, '2024-01-01')".encode())
    contract = Contract(table="others", columns=(Column(name="c", type=kind),))
    found = conform(warehouse.read(Address(schema="public", table="others"), columns=["c"]), contract)
    assert found.misfits == ()
    assert found.rows.column("c").to_pylist() == [expected, None]


def test_sets_in_another_table_are_numbers_where_that_has_numeric(warehouse, database_url) -> None:
    import psycopg

    with psycopg.connect(database_url) as session:
        session.execute("CREATE TABLE others AS SELECT 0.5::numeric(5,2) AS c, '10.0.0.1'::inet AS host")
    others = Address(schema="public", table="others")
    assert warehouse.values(others, "c") == [0.5]
    assert warehouse.values(others, "host") == ["10.0.0.1"]

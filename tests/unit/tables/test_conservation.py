"""Nothing is lost: of generated frames every row is published or quarantined, and what conforms, conforms again."""

import datetime as dt
import decimal

import pandas as pd
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dagster_sluice.contracts import Column, Contract, LogicalType
from dagster_sluice.tables.conform import conform
from dagster_sluice.tables.content import content_hash
from dagster_sluice.tables.frames import batch_of
from dagster_sluice.tables.gatekeeper import judge
from dagster_sluice.tables.rejections import rejected_rows
from dagster_sluice.warehouse.physical import EXACT

UTC = dt.timezone.utc
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-5, 40_000),
    st.floats(),
    st.floats(-1e6, 1e6).map(lambda value: round(value, 2)),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**20), max_value=10**20),
    st.text(max_size=6),
    st.sampled_from(
        ["1", "1.50", "2024-02-29", "{}", '{"b":1, "a":2}', "[1.0]", "x ", "a\0", "\ud800", "12:30", "NaN"]
    ),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.times(),
    st.timedeltas(),
    st.binary(max_size=4),
    st.uuids().map(str),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none() | st.floats() | st.integers(), max_size=2),
)
ARGUMENTS = {"numeric": "(7,2)", "varchar": "(3)", "char": "(3)"}
COLUMNS = st.builds(
    lambda kind, choice, zoned: Column(
        name="c",
        type=kind,
        timezone=zoned,
        physical_type=None if choice is None else _physical(kind, choice, zoned=zoned),
    ),
    st.sampled_from(LogicalType),
    st.none() | st.integers(0, 10),
    st.booleans(),
)


def _physical(kind: LogicalType, choice: int, *, zoned: bool) -> str:
    if kind is LogicalType.TIMESTAMP:
        return f"timestamp({choice % 7}) {'with' if zoned else 'without'} time zone"
    names = sorted(EXACT[kind])
    name = names[choice % len(names)]
    return f"{name}{ARGUMENTS.get(name, '')}"


def framed(values: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"row": range(len(values)), "c": pd.Series(values, dtype=object)})


def contract_of(column: Column) -> Contract:
    return Contract(table="t", columns=(Column(name="row", type=LogicalType.INTEGER), column), quarantine_limit=1.0)


def is_missing(value: object) -> bool:
    return value is None or value != value  # noqa: PLR0124


@settings(max_examples=200)
@given(st.lists(VALUES, max_size=8).filter(lambda values: len({type(value) for value in values}) != 1), COLUMNS)
@example([2**64, "x", None], Column(name="c", type=LogicalType.INTEGER))
@example([dt.date(2024, 1, 1), dt.datetime.fromisoformat("2024-01-01T05:00")], Column(name="c", type=LogicalType.DATE))
def test_every_value_is_kept_or_named(values, column):
    found = conform(batch_of(framed(values)), contract_of(column))
    assert found.rows.column("row").to_pylist() == list(range(len(values)))
    told = {misfit.row: misfit for misfit in found.misfits}
    assert len(told) == len(found.misfits)
    for row, (was, now) in enumerate(zip(values, found.rows.column("c").to_pylist(), strict=True)):
        assert (now is None) == (is_missing(was) or row in told), (was, now)
        if row in told:
            told[row].value.encode()
            assert told[row].reason
        if isinstance(was, decimal.Decimal) and type(now) in (int, float):
            assert decimal.Decimal(repr(now)) == was
    again = conform(found.rows, contract_of(column))
    assert again.misfits == ()
    assert content_hash(again.rows) == content_hash(found.rows)


@settings(max_examples=40)
@given(st.lists(VALUES, min_size=2, max_size=8), COLUMNS, st.randoms(use_true_random=False))
def test_rows_in_are_rows_published_and_rows_quarantined_in_any_order(values, column, random):
    mixed = [*values, "x", 1]
    order = random.sample(range(len(mixed)), len(mixed))
    hashes, kept = [], []
    for rows in (range(len(mixed)), order):
        frame = framed(mixed).iloc[list(rows)]
        verdict, decision, conformed = judge(frame, contract_of(column), {})
        bad = set(decision.quarantined.tolist())
        good = conformed.rows.take(pa.array([row for row in range(len(mixed)) if row not in bad], pa.int64()))
        rejected = rejected_rows(verdict, decision, conformed)
        if decision.quarantined.size:
            assert good.num_rows + len(rejected) == len(mixed)
        hashes.append(content_hash(good))
        kept.append(sorted(row.payload["row"] for row in rejected))
    assert hashes[0] == hashes[1]
    assert kept[0] == kept[1]

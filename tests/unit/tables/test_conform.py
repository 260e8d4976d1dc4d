"""conform(): a frame in its contract's columns and types, with nothing lost and nothing guessed."""

import datetime as dt
import decimal
import json
import math
import uuid

import pandas as pd
import pyarrow as pa
import pytest
import scenario
from hypothesis import given
from hypothesis import strategies as st

from dagster_sluice.contracts import Column, Contract, LogicalType
from dagster_sluice.errors import FrameError
from dagster_sluice.gates.frames import as_arrow
from dagster_sluice.tables.conform import conform
from dagster_sluice.warehouse.types import arrow_type

UTC = dt.timezone.utc


def conformed(values, kind, given_type=None, **column):
    """One column's values after conforming, and its misfits by row."""
    array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, given_type)
    contract = Contract(table="t", columns=(Column(name="c", type=kind, **column),))
    found = conform(pa.table({"c": array}), contract)
    assert found.rows.num_rows == len(array)
    assert found.rows.schema.field("c").type == arrow_type(contract.columns[0])
    return found.rows.column("c").to_pylist(), {misfit.row: misfit.value for misfit in found.misfits}


# Columns


def test_columns_come_in_the_contracts_order():
    found = conform(scenario.reordered(), scenario.CONTRACT)
    assert found.rows.schema == scenario.rows().schema
    assert repr(found.rows.to_pylist()) == repr(scenario.rows().to_pylist())  # NaN is not equal to itself
    assert found.misfits == ()


def test_an_empty_partition_has_its_columns():
    found = conform(scenario.empty(), scenario.CONTRACT)
    assert found.rows.schema.names == [column.name for column in scenario.COLUMNS]
    assert found.rows.num_rows == 0


def test_every_column_that_is_missing_extra_or_misspelt_is_named():
    contract = Contract(
        table="t",
        columns=tuple(Column(name=name, type=LogicalType.INTEGER) for name in ("departure_time", "dest", "fine")),
    )
    with pytest.raises(FrameError) as caught:
        conform(pa.table({"departure_tme": [1], "fine": [1], "zzz": [1]}), contract)
    told = [str(culprit) for culprit in caught.value.culprits]
    assert len(told) == 4
    assert "'departure_time'" in told[0]
    assert "'departure_tme': rename" in told[0]
    assert "'dest'" in told[1]
    assert "rename" not in told[1]
    assert "'zzz'" in told[3]


def test_a_name_in_other_case_is_another_name():
    contract = Contract(table="t", columns=(Column(name="Dest", type=LogicalType.STRING),))
    with pytest.raises(FrameError, match="'dest': rename"):
        conform(pa.table({"dest": ["x"]}), contract)


# Numbers


def test_a_fraction_is_not_rounded():
    values, misfits = conformed([1.5, 2.0, None, math.nan, math.inf], LogicalType.INTEGER)
    assert values == [None, 2, None, None, None]
    assert misfits == {0: "1.5", 3: "nan", 4: "inf"}
    assert conformed([decimal.Decimal("1.50"), decimal.Decimal("2.00")], LogicalType.INTEGER)[0] == [None, 2]


def test_what_is_beyond_64_bits_is_a_misfit_and_what_is_not_is_exact():
    values, misfits = conformed([2**63, 2**63 - 1, 5], LogicalType.INTEGER, pa.uint64())
    assert values == [None, 2**63 - 1, 5]
    assert misfits == {0: str(2**63)}
    assert conformed(list(scenario.AWKWARD_INTEGERS), LogicalType.INTEGER)[0] == list(scenario.AWKWARD_INTEGERS)
    assert conformed([9.3e18, -9.3e18], LogicalType.INTEGER)[0] == [None, None]


def test_an_integer_becomes_a_number_only_where_a_double_is_equal_to_it():
    values, misfits = conformed([2**53, 2**53 + 1, 2**60, None], LogicalType.NUMBER)
    assert values == [float(2**53), None, float(2**60), None]
    assert misfits == {1: str(2**53 + 1)}


def test_numbers_that_are_not_finite_are_numbers():
    values, misfits = conformed(list(scenario.AWKWARD_NUMBERS), LogicalType.NUMBER)
    assert list(map(repr, values)) == list(map(repr, scenario.AWKWARD_NUMBERS))
    assert misfits == {}


def test_numbers_in_text_are_read_exactly_or_not_at_all():
    values, misfits = conformed(["12", " 12", "1.5", "9223372036854775808", "", None], LogicalType.INTEGER)
    assert values == [12, None, None, None, None, None]
    assert set(misfits) == {1, 2, 3, 4}


def test_only_zero_and_one_are_truth_values():
    assert conformed([0, 1, 5, None], LogicalType.BOOLEAN) == ([False, True, None, None], {2: "5"})
    assert conformed([0.0, 1.0, 0.5], LogicalType.BOOLEAN) == ([False, True, None], {2: "0.5"})


# Moments


@pytest.mark.parametrize("kind", [LogicalType.DATE, LogicalType.TIMESTAMP, LogicalType.TIME])
@pytest.mark.parametrize("given_type", [pa.int32(), pa.int64(), pa.float64()])
def test_a_number_is_no_moment(kind, given_type):
    """1700000000 may be seconds or microseconds: that is not guessed."""
    assert conformed([19000, None], kind, given_type)[0] == [None, None]


@pytest.mark.parametrize("kind", [LogicalType.INTEGER, LogicalType.NUMBER])
@pytest.mark.parametrize("value", [scenario.naive("2024-01-01"), dt.date(2024, 1, 1), dt.time(1), dt.timedelta(days=1)])
def test_a_moment_is_no_number(kind, value):
    values, misfits = conformed([value], kind)
    assert values == [None]
    assert misfits == {0: str(value)}


def test_a_zone_is_never_guessed():
    moments = pa.array([scenario.naive("2024-11-03T01:30")], pa.timestamp("us"))
    with pytest.raises(FrameError, match="no time zone"):
        conformed(moments, LogicalType.TIMESTAMP)
    with pytest.raises(FrameError, match="a time zone and its contract promises none"):
        conformed(moments.cast(pa.timestamp("us", tz="UTC")), LogicalType.TIMESTAMP, timezone=False)
    with pytest.raises(FrameError, match="no time zone"):
        conformed([dt.date(2024, 1, 1)], LogicalType.TIMESTAMP)
    values, misfits = conformed(["2024-01-01T00:00:00", "2024-01-01T00:00:00+02:00"], LogicalType.TIMESTAMP)
    assert values == [None, dt.datetime(2023, 12, 31, 22, tzinfo=UTC)]
    assert set(misfits) == {0}


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("ns", tz="UTC"), pa.null()])
@pytest.mark.parametrize("timezone", [True, False])
def test_a_column_without_values_has_no_zone_to_guess(kind, timezone):
    assert conformed([None, None], LogicalType.TIMESTAMP, kind, timezone=timezone) == ([None, None], {})


def test_both_halves_of_a_doubled_hour_stay_apart():
    first, second = scenario.doubled_hour()
    given = pa.array([first, second], pa.timestamp("s", tz="America/New_York"))
    assert conformed(given, LogicalType.TIMESTAMP) == ([first, second], {})


def test_nanoseconds_are_not_cut():
    given = pa.array([1_000, 1_001], pa.timestamp("ns", tz="UTC"))
    values, misfits = conformed(given, LogicalType.TIMESTAMP)
    assert values == [dt.datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC), None]
    assert set(misfits) == {1}


def test_a_time_of_day_is_not_cut_from_a_date():
    given = [scenario.naive("2024-01-01"), scenario.naive("2024-01-01T00:00:01"), None]
    values, misfits = conformed(given, LogicalType.DATE)
    assert values == [dt.date(2024, 1, 1), None, None]
    assert misfits == {1: "2024-01-01 00:00:01"}
    assert conformed([given[0], None], LogicalType.DATE) == ([dt.date(2024, 1, 1), None], {})


def test_midnight_of_a_zone_is_that_zones_date():
    midnight = dt.datetime(2024, 7, 1, tzinfo=scenario.NEW_YORK)
    given = pa.array([midnight], pa.timestamp("us", tz="America/New_York"))
    assert conformed(given, LogicalType.DATE) == ([dt.date(2024, 7, 1)], {})


def test_a_date_is_not_cut_from_a_time():
    assert conformed([scenario.naive("2024-01-01T05:00")], LogicalType.TIME)[0] == [None]
    assert conformed([dt.time(5)], LogicalType.TIME) == ([dt.time(5)], {})


# Text


def test_texts_are_carried_unchanged():
    texts = list(scenario.AWKWARD_TEXTS)
    for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())):
        given = pa.array(texts).cast(kind) if not pa.types.is_dictionary(kind) else pa.array(texts).dictionary_encode()
        assert conformed(given, LogicalType.STRING) == (texts, {})


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_text_with_a_nul_is_a_misfit(kind):
    values, misfits = conformed(pa.array(["fine", scenario.WITH_NUL, None]).cast(kind), LogicalType.STRING)
    assert values == ["fine", None, None]
    assert misfits == {1: r"a\x00b"}


def test_a_misfit_keeps_its_value_whole():
    """It is all that remains of the value for a replay."""
    long = "x" * 5000 + "\0"
    assert conformed([long], LogicalType.STRING)[1] == {0: "x" * 5000 + r"\x00"}


@pytest.mark.parametrize("value", [1, 1.5, True, b"bytes", dt.date(2024, 1, 1)])
def test_what_is_not_text_is_not_made_text(value):
    assert conformed([value, None], LogicalType.STRING)[0] == [None, None]


def test_dictionaries_are_unpacked():
    given = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0], pa.int8()), pa.array([7, 8]))
    assert conformed(given, LogicalType.INTEGER) == ([7, 8, None, 7], {})
    frame = as_arrow(pd.DataFrame({"c": pd.Categorical(["x", None, "y"])}))
    assert conformed(frame.column("c"), LogicalType.STRING) == (["x", None, "y"], {})


def test_a_uuid_is_its_text():
    value = uuid.UUID(int=7)
    given = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([value.bytes, None], pa.binary(16)))
    assert conformed(given, LogicalType.STRING) == ([str(value), None], {})


# Objects and arrays


def test_structures_become_json():
    values, misfits = conformed([{"a": math.nan, "d": dt.date(2024, 1, 1)}, None], LogicalType.OBJECT)
    assert json.loads(values[0]) == {"a": "nan", "d": "2024-01-01"}
    assert values[1] is None
    assert misfits == {}
    assert conformed([[1, None], []], LogicalType.ARRAY) == (["[1, null]", "[]"], {})


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.json_()])
def test_json_text_is_taken_as_it_stands(kind):
    """pandas' text is Arrow's large_string, and Postgres gives JSON back as an extension type."""
    texts = ['{"a": [1, "🦆"]}', None]
    given = pa.array(texts, pa.string()) if kind == pa.json_() else pa.array(texts, kind)
    if kind == pa.json_():
        given = pa.ExtensionArray.from_storage(kind, given)
    assert conformed(given, LogicalType.OBJECT) == (texts, {})


@pytest.mark.parametrize(
    "text", ["nope", "[1]", '"x"', "1", "null", "", '{"a": NaN}', '{"a": "\\u0000"}', '{"a": "\\ud800"}', '{"a": 1} x']
)
def test_text_that_is_no_object_is_a_misfit_of_its_row_alone(text):
    values, misfits = conformed(["{}", text], LogicalType.OBJECT)
    assert values == ["{}", None]
    assert misfits == {1: text}


# Nothing is lost

_GIVEN = st.one_of(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)).map(lambda values: pa.array(values, pa.int64())),
    st.lists(st.none() | st.integers(0, 2**64 - 1)).map(lambda values: pa.array(values, pa.uint64())),
    st.lists(st.none() | st.floats()).map(lambda values: pa.array(values, pa.float64())),
    st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))).map(lambda v: pa.array(v, pa.string())),
    st.lists(st.none() | st.sampled_from(["1", "x", "{}", "[]", "2024-01-01"])).map(
        lambda values: pa.array(values, pa.string()).dictionary_encode()
    ),
    st.lists(st.none() | st.booleans()).map(lambda values: pa.array(values, pa.bool_())),
    st.lists(st.none() | st.dates()).map(lambda values: pa.array(values, pa.date32())),
    st.lists(st.none() | st.times()).map(lambda values: pa.array(values, pa.time64("us"))),
    st.lists(st.none() | st.datetimes()).map(lambda values: pa.array(values, pa.timestamp("us"))),
    st.lists(st.none() | st.datetimes()).map(lambda values: pa.array(values, pa.timestamp("us", tz="Europe/Berlin"))),
    st.lists(st.none() | st.binary()).map(lambda values: pa.array(values, pa.binary())),
    st.lists(st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-9, max_value=9)).map(
        lambda values: pa.array(values, pa.decimal128(10, 3))
    ),
    st.lists(st.none() | st.lists(st.integers(0, 9))).map(lambda values: pa.array(values, pa.list_(pa.int64()))),
)


@given(_GIVEN, st.sampled_from(LogicalType), st.booleans())
def test_every_row_in_is_a_row_out_and_every_value_is_kept_or_named(array, kind, timezone):
    column = Column(name="c", type=kind, timezone=timezone)
    try:
        found = conform(pa.table({"c": array}), Contract(table="t", columns=(column,)))
    except FrameError:
        assert kind is LogicalType.TIMESTAMP
        return
    before, after = array.to_pylist(), found.rows.column("c").to_pylist()
    misfits = {misfit.row for misfit in found.misfits}
    assert len(after) == len(before)
    for row, (was, now) in enumerate(zip(before, after, strict=True)):
        assert (was is None) <= (now is None)
        assert (row in misfits) == (was is not None and now is None)
        if now is not None and isinstance(was, (int, float, decimal.Decimal)) and isinstance(now, (int, float)):
            assert (
                now == pytest.approx(float(was))
                if isinstance(was, decimal.Decimal)
                else repr(now) == repr(type(now)(was))
            )
    assert list(found.misfits) == sorted(found.misfits, key=lambda misfit: misfit.row)


def test_times_of_day_written_as_text() -> None:
    contract = Contract(table="t", columns=(Column(name="c", type=LogicalType.TIME),))
    texts = ["23:59:59.999999", "12:30", None, "24:00", "12", "12:00+01:00", "noon"]
    found = conform(pa.table({"c": texts}), contract)
    assert found.rows.column("c").to_pylist()[:3] == [dt.time(23, 59, 59, 999_999), dt.time(12, 30), None]
    assert [misfit.row for misfit in found.misfits] == [3, 4, 5, 6]

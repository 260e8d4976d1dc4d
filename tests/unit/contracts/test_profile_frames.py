"""A first contract promises what was seen, exactly: the rows it was written from pass it, the next odd row does not."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import uuid
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_sluice.contracts import Contract, LogicalType, Policy, load_contract
from dagster_sluice.contracts.profile import profile
from dagster_sluice.contracts.profile_file import first_contract
from dagster_sluice.errors import FrameError
from dagster_sluice.gates import Verdict, audit
from dagster_sluice.tables.conform import conform


def written(frame: pa.Table, path: Path, **options: Any) -> str:
    text = first_contract(profile(frame), table="orders", source="orders.csv", **options)
    (path / "orders.yaml").write_text(text, encoding="utf-8")
    return text


def contract_of(frame: pa.Table, path: Path, **options: Any) -> Contract:
    written(frame, path, **options)
    return load_contract(path / "orders.yaml")


def judged(frame: pa.Table, contract: Contract) -> Verdict:
    conformed = conform(frame, contract)
    assert conformed.misfits == ()
    return audit(conformed.rows, contract, engine="gx")


def promises(contract: Contract) -> dict[str, dict[str, Any]]:
    return {
        expectation.name: {name: value for name, value in expectation.kwargs.items() if name != "column"}
        for expectation in contract.expectations
    }


_moment = dt.datetime.fromisoformat
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_moments = st.datetimes(min_value=_moment("0001-01-02"), max_value=_moment("9999-12-30"))
_names = st.one_of(
    st.sampled_from(
        ["id", "order_id", "a b", "ü", "true", "1", "null", "a: b", "- x", "#", "{", "it's", '"', "a\nb", "🦆"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12).filter(
        lambda name: name == name.strip() and len(name.encode()) < 63
    ),
)
_kinds: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), _texts),
    (pa.string(), st.sampled_from(["no", "1", "2024-01-01", "~", "", " ", "a,b", "]", "é"])),
    (pa.large_string(), st.sampled_from(["yes"])),
    (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["a", "b"])),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.int16(), st.integers(-3, 3)),
    (pa.uint64(), st.integers(0, 2**63 - 1)),
    (pa.float64(), st.floats()),
    (pa.float32(), st.floats(width=32)),
    (pa.decimal128(9, 2), st.decimals(-1000, 1000, places=2)),
    (pa.decimal128(38, 0), st.integers(-(10**15), 10**15).map(lambda number: decimal.Decimal(number * 10**5))),
    (pa.bool_(), st.booleans()),
    (pa.date32(), st.dates()),
    (pa.timestamp("us"), _moments),
    (pa.timestamp("us", "America/New_York"), _moments.map(lambda moment: moment.replace(tzinfo=dt.timezone.utc))),
    (pa.timestamp("s"), _moments.map(lambda moment: moment.replace(microsecond=0))),
    (pa.time64("us"), st.times()),
    (pa.list_(pa.int64()), st.lists(st.integers(0, 9), max_size=2)),
    (pa.struct({"a": pa.float64()}), st.fixed_dictionaries({"a": st.floats()})),
    (pa.null(), st.none()),
]


@st.composite
def frames(draw: st.DrawFn) -> pa.Table:
    """Frames of every type; few distinct values repeated often, so that sets of words appear."""
    rows = draw(st.sampled_from([0, 1, 2, 5, 60]))
    names = draw(st.lists(_names, min_size=1, max_size=14, unique=True))
    arrays = []
    for _ in names:
        kind, values = draw(st.sampled_from(_kinds))
        some = draw(st.lists(st.one_of(values, st.none()) if draw(st.booleans()) else values, min_size=1, max_size=6))
        arrays.append(pa.array((some * rows)[:rows], kind))
    return pa.table(arrays, names=names)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=frames())
def test_the_rows_a_contract_was_written_from_pass_it(tmp_path: Path, frame: pa.Table) -> None:
    contract = contract_of(frame, tmp_path)
    verdict = judged(frame, contract)
    assert [
        (result.name, result.error, result.observed_value) for result in verdict.results if not result.success
    ] == []


def test_what_was_seen_is_what_is_promised(tmp_path: Path) -> None:
    n = 400
    contract = contract_of(
        pa.table(
            {
                "order_id": list(range(n)),
                "country": ["DE", "AT", None, "no"] * (n // 4),
                "name": [f"n{i}" for i in range(n)],
                "amount": [-1.5, math.nan, 3.0, 0.1] * (n // 4),
                "on": [dt.date(2024, 2, 29)] * n,
                "at": pa.array([_moment("2024-01-01T12:00:00")] * n, pa.timestamp("ns")),
                "zoned": pa.array([_moment("2024-01-01T12:00:00.000005")] * n, pa.timestamp("us", "America/New_York")),
                "good": [True, False] * (n // 2),
                "nothing": pa.nulls(n),
            }
        ),
        tmp_path,
    )
    utc = dt.datetime(2024, 1, 1, 12, 0, 0, 5, tzinfo=dt.timezone.utc)
    assert promises(contract) == {
        "order_id__not_null": {},
        "order_id__unique": {},
        "order_id__between": {"min_value": 0, "max_value": 399},
        "country__in_set": {"value_set": ["AT", "DE", "no"]},
        "country__not_null": {"mostly": 0.75},
        "name__not_null": {},
        "name__unique": {},
        "name__length": {"min_value": 2, "max_value": 4},
        "amount__between": {"min_value": -1.5, "max_value": 3.0},
        "amount__not_null": {"mostly": 0.75},
        "on__not_null": {},
        "on__between": {"min_value": dt.date(2024, 2, 29), "max_value": dt.date(2024, 2, 29)},
        "at__not_null": {},
        "at__between": {"min_value": _moment("2024-01-01T12:00:00"), "max_value": _moment("2024-01-01T12:00:00")},
        "zoned__not_null": {},
        "zoned__between": {"min_value": utc, "max_value": utc},
        "good__not_null": {},
        "not_empty": {"min_value": 1},
        "row_count": {"value": n},
    }
    assert {column.name: column.timezone for column in contract.columns if column.type is LogicalType.TIMESTAMP} == {
        "at": False,
        "zoned": True,
    }
    assert {column.name for column in contract.columns if column.required} == {
        "order_id",
        "name",
        "on",
        "at",
        "zoned",
        "good",
    }
    policies = {expectation.name: expectation.policy for expectation in contract.expectations}
    assert policies.pop("not_empty") is Policy.BLOCK
    assert set(policies.values()) == {Policy.WARN}
    assert all(column.description.startswith("Observed") for column in contract.columns)


def test_nothing_is_looser_than_what_was_seen(tmp_path: Path) -> None:
    rows = {"id": [1, 2, 3, 4], "word": ["a", "bb", "a", "bb"], "amount": [1.5, 2.5, None, 2.5]}
    contract = contract_of(pa.table(rows), tmp_path)
    worse = {
        "id__unique": {"id": [1, 1, 3, 4]},
        "id__between": {"id": [1, 2, 3, 5]},
        "id__not_null": {"id": [1, 2, 3, None]},
        "word__length": {"word": ["a", "bb", "", "bb"]},
        "amount__between": {"amount": [1.4999999999999998, 2.5, None, 2.5]},
        "amount__not_null": {"amount": [1.5, None, None, 2.5]},
    }
    for name, values in worse.items():
        verdict = judged(pa.table({**rows, **values}), contract)
        assert [result.name for result in verdict.results if not result.success] == [name]
    longer = judged(
        pa.table({name: [*values, values[2]] for name, values in {**rows, "id": [1, 2, 4, 3]}.items()}), contract
    )
    assert "row_count" in {result.name for result in longer.results if not result.success}


def test_the_file_says_how_many_rows_its_bounds_were_seen_in(tmp_path: Path) -> None:
    text = written(pa.table({"id": [1, 2, 3], "big": [0, 2**63 - 1, 5], "odd": [1.0, math.inf, math.nan]}), tmp_path)
    assert "observations of 3 rows, exactly as seen" in text
    assert text.count("# Observations of 3 rows:") == 3
    assert "# Rounded away from the values" in text
    assert "# 1 value is infinite; no bound can be written on that side." in text
    assert "# 1 of the missing values are NaN" in text


@pytest.mark.parametrize("rows", [1, 3, 7, 9999, 10_000_000])
def test_a_share_of_nulls_is_that_of_the_rows_to_the_last_one(rows: int) -> None:
    from dagster_sluice.contracts.profile_file import _percent_up

    for missing in {1, rows // 3, rows - 1} - {0, rows}:
        percent = yaml.safe_load(_percent_up(Fraction(missing, rows), rows))
        mostly = float((decimal.Decimal(100) - decimal.Decimal(str(percent))) / 100)
        assert (rows - missing) / rows >= mostly
        assert (rows - missing - 1) / rows < mostly
        assert 0 < percent < 100


@pytest.mark.parametrize(
    ("columns", "table", "key"),
    [
        ({"id": [1, 2]}, "orders", "id"),
        ({"id": [1, 2], "order_id": [3, 4]}, "orders", "order_id"),
        ({"ORDER_ID": ["a", "b"], "amount": [1, 2]}, "Orders", "ORDER_ID"),
        ({"country_key": [1, 2]}, "countries", "country_key"),
        ({"uuid": ["a", "b"]}, "orders", "uuid"),
        ({"id": [1, 2], "uuid": ["a", "b"]}, "orders", None),
        ({"id": [1, 1]}, "orders", None),
        ({"id": [1, None, 2]}, "orders", None),
        ({"id": [1.0, 2.0]}, "orders", None),
        ({"id": [1]}, "orders", None),
        ({"customer_id": [1, 2]}, "orders", None),
        ({"amount": [1, 2]}, "orders", None),
    ],
)
def test_a_key_is_guessed_only_where_it_is_obvious(columns: dict[str, list[Any]], table: str, key: str | None) -> None:
    from dagster_sluice.contracts.profile_file import primary_key

    assert primary_key(profile(pa.table(columns)), table) == key


def test_words_are_a_set_up_to_twenty_and_a_twentieth_of_the_rows() -> None:
    def values(distinct: int, rows: int) -> Any:
        words = [f"w{i % distinct}" for i in range(rows)]
        return profile(pa.table({"word": words})).columns[0].values

    assert len(values(20, 400)) == 20
    assert values(21, 4000) is None
    assert values(20, 399) is None


def test_a_frame_without_rows_promises_columns_and_types_alone(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us"))])
    contract = contract_of(schema.empty_table(), tmp_path)
    assert contract.expectations == ()
    assert [column.type for column in contract.columns] == [LogicalType.INTEGER, LogicalType.TIMESTAMP]


def test_partitions_are_judged_each_by_itself(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "id": [1, 2, 3, 4, 5, 6],
            "note": ["a", None, "c", "d", "e", "f"],
            "_partition": ["mon", "mon", "tue", "tue", "tue", "tue"],
        }
    )
    seen = profile(rows, partition_column="_partition")
    assert seen.partition_rows == (2, 4)
    (tmp_path / "orders.yaml").write_text(first_contract(seen, table="orders", schema="shop", source="shop.orders"))
    contract = load_contract(tmp_path / "orders.yaml")
    assert (contract.schema, [column.name for column in contract.columns]) == ("shop", ["id", "note"])
    assert promises(contract)["row_count"] == {"min_value": 2, "max_value": 4}
    assert promises(contract)["note__not_null"] == {"mostly": 0.5}
    for part in (rows.slice(0, 2), rows.slice(2)):
        assert judged(part.drop_columns(["_partition"]), contract).success


def test_types_that_need_a_closer_look(tmp_path: Path) -> None:
    numbers = [uuid.UUID(int=1), None]
    contract = contract_of(
        pa.table(
            {
                "uuid": pa.array([n.bytes if n else None for n in numbers], pa.uuid()),
                "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', None])),
                "list": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["[]", "[1]"])),
                "both": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["[]", "{}"])),
                "price": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(12, 2)),
                "sum": pa.array([decimal.Decimal(7), None], pa.decimal128(38, 0)),
            }
        ),
        tmp_path,
    )
    assert {column.name: (column.type.value, column.physical_type) for column in contract.columns} == {
        "uuid": ("string", None),
        "json": ("object", None),
        "list": ("array", None),
        "both": ("string", "jsonb"),
        "price": ("number", "numeric(12,2)"),
        "sum": ("integer", None),
    }


def test_all_that_cannot_be_said_is_said_at_once() -> None:
    late = pa.array([10**12], pa.timestamp("s"))
    columns: list[tuple[str, Any]] = [
        ("", pa.array([1])),
        (" a", pa.array([1])),
        ("b", pa.array([1])),
        ("b", pa.array([1])),
        ("x" * 64, pa.array([1])),
        ("nu\0l", pa.array([1])),
        ("bytes", pa.array([b"x"])),
        ("while", pa.array([1], pa.duration("s"))),
        ("text", pa.array(["a\0"])),
        ("wide", pa.array([2**64 - 1], pa.uint64())),
        ("nanos", pa.array([1], pa.timestamp("ns"))),
        ("nanotime", pa.array([1], pa.time64("ns"))),
        ("late", late),
        ("day", pa.array([10**7], pa.int32()).cast(pa.date32())),
    ]
    with pytest.raises(FrameError) as caught:
        profile(pa.table([array for _, array in columns], names=[name for name, _ in columns]))
    told = [(culprit.where, culprit.problem) for culprit in caught.value.culprits]
    assert told == [
        ("column ''", "has no name."),
        ("column ' a'", "begins or ends with a blank, which a contract cannot tell."),
        ("column 'b'", "stands 2 times."),
        (f"column {'x' * 64!r}", "has a name of more than 63 bytes, which no warehouse takes."),
        ("column 'nu\\x00l'", "has a NUL in its name, which no warehouse takes."),
        ("column 'bytes'", "is of type binary, for which a contract has no word."),
        ("column 'while'", "is of type duration[s], for which a contract has no word."),
        ("column 'text'", "holds a NUL, which no database takes in text."),
        ("column 'wide'", "holds values of type uint64 that do not fit a 64-bit integer."),
        ("column 'nanos'", "holds values of type timestamp[ns] that do not fit a moment in whole microseconds."),
        ("column 'nanotime'", "holds values of type time64[ns] that do not fit a moment in whole microseconds."),
        ("column 'late'", "holds dates beyond the years 1 to 9999."),
        ("column 'day'", "holds dates beyond the years 1 to 9999."),
    ]
    assert all(culprit.mend for culprit in caught.value.culprits)


def test_a_frame_without_columns_is_no_table() -> None:
    with pytest.raises(FrameError, match="no columns"):
        profile(pa.table({}))


def test_a_contract_can_ask_for_another_policy(tmp_path: Path) -> None:
    contract = contract_of(pa.table({"id": [1, 2]}), tmp_path, policy=Policy.QUARANTINE)
    policies = {expectation.name: expectation.policy for expectation in contract.expectations}
    assert policies["id__unique"] is Policy.QUARANTINE
    assert policies["row_count"] is Policy.BLOCK


def test_decimals_that_no_double_is_equal_to_are_refused() -> None:
    frame = pa.table({"amount": pa.array([decimal.Decimal(-99999999999999999999), None], pa.decimal128(38, 0))})
    with pytest.raises(FrameError, match=r"amount.*\n?.*no double is equal to") as caught:
        profile(frame)
    assert "make them text" in str(caught.value)

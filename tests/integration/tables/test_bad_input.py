"""Whatever a table's function returns: one clear error, or the rows that are bad in quarantine. No row is ever lost."""

import dataclasses
import datetime as dt
import json
import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scenario
from shop import DAYS, Shop, failure, good, promise

from dagster_sluice import Column, Contract, Expectation, Policy, table
from dagster_sluice.contracts.contract import LogicalType
from dagster_sluice.errors import TableError
from dagster_sluice.tables.conform import conform
from dagster_sluice.tables.content import content_hash

UTC = dt.timezone.utc
S, I, N = LogicalType.STRING, LogicalType.INTEGER, LogicalType.NUMBER  # noqa: E741
NOTHING: dict[int, str] = {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A frame, and what is to become of it.

    Attributes:
        frame: Makes it; one column ``c`` unless ``columns`` says otherwise.
        kind: The promised type of ``c``.
        kept: The quarantined values by position of the row, as text; empty if every row is published.
        error: What the one error says, if nothing is published; a regular expression.
        column: More of the column.
        columns: The whole of the contract's columns.
        stands: The published values of ``c`` in order, where that matters.
    """

    frame: Callable[[], Any]
    kind: LogicalType = S
    kept: dict[int, str] = dataclasses.field(default_factory=dict)
    error: str | None = None
    column: dict[str, Any] = dataclasses.field(default_factory=dict)
    columns: tuple[Column, ...] | None = None
    stands: list[Any] | None = None


def objects(*values: Any) -> Callable[[], pd.DataFrame]:
    """A pandas frame whose column ``c`` is of Python objects."""
    return lambda: pd.DataFrame({"c": pd.Series(list(values), dtype=object)})


def arrow(values: Any, kind: Any = None) -> Callable[[], pa.Table]:
    return lambda: pa.table({"c": values if isinstance(values, pa.Array) else pa.array(values, kind)})


def named(*names: Any) -> Callable[[], pd.DataFrame]:
    return lambda: pd.DataFrame([list(range(len(names)))], columns=pd.Index(list(names), dtype=object))


def ext_numeric() -> pa.Table:
    kind = pa.opaque(pa.string(), "numeric", "PostgreSQL")
    return pa.table({"c": pa.ExtensionArray.from_storage(kind, pa.array(["7.00", "1.5", None]))})


NAIVE = scenario.naive("2024-01-01T05:00")
AWARE = dt.datetime(2024, 1, 1, 5, tzinfo=UTC)
WIDE = tuple(Column(name=f"c{number}", type=I) for number in range(1000))

CASES: dict[str, Case] = {
    # Which columns
    "none at all": Case(frame=pd.DataFrame, error=r"column 'c': is promised and missing"),
    "rows without columns": Case(frame=lambda: pd.DataFrame(index=[1, 2, 3]), error=r"column 'c': is promised"),
    "missing": Case(frame=named("d"), error=r"column 'c': is promised and missing"),
    "extra": Case(frame=named("c", "d"), error=r"column 'd': is not in the contract"),
    "misspelt": Case(
        frame=named("amuont"), columns=(Column(name="amount", type=I),), error=r"'amuont': rename it"
    ),
    "other case": Case(frame=named("C"), error=r"column 'c': is promised and missing"),
    "reordered": Case(
        frame=lambda: pd.DataFrame({"b": ["x"], "a": [1]}),
        columns=(Column(name="a", type=I), Column(name="b", type=S)),
    ),
    "two of one name": Case(frame=named("c", "c"), error=r"'c'.*stands 2 times"),
    "two of one name in arrow": Case(
        frame=lambda: pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["c", "c"]), error="'c'.*stands 2 times"
    ),
    "a number and its text as names": Case(frame=named(0, "0"), error=r"'0'.*stands 2 times"),
    "numbers as names": Case(
        frame=named(0, 1), columns=(Column(name="0", type=I), Column(name="1", type=I)), stands=None
    ),
    "names of several levels": Case(
        frame=lambda: pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("c", "x"), ("c", "y")])),
        error=r"\('c', 'x'\).*is not in the contract",
    ),
    "a surrogate in a name": Case(frame=named("c\ud800"), error=r"column 'c\\ud800'.*lone surrogate"),
    "no name": Case(frame=named(None), error=r"column 'None': is not in the contract"),
    "a thousand": Case(
        frame=lambda: pd.DataFrame({column.name: [1, 2] for column in WIDE}), columns=WIDE
    ),
    "more than Postgres has": Case(
        frame=lambda: pd.DataFrame({f"c{number}": [1] for number in range(1700)}),
        columns=tuple(Column(name=f"c{number}", type=I) for number in range(1700)),
        error=r"1,700 columns; Postgres takes 1,599",
    ),
    "names that look like SQL": Case(
        frame=lambda: pd.DataFrame({name: ["'); DROP TABLE x; --"] for name in scenario.AWKWARD_NAMES}),
        columns=tuple(Column(name=name, type=S) for name in scenario.AWKWARD_NAMES),
    ),
    # What is no frame
    "None": Case(frame=lambda: None, error="A NoneType is not a frame"),
    "a list": Case(frame=lambda: [1], error="A list is not a frame"),
    "a mapping": Case(frame=lambda: {"c": [1]}, error="A dict is not a frame"),
    "a series": Case(frame=lambda: pd.Series(["x"], name="c"), error="A Series is not a frame"),
    # Rows
    "no rows": Case(frame=lambda: pd.DataFrame({"c": pd.Series([], dtype=object)}), stands=[]),
    "no rows of another type": Case(frame=arrow([], pa.list_(pa.int8())), kind=I, stands=[]),
    "all null": Case(frame=lambda: pd.DataFrame({"c": [None, None]}), kind=N, stands=[None, None]),
    "all null, of a type": Case(frame=arrow([None, None], pa.date32()), kind=I, stands=[None, None]),
    "every row is bad": Case(frame=objects("x", "y"), kind=I, error=r"All 2 rows.*conforms failed: 2 of 2 rows.*Column 'c'"),
    "an index that repeats": Case(
        frame=lambda: pd.DataFrame({"c": ["x", "y"]}, index=[7, 7]), stands=["x", "y"]
    ),
    # Text
    "what looks like SQL": Case(frame=lambda: pd.DataFrame({"c": list(scenario.AWKWARD_TEXTS)}),
                                stands=list(scenario.AWKWARD_TEXTS)),
    "a NUL": Case(frame=objects("fine", scenario.WITH_NUL, None), kept={1: r"a\x00b"}, stands=["fine", None]),
    "a NUL in arrow": Case(frame=arrow(["fine", "\0"]), kept={1: r"\x00"}, stands=["fine"]),
    "a lone surrogate": Case(frame=objects("fine", scenario.LONE_SURROGATE), kept={1: r"a\ud800b"}, stands=["fine"]),
    "bytes among texts": Case(frame=objects("fine", b"x", "also"), kept={1: "b'x'"}, stands=["fine", "also"]),
    "bytes": Case(frame=arrow([b"x", None]), kept={0: "b'x'"}, stands=[None]),
    "numbers among texts": Case(frame=objects("fine", 7, 1.5, float("nan")), kept={1: "7", 2: "1.5"},
                                stands=["fine", None]),
    "emoji and the like": Case(frame=objects("🦆👩‍👩‍👧", "e\u0301", "\u202e"), stands=["🦆👩‍👩‍👧", "e\u0301", "\u202e"]),
    "views": Case(frame=arrow(pa.array(["x", None]).cast(pa.string_view())), stands=["x", None]),
    "large": Case(frame=arrow(["x"], pa.large_string()), stands=["x"]),
    "a dictionary": Case(frame=arrow(pa.array(["x", None, "x"]).dictionary_encode()), stands=["x", None, "x"]),
    "run ends": Case(
        frame=arrow(pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["x", None]))),
        stands=["x", "x", None],
    ),
    "a category": Case(frame=lambda: pd.DataFrame({"c": pd.Categorical(["x", None, "y"])}), stands=["x", None, "y"]),
    "a category of several kinds": Case(
        frame=lambda: pd.DataFrame({"c": pd.Categorical(["x", 1, "x"])}), kept={1: "1"}, stands=["x", "x"]
    ),
    "pandas' own text": Case(frame=lambda: pd.DataFrame({"c": pd.array(["x", None], dtype="string")}),
                             stands=["x", None]),
    # Integers
    "one text among them": Case(frame=objects(1, "x", None, 3), kind=I, kept={1: "x"}, stands=[1, None, 3]),
    "a text that is one": Case(frame=objects(1, "2"), kind=I, stands=[1, 2]),
    "2**63": Case(frame=objects(2**63, 1), kind=I, kept={0: str(2**63)}, stands=[1]),
    "2**64 and less than -2**63": Case(
        frame=objects(2**64, -(2**63) - 1, -(2**63)), kind=I, kept={0: str(2**64), 1: str(-(2**63) - 1)},
        stands=[-(2**63)],
    ),
    "2**200": Case(frame=objects(1, 2**200), kind=I, kept={1: str(2**200)}, stands=[1]),
    "10**400": Case(frame=objects(1, 10**400), kind=I, kept={1: str(10**400)}, stands=[1]),
    "uint64": Case(frame=arrow([2**64 - 1, 7], pa.uint64()), kind=I, kept={0: str(2**64 - 1)}, stands=[7]),
    "fractions": Case(frame=lambda: pd.DataFrame({"c": [1.0, 1.5, None]}), kind=I, kept={1: "1.5"}, stands=[1, None]),
    "truth among them": Case(frame=objects(7, True), kind=I, stands=[7, 1]),
    "nullable": Case(frame=lambda: pd.DataFrame({"c": pd.array([1, None], dtype="Int8")}), kind=I, stands=[1, None]),
    "arrow in pandas": Case(
        frame=lambda: pd.DataFrame({"c": pd.array([1, None], dtype="int64[pyarrow]")}), kind=I, stands=[1, None]
    ),
    "sparse": Case(frame=lambda: pd.DataFrame({"c": pd.arrays.SparseArray([0, 0, 7])}), kind=I, stands=[0, 0, 7]),
    "decimals": Case(
        frame=arrow([Decimal("7.00"), Decimal("7.50")], pa.decimal128(5, 2)), kind=I, kept={1: "7.50"}, stands=[7]
    ),
    "wide decimals": Case(
        frame=arrow([Decimal(7), Decimal(10**60)], pa.decimal256(70, 0)), kind=I, kept={1: str(10**60)}, stands=[7]
    ),
    "a numeric of Postgres": Case(frame=ext_numeric, kind=I, kept={1: "1.5"}, stands=[7, None]),
    "durations": Case(
        frame=lambda: pd.DataFrame({"c": pd.to_timedelta([1, 2], unit="D")}), kind=I, error=r"Column 'c'.*not a number without a unit"
    ),
    "periods": Case(
        frame=lambda: pd.DataFrame({"c": pd.period_range("2024-01", periods=2, freq="M")}), kind=I,
        error=r"'c' is a pandas\.period",
    ),
    "intervals": Case(
        frame=lambda: pd.DataFrame({"c": pd.interval_range(0, 2)}), kind=I, error=r"'c' is a pandas\.interval"
    ),
    "complex": Case(frame=lambda: pd.DataFrame({"c": [1j, 2j]}), kind=N, error=r"All 2 rows.*conforms failed: 2 of 2 rows.*Column 'c'"),
    "things": Case(frame=objects(1, NAIVE.date, 2), kind=I, kept={1: str(NAIVE.date)}, stands=[1, 2]),
    # Numbers
    "huge integers among floats": Case(
        frame=objects(2**53 + 1, 0.5, 2**70, 10**400), kind=N, kept={0: str(2**53 + 1), 3: str(10**400)},
        stands=[0.5, float(2**70)],
    ),
    "a text among floats": Case(frame=objects(0.5, "n/a", "1e3"), kind=N, kept={1: "n/a"}, stands=[0.5, 1000.0]),
    "infinite": Case(frame=lambda: pd.DataFrame({"c": [np.inf, -np.inf]}), kind=N, stands=[np.inf, -np.inf]),
    "more digits than a double": Case(
        frame=arrow([Decimal("0.1"), Decimal("12345678901234567.89")], pa.decimal128(38, 2)), kind=N,
        kept={1: "12345678901234567.89"}, stands=[0.1],
    ),
    "half floats": Case(frame=arrow(np.array([0.5], np.float16)), kind=N, stands=[0.5]),
    "truth as a text": Case(frame=objects("true", "maybe", True), kind=LogicalType.BOOLEAN, kept={1: "maybe"},
                            stands=[True, True]),
    # Moments
    "dates and moments": Case(
        frame=objects(dt.date(2024, 1, 1), NAIVE), kind=LogicalType.DATE, kept={1: "2024-01-01 05:00:00"},
        stands=[dt.date(2024, 1, 1)],
    ),
    "with a zone and without": Case(
        frame=objects(NAIVE, AWARE), kind=LogicalType.TIMESTAMP, kept={0: "2024-01-01 05:00:00"}, stands=[AWARE]
    ),
    "without a zone": Case(
        frame=lambda: pd.DataFrame({"c": pd.to_datetime(["2024-11-03 01:30"])}), kind=LogicalType.TIMESTAMP,
        error=r"'c' has no time zone and its contract promises one",
    ),
    "with a zone that is not promised": Case(
        frame=lambda: pd.DataFrame({"c": pd.to_datetime(["2024-11-03 01:30Z"])}), kind=LogicalType.TIMESTAMP,
        column={"timezone": False}, error=r"'c' has a time zone and its contract promises none",
    ),
    "local texts": Case(
        frame=objects("2024-11-03 01:30", "2024-03-10T02:30:00", "2024-01-01T00:00:00+01:00"),
        kind=LogicalType.TIMESTAMP, kept={0: "2024-11-03 01:30", 1: "2024-03-10T02:30:00"},
        stands=[dt.datetime(2023, 12, 31, 23, tzinfo=UTC)],
    ),
    "a doubled hour": Case(
        frame=arrow(list(scenario.doubled_hour()), pa.timestamp("us", "America/New_York")),
        kind=LogicalType.TIMESTAMP, stands=list(scenario.doubled_hour()),
    ),
    "a doubled hour as objects": Case(
        frame=objects(*(moment.astimezone(ZoneInfo("America/New_York")) for moment in scenario.doubled_hour())),
        kind=LogicalType.TIMESTAMP, stands=list(scenario.doubled_hour()),
    ),
    "seconds beyond reach": Case(
        frame=arrow([2**60, 0], pa.timestamp("s", "UTC")), kind=LogicalType.TIMESTAMP, kept={0: "36534630048-05-13T13:56:16Z"},
        stands=[dt.datetime(1970, 1, 1, tzinfo=UTC)],
    ),
    "milliseconds beyond the calendar": Case(
        frame=arrow([2**58, 0], pa.timestamp("ms", "UTC")), kind=LogicalType.TIMESTAMP, kept={0: ""},
        stands=[dt.datetime(1970, 1, 1, tzinfo=UTC)],
    ),
    "before the calendar": Case(
        frame=arrow([-(2**62), 0], pa.timestamp("us", "UTC")), kind=LogicalType.TIMESTAMP, kept={0: ""},
        stands=[dt.datetime(1970, 1, 1, tzinfo=UTC)],
    ),
    "nanoseconds": Case(
        frame=arrow([1, 1000], pa.timestamp("ns", "UTC")), kind=LogicalType.TIMESTAMP, kept={0: ""},
        stands=[dt.datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)],
    ),
    "the year 10000": Case(
        frame=arrow([2932897, 0], pa.date32()), kind=LogicalType.DATE, kept={0: "10000-01-01"},
        stands=[dt.date(1970, 1, 1)],
    ),
    "numbers for dates": Case(frame=arrow([19000, None]), kind=LogicalType.DATE, kept={0: "19000"}, stands=[None]),
    "nonsense for dates": Case(
        frame=objects("2024-02-30", "2024-02-29", ""), kind=LogicalType.DATE, kept={0: "2024-02-30", 2: ""},
        stands=[dt.date(2024, 2, 29)],
    ),
    # Nested
    "lists for text": Case(frame=arrow([["x"], None]), kept={0: "['x']"}, stands=[None]),
    "structs": Case(frame=arrow([{"b": 1, "a": None}]), kind=LogicalType.OBJECT, stands=['{"a": null, "b": 1}']),
    "maps": Case(
        frame=arrow([[("b", 1)], [("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int8())), kind=LogicalType.OBJECT,
        kept={1: "[('a', 1), ('a', 2)]"}, stands=['{"b": 1}'],
    ),
    "sets": Case(frame=objects({"x"}, ["y"]), kind=LogicalType.ARRAY, kept={}, stands=['["x"]', '["y"]']),
    "a list that holds bytes, moments and NaN": Case(
        frame=objects([b"x", AWARE, float("nan"), Decimal("0.10")], []), kind=LogicalType.ARRAY, stands=None
    ),
    "JSON that is cut": Case(frame=objects('{"a": 1', "{}"), kind=LogicalType.OBJECT, kept={0: '{"a": 1'}, stands=["{}"]),
    "JSON nested too deep": Case(
        frame=objects("[" * 100_000 + "]" * 100_000, "[]"), kind=LogicalType.ARRAY,
        kept={0: "[" * 100_000 + "]" * 100_000}, stands=["[]"],
    ),
    "JSON with a key twice": Case(
        frame=objects('{"a": 1, "a": 2}', "{}"), kind=LogicalType.OBJECT, kept={0: '{"a": 1, "a": 2}'}, stands=["{}"]
    ),
}  # fmt: skip


def run(shop: Shop, contract: Contract, frame: Any) -> dg.ExecuteInProcessResult:
    shop.batches[None] = frame
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return shop.run(shop.orders(contract, partitions_def=None))


def rows_in(frame: Any) -> int:
    return len(frame) if hasattr(frame, "__len__") and not isinstance(frame, dict | list) else 0


@pytest.mark.parametrize("name", CASES)
def test_bad_input(shop: Shop, name: str) -> None:
    case = CASES[name]
    columns = case.columns or (Column(name="c", type=case.kind, **case.column),)
    contract = Contract(table="orders", columns=columns, quarantine_limit=0.99)
    frame = case.frame()
    result = run(shop, contract, frame)
    if case.error is not None:
        said = failure(result)
        assert not result.success
        assert re.search(case.error, said, re.DOTALL), said
        assert "Traceback" not in said
        assert not re.search(r"\w+\.pyx?\b", said), said
        said.encode()
        assert shop.published() == set()
        return
    assert result.success, failure(result)
    publication = shop.publication()
    kept = {tuple(row.payload.values()): row for row in shop.warehouse.quarantined(shop.address, limit=None)}
    assert publication.rows_published + publication.rows_quarantined == rows_in(frame)
    assert publication.rows_quarantined == len(case.kept)
    for text in case.kept.values():
        assert any(text in found for (found,) in kept), kept
    assert all(row.reasons[0]["column"] == "c" for row in kept.values())
    back = conform(shop.warehouse.read(shop.address), contract).rows
    assert back.num_rows == publication.rows_published
    assert content_hash(back) == publication.content_hash
    if case.stands is not None:
        found = [
            value.astimezone(UTC) if getattr(value, "tzinfo", None) else value for value in back.column("c").to_pylist()
        ]
        assert sorted(map(repr, found)) == sorted(map(repr, case.stands))
    json.dumps([dict(row.payload) for row in kept.values()])


def test_a_contract_without_columns_is_refused(shop: Shop) -> None:
    with pytest.raises(TableError, match="has no columns"):
        shop.orders(Contract(table="orders", columns=()))


def test_a_long_text_goes_there_and_back_and_a_bad_one_is_kept_whole(shop: Shop) -> None:
    long = "é🦆" * 3_500_000
    columns = (Column(name="c", type=S), Column(name="n", type=I))
    contract = Contract(
        table="orders",
        columns=columns,
        quarantine_limit=0.9,
        expectations=(
            Expectation(
                name="short",
                type="expect_column_value_lengths_to_be_between",
                kwargs={"column": "c", "max_value": 8_000_000},
                policy=Policy.QUARANTINE,
            ),
        ),
    )
    frame = pd.DataFrame({"c": [long, long + "\0", long + "x" * 2_000_000], "n": [1, 2, 3]})
    result = run(shop, contract, frame)
    assert result.success, failure(result)
    assert shop.warehouse.read(shop.address).column("c").to_pylist() == [long]
    kept = {row.payload["n"]: row.payload["c"] for row in shop.warehouse.quarantined(shop.address)}
    assert kept == {2: long + r"\x00", 3: long + "x" * 2_000_000}
    for check in shop.evaluations(result.run_id).values():
        assert len(str(check.metadata)) < 100_000


def test_nan_keys_are_no_keys(shop: Shop) -> None:
    """NaN and NULL are both missing; neither is a second of the other."""
    rows = pa.table({"id": pa.array([1, 2, 3, 4]), "amount": pa.array([np.nan, np.nan, None, 1.0]), "note": ["x"] * 4})
    unique = Expectation(name="once", type="expect_column_values_to_be_unique", kwargs={"column": "amount"})
    present = Expectation(
        name="present",
        type="expect_column_values_to_not_be_null",
        kwargs={"column": "amount"},
        policy=Policy.QUARANTINE,
    )
    result = run(shop, promise(expectations=(unique, present), quarantine_limit=0.9), rows)
    assert result.success, failure(result)
    assert [row["id"] for row in shop.rows()] == [4]
    assert {row.payload["id"] for row in shop.warehouse.quarantined(shop.address)} == {1, 2, 3}


def test_local_times_that_are_doubled_or_skipped(shop: Shop) -> None:
    """pandas says which ones; here the column comes without a zone, and none is guessed."""
    local = pd.Series(pd.to_datetime(["2024-11-03 01:30", "2024-03-10 02:30", "2024-07-01 12:00"]))
    contract = promise(
        columns=(Column(name="id", type=I), Column(name="at", type=LogicalType.TIMESTAMP)), expectations=()
    )
    frame = pd.DataFrame({"id": [1, 2, 3], "at": local})
    result = run(shop, contract, frame)
    assert "'at' has no time zone" in failure(result)
    assert "never guessed" in failure(result)
    frame["at"] = local.dt.tz_localize("America/New_York", ambiguous="NaT", nonexistent="NaT")
    assert run(shop, contract, frame).success
    assert [row["at"] for row in shop.rows()] == [None, None, dt.datetime(2024, 7, 1, 16, tzinfo=UTC)]


def test_a_partition_key_that_no_database_takes(shop: Shop) -> None:
    """Dagster itself refuses NUL."""
    keys = dg.StaticPartitionsDefinition([scenario.LONE_SURROGATE, "fine"])
    with pytest.raises(TableError, match=r"partition 'a\\ud800b': has a lone surrogate") as caught:
        shop.orders(partitions_def=keys)
    assert str(caught.value).encode()


@pytest.mark.parametrize("key", [key for key in scenario.AWKWARD_KEYS if key and "..." not in key])
def test_partition_keys_that_look_like_anything(shop: Shop, key: str) -> None:
    try:
        keys = dg.StaticPartitionsDefinition([key, "fine"])
    except dg.DagsterInvalidDefinitionError:
        pytest.skip("Dagster does not take it")
    shop.batches[key] = good(2)
    result = shop.run(shop.orders(partitions_def=keys), day=key)
    assert result.success, failure(result)
    assert shop.published() == {key}
    assert len(shop.rows(key)) == 2


def test_a_duckdb_relation(shop: Shop) -> None:
    with duckdb.connect() as session:
        relation = session.sql(
            "SELECT 1 AS id, sum(2.5)::DECIMAL(38, 1) AS amount, 'x' AS note UNION ALL SELECT 2::HUGEINT, NULL, 'y'"
        )
        result = run(shop, promise(), relation)
        assert result.success, failure(result)
    assert shop.rows() == [{"id": 1, "amount": 2.5, "note": "x"}, {"id": 2, "amount": None, "note": "y"}]


@pytest.mark.parametrize("kind", ["pandas", "arrow"])
def test_inputs_that_hold_numeric_are_numbers(shop: Shop, kind: str) -> None:
    seen: list[Any] = []
    priced = promise(columns=(*promise().columns, Column(name="price", type=N, physical_type="numeric(12,2)")))
    shop.batches[None] = good(2).append_column("price", pa.array([1.25, None]))
    source = shop.orders(priced, partitions_def=None)
    annotation = {"pandas": pd.DataFrame, "arrow": pa.Table}[kind]

    def total(orders):
        seen.append(orders)
        return orders

    total.__annotations__["orders"] = annotation
    below = table(contract=dataclasses.replace(priced, table="total"), key=[shop.schema, "total"])(total)
    result = shop.run(source, below)
    assert result.success, failure(result)
    (frame,) = seen
    found = frame["price"].tolist() if kind == "pandas" else frame.column("price").to_pylist()
    assert found[0] == 1.25
    assert shop.rows(name="total")[0]["price"] == "1.25"


def test_two_bad_days_of_a_range_do_not_stop_the_third(shop: Shop) -> None:
    first, second, third = DAYS.get_partition_keys()[:3]
    shop.batches[first] = pd.DataFrame({"id": [1]})
    shop.batches[second] = None
    result = shop.run(shop.orders(), days=(first, third))
    said = failure(result)
    assert first in said
    assert second in said
    assert "Traceback" not in said
    assert shop.published() == {third}


def test_what_was_published_stands_whatever_comes_after(shop: Shop) -> None:
    assert run(shop, promise(), good(3)).success
    before = shop.rows()
    for frame in (pd.DataFrame({"id": [1]}), None, good(3).rename_columns(["id", "id", "note"])):
        assert not run(shop, promise(), frame).success
        assert shop.rows() == before

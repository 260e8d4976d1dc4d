"""``gate``: the checks of a contract on assets that others make, through Dagster on a real Postgres."""

from pathlib import Path
from typing import Any, cast

import dagster as dg
import psycopg
import pytest
from shop import DAYS, Shop, failure, promise

from dagster_sluice import Column, Contract, Expectation, Policy, gate
from dagster_sluice.contracts.contract import LogicalType
from dagster_sluice.errors import SluiceError, TableError
from dagster_sluice.warehouse.slices import Slice, Slicing, read_slice

FIRST, SECOND, THIRD = "2026-03-07", "2026-03-08", "2026-03-09"
CHECKS = {"conforms", "id_present", "id_once", "amount_possible", "note_present"}


class Others:
    """A table that others write, with SQL of their own."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def sql(self, *statements: str) -> None:
        with psycopg.connect(self.shop.url, autocommit=True) as session:
            session.execute(f"CREATE SCHEMA IF NOT EXISTS {self.shop.schema}")
            for statement in statements:
                session.execute(statement.replace("{schema}", self.shop.schema).encode())

    def asset(self, *statements: str, **options: Any) -> dg.AssetsDefinition:
        """A plain asset that runs these statements."""

        @dg.asset(key=[self.shop.schema, "orders"], **options)
        def theirs() -> None:
            self.sql(*statements)

        return theirs

    def below(self, **options: Any) -> tuple[dg.AssetsDefinition, list[str]]:
        """An asset downstream, and what it did."""
        done: list[str] = []

        @dg.asset(deps=[self.shop.key], **options)
        def below() -> None:
            done.append("ran")

        return below, done


@pytest.fixture
def others(shop: Shop) -> Others:
    return Others(shop)


ORDERS = "CREATE TABLE {schema}.orders (id bigint, amount numeric(10, 2), note text, extra jsonb)"
GOOD = "INSERT INTO {schema}.orders VALUES (1, 5.50, 'a'), (2, 6, 'b')"


def on_days(*days: str) -> list[str]:
    """Two rows for each day, one order of which is doubled on `SECOND`, by a column ``day``."""
    rows = ", ".join(f"('{day}', {1 if day == SECOND else place}, 5, 'x')" for day in days for place in (1, 2))
    return [
        "CREATE TABLE {schema}.orders (day date, id bigint, amount double precision, note text)",
        f"INSERT INTO {{schema}}.orders VALUES {rows}",
    ]


def test_the_checks_of_a_contract_run_after_the_asset(shop: Shop, others: Others) -> None:
    asset = others.asset(ORDERS, GOOD)
    result = shop.run(asset, gate(asset, promise()))
    assert result.success
    told = shop.evaluations(result.run_id)
    assert set(told) == {(name, None) for name in CHECKS}
    assert all(check.passed for check in told.values())
    assert told["id_once", None].metadata["sluice/table"].value == f"{shop.schema}.orders"
    assert told["id_once", None].metadata["rows"].value == 2
    assert told["id_once", None].target_materialization_data is not None
    assert not shop.published()


def test_a_policy_says_whether_a_failure_stops_what_is_downstream(shop: Shop, others: Others) -> None:
    below, done = others.below()
    asset = others.asset(ORDERS, "INSERT INTO {schema}.orders VALUES (1, -5, NULL), (NULL, 2, 'secret'), (3, 3, 'b')")
    checks = gate(asset, promise())
    result = shop.run(asset, checks, below)
    assert result.success
    assert done == ["ran"]
    told = shop.evaluations(result.run_id)
    assert {name for (name, _), check in told.items() if not check.passed} == {
        "id_present",
        "amount_possible",
        "note_present",
    }
    assert {check.severity for check in told.values() if not check.passed} == {dg.AssetCheckSeverity.WARN}
    kept = told["amount_possible", None]
    assert kept.metadata["failing_rows"].value == 1
    assert "stay in the table" in kept.metadata["sluice/quarantine"].value
    (record,) = told["id_present", None].metadata["failing_sample"].records
    assert record.data["note"] == "•••"
    assert not shop.warehouse.quarantined(shop.address)
    others.sql("TRUNCATE {schema}.orders")
    again = others.asset("INSERT INTO {schema}.orders VALUES (1, 5, 'a'), (1, 6, 'b')")
    result = shop.run(again, checks, below)
    assert not result.success
    assert done == ["ran"]
    assert "id_once failed: 2 of 2 rows." in failure(result)
    assert "Traceback" not in failure(result)
    assert shop.evaluations(result.run_id)["id_once", None].severity is dg.AssetCheckSeverity.ERROR


@pytest.mark.parametrize("blocking", [True, False])
def test_blocking_says_of_all_what_else_their_policy_says(shop: Shop, others: Others, blocking: bool) -> None:
    below, done = others.below()
    rows = "(1, 5, NULL)" if blocking else "(1, 5, 'a'), (1, 5, 'a')"
    asset = others.asset(ORDERS, f"INSERT INTO {{schema}}.orders VALUES {rows}")
    result = shop.run(asset, gate(asset, promise(), blocking=blocking), below)
    assert result.success is not blocking
    assert done == ([] if blocking else ["ran"])
    told = shop.evaluations(result.run_id)
    failed = {name: check.severity for (name, _), check in told.items() if not check.passed}
    assert failed == {"note_present" if blocking else "id_once": dg.AssetCheckSeverity.ERROR}


def test_only_selected_checks_are_judged_and_only_their_columns_read(shop: Shop, others: Others) -> None:
    asset = others.asset(ORDERS, GOOD)
    assert shop.run(asset).success
    others.sql("ALTER TABLE {schema}.orders RENAME COLUMN note TO remark")
    chosen = dg.AssetSelection.checks(dg.AssetCheckKey(shop.key, "id_once"))
    result = shop.run(asset, gate(asset, promise()), selection=chosen)
    assert result.success
    assert set(shop.evaluations(result.run_id)) == {("id_once", None)}


@pytest.mark.parametrize("where", ["argument", "metadata"])
def test_each_partition_is_judged_by_its_own_rows(shop: Shop, others: Others, where: str) -> None:
    options = {"metadata": {"partition_expr": "day"}} if where == "metadata" else {}
    asset = others.asset(*on_days(FIRST, SECOND, THIRD), partitions_def=DAYS, **options)
    checks = gate(asset, promise(), partition_expr="day" if where == "argument" else None)
    assert shop.run(asset, checks, day=FIRST).success
    only = dg.AssetSelection.checks_for_assets(shop.key)
    assert shop.run(asset, checks, days=(THIRD, THIRD), selection=only).success
    result = shop.run(asset, checks, days=(SECOND, SECOND), selection=only)
    assert not result.success
    assert f"{SECOND}]: id_once failed: 2 of 2 rows." in failure(result)
    infos = shop.checked("id_once")
    assert {day: info.latest_execution_status.value for day, info in infos.items()} == {
        FIRST: "SUCCEEDED",
        SECOND: "FAILED",
        THIRD: "SUCCEEDED",
    }


def test_a_range_gives_one_result_for_each_partition(shop: Shop, others: Others) -> None:
    asset = others.asset(
        *on_days(FIRST, SECOND, THIRD), partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run()
    )
    below, done = others.below(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    result = shop.run(asset, gate(asset, promise(), partition_expr="day"), below, days=(FIRST, THIRD))
    assert not result.success
    assert done == []
    told = shop.evaluations(result.run_id)
    assert set(told) == {(name, day) for name in CHECKS for day in (FIRST, SECOND, THIRD)}
    assert {key for key, check in told.items() if not check.passed} == {("id_once", SECOND)}
    assert all(check.metadata["rows"].value == 2 for check in told.values())
    assert all(info.is_current for info in shop.checked("id_once").values())
    others.sql(f"DELETE FROM {{schema}}.orders WHERE day = '{SECOND}'")
    result = shop.run(
        others.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run()),
        gate(asset, promise(), partition_expr="day"),
        below,
        days=(FIRST, THIRD),
    )
    assert result.success
    assert done == ["ran"]


def test_a_published_table_needs_no_partition_expr(shop: Shop) -> None:
    asset = shop.orders()
    assert shop.run(asset, day=FIRST).success
    stricter = Contract(
        table="orders",
        columns=(),
        expectations=(
            Expectation(name="three_rows", type="expect_table_row_count_to_equal", kwargs={"value": 3}),
            Expectation(
                name="cheap",
                type="expect_column_values_to_be_between",
                kwargs={"column": "amount", "max_value": 9},
                policy=Policy.WARN,
            ),
        ),
    )
    result = shop.run(asset, gate(asset, stricter), day=FIRST)
    assert result.success
    told = shop.evaluations(result.run_id)
    assert told["three_rows", FIRST].passed
    assert not told["cheap", FIRST].passed
    assert ("conforms", FIRST) in told  # The table's own.


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "text", "date"])
def test_a_day_with_23_hours_by_any_kind_of_column(shop: Shop, others: Others, kind: str) -> None:
    """The days are those of New York; 2026-03-08 starts at 05:00Z and ends at 04:00Z."""
    moments = {
        "timestamptz": ["2026-03-08 04:59:59Z", "2026-03-08 05:00Z", "2026-03-09 03:59:59Z", "2026-03-09 04:00Z"],
        "timestamp": ["2026-03-07 23:59:59", "2026-03-08 00:00", "2026-03-08 23:59:59", "2026-03-09 00:00"],
        "text": [FIRST, SECOND, SECOND, THIRD],
        "date": [FIRST, SECOND, SECOND, THIRD],
    }[kind]
    rows = ", ".join(f"('{moment}', {place})" for place, moment in enumerate(moments))
    others.sql(f"CREATE TABLE {{schema}}.orders (at {kind}, id bigint)", f"INSERT INTO {{schema}}.orders VALUES {rows}")
    contract = Contract(
        table="orders",
        columns=(),
        expectations=(
            Expectation(
                name="the_two",
                type="expect_column_distinct_values_to_equal_set",
                kwargs={"column": "id", "value_set": [1, 2]},
            ),
        ),
    )
    asset = others.asset(partitions_def=DAYS)
    assert shop.run(asset, gate(shop.key, contract, partitions_def=DAYS, partition_expr="at"), day=SECOND).success


def test_dimensions_have_a_column_each(shop: Shop, others: Others) -> None:
    both = dg.MultiPartitionsDefinition({"day": DAYS, "shop": dg.StaticPartitionsDefinition(["7", "8"])})
    others.sql(
        "CREATE TABLE {schema}.orders (day date, shop integer, id bigint)",
        f"INSERT INTO {{schema}}.orders VALUES ('{FIRST}', 7, 1), ('{FIRST}', 8, 2), ('{SECOND}', 7, 3)",
    )
    asset = others.asset(partitions_def=both, metadata={"partition_expr": {"day": "day", "shop": "shop"}})
    contract = Contract(
        table="orders",
        columns=(Column(name="id", type=LogicalType.INTEGER),),
        expectations=(
            Expectation(name="it", type="expect_column_values_to_be_in_set", kwargs={"column": "id", "value_set": [2]}),
            Expectation(name="one", type="expect_table_row_count_to_equal", kwargs={"value": 1}),
        ),
    )
    key = dg.MultiPartitionKey({"day": FIRST, "shop": "8"})
    result = shop.run(asset, gate(asset, contract), day=key)
    assert result.success, failure(result)
    assert set(shop.evaluations(result.run_id)) == {("conforms", key), ("it", key), ("one", key)}


def test_a_table_that_is_not_there(shop: Shop, others: Others) -> None:
    asset = others.asset()
    said = failure(shop.run(asset, gate(asset, promise())))
    assert said == f"There is no table {shop.schema}.orders in the warehouse.\nMaterialize it first."


def test_a_column_that_is_not_there_fails_what_needs_it(shop: Shop, others: Others) -> None:
    asset = others.asset(
        "CREATE TABLE {schema}.orders (id bigint, note text)", "INSERT INTO {schema}.orders VALUES (1, 'a')"
    )
    result = shop.run(asset, gate(asset, promise()))
    told = shop.evaluations(result.run_id)
    assert {name for (name, _), check in told.items() if not check.passed} == {"conforms", "amount_possible"}
    assert told["conforms", None].severity is dg.AssetCheckSeverity.ERROR
    said = failure(result)
    assert "conforms could not be judged: these columns are promised and not in the table: amount." in said
    assert "Traceback" not in said


def test_values_and_moments_of_another_kind(shop: Shop, others: Others) -> None:
    contract = Contract(
        table="orders",
        columns=(
            Column(name="id", type=LogicalType.INTEGER),
            Column(name="at", type=LogicalType.TIMESTAMP),
        ),
    )
    asset = others.asset(
        "CREATE TABLE {schema}.orders (id text, at timestamptz)",
        "INSERT INTO {schema}.orders VALUES ('1', now()), ('one', now())",
    )
    checks = gate(asset, contract)
    result = shop.run(asset, checks)
    assert result.success
    check = shop.evaluations(result.run_id)["conforms", None]
    assert (check.passed, check.severity, check.metadata["failing_rows"].value) == (
        False,
        dg.AssetCheckSeverity.WARN,
        1,
    )
    others.sql("ALTER TABLE {schema}.orders ALTER COLUMN at TYPE timestamp")
    said = failure(shop.run(others.asset(), checks))
    assert "Column 'at' has no time zone and its contract promises one." in said


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        (None, "Nothing says which rows of {table} belong to a partition: it has no column '_partition'."),
        ("dya", "partition_expr 'dya': is not a column of the table. Name"),
    ],
)
def test_a_partition_column_that_is_not_there(shop: Shop, others: Others, expr: str | None, message: str) -> None:
    asset = others.asset(*on_days(FIRST), partitions_def=DAYS)
    said = failure(shop.run(asset, gate(asset, promise(), partition_expr=expr), day=FIRST))
    assert message.format(table=f"{shop.schema}.orders") in said.replace("\n", " ")


def test_a_column_of_days_cannot_tell_hours(shop: Shop, others: Others) -> None:
    hours = dg.HourlyPartitionsDefinition(start_date="2026-03-06-00:00", end_date="2026-03-07-00:00")
    asset = others.asset(*on_days(FIRST), partitions_def=hours)
    said = failure(shop.run(asset, gate(asset, promise(), partition_expr="day"), day="2026-03-06-04:00"))
    assert "'day' holds days, and the partition 2026-03-06-04:00 does not start and end with one." in said


def test_the_address_by_metadata_and_by_argument(shop: Shop, others: Others) -> None:
    others.sql(ORDERS.replace("orders", "elsewhere"), GOOD.replace("orders", "elsewhere"))
    name = f'"postgres"."{shop.schema}"."elsewhere"'
    asset = others.asset(metadata={"dagster/table_name": name})
    for checks in (gate(shop.key, promise()), gate(asset, promise(), address=f"{shop.schema}.elsewhere")):
        result = shop.run(asset, checks)
        assert result.success
        assert shop.evaluations(result.run_id)["id_once", None].metadata["rows"].value == 2


def test_a_set_in_another_table(shop: Shop, others: Others) -> None:
    others.sql("CREATE TABLE {schema}.customers (id bigint)", "INSERT INTO {schema}.customers VALUES (1)")
    known = Expectation(
        name="known",
        type="expect_column_values_to_be_in_set",
        kwargs={"column": "id", "value_set": {"from": "customers.id"}},
    )
    asset = others.asset(ORDERS, GOOD)
    said = failure(shop.run(asset, gate(asset, promise(columns=(), expectations=(known,)))))
    assert "known failed: 1 of 2 rows." in said


def test_what_does_not_fit_is_refused_when_it_is_declared(shop: Shop) -> None:
    @dg.multi_asset(specs=[dg.AssetSpec("a"), dg.AssetSpec("b")])
    def two(): ...

    with pytest.raises(TableError, match="makes 2 assets, and a gate is of one"):
        gate(two, promise())
    with pytest.raises(TableError, match="partition_expr: is given, and the asset has no partitions"):
        gate("orders", promise(), partition_expr="day")
    with pytest.raises(TableError, match="promises nothing"):
        gate("orders", promise(columns=(), expectations=()))
    with pytest.raises(TableError, match="looks at amount, which `columns` leaves out"):
        gate("orders", promise(), columns=["id", "note"])
    with pytest.raises(TableError, match="has the name of another check"):
        gate("orders", promise(expectations=(*promise().expectations, promise().expectations[0])))
    spec = dg.AssetSpec("orders", partitions_def=DAYS)
    with pytest.raises(TableError, match="are not those of orders"):
        gate(spec, promise(), partitions_def=dg.StaticPartitionsDefinition(["a"]))
    assert all(check.partitions_def == DAYS for check in gate(spec, promise()).check_specs)


def test_a_path_is_taken_from_the_file_that_calls() -> None:
    with pytest.raises(SluiceError, match=str(Path(__file__).with_name("no_such.yaml"))):
        gate("orders", "no_such.yaml")


def test_an_asset_whose_key_is_no_name_in_python(shop: Shop) -> None:
    assert gate(dg.AssetKey(["my-schema", "a.b-c"]), promise()).check_keys


class Whole:
    """A warehouse that cannot seek, whose tables are read whole."""

    def __init__(self, shop: Shop) -> None:
        self.read = shop.warehouse.read


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date", "text"])
def test_a_slice_is_cut_alike_by_postgres_and_by_arrow(shop: Shop, others: Others, kind: str) -> None:
    others.sql(
        f"CREATE TABLE {{schema}}.orders (at {kind}, place varchar(1), id bigint)",
        "INSERT INTO {schema}.orders SELECT at, chr(97 + n % 3), n FROM"
        f" generate_series(0, 99) n, LATERAL (SELECT (timestamp '{FIRST}' + n * interval '1 hour')"
        f"{'::date' if kind in ('date', 'text') else ''}::{kind} AS at) moments",
        "INSERT INTO {schema}.orders VALUES (NULL, NULL, 100)",
    )
    window = DAYS.time_window_for_partition_key(SECOND)
    slices = [
        Slice(column="at", key=SECOND, start=window.start, end=window.end),
        Slice(column="place", key="b"),
    ]
    assert isinstance(shop.warehouse, Slicing)
    sought = read_slice(shop.warehouse, shop.address, ["id"], slices)
    cut = read_slice(cast("Any", Whole(shop)), shop.address, ["id"], slices)
    assert sorted(sought["id"].to_pylist()) == sorted(cut["id"].to_pylist())
    assert 7 <= sought.num_rows <= 9

"""``table_from_sql`` through Dagster: computed in the warehouse, judged and published as any table."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from shop import DAYS, Shop, failure, good, orders, promise

from dagster_sluice import Column, Contract, Expectation, Policy, WarehouseResource, table_from_sql
from dagster_sluice.contracts.contract import LogicalType
from dagster_sluice.errors import QueryError, TableError
from dagster_sluice.warehouse import Address

FIRST, SECOND, THIRD = "2026-03-07", "2026-03-08", "2026-03-09"
DAILY = Contract(
    table="daily",
    columns=(
        Column(name="id", type=LogicalType.INTEGER),
        Column(name="total", type=LogicalType.NUMBER, physical_type="numeric(12,2)"),
    ),
    expectations=(
        Expectation(
            name="total_possible",
            type="expect_column_values_to_be_between",
            kwargs={"column": "total", "max_value": 100},
            policy=Policy.QUARANTINE,
        ),
        Expectation(name="once", type="expect_column_values_to_be_unique", kwargs={"column": "id"}),
    ),
)


def daily(shop: Shop, sql: str | Path, **options: Any) -> dg.AssetsDefinition:
    options.setdefault("partitions_def", DAYS)
    sql = sql.replace("SHOP", shop.schema) if isinstance(sql, str) else sql
    return table_from_sql([shop.schema, "daily"], sql=sql, contract=DAILY, deps=[shop.key], **options)


BY_ORDER = "SELECT id, sum(amount) AS total FROM SHOP.orders WHERE _partition = {partition} GROUP BY id"


def test_each_partition_reads_and_publishes_its_own(shop: Shop) -> None:
    shop.batches = {
        FIRST: orders((1, 5.25, "a"), (2, 1.0, "b")),
        SECOND: orders((1, 500.0, "a"), (2, 7.0, "b")),
        THIRD: orders((3, 9.0, "c")),
    }
    below = daily(shop, BY_ORDER)
    result = shop.run(shop.orders(), below, days=(FIRST, THIRD))
    assert result.success, failure(result)
    assert {day: [row["id"] for row in shop.rows(day, "daily")] for day in (FIRST, SECOND, THIRD)} == {
        FIRST: [1, 2],
        SECOND: [2],
        THIRD: [3],
    }
    (kept,) = shop.warehouse.quarantined(Address(schema=shop.schema, table="daily"))
    assert (kept.partition, kept.payload) == (SECOND, {"id": 1, "total": 500.0})
    spec = below.specs_by_key[dg.AssetKey([shop.schema, "daily"])]
    assert {dep.asset_key for dep in spec.deps} == {shop.key}
    assert {"sql", "postgres"} <= spec.kinds
    again = shop.run(below, day=SECOND)
    assert again.success
    assert len(shop.rows(SECOND, "daily")) == 1


def test_the_window_and_the_clock_are_those_of_the_partition(shop: Shop) -> None:
    """2026-03-08 in New York has 23 hours, and begins at five in the morning by UTC."""
    text = """
        SELECT CAST(extract(epoch FROM {end} - {start}) AS bigint) / 3600 AS id,
            extract(day FROM {start}::date)::double precision AS total
    """
    result = shop.run(daily(shop, text), days=(FIRST, SECOND))
    assert result.success, failure(result)
    assert [(row["id"], row["total"]) for row in shop.rows(FIRST, "daily")] == [(24, "7.00")]
    assert [(row["id"], row["total"]) for row in shop.rows(SECOND, "daily")] == [(23, "8.00")]


def test_a_file_beside_the_caller_and_parameters_of_ones_own(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "daily.sql"
    file.write_text(
        "\ufeff-- What a day brought.\nSELECT {one}::bigint AS id, {rate} * 2 AS total\n;\r\n", encoding="utf-8"
    )
    asset = daily(shop, file, partitions_def=None, parameters={"one": 1, "rate": 0.25})
    assert asset.specs_by_key[dg.AssetKey([shop.schema, "daily"])].description == "What a day brought."
    result = shop.run(asset)
    assert result.success, failure(result)
    assert shop.rows(name="daily") == [{"id": 1, "total": "0.50"}]
    other = daily(shop, file, partitions_def=None, parameters={"one": 1, "rate": 0.5})
    key = dg.AssetKey([shop.schema, "daily"])
    assert asset.specs_by_key[key].code_version != other.specs_by_key[key].code_version


def test_several_dimensions(shop: Shop) -> None:
    both = dg.MultiPartitionsDefinition({"day": DAYS, "country": dg.StaticPartitionsDefinition(["at", "'; --"])})
    text = "SELECT length({country})::bigint AS id, extract(day FROM {start})::int AS total WHERE {day} = {start}::date::text"
    result = shop.run(daily(shop, text, partitions_def=both), day=f"'; --|{SECOND}")
    assert result.success, failure(result)
    (row,) = shop.rows(name="daily")
    assert (row["id"], row["total"]) == (5, "8.00")


def test_bad_sql_is_one_error_with_file_line_and_the_databases_message(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "daily.sql"
    file.write_text("SELECT id,\n  sum(amuont) AS total\nFROM nowhere\n")
    result = shop.run(daily(shop, file), days=(FIRST, THIRD))
    said = failure(result)
    assert f"{file}:3: relation" in said
    assert '"nowhere" does not exist' in said
    assert said.count("nowhere") == 1
    assert "Traceback" not in said
    assert not shop.warehouse.current(Address(schema=shop.schema, table="daily"))


def test_a_day_that_cannot_be_computed_stops_only_itself(shop: Shop) -> None:
    text = "SELECT 1::bigint AS id, 1 / (extract(day FROM {start}) - 8)::int AS total"
    result = shop.run(daily(shop, text), days=(FIRST, THIRD))
    said = failure(result)
    assert SECOND in said
    assert "division by zero" in said
    assert set(shop.warehouse.current(Address(schema=shop.schema, table="daily"))) == {FIRST, THIRD}


def test_it_cannot_change_anything(shop: Shop) -> None:
    assert shop.run(shop.orders(), day=FIRST).success
    text = "WITH gone AS (DELETE FROM SHOP.orders RETURNING id) SELECT id, 1.0 AS total FROM gone"
    said = failure(shop.run(daily(shop, text), day=FIRST))
    assert "read-only transaction" in said
    assert len(shop.rows(FIRST)) == 3


@pytest.mark.parametrize(
    ("sql", "options", "words"),
    [
        ("DELETE FROM x", {}, "begins with 'DELETE'"),
        ("SELECT 1; SELECT 2", {}, "another statement begins here"),
        ("SELECT {partition}", {"partitions_def": None}, r"no parameter \{partition\}. There are none"),
        ("SELECT {start}", {"partitions_def": dg.StaticPartitionsDefinition(["a"])}, r"no parameter \{start\}"),
        ("SELECT '{partition}'", {}, "within quotes"),
        ("nowhere/daily.sql", {}, "cannot be read"),
        ("SELECT {a}", {"parameters": {"a": [1]}}, "'a': is a list"),
        ("SELECT {a}", {"parameters": {"a": dt.datetime.fromisoformat("2024-01-01")}}, "without a time zone"),
        ("SELECT {start}", {"parameters": {"start": 1}}, "what the partition gives"),
    ],
)
def test_what_is_wrong_is_told_when_it_is_declared(shop: Shop, sql: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises((QueryError, TableError), match=words) as caught:
        daily(shop, sql, **options)
    assert "daily" in str(caught.value)


def test_types_that_the_driver_cannot_carry(shop: Shop) -> None:
    kinds = {
        "host": LogicalType.STRING,
        "took": LogicalType.STRING,
        "tags": LogicalType.ARRAY,
        "sums": LogicalType.ARRAY,
    }
    contract = Contract(
        table="odd",
        columns=(
            *(Column(name=name, type=kind) for name, kind in kinds.items()),
            Column(name="n", type=LogicalType.INTEGER),
        ),
    )
    text = "SELECT '10.0.0.1'::inet AS host, interval '26 hours' AS took, ARRAY['a'] AS tags, ARRAY[1.50] AS sums, 7.00 AS n"
    asset = table_from_sql(f"{shop.schema}.odd", sql=text, contract=contract)
    result = shop.run(asset)
    assert result.success, failure(result)
    (row,) = shop.warehouse.read(Address(schema=shop.schema, table="odd")).to_pylist()
    assert row == {"host": "10.0.0.1", "took": "26:00:00", "tags": '["a"]', "sums": "[1.50]", "n": 7}


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT 1::bigint AS id, 1 AS id, 2 AS total", "'id': stands 2 times"),
        ("SELECT 1::bigint AS id", "'total': is promised and missing"),
        ("SELECT 1::bigint AS id, 2 AS total, 3", r"'\?column\?': is not in the contract"),
    ],
)
def test_columns_that_are_not_the_contracts(shop: Shop, sql: str, words: str) -> None:
    result = shop.run(daily(shop, sql, partitions_def=None))
    assert re.search(words, failure(result))


def test_an_empty_result_is_an_empty_partition(shop: Shop) -> None:
    result = shop.run(daily(shop, "SELECT 1::bigint AS id, 2 AS total WHERE false"), day=FIRST)
    assert result.success, failure(result)
    assert shop.rows(FIRST, "daily") == []


def test_on_a_duckdb_file(shop: Shop, tmp_path: Path) -> None:
    url = f"duckdb:///{tmp_path}/warehouse.duckdb"
    shop.batches = {FIRST: good(3), SECOND: good(2)}
    result = dg.materialize(
        [shop.orders(promise()), daily(shop, BY_ORDER.replace("SHOP", shop.schema))],
        instance=shop.instance,
        resources={"warehouse": WarehouseResource(url=url)},
        tags={"dagster/asset_partition_range_start": FIRST, "dagster/asset_partition_range_end": SECOND},
        raise_on_error=False,
    )
    assert result.success, failure(result)
    found = WarehouseResource(url=url).open().read(Address(schema=shop.schema, table="daily"), partitions=[SECOND])
    assert sorted(found.column("id").to_pylist()) == [1, 2]
    assert isinstance(found, pa.Table)

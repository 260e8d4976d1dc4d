"""``@table`` with frames of every library: what a function returns, and what its parameters are given."""

from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from shop import DAYS, Shop, failure, good, promise

from dagster_sluice import Column, Contract, table
from dagster_sluice.contracts.contract import LogicalType

FIRST, SECOND = "2026-03-07", "2026-03-08"
ROWS = good(3)


def eager(rows: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(rows))


MAKERS = {
    "pandas": lambda rows: rows.to_pandas(),
    "polars": eager,
    "polars, yet to be computed": lambda rows: eager(rows).lazy().filter(pl.col("id") > 0),
    "polars in chunks": lambda rows: pl.concat([eager(rows.slice(0, 1)), eager(rows.slice(1))], rechunk=False),
    "polars categories": lambda rows: eager(rows).with_columns(pl.col("note").cast(pl.Categorical)),
    "arrow": lambda rows: rows,
    "arrow, one batch": lambda rows: rows.combine_chunks().to_batches()[0],
    "duckdb": lambda rows: duckdb.connect().from_arrow(rows),
    "duckdb, of a query": lambda rows: duckdb.connect().from_arrow(rows).filter("id > 0"),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_what_is_returned_is_published_whatever_made_it(shop: Shop, maker: str) -> None:
    for day in (FIRST, SECOND):
        shop.batches[day] = MAKERS[maker](ROWS)
    result = shop.run(shop.orders(), days=(FIRST, SECOND))
    assert result.success, failure(result)
    assert shop.rows(FIRST) == shop.rows(SECOND) == ROWS.to_pylist()
    assert len({shop.publication(day).content_hash for day in (FIRST, SECOND)}) == 1


@pytest.mark.parametrize("kind", [pl.DataFrame, pd.DataFrame, pa.Table, None])
def test_inputs_come_as_they_are_annotated(shop: Shop, kind: Any) -> None:
    seen: list[Any] = []

    def total(orders):
        seen.append(orders)
        return orders

    total.__annotations__ = {"orders": kind} if kind is not None else {}
    below = table(contract=promise(table="total"), key=[shop.schema, "total"], partitions_def=DAYS)(total)
    shop.batches[FIRST] = eager(ROWS)
    result = shop.run(shop.orders(), below, day=FIRST)
    assert result.success, failure(result)
    assert isinstance(seen[0], kind or pa.Table)
    assert len(seen[0]) == 3
    assert shop.rows(FIRST, "total") == ROWS.to_pylist()


def test_polars_types_that_arrow_has_not(shop: Shop) -> None:
    contract = Contract(
        table="orders",
        columns=(Column(name="id", type=LogicalType.INTEGER), Column(name="c", type=LogicalType.INTEGER)),
    )
    frame = pl.DataFrame(
        {"id": [1, 2, 3], "c": pl.Series([7, 2**100, None], dtype=pl.Int128)},
    )
    shop.batches[None] = frame
    result = shop.run(shop.orders(contract, partitions_def=None))
    assert result.success, failure(result)
    assert shop.rows() == [{"id": 1, "c": 7}, {"id": 3, "c": None}]
    (kept,) = shop.warehouse.quarantined(shop.address)
    assert kept.payload == {"id": 2, "c": str(2**100)}
    shop.batches[None] = frame.with_columns(pl.Series("c", [7, "x", None], dtype=pl.Object))
    assert shop.run(shop.orders(contract, partitions_def=None)).success
    assert [row.payload["c"] for row in shop.warehouse.quarantined(shop.address)] == ["x"]


def test_a_series_is_no_frame(shop: Shop) -> None:
    shop.batches[None] = pl.Series("id", [1])
    assert "A Series is not a frame" in failure(shop.run(shop.orders(partitions_def=None)))


def test_a_relation_that_cannot_be_computed_raises_as_the_function_would(shop: Shop) -> None:
    shop.batches[None] = duckdb.connect().sql(
        "SELECT 1 AS id, error('the source is gone')::DOUBLE AS amount, 'x' AS note"
    )
    result = shop.run(shop.orders(partitions_def=None))
    assert not result.success
    assert "the source is gone" in failure(result)
    assert shop.published() == set()

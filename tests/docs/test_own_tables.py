"""The table in SQL of docs/how-to/own-tables.md, as it stands there."""

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from dagster_sluice import Column, Contract, TableContext, WarehouseResource, table
from dagster_sluice.contracts import LogicalType
from dagster_sluice.warehouse import Address

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-tables.md"
DAY = "2026-03-07"


def test_the_documented_table_in_sql_runs(warehouse, database_url) -> None:
    (example,) = re.findall(r'```python title="daily\.py"\n(.*?)```', PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, str(PAGE), "exec"), names)

    columns = (Column(name="country", type=LogicalType.STRING), Column(name="amount", type=LogicalType.NUMBER))

    @table(
        contract=Contract(table="orders", columns=columns),
        key=["shop", "orders"],
        partitions_def=names["daily"].partitions_def,
    )
    def orders(context: TableContext) -> pd.DataFrame:
        return pd.DataFrame({"country": ["at", "at", "de", None], "amount": [1.0, 2.5, 3.0, 4.0]})

    resources = {"warehouse": WarehouseResource(url=database_url)}
    assert dg.materialize([orders, names["daily"]], partition_key=DAY, resources=resources).success
    found = warehouse.read(Address(schema="shop", table="daily"), partitions=[DAY]).to_pylist()
    assert sorted(found, key=lambda row: row["country"]) == [
        {"country": "at", "orders": 2, "turnover": 3.5},
        {"country": "de", "orders": 1, "turnover": 3.0},
    ]
    (kept,) = warehouse.quarantined(Address(schema="shop", table="daily"))
    assert kept.payload == {"country": None, "orders": 1, "turnover": 4.0}

"""A small platform of every kind of asset, on a real database."""

from dataclasses import dataclass
from typing import Any

import dagster as dg
import pyarrow as pa

from dagster_sluice import Column, Contract, Expectation, Policy, TableContext, WarehouseResource, table, table_from_sql

DAYS = dg.DailyPartitionsDefinition(start_date="2026-03-06", end_date="2026-03-12", timezone="America/New_York")


def columns(**types: str) -> tuple[Column, ...]:
    return tuple(Column(name=name, type=kind) for name, kind in types.items())


@dataclass(frozen=True)
class Market:
    """The assets of one schema, and what they are made of.

    Attributes:
        defs: What Dagster loads.
        edges: Every edge there is, as (upstream, downstream).
    """

    defs: dg.Definitions
    edges: set[tuple[str, str]]

    @property
    def repository(self) -> dg.RepositoryDefinition:
        return self.defs.get_repository_def()


def market(schema: str, url: str, *, broken: bool = False, sensors: Any = ()) -> Market:
    """The platform; ``broken`` lets its last asset fail."""
    feed = dg.AssetSpec("feed")

    @table(
        contract=Contract(
            table="raw_orders",
            schema=schema,
            columns=columns(id="integer", customer="string", amount="number", paid="boolean"),
        ),
        partitions_def=DAYS,
        deps=[feed.key],
    )
    def raw_orders(context: TableContext) -> pa.Table:
        day = context.day.day
        return pa.table(
            {
                "id": [day * 10 + number for number in range(6)],
                "customer": ["a", "b", "c"] * 2,
                "amount": [1.5 * (number + 1) for number in range(6)],
                "paid": [True, True, False] * 2,
            }
        )

    @table(contract=Contract(table="customers", schema=schema, columns=columns(code="string", name="string")))
    def customers() -> pa.Table:
        return pa.table({"code": ["a", "b", "c"], "name": ["Ann", "Ben", "Cyd"]})

    @table(
        contract=Contract(
            table="orders",
            schema=schema,
            columns=(
                Column(name="id", type="integer", sources=("raw_orders.id",), logic="as it is"),
                Column(name="name", type="string"),
                Column(name="amount", type="number", sources=(f"{schema}.raw_orders.amount",)),
            ),
            expectations=(
                Expectation(
                    name="amount_small",
                    type="expect_column_values_to_be_between",
                    kwargs={"column": "amount", "max_value": 5},
                    policy=Policy.WARN,
                ),
            ),
        ),
        partitions_def=DAYS,
    )
    def orders(raw_orders: pa.Table, customers: pa.Table) -> pa.Table:
        paid = raw_orders.filter(raw_orders.column("paid"))
        joined = paid.join(customers, "customer", "code").sort_by("id")
        return joined.select(["id", "name", "amount"])

    totals = table_from_sql(
        f"{schema}.totals",
        sql=f"""
            SELECT name, sum(amount) AS total, count(*) AS orders
            FROM {schema}.orders
            WHERE {{partition}} <> ''
            GROUP BY name ORDER BY name
        """,
        contract=Contract(
            table="totals", schema=schema, columns=columns(name="string", total="number", orders="integer")
        ),
        deps=[orders],
        partitions_def=DAYS,
    )

    @dg.asset(key=[schema, "letter"], deps=[totals], partitions_def=DAYS)
    def letter() -> dg.MaterializeResult[None]:
        """What is sent out."""
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": 7,
                "dagster/column_schema": dg.TableSchema([dg.TableColumn("line", "string")]),
                "dagster/column_lineage": dg.TableColumnLineage(
                    {"line": [dg.TableColumnDep(asset_key=totals.key, column_name="total")]}
                ),
            }
        )

    @dg.multi_asset(
        name=f"{schema}_pair",
        specs=[
            dg.AssetSpec([schema, "left"], deps=[orders.key]),
            dg.AssetSpec([schema, "right"], deps=[dg.AssetKey([schema, "left"]), customers.key]),
        ],
    )
    def pair() -> Any:
        yield dg.MaterializeResult(asset_key=dg.AssetKey([schema, "left"]))
        yield dg.MaterializeResult(asset_key=dg.AssetKey([schema, "right"]))

    @dg.asset_check(asset=dg.AssetKey([schema, "left"]), name="left_is_right")
    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description="It is not.")

    @dg.asset(key=[schema, "last"], deps=[dg.AssetKey([schema, "right"]), dg.AssetKey([schema, "letter"])])
    def last() -> None:
        if broken:
            raise ValueError("postgresql://someone:topsecret@db.example/x does not answer")

    def edge(downstream: str, *upstream: str) -> set[tuple[str, str]]:
        return {(name if name == "feed" else f"{schema}/{name}", f"{schema}/{downstream}") for name in upstream}

    return Market(
        defs=dg.Definitions(
            assets=[feed, raw_orders, customers, orders, totals, letter, pair, last],
            asset_checks=[check],
            resources={"warehouse": WarehouseResource(url=url)},
            sensors=list(sensors),
            executor=dg.in_process_executor,
        ),
        edges=edge("raw_orders", "feed")
        | edge("orders", "raw_orders", "customers")
        | edge("totals", "orders")
        | edge("letter", "totals")
        | edge("left", "orders")
        | edge("right", "left", "customers")
        | edge("last", "right", "letter"),
    )


def run(shop: Market, instance: dg.DagsterInstance, day: str = "2026-03-09", **tags: str) -> dg.ExecuteInProcessResult:
    """Materialize all of it, and carry out its checks."""
    job = shop.defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, partition_key=day, tags=tags, raise_on_error=False, resources=None)

"""A table whose every batch the test decides, and what became of it."""

from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pyarrow as pa

from dagster_sluice import Column, Contract, Expectation, Policy, TableContext, WarehouseResource, table
from dagster_sluice.contracts.contract import LogicalType
from dagster_sluice.warehouse import Address
from dagster_sluice.warehouse.postgres import PostgresWarehouse

DAYS = dg.DailyPartitionsDefinition(start_date="2026-03-06", end_date="2026-03-14", timezone="America/New_York")
"""Eight days, of which 2026-03-08 has 23 hours."""


def promise(**changes: Any) -> Contract:
    """A contract with every policy: a null id blocks nothing but is quarantined, a doubled id blocks."""
    values: dict[str, Any] = {
        "table": "orders",
        "version": "1.2.0",
        "description": "What was ordered.",
        "owners": ("team:orders",),
        "tags": ("money", "every day"),
        "quarantine_limit": 0.5,
        "columns": (
            Column(name="id", type=LogicalType.INTEGER, required=True, description="Number of the order."),
            Column(name="amount", type=LogicalType.NUMBER),
            Column(name="note", type=LogicalType.STRING, classification="pii"),
        ),
        "expectations": (
            Expectation(
                name="id_present",
                type="expect_column_values_to_not_be_null",
                kwargs={"column": "id"},
                policy=Policy.QUARANTINE,
            ),
            Expectation(
                name="id_once", type="expect_column_values_to_be_unique", kwargs={"column": "id"}, policy=Policy.BLOCK
            ),
            Expectation(
                name="amount_possible",
                type="expect_column_values_to_be_between",
                kwargs={"column": "amount", "min_value": 0, "max_value": 1000},
                policy=Policy.QUARANTINE,
            ),
            Expectation(
                name="note_present",
                type="expect_column_values_to_not_be_null",
                kwargs={"column": "note"},
                policy=Policy.WARN,
            ),
        ),
    }
    return Contract(**{**values, **changes})


def orders(*rows: tuple[int | None, float | None, str | None]) -> pa.Table:
    """Rows of (id, amount, note)."""
    return pa.table(
        {
            "id": pa.array([row[0] for row in rows], pa.int64()),
            "amount": pa.array([row[1] for row in rows], pa.float64()),
            "note": pa.array([row[2] for row in rows], pa.string()),
        }
    )


def good(count: int = 3, *, amount: float = 10.0) -> pa.Table:
    return orders(*((number, amount, f"Grüße {number}") for number in range(1, count + 1)))


@dataclass
class Shop:
    """Where tables of one test live, what their batches are, and what became of them."""

    instance: dg.DagsterInstance
    warehouse: PostgresWarehouse
    url: str
    schema: str
    batches: dict[str | None, Any] = field(default_factory=dict)
    calls: list[str | None] = field(default_factory=list)

    def batch(self, partition: str | None) -> Any:
        """What the test put there for a partition; an exception is raised."""
        self.calls.append(partition)
        found = self.batches[partition] if partition in self.batches else good()
        if isinstance(found, Exception):
            raise found
        return found

    def orders(self, contract: Contract | None = None, **options: Any) -> dg.AssetsDefinition:
        """The table ``orders``, partitioned by `DAYS` unless told otherwise."""
        options.setdefault("partitions_def", DAYS)

        @table(contract=contract or promise(), key=[self.schema, "orders"], **options)
        def orders(context: TableContext) -> Any:
            return self.batch(context.partition_key)

        return orders

    @property
    def key(self) -> dg.AssetKey:
        return dg.AssetKey([self.schema, "orders"])

    @property
    def address(self) -> Address:
        return Address(schema=self.schema, table="orders")

    def run(
        self,
        *assets: Any,
        day: str | None = None,
        days: tuple[str, str] | None = None,
        resources: dict[str, Any] | None = None,
        **options: Any,
    ) -> dg.ExecuteInProcessResult:
        """Materialize in this process, on the instance; a failed run is returned and not raised."""
        tags = {}
        if days:
            tags = {"dagster/asset_partition_range_start": days[0], "dagster/asset_partition_range_end": days[1]}
        return dg.materialize(
            assets,
            instance=self.instance,
            partition_key=day,
            tags=tags,
            resources={"warehouse": WarehouseResource(url=self.url), **(resources or {})},
            raise_on_error=False,
            **options,
        )

    def rows(self, day: str | None = None, name: str = "orders") -> list[dict[str, Any]]:
        """What readers see, by id."""
        found = self.warehouse.read(
            Address(schema=self.schema, table=name), partitions=None if day is None else [day]
        ).to_pylist()
        return sorted(found, key=lambda row: row["id"])

    def publication(self, day: str | None = None) -> Any:
        return self.warehouse.current(self.address).get(day)

    def published(self) -> set[str | None]:
        return set(self.warehouse.current(self.address))

    def checked(self, name: str) -> dict[str | None, Any]:
        """The latest evaluation of a check in the event log, by partition."""
        found = self.instance.event_log_storage.get_asset_check_partition_info([dg.AssetCheckKey(self.key, name)])
        return {info.partition_key: info for info in found}

    def evaluations(self, run_id: str) -> dict[tuple[str, str | None], dg.AssetCheckEvaluation]:
        """The check evaluations of one run, by check and partition."""
        records = self.instance.get_records_for_run(
            run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION, limit=1000
        ).records
        found = {}
        for record in records:
            event = record.event_log_entry.dagster_event
            assert event is not None
            evaluation = event.asset_check_evaluation_data
            found[evaluation.check_name, evaluation.partition] = evaluation
        return found

    def materializations(self, run_id: str | None = None) -> list[dg.AssetMaterialization]:
        """Of the table, oldest first."""
        records = self.instance.fetch_materializations(self.key, limit=1000, ascending=True).records
        return [
            record.asset_materialization
            for record in records
            if record.asset_materialization and run_id in (None, record.run_id)
        ]


def failure(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step says of itself."""
    (event,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    assert data.error is not None
    return f"{data.error.message} {data.error.cause.message if data.error.cause else ''}"

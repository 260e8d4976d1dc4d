"""A table and its quarantine, without Dagster: publish, replay, look."""

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy
from dagster_sluice.quarantine import Replayed, Replayer
from dagster_sluice.quarantine.replaying import Promise
from dagster_sluice.tables.gatekeeper import Judged, Origin, admit
from dagster_sluice.warehouse import Address, QuarantinedRow, Warehouse

ADDRESS = Address(schema="ward", table="patients")
PROMISE = Contract(
    table="patients",
    columns=(
        Column(name="id", type=LogicalType.INTEGER),
        Column(name="pulse", type=LogicalType.INTEGER),
        Column(name="note", type=LogicalType.STRING),
    ),
    expectations=(
        Expectation(
            name="id_once", type="expect_column_values_to_be_unique", kwargs={"column": "id"}, policy=Policy.QUARANTINE
        ),
        Expectation(
            name="pulse_possible",
            type="expect_column_values_to_be_between",
            kwargs={"column": "pulse", "min_value": 0, "max_value": 200},
            policy=Policy.QUARANTINE,
        ),
        Expectation(
            name="not_crowded",
            type="expect_table_row_count_to_be_between",
            kwargs={"max_value": 1000},
            policy=Policy.BLOCK,
        ),
    ),
    quarantine_limit=1.0,
)


def promise(**kwargs: Any) -> Contract:
    """The same with other arguments of an expectation, by its name."""
    return replace(
        PROMISE,
        expectations=tuple(
            replace(item, kwargs={**item.kwargs, **kwargs.get(item.name, {})}) for item in PROMISE.expectations
        ),
    )


@dataclass
class Ward:
    """One table in a warehouse."""

    warehouse: Warehouse
    contract: Contract = field(default_factory=lambda: PROMISE)
    address: Address = ADDRESS

    def publish(self, rows: list[tuple[Any, Any]], partition: str | None = "day") -> Judged:
        """Rows of (id, pulse); a pulse may be text that is no number."""
        frame = pa.table(
            {
                "id": pa.array([str(row[0]) for row in rows], pa.string()),
                "pulse": pa.array([None if row[1] is None else str(row[1]) for row in rows], pa.string()),
                "note": pa.array(["Größe 🦆"] * len(rows), pa.string()),
            }
        )
        standing = self.warehouse.current(self.address).get(partition)
        origin = Origin(
            run_id="run",
            correlation_id="cause",
            code_version="1",
            base=standing.id if standing else None,
            started=time.perf_counter(),
        )
        return admit(
            frame,
            contract=self.contract,
            warehouse=self.warehouse,
            address=self.address,
            partition=partition,
            origin=origin,
            references={},
        )

    def replay(self, *rows: QuarantinedRow, mends: dict[int, dict[str, Any]] | None = None, **options: Any) -> Any:
        """What became of these rows, or of all that are open."""
        replayer = Replayer(
            self.warehouse,
            lambda _: Promise(contract=self.contract, references={}),
            run_id="replay",
            correlation_id="replay",
        )
        found: list[Replayed] = replayer.replay(rows or self.open(), mends, **options)
        return found

    def mend(self, row: QuarantinedRow, **values: Any) -> Any:
        """Replay one row with other values."""
        (found,) = self.replay(row, mends={row.id: {**row.payload, **values}})
        return found

    def open(self, partition: str | None = None) -> list[QuarantinedRow]:
        rows = self.warehouse.quarantined(self.address, partition, limit=None)
        return sorted(rows, key=lambda row: row.id)

    def published(self, partition: str | None = "day") -> list[tuple[Any, Any]]:
        rows = self.warehouse.read(self.address, partitions=None if partition is None else [partition]).to_pylist()
        return sorted((row["id"], row["pulse"]) for row in rows)

    def held(self, partition: str | None = "day", status: str = "open") -> Counter[tuple[str, str]]:
        """The quarantined rows of a status, as text."""
        rows = self.warehouse.quarantined(self.address, partition, status=status, limit=None)
        return Counter((str(row.payload["id"]), str(row.payload["pulse"])) for row in rows)

    def everything(self) -> Counter[tuple[str, str]]:
        """What is published, open or discarded."""
        published = Counter((str(row[0]), str(row[1])) for row in self.published())
        return published + self.held() + self.held(status="discarded")

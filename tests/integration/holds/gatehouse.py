"""A table whose batches wait for a person if they are large, without Dagster."""

import time
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy
from dagster_sluice.quarantine.replaying import Promise, Replayer
from dagster_sluice.tables.gatekeeper import Judged, Origin, admit
from dagster_sluice.warehouse import Address, Hold, Warehouse

ADDRESS = Address(schema="gate", table="parcels")
MOST = 3
PROMISE = Contract(
    table="parcels",
    columns=(
        Column(name="id", type=LogicalType.INTEGER),
        Column(name="weight", type=LogicalType.NUMBER),
        Column(name="receiver", type=LogicalType.STRING, classification="pii"),
    ),
    expectations=(
        Expectation(
            name="not_many", type="expect_table_row_count_to_be_between", kwargs={"max_value": MOST}, policy=Policy.HOLD
        ),
        Expectation(
            name="weight_possible",
            type="expect_column_values_to_be_between",
            kwargs={"column": "weight", "min_value": 0},
            policy=Policy.QUARANTINE,
        ),
    ),
    quarantine_limit=0.9,
)


def parcels(*ids: int, bad: int = 0) -> pa.Table:
    """Rows with these ids; the first few are of negative weight."""
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "weight": pa.array([-1.0 if place < bad else 1.5 for place in range(len(ids))]),
            "receiver": pa.array(["Zoë Größe 🦆"] * len(ids)),
        }
    )


@dataclass
class Gatehouse:
    """One table in a warehouse."""

    warehouse: Warehouse
    address: Address = ADDRESS

    def bring(self, frame: pa.Table, partition: str | None = "day") -> Judged:
        """Take a batch to the gate."""
        standing = self.warehouse.current(self.address).get(partition)
        return admit(
            frame,
            contract=PROMISE,
            warehouse=self.warehouse,
            address=self.address,
            partition=partition,
            origin=Origin(
                run_id="run",
                correlation_id="cause",
                code_version="1",
                base=standing.id if standing else None,
                started=time.perf_counter(),
            ),
            references={},
        )

    def held(self, *ids: int, bad: int = 0, partition: str | None = "day") -> Hold:
        """Bring a batch that waits."""
        hold = self.bring(parcels(*ids, bad=bad), partition).hold
        assert hold is not None
        return hold

    def mend(self, **values: Any) -> None:
        """Replay the only row in quarantine, with other values."""
        (row,) = self.warehouse.quarantined(self.address)
        replayer = Replayer(
            self.warehouse, lambda _: Promise(contract=PROMISE, references={}), run_id="replay", correlation_id="replay"
        )
        (found,) = replayer.replay([row], {row.id: {**row.payload, **values}})
        assert found.good

    def published(self, partition: str | None = "day") -> list[Any]:
        rows = self.warehouse.read(self.address, partitions=None if partition is None else [partition])
        return sorted(rows.column("id").to_pylist())

    def status(self, hold: Hold) -> str:
        return self.warehouse.numbered_holds([hold.id])[0].status

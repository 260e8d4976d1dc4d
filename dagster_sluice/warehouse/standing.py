"""What stands of many tables, from the rows of the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster_sluice.warehouse.values import Address, Ledger, Stopped

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Columns", "aggregated", "asked", "flat", "ledgers_of", "stopped_of"]

Columns = tuple[Any, Any, Any, Any]
"""Of one table: its partitions (Arrow), published and computed (µs since 1970), and whether other code made them."""

_YEAR_2000 = 946_684_800_000_000


def asked(codes: Mapping[Address, str]) -> str:
    """The tables asked about, as one JSON parameter, numbered in their order."""
    return json.dumps(
        [
            {"number": number, "schema": address.schema, "table": address.table, "code": code}
            for number, (address, code) in enumerate(codes.items())
        ]
    )


def ledgers_of(
    addresses: Iterable[Address], standing: Mapping[int, Columns], stopped: Iterable[Sequence[Any]]
) -> dict[Address, Ledger]:
    """One ledger for each table.

    Args:
        addresses: The tables, in the order in which they were asked about.
        standing: What stands of each, by its number.
        stopped: Rows of number, partition, moment and reasons.
    """
    waiting = stopped_of(stopped)
    found = {}
    for number, address in enumerate(addresses):
        partitions, published, computed, other_code = standing.get(number) or _nothing()
        found[address] = Ledger(
            partitions=partitions,
            published=published,
            computed=computed,
            other_code=other_code,
            stopped=waiting.get(number, {}),
        )
    return found


def stopped_of(rows: Iterable[Sequence[Any]]) -> dict[int, dict[str, Stopped]]:
    """By the number of the table and by partition, from rows of number, partition, moment and reasons."""
    found: dict[int, dict[str, Stopped]] = {}
    for number, partition, judged_at, reasons in rows:
        told = json.loads(reasons) if isinstance(reasons, str) else reasons
        found.setdefault(int(number), {})[partition or ""] = Stopped(judged_at=judged_at, reasons=tuple(told))
    return found


def aggregated(rows: pa.Table) -> dict[int, Columns]:
    """From one row for each table: number, partitions (list), and the other columns as Postgres sends them, in bytes."""
    import numpy as np

    found: dict[int, Columns] = {}
    numbers: list[Any] = rows.column("number").to_pylist()
    for place, number in enumerate(numbers):
        row: dict[str, Any] = {name: rows.column(name)[place] for name in rows.column_names}
        found[number] = (
            _keys(row["partitions"].values),
            *(
                np.frombuffer(row[name].as_buffer(), ">i8").astype(np.int64) + _YEAR_2000
                for name in ("published", "computed")
            ),
            np.frombuffer(row["other_code"].as_buffer(), np.bool_),
        )
    return found


def flat(rows: pa.Table) -> dict[int, Columns]:
    """From one row for each partition: number, partition, published, computed and other_code."""
    import numpy as np
    import pyarrow as pa

    found: dict[int, Columns] = {}
    numbers: list[Any] = rows.column("number").unique().to_pylist()
    for number in numbers:
        part: Any = rows.filter(pa.compute.equal(rows.column("number"), number)).combine_chunks()
        moments = (
            part.column(name).cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
            for name in ("published", "computed")
        )
        other_code = part.column("other_code").to_numpy().astype(np.bool_)
        found[number] = (_keys(part.column("partition").combine_chunks()), *moments, other_code)
    return found


def _keys(partitions: Any) -> Any:
    import pyarrow as pa

    return pa.compute.fill_null(partitions.cast(pa.string()), "")


def _nothing() -> Columns:
    import numpy as np
    import pyarrow as pa

    never = np.zeros(0, np.int64)
    return pa.array([], pa.string()), never, never, np.zeros(0, np.bool_)

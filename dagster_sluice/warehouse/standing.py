"""What stands of many tables, from the rows of the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster_sluice.warehouse.values import Address, Ledger, Stopped

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["asked", "ledgers_of"]


def asked(codes: Mapping[Address, str]) -> str:
    """The tables asked about, as one JSON parameter, numbered in their order."""
    return json.dumps(
        [
            {"number": number, "schema": address.schema, "table": address.table, "code": code}
            for number, (address, code) in enumerate(codes.items())
        ]
    )


def ledgers_of(
    addresses: Iterable[Address], published: pa.Table, stopped: Iterable[Sequence[Any]]
) -> dict[Address, Ledger]:
    """One ledger for each table.

    Args:
        addresses: The tables, in the order in which they were asked about.
        published: The columns ``number`` of the table, ``partition``, ``published``, ``computed`` and ``other_code``.
        stopped: Rows of number, partition, moment and reasons.
    """
    import numpy as np

    order = list(addresses)
    waiting: dict[int, dict[str, Stopped]] = {}
    for number, partition, judged_at, reasons in stopped:
        told = json.loads(reasons) if isinstance(reasons, str) else reasons
        waiting.setdefault(int(number), {})[partition or ""] = Stopped(judged_at=judged_at, reasons=tuple(told))
    table = published.sort_by("number").combine_chunks()
    bounds = np.searchsorted(table.column("number").to_numpy(), np.arange(len(order) + 1))
    found = {}
    for number, address in enumerate(order):
        part = table.slice(bounds[number], bounds[number + 1] - bounds[number])
        found[address] = Ledger(
            partitions=_keys(part.column("partition")),
            published=part.column("published").to_numpy(),
            computed=part.column("computed").to_numpy(),
            other_code=part.column("other_code").to_numpy().astype(bool),
            stopped=waiting.get(number, {}),
        )
    return found


def _keys(column: pa.ChunkedArray[Any]) -> list[str]:
    keys: list[Any] = column.to_pylist()
    return [key or "" for key in keys] if column.null_count else keys

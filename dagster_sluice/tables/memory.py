"""What past audits of a table found, for the promises that are about them."""

from __future__ import annotations

from dagster_sluice.contracts import Contract
from dagster_sluice.gates.past import PastAudit, needed
from dagster_sluice.warehouse import Address, Result, Warehouse

__all__ = ["past_audits"]


def past_audits(
    warehouse: Warehouse, address: Address, partition: str | None, contract: Contract
) -> list[PastAudit] | None:
    """The audits of the partitions before this one, oldest first; of an unpartitioned table, its own.

    Batches that were blocked, or wait for a person, are left out: what was never published is not what is usual. Keys are ordered as text, as days are.

    Returns:
        ``None`` if the contract promises nothing about them; then nothing is asked.
    """
    last = needed(contract.expectations)
    if not last:
        return None
    # Some of them may be left out, so more are asked for than are looked at.
    found = warehouse.history(address, until=partition, limit=2 * last + 1)
    return [
        PastAudit(rows=past.rows_in, results=past.results, partition=past.partition)
        for past in found
        if past.result not in (Result.BLOCKED, Result.HELD) and (partition is None or past.partition != partition)
    ]

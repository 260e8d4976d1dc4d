"""When a batch that fails a promise with the policy ``hold`` waits for a person, and when one has decided already."""

from __future__ import annotations

from dagster_sluice.contracts import Policy
from dagster_sluice.warehouse import Address, AuditRecord, Batch, Hold, Warehouse

__all__ = ["approval", "standing_release", "waiting_for", "waits"]


def waits(number: int) -> str:
    """What a person is told who can decide about a hold."""
    return (
        f"It waits for a person as hold {number}: see `sluice hold show {number}`, then"
        f" `sluice hold release {number} --why …` or `sluice hold reject {number} --why …`."
    )


def approval(warehouse: Warehouse, batch: Batch) -> Hold | None:
    """The hold in which a person released this very content, if that is what is published now.

    A table that is computed again every night would otherwise ask again every night. A person who released a batch has
    accepted what had failed in it, by the contract of that day; nothing else is released by that.
    """
    hold = standing_release(warehouse, batch.address, batch.partition, batch.audit.contract_fingerprint)
    if hold is None or hold.content_hash != batch.content_hash:
        return None
    return hold if waiting_for(batch.audit) <= waiting_for(hold.audit) else None


def standing_release(warehouse: Warehouse, address: Address, partition: str | None, fingerprint: str) -> Hold | None:
    """The hold whose release is what stands in a partition; ``None`` if it was judged by another contract."""
    standing = warehouse.current(address, None if partition is None else [partition]).get(partition)
    if standing is None:
        return None
    for hold in warehouse.holds(address, partition, status="released"):
        if hold.publication == standing.id and hold.audit.contract_fingerprint == fingerprint:
            return hold
    return None


def waiting_for(audit: AuditRecord) -> set[str]:
    """The expectations for whose failure a batch waits for a person, by name."""
    return {
        str(result["name"])
        for result in audit.results
        if not result["success"] and result["policy"] == Policy.HOLD.value
    }

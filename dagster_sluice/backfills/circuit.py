"""When a whole table fails for one reason: its circuit opens, and one partition a night probes it. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

__all__ = ["Circuit", "CircuitRules", "after_outcome"]


@dataclass(frozen=True, kw_only=True)
class CircuitRules:
    """When a table's circuit opens.

    Attributes:
        open_after: So many different partitions in a row failing for the same reason open it.
    """

    open_after: int = 5

    def __post_init__(self) -> None:
        if self.open_after < 1:
            raise ValueError(f"open_after is {self.open_after}; at least 1 is needed.")


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """How the last partitions of a table ended.

    Attributes:
        signature: The one reason for which they failed; empty after a success.
        partitions: The different partitions that did, in a row, as many as the rules look at.
        opened_at: Since when the circuit is open; ``None`` while it is closed.
    """

    signature: str = ""
    partitions: tuple[str, ...] = ()
    opened_at: dt.datetime | None = None

    @property
    def open(self) -> bool:
        """Only a probe may run."""
        return self.opened_at is not None


def after_outcome(
    circuit: Circuit, partition: str, signature: str | None, *, at: dt.datetime, rules: CircuitRules
) -> Circuit:
    """The circuit after one more partition ended.

    Args:
        circuit: Before.
        partition: Which partition ended.
        signature: Why it failed; ``None`` if it did not: that closes the circuit.
        at: When it ended, with a time zone.
        rules: When it opens.
    """
    if signature is None:
        return Circuit()
    if signature != circuit.signature:
        circuit = replace(circuit, signature=signature, partitions=())
    failed = tuple(dict.fromkeys([*circuit.partitions, partition]))[-rules.open_after :]
    opened = circuit.opened_at or (at if len(failed) >= rules.open_after else None)
    return Circuit(signature=signature, partitions=failed, opened_at=opened)

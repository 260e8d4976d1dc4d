"""What a ``@table`` promised, found again in its definition: for replays, which take rows through the same gate."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dagster as dg

from dagster_sluice.contracts import Contract
from dagster_sluice.warehouse import Address

__all__ = ["Declared", "declare", "declared_tables"]

_MARK = "__sluice_declared__"


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A table as it was declared.

    Attributes:
        key: The asset.
        address: Where it is published.
        contract: What it promises.
        warehouse: The key of its `WarehouseResource`.
    """

    key: dg.AssetKey
    address: Address
    contract: Contract
    warehouse: str


def declare(definition: dg.AssetsDefinition, declared: Declared) -> dg.AssetsDefinition:
    """Write it down where every copy that Dagster makes of the definition still has it: at the step's function."""
    setattr(_function(definition), _MARK, declared)
    return definition


def declared_tables(definitions: Iterable[Any]) -> dict[Address, Declared]:
    """The tables among some definitions, by where they are published; anything else is passed over."""
    found = {}
    for definition in definitions:
        declared = getattr(_function(definition), _MARK, None)
        if isinstance(declared, Declared):
            found[declared.address] = declared
    return found


def _function(definition: Any) -> Any:
    # A definition that only describes (an AssetSpec by now) has no step.
    if not isinstance(definition, dg.AssetsDefinition) or not definition.is_executable:
        return None
    return getattr(getattr(definition.node_def, "compute_fn", None), "decorated_fn", None)

"""The assets whose tables batches wait for, found in the definitions of a project."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from dagster_sluice.contracts import Contract
from dagster_sluice.errors import Culprit, TableError
from dagster_sluice.tables.declared import declared_tables
from dagster_sluice.tables.place import table_of
from dagster_sluice.warehouse import Address, Hold

__all__ = ["Asset", "assets_of", "refuse_strangers"]


@dataclass(frozen=True, kw_only=True)
class Asset:
    """The asset whose table a batch waits for.

    Attributes:
        key: Its key.
        contract: What it promises; ``None`` if it is no ``@table``, and then it has no checks of ours.
        checks: The names of its checks.
    """

    key: dg.AssetKey
    contract: Contract | None = None
    checks: frozenset[str] = frozenset()


def assets_of(definitions: Iterable[Any]) -> dict[Address, Asset]:
    """The assets among some definitions by their table; whatever else is among them is passed over."""
    given = list(definitions)
    found = {}
    for definition in given:
        if not isinstance(definition, dg.AssetsDefinition):
            continue
        for spec in definition.specs:
            try:
                address = table_of(spec.key, spec.metadata)
            except TableError:
                continue
            found[address] = Asset(key=spec.key)
    checks = {
        check for definition in given if isinstance(definition, dg.AssetsDefinition) for check in definition.check_keys
    }
    for address, declared in declared_tables(given).items():
        names = frozenset(check.name for check in checks if check.asset_key == declared.key)
        found[address] = Asset(key=declared.key, contract=declared.contract, checks=names)
    return found


def refuse_strangers(assets: Mapping[Address, Asset], holds: Iterable[Hold]) -> None:
    """Refuse to release what no asset of this project would show.

    Raises:
        TableError: Every table that no asset of the project publishes.
    """
    strangers = dict.fromkeys(str(hold.address) for hold in holds if hold.address not in assets)
    if strangers:
        raise TableError(
            "There is no asset for a held table in this project, so nobody would be told of the release.",
            culprits=[Culprit(where=name, problem="is published by another project.") for name in strangers],
            mend="Run it in the project that publishes the table.",
        )

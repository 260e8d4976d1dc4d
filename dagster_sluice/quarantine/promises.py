"""The contract of a table that holds quarantined rows, found in the definitions of a project."""

from collections.abc import Callable, Iterable
from typing import Any

from dagster_sluice.errors import Culprit, TableError
from dagster_sluice.quarantine.replaying import Promise
from dagster_sluice.tables.declared import declared_tables
from dagster_sluice.tables.inputs import Reader
from dagster_sluice.warehouse import Address, Warehouse

__all__ = ["promises"]


def promises(definitions: Iterable[Any], warehouse: Warehouse) -> Callable[[Address], Promise]:
    """A function that finds what the rows of a table are judged by.

    Args:
        definitions: The tables, among whatever else a project defines.
        warehouse: Where the sets live that contracts name.
    """
    declared = declared_tables(definitions)
    reader = Reader(warehouse)

    def promise(address: Address) -> Promise:
        if address not in declared:
            raise TableError(
                f"There is no @table for {address} in this project, so there is no contract to judge its rows by.",
                culprits=[Culprit(where=str(known), problem="is one that there is.") for known in sorted(declared)],
                mend="Run it in the project that publishes the table.",
            )
        contract = declared[address].contract
        return Promise(contract=contract, references=reader.sets(contract, address.schema))

    return promise

"""dagster-sluice: bad data stops at the gate.

Tables are audited before they are published; what fails is kept, explained and replayed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_sluice.errors import SluiceError
from dagster_sluice.lazy import lazily

if TYPE_CHECKING:
    from dagster_sluice.contracts import Column, Contract, Expectation, Policy, Severity, load_contract
    from dagster_sluice.gates import Verdict, audit
    from dagster_sluice.tables import TableContext, WarehouseIOManager, WarehouseResource, gate, table, table_from_sql

__all__ = [
    "Column",
    "Contract",
    "Expectation",
    "Policy",
    "Severity",
    "SluiceError",
    "TableContext",
    "Verdict",
    "WarehouseIOManager",
    "WarehouseResource",
    "audit",
    "gate",
    "load_contract",
    "table",
    "table_from_sql",
]

__version__ = "0.1.0"

# `import dagster_sluice` stays light: Dagster itself is imported with the first name that needs it.
_HOMES = {
    "Column": "contracts",
    "Contract": "contracts",
    "Expectation": "contracts",
    "Policy": "contracts",
    "Severity": "contracts",
    "TableContext": "tables",
    "Verdict": "gates",
    "WarehouseIOManager": "tables",
    "WarehouseResource": "tables",
    "audit": "gates",
    "gate": "tables",
    "load_contract": "contracts",
    "table": "tables",
    "table_from_sql": "tables",
}

__getattr__ = lazily(__name__, _HOMES)


def _register() -> None:
    from dagster_shared.libraries import DagsterLibraryRegistry

    DagsterLibraryRegistry.register("dagster-sluice", __version__, is_dagster_package=False)


_register()

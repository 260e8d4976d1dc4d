"""What a table promises: contracts, as values and as files of the Open Data Contract Standard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_sluice.contracts.contract import (
    Column,
    Contract,
    Expectation,
    LogicalType,
    Policy,
    Reference,
    Severity,
)
from dagster_sluice.lazy import lazily

if TYPE_CHECKING:
    from dagster_sluice.contracts.diff import diff_contracts
    from dagster_sluice.contracts.odcs import load_contract, load_contracts
    from dagster_sluice.contracts.suite import expectations_from_suite

__all__ = [
    "Column",
    "Contract",
    "Expectation",
    "LogicalType",
    "Policy",
    "Reference",
    "Severity",
    "diff_contracts",
    "expectations_from_suite",
    "load_contract",
    "load_contracts",
]


_HOMES = {
    "diff_contracts": "diff",
    "expectations_from_suite": "suite",
    "load_contract": "odcs",
    "load_contracts": "odcs",
}

__getattr__ = lazily(__name__, _HOMES)

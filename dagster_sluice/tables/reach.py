"""Which columns an expectation looks at, so that no others are read."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dagster_sluice.contracts import Contract, Expectation
from dagster_sluice.contracts.catalogue import CATALOGUE, Argument, Kind
from dagster_sluice.warehouse import PARTITION_COLUMN

__all__ = ["columns_of", "wanted_columns"]


def columns_of(expectation: Expectation) -> frozenset[str] | None:
    """The columns that an expectation looks at; ``None`` where only the whole table will do, or nobody can tell."""
    kind = CATALOGUE.get(expectation.type)
    if kind is None or "row_condition" in expectation.kwargs or "unexpected_rows_query" in expectation.kwargs:
        return None
    named: set[str] = set()
    for argument, takes in kind.arguments.items():
        value = expectation.kwargs.get(argument)
        if takes is Argument.COLUMN and isinstance(value, str):
            named.add(value)
        elif takes is Argument.COLUMNS and isinstance(value, (list, tuple, set)):
            named.update(str(name) for name in value)
    counts_rows = expectation.type.startswith("expect_table_row_count")
    if kind.kind is Kind.TABLE and not counts_rows and expectation.type != "expect_column_to_exist":
        return None
    return frozenset(named)


def wanted_columns(
    contract: Contract, present: Sequence[str], *, conforming: bool, given: Collection[str] | None
) -> list[str]:
    """The columns to read, in the order of the table, and at least one: rows without columns cannot be counted.

    Args:
        contract: With the expectations to judge.
        present: The columns of the table.
        conforming: Whether ``conforms`` is to be judged, for which every promised column is read.
        given: The columns that somebody said to read.
    """
    offered = [name for name in present if name != PARTITION_COLUMN]
    wanted: set[str] = set(given or ())
    if conforming:
        wanted.update(column.name for column in contract.columns)
    if given is None:
        for expectation in contract.expectations:
            needed = columns_of(expectation)
            if needed is None:
                return offered
            wanted |= needed
    return [name for name in offered if name in wanted] or offered[:1]

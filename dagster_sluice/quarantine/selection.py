"""Which quarantined rows are meant: by number, or by table and partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.warehouse import Address, QuarantinedRow, Warehouse

__all__ = ["Selection", "table_address"]


def table_address(text: str) -> Address:
    """``schema.table`` as an address.

    Raises:
        SettingError: It has no schema.
    """
    schema, _, table = text.rpartition(".")
    if not schema or not table:
        raise SettingError(
            "A table is named by schema and table.",
            culprits=[Culprit(where=text, problem="has no schema." if table else "has no table.")],
            mend="`sluice tables` lists the locations.",
        )
    return Address(schema=schema, table=table)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Rows of the quarantine.

    Attributes:
        ids: These rows; or, if empty, those of ``address``.
        address: The table.
        partition: One of its partitions; all by default.
    """

    ids: tuple[int, ...] = ()
    address: Address | None = None
    partition: str | None = None

    def __post_init__(self) -> None:
        if self.partition is not None and self.address is None:
            raise SettingError("A partition is one of a table.", mend="Name the table too.")
        if not self.ids and self.address is None:
            raise SettingError("No row is named.", mend="Give the numbers of rows, or a table.")
        if self.ids and self.address is not None:
            raise SettingError("Rows are named twice.", mend="Give either the numbers of rows or a table, not both.")

    def rows(self, warehouse: Warehouse, *, status: str | None = "open") -> list[QuarantinedRow]:
        """The rows of that status, by number.

        Raises:
            SettingError: A number is that of no row; every such number.
        """
        if self.ids:
            wanted = named_rows(warehouse, self.ids)
            return [row for row in wanted if status in (None, row.status)]
        found = warehouse.quarantined(self.address, self.partition, status=status, limit=None)
        return sorted(found, key=lambda row: row.id)


def named_rows(warehouse: Warehouse, ids: Sequence[int]) -> list[QuarantinedRow]:
    """The rows of these numbers, whatever their status.

    Raises:
        SettingError: A number is that of no row; every such number.
    """
    found = {row.id: row for row in warehouse.quarantine_rows(ids)}
    absent = [number for number in dict.fromkeys(ids) if number not in found]
    if absent:
        raise SettingError(
            "Rows are asked for that are not in quarantine.",
            culprits=[Culprit(where=f"row {number}", problem="is not there.") for number in absent],
            mend="`sluice quarantine list` shows the numbers.",
        )
    return [found[number] for number in dict.fromkeys(ids)]

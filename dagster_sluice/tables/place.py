"""Where an asset's table is, and which of its rows are a partition's: from what the asset says of itself."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import dagster as dg

from dagster_sluice.errors import Culprit, TableError
from dagster_sluice.tables.inputs import address_of
from dagster_sluice.warehouse import Address

__all__ = ["PARTITION_EXPR", "Window", "address_from", "place_of", "plain", "refuse_keys", "table_of"]

PARTITION_EXPR = "partition_expr"
"""Dagster's own metadata key for the column that tells a row's partition."""

Window = tuple[dt.datetime, dt.datetime]


def address_from(text: Address | str) -> Address:
    """An address written as ``schema.table`` or, as dbt has it, ``"database"."schema"."table"``."""
    if isinstance(text, Address):
        return text
    schema, _, table = text.rpartition(".")
    return Address(schema=schema.rpartition(".")[2].strip('"') or "public", table=table.strip('"'))


def table_of(key: dg.AssetKey, metadata: Mapping[str, Any]) -> Address:
    """The table of an asset: by its metadata ``dagster/table_name``, else by its key."""
    name = plain(metadata.get("dagster/table_name"))
    return address_from(name) if isinstance(name, str) and name else address_of(key)


def refuse_keys(definition: dg.PartitionsDefinition[Any] | None, key: dg.AssetKey) -> None:
    """Refuse partition keys that no database takes, where they are known when the table is declared.

    Raises:
        TableError: Some are no Unicode text.
    """
    if not isinstance(definition, dg.StaticPartitionsDefinition):
        return
    culprits = []
    for name in definition.get_partition_keys():
        try:
            name.encode()
        except UnicodeEncodeError:
            culprits.append(
                Culprit(where=f"partition {name!a}", problem="has a lone surrogate, which is no Unicode text.")
            )
    if culprits:
        raise TableError(f"{key.to_user_string()} has partitions that cannot be had.", culprits=culprits)


def plain(value: Any) -> Any:
    """A metadata value as it was given: Dagster wraps what it takes from specs."""
    return value.value if isinstance(value, dg.MetadataValue) else value


def place_of(
    definition: dg.PartitionsDefinition[Any] | None, key: str
) -> tuple[Window | None, dict[str, tuple[str, Window | None]] | None]:
    """The time window of a partition, and the key and window of each of its dimensions; ``None`` where it has none."""
    if isinstance(definition, dg.MultiPartitionsDefinition):
        dimensions = definition.get_partition_key_from_str(key).keys_by_dimension
        parts = {}
        for dimension in definition.partitions_defs:
            part = dimensions[dimension.name]
            parts[dimension.name] = (part, place_of(dimension.partitions_def, part)[0])
        return None, parts
    if isinstance(definition, dg.TimeWindowPartitionsDefinition):
        window = definition.time_window_for_partition_key(key)
        return (window.start, window.end), None
    return None, None

"""Which dimension of an asset's partitions follows which of an upstream asset's.

Dagster has no public way to ask for it; pinned in ``tests/upstream/test_dagster_partition_mappings.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg

__all__ = ["DimensionPair", "dimension_pairs"]


@dataclass(frozen=True, kw_only=True)
class DimensionPair:
    """A dimension, or the only one an asset has (``None``), and the upstream one that it is mapped to."""

    mapping: dg.PartitionMapping
    child: str | None
    parent: str | None


def dimension_pairs(
    mapping: dg.PartitionMapping, *, child: dg.PartitionsDefinition[Any], parent: dg.PartitionsDefinition[Any]
) -> list[DimensionPair] | None:
    """What a mapping of several dimensions does with each; upstream dimensions it leaves out are needed whole.

    Returns:
        ``None`` for a mapping that does not go by dimensions.
    """
    if not isinstance(mapping, (dg.MultiToSingleDimensionPartitionMapping, dg.MultiPartitionMapping)):
        return None
    return [
        DimensionPair(
            mapping=one.partition_mapping, child=one.downstream_dimension_name, parent=one.upstream_dimension_name
        )
        for one in mapping.get_dimension_dependencies(parent, child)
    ]

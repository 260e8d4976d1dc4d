"""Lineage that leaves the house: Dagster's event log told in OpenLineage's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_sluice.lazy import lazily

if TYPE_CHECKING:
    from dagster_sluice.lineage.openlineage.sensor import openlineage_sensor

__all__ = ["openlineage_sensor"]

__getattr__ = lazily(__name__, {"openlineage_sensor": "sensor"})

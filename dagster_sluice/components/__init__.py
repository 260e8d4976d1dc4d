"""YAML faces of the plugin set. What YAML can do here, Python can do; the logic is there."""

from dagster_sluice.components.freshness import FreshnessComponent
from dagster_sluice.components.nightly_backfill import NightlyBackfillComponent

__all__ = ["FreshnessComponent", "NightlyBackfillComponent"]

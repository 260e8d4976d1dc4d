"""Deadlines: whether each partition of a table was published in time, and who is told if not.

A deadline is judged by publications, partition by partition: filling an old one makes no other look fresh.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from dagster_sluice.lazy import lazily

if TYPE_CHECKING:
    from dagster_sluice.contracts.deadlines import Deadline, Exceptional, Recency
    from dagster_sluice.freshness.checks import freshness_checks
    from dagster_sluice.freshness.notices import Notice
    from dagster_sluice.freshness.notifiers import LogNotifier, Notifier, WebhookNotifier
    from dagster_sluice.freshness.policies import with_freshness
    from dagster_sluice.freshness.sensor import freshness_sensor

__all__ = [
    "Deadline",
    "Exceptional",
    "LogNotifier",
    "Notice",
    "Notifier",
    "Recency",
    "WebhookNotifier",
    "freshness_checks",
    "freshness_sensor",
    "with_freshness",
]

_HOMES = {
    "LogNotifier": "notifiers",
    "Notice": "notices",
    "Notifier": "notifiers",
    "WebhookNotifier": "notifiers",
    "freshness_checks": "checks",
    "freshness_sensor": "sensor",
    "with_freshness": "policies",
}
_VALUES = ("Deadline", "Exceptional", "Recency")
_get = lazily(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    if name not in _VALUES:
        return _get(name)
    # They stand where contracts can have them.
    value = getattr(importlib.import_module("dagster_sluice.contracts.deadlines"), name)
    setattr(sys.modules[__name__], name, value)
    return value

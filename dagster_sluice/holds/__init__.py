"""Batches that wait for a person: looked at, released or rejected.

The decisions are plain functions over a warehouse; the faces are the ``sluice hold`` command and `hold_job`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster_sluice.holds.deciding import Action, Decided, decide
    from dagster_sluice.holds.jobs import hold_job

__all__ = ["Action", "Decided", "decide", "hold_job"]

_HOMES = {"Action": "deciding", "Decided": "deciding", "decide": "deciding", "hold_job": "jobs"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value

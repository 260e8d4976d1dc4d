"""Rows kept out of a publish: looked at, mended, replayed through the gate, or given up.

The decisions are plain functions over a warehouse; the faces are the ``sluice quarantine`` command and `replay_job`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster_sluice.quarantine.jobs import replay_job
    from dagster_sluice.quarantine.replaying import Replayed, Replayer

__all__ = ["Replayed", "Replayer", "replay_job"]

_HOMES = {"Replayed": "replaying", "Replayer": "replaying", "replay_job": "jobs"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value

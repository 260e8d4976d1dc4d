"""Rows kept out of a publish: looked at, mended, replayed through the gate, or given up.

The decisions are plain functions over a warehouse; the faces are the ``sluice quarantine`` command and `replay_job`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_sluice.lazy import lazily

if TYPE_CHECKING:
    from dagster_sluice.quarantine.jobs import replay_job
    from dagster_sluice.quarantine.replaying import Replayed, Replayer

__all__ = ["Replayed", "Replayer", "replay_job"]

_HOMES = {"Replayed": "replaying", "Replayer": "replaying", "replay_job": "jobs"}

__getattr__ = lazily(__name__, _HOMES)

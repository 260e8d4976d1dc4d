"""Batches that wait for a person: looked at, released or rejected.

The decisions are plain functions over a warehouse; the faces are the ``sluice hold`` command and `hold_job`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_sluice.lazy import lazily

if TYPE_CHECKING:
    from dagster_sluice.holds.deciding import Action, Decided, decide
    from dagster_sluice.holds.jobs import hold_job

__all__ = ["Action", "Decided", "decide", "hold_job"]

_HOMES = {"Action": "deciding", "Decided": "deciding", "decide": "deciding", "hold_job": "jobs"}

__getattr__ = lazily(__name__, _HOMES)

"""The database of a checkout: a private Postgres that starts by itself, or the server that a setting names.

Nothing has to be installed, started or stopped by hand: the first process that needs the database starts the server,
all processes of the checkout share it, and the last one stops it.
"""

from __future__ import annotations

from dagster_sluice.embedded.database import (
    check_reachable,
    database_url,
    redact,
    with_driver,
    with_options,
)
from dagster_sluice.embedded.home import sluice_home
from dagster_sluice.embedded.server import EmbeddedPostgres, ServerStatus

__all__ = [
    "EmbeddedPostgres",
    "ServerStatus",
    "check_reachable",
    "database_url",
    "redact",
    "sluice_home",
    "with_driver",
    "with_options",
]

"""What the platform remembers between runs, in its own Postgres schema: plans, attempts, requests."""

from dagster_sluice.state.database import State

__all__ = ["State"]

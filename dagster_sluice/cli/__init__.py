"""The ``sluice`` command."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    from dagster_sluice.cli.app import main as run

    run()

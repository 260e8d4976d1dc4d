"""Dagster's daemon or code server on a project's own instance: ``python night_server.py daemon|api ARGUMENT…``."""

import sys

import dagster
import dagster._daemon.controller

from dagster_sluice.cli.instance import prepare_instance


def main() -> None:
    prepare_instance()
    # The daemon looks at backfills every half minute and at runs every minute, in which these tests would only wait.
    dagster._daemon.controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 1
    dagster.DagsterInstance.run_monitoring_poll_interval_seconds = 1
    if sys.argv[1] == "daemon":
        from dagster._daemon.cli import main as serve
    else:
        from dagster._cli import main as serve
    del sys.argv[1]
    serve()


if __name__ == "__main__":
    main()

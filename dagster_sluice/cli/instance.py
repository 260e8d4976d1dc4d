"""Dagster's instance of a checkout: its directory, its ``dagster.yaml``, its storage."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import dagster as dg

from dagster_sluice.embedded import check_reachable, database_url, sluice_home, with_driver, with_options
from dagster_sluice.errors import Culprit, DatabaseUnreachable, SettingError

__all__ = ["INSTANCE_URL", "instance_directory", "opened_instance", "prepare_instance"]

INSTANCE_URL = "SLUICE_DAGSTER_URL"
"""The variable from which the generated ``dagster.yaml`` reads where Dagster's storage is."""

_SCHEMA = "dagster"

_CONFIGURATION = dedent(
    f"""\
    # Made by sluice; made anew whenever it differs. For an instance of your own, set DAGSTER_HOME.
    # Dagster started without `sluice` needs the variable: export {INSTANCE_URL}="$(sluice db url --dagster)"
    storage:
      postgres:
        postgres_url:
          env: {INSTANCE_URL}
    telemetry:
      enabled: false
    nux:
      enabled: false
    concurrency:
      runs:
        max_concurrent_runs: 4
        tag_concurrency_limits:
          # The runs that a backfill's budget lets through at once.
          - {{key: sluice/runs_at_once, value: "1", limit: 1}}
          - {{key: sluice/runs_at_once, value: "2", limit: 2}}
          - {{key: sluice/runs_at_once, value: "3", limit: 3}}
          # What a budget names as its pool bears one run at once.
          - key: sluice/pool
            value: {{applyLimitPerUniqueValue: true}}
            limit: 1
      pools:
        default_limit: 1
    run_monitoring:
      enabled: true
      start_timeout_seconds: 180
      cancel_timeout_seconds: 60
      poll_interval_seconds: 60
    run_retries:
      enabled: true
      max_retries: 2
      # A worker that died is tried again; a step that failed has said why, and is not.
      retry_on_asset_or_op_failure: false
    """
)


def instance_directory() -> Path:
    """Where Dagster's instance is: ``DAGSTER_HOME`` if it is set, else ``dagster`` in sluice's own directory."""
    chosen = os.environ.get("DAGSTER_HOME")
    if not chosen:
        return sluice_home() / "dagster"
    directory = Path(chosen)
    if not directory.is_absolute() or not directory.is_dir():
        raise SettingError(
            "DAGSTER_HOME cannot be used.",
            culprits=[Culprit(where=f"DAGSTER_HOME={chosen}", problem="is not the absolute path of a directory.")],
            mend="Correct it, or unset it to use sluice's own instance.",
        )
    return directory


def prepare_instance() -> Path:
    """Make the instance's directory and settings, and its place in the database; start the server if need be.

    An instance that ``DAGSTER_HOME`` names and that has a ``dagster.yaml`` is left as it is.

    Raises:
        DatabaseUnreachable: The database does not answer.
        SettingError: A directory cannot be written.
    """
    directory = instance_directory()
    configuration = directory / "dagster.yaml"
    own = configuration.exists() and not configuration.read_text(encoding="utf-8").startswith("# Made by sluice")
    url = database_url()
    check_reachable(url)
    if not own:
        _create_schema(url)
        settings = {"search_path": _SCHEMA}
        if not os.environ.get("SLUICE_DATABASE_URL"):
            # The event log of a private server: a power cut may cost its last half second, never its order.
            settings["synchronous_commit"] = "off"
        os.environ[INSTANCE_URL] = with_driver(with_options(url, {}, settings=settings), "psycopg2")
        _write(configuration, _CONFIGURATION)
    os.environ["DAGSTER_HOME"] = str(directory)
    return directory


@contextlib.contextmanager
def opened_instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's instance, prepared and opened."""
    prepare_instance()
    with dg.DagsterInstance.get() as instance:
        yield instance


def _create_schema(url: str) -> None:
    import psycopg

    try:
        with psycopg.connect(url, autocommit=True) as session, session.transaction():
            session.execute("SELECT pg_advisory_xact_lock(hashtextextended('sluice.dagster', 0))")
            session.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
    except psycopg.Error as failure:
        raise DatabaseUnreachable(
            f"Dagster's schema cannot be made: {' '.join(str(failure).split())}",
            mend=f"Let the user of SLUICE_DATABASE_URL create schemas, or create the schema {_SCHEMA} for it.",
        ) from failure


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            made = path.with_suffix(f".{os.getpid()}")
            made.write_text(text, encoding="utf-8")
            made.replace(path)
    except OSError as failure:
        raise SettingError(
            "Dagster's instance cannot be written.",
            culprits=[Culprit(file=path, problem=f"{failure.strerror}.")],
            mend="Make the directory writable, or set SLUICE_HOME to one that is.",
        ) from failure

"""Dagster's own storage on the embedded Postgres, and a schema of its own for each test."""

import itertools
import warnings
from collections.abc import Iterator

import dagster as dg
import pytest

from dagster_sluice.embedded import with_driver

_schemas = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def _imports_that_warn() -> None:
    """What Great Expectations imports is not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations  # noqa: F401


@pytest.fixture
def schema() -> str:
    return f"market_{next(_schemas)}"


@pytest.fixture
def instance(database_url, tmp_path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance on Postgres, as a user has it; its event log is this test's alone."""
    (tmp_path / "dagster.yaml").write_text(
        "telemetry:\n  enabled: false\n"
        f"storage:\n  postgres:\n    postgres_url: {with_driver(database_url, 'psycopg2')}\n"
    )
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened

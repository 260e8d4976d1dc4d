"""Dagster's own storage on the embedded Postgres, and a schema of its own for each test."""

import itertools
import os
import warnings
from collections.abc import Iterator

import dagster as dg
import psycopg
import pytest
from shop import Shop

from dagster_sluice.embedded import with_driver
from dagster_sluice.warehouse.postgres import PostgresWarehouse

_schemas = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def _imports_that_warn() -> None:
    """What Great Expectations imports is not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations  # noqa: F401


@pytest.fixture(scope="session")
def storage_url(server) -> str:
    name = f"tables_{os.getpid()}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as session:
        session.execute(f'CREATE DATABASE "{name}"')
    return server.url(name)


@pytest.fixture(scope="session")
def instance(storage_url, tmp_path_factory) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance on Postgres, as a user has it."""
    home = tmp_path_factory.mktemp("dagster")
    (home / "dagster.yaml").write_text(
        "telemetry:\n  enabled: false\n"
        f"storage:\n  postgres:\n    postgres_url: {with_driver(storage_url, 'psycopg2')}\n"
    )
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


@pytest.fixture
def shop(instance, storage_url) -> Iterator[Shop]:
    warehouse = PostgresWarehouse(storage_url)
    yield Shop(instance=instance, warehouse=warehouse, url=storage_url, schema=f"shop_{next(_schemas)}")
    warehouse.close()

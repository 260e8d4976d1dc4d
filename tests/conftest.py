"""What every test may ask for: a real Postgres, a fresh database on it, a warehouse in that."""

import itertools
import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import psycopg
import pytest

from dagster_sluice.embedded import EmbeddedPostgres
from dagster_sluice.warehouse.postgres import PostgresWarehouse

_numbers = itertools.count(1)

# A slow, loaded machine is no fault of what is tested.
hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")


@pytest.fixture(scope="session")
def server():
    """One embedded Postgres for the whole session (one for each worker process).

    Not below pytest's own directory: as root the server runs as another user, who may not enter that.
    """
    directory = Path(tempfile.mkdtemp(prefix="sl-"))
    try:
        with EmbeddedPostgres(directory / "postgres").lease() as embedded:
            yield embedded
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def database_url(server, monkeypatch):
    """The URL of an empty database, which is also what ``SLUICE_DATABASE_URL`` names."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as session:
        session.execute(f'CREATE DATABASE "{name}"')
    url = server.url(name)
    monkeypatch.setenv("SLUICE_DATABASE_URL", url)
    yield url
    with psycopg.connect(server.url("postgres"), autocommit=True) as session:
        session.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def warehouse(database_url):
    """An empty Postgres warehouse."""
    opened = PostgresWarehouse(database_url)
    yield opened
    opened.close()

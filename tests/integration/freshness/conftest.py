"""A harbour whose clock stands still, a Dagster instance, a memory."""

from contextlib import closing

import dagster as dg
import pytest
from harbour import NEWEST, NOW, TIDES, Ledger, platform

from dagster_sluice.freshness.reading import evaluate
from dagster_sluice.freshness.tables import partitions_of, watched_tables
from dagster_sluice.state import State
from dagster_sluice.warehouse.postgres import PostgresWarehouse


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def state(database_url):
    with closing(State(database_url)) as state:
        yield state


@pytest.fixture
def ledger(warehouse, database_url):
    warehouse.prepare()
    return Ledger(database_url)


@pytest.fixture
def look(instance, database_url, state):
    """A function that judges the harbour's tables, by name."""
    with closing(PostgresWarehouse(database_url)) as warehouse:

        def look(now=NOW, *, back=None, also=None, **settings):
            repository = platform(database_url, recency=NEWEST, **settings).get_repository_def()
            definitions = list(repository.assets_defs_by_key.values())
            tables = watched_tables(partitions_of(definitions), definitions, deadlines={"tides": TIDES})
            found = evaluate(
                tables, instance=instance, warehouse=lambda _: warehouse, now=now, state=state, back=back, also=also
            )
            return {one.table.name: one for one in found}

        yield look

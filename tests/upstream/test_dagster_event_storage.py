"""What `dagster_sluice.tables.event_log` takes from Dagster's Postgres storage that it does not promise."""

import sqlalchemy
import sqlalchemy.pool
from dagster import DagsterInstance
from dagster_postgres.event_log.event_log import PostgresEventLogStorage
from dagster_postgres.utils import create_pg_engine

from dagster_sluice.embedded import with_driver


def test_the_event_log_of_a_postgres_instance_opens_a_connection_per_query(database_url, tmp_path):
    url = with_driver(database_url, "psycopg2")
    (tmp_path / "dagster.yaml").write_text(f"storage:\n  postgres:\n    postgres_url: {url}\n")
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        storage = instance.event_log_storage
        assert isinstance(storage, PostgresEventLogStorage)
        assert isinstance(storage._engine.pool, sqlalchemy.pool.NullPool)
        assert storage._token_provider is None
        assert storage.postgres_url == url


def test_an_engine_of_dagsters_kind_can_be_pooled(database_url):
    engine = create_pg_engine(
        with_driver(database_url, "psycopg2"), None, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=-1
    )
    numbers = set()
    for _ in range(2):
        with engine.connect() as connection:
            numbers.add(connection.scalar(sqlalchemy.text("SELECT pg_backend_pid()")))
    engine.dispose()
    assert len(numbers) == 1

"""What only a server can do to a warehouse."""

import psycopg
import pytest
from adapters import PostgresPlace
from test_warehouse import flights, ids, publish

from dagster_sluice.errors import DatabaseUnreachable
from dagster_sluice.warehouse.postgres import PostgresWarehouse
from dagster_sluice.warehouse.statements import migrations


@pytest.fixture
def place(database_url):
    return PostgresPlace(database_url)


def test_a_lost_connection_is_told_and_the_next_call_connects_again(warehouse, database_url):
    publish(warehouse, flights(1))
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    for _ in range(2):  # one for each of the two connections
        try:
            ids(warehouse)
        except DatabaseUnreachable:
            continue
    assert ids(warehouse) == [1]


def test_a_database_that_is_not_there_is_unreachable(server):
    warehouse = PostgresWarehouse(server.url("no_such_database"))
    with pytest.raises(DatabaseUnreachable, match="no_such_database"):
        warehouse.prepare()


def test_records_of_the_first_version_are_brought_up_to_date(opened, database_url):
    version, script = migrations("postgres")[0]
    with psycopg.connect(database_url) as session:
        session.execute("CREATE SCHEMA sluice")
        session.execute("CREATE TABLE sluice.ledger_version (version integer PRIMARY KEY, applied_at timestamptz)")
        session.execute(script)
        session.execute("INSERT INTO sluice.ledger_version VALUES (%s, now())", [version])
        session.execute(
            "INSERT INTO sluice.quarantine (table_schema, table_name, row_hash, occurrence, payload, reasons, run_id,"
            " correlation_id) VALUES ('raw', 'flights', 'x', 1, '{\"id\": 7}', '[]', 'r', 'c')"
        )
    (found,) = opened().quarantined()
    assert (found.payload, found.status, found.why, found.replacement) == ({"id": 7}, "open", "", None)
    assert opened().discard([found.id], why="old") == [found.id]

"""The event log's connection within a step over a range: one, that survives the loss of it, and is closed after."""

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa

from dagster_sluice.tables.event_log import open_event_log


@pytest.fixture
def backend(instance):
    """Tells the server process that answers the event log."""

    def ask() -> int:
        with instance.event_log_storage.index_connection() as connection:
            return connection.scalar(sa.text("SELECT pg_backend_pid()"))

    return ask


def test_all_events_of_a_step_go_through_one_connection(instance, backend):
    with open_event_log(instance):
        inside = {backend() for _ in range(5)}
    outside = {backend() for _ in range(5)}
    assert len(inside) == 1
    assert len(outside) == 5


def test_it_is_closed_afterwards(instance, backend, storage_url):
    with open_event_log(instance):
        number = backend()
    with psycopg.connect(storage_url, autocommit=True) as session:
        # The server notices the goodbye a moment later; it waits for that, and not the other way round.
        session.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = %s", [number])
        (left,) = session.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [number]).fetchone()
    assert left == 0
    assert backend() != number


def test_a_connection_lost_between_two_events_is_replaced(instance, backend, storage_url):
    key = dg.AssetKey("lost_connection")
    with open_event_log(instance):
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
        with psycopg.connect(storage_url, autocommit=True) as session:
            session.execute("SELECT pg_terminate_backend(%s, 5000)", [backend()])
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
    assert len(instance.fetch_materializations(key, limit=5).records) == 2


def test_a_step_within_a_step_shares_it(instance, backend):
    with open_event_log(instance):
        outer = backend()
        with open_event_log(instance):
            assert backend() == outer
        assert backend() == outer


def test_storage_that_is_not_in_postgres_is_left_alone():
    with dg.instance_for_test() as other:
        before = vars(other.event_log_storage).copy()
        with open_event_log(other):
            assert vars(other.event_log_storage) == before


def test_nothing_of_it_stays(instance):
    before = vars(instance.event_log_storage).copy()
    with open_event_log(instance):
        assert vars(instance.event_log_storage) != before
    assert vars(instance.event_log_storage) == before


def test_a_failure_within_leaves_nothing_behind(instance, backend):
    with pytest.raises(RuntimeError, match="broken"), open_event_log(instance):
        raise RuntimeError("broken")
    assert len({backend() for _ in range(3)}) == 3


def test_what_a_step_told_is_on_disk_when_it_ends(instance, storage_url):
    with psycopg.connect(storage_url, autocommit=True) as session:
        with open_event_log(instance):
            instance.report_runless_asset_event(dg.AssetMaterialization("flushed"))
            (written,) = session.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        (flushed,) = session.execute("SELECT pg_current_wal_flush_lsn() >= %s::pg_lsn", [written]).fetchone()
    assert flushed

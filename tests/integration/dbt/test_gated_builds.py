"""A real dbt over a project that knows nothing of the gate: ``shop``, in the manner of dbt's own examples.

Builds take seconds; tests share them. Each fixture is one story, told once; the tests read what it left.
"""

import datetime as dt
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import psycopg
import pytest

from dagster_sluice import WarehouseResource

pytestmark = pytest.mark.filterwarnings("ignore")

DAYS = dg.DailyPartitionsDefinition("2024-03-01", timezone="America/New_York", end_date="2024-03-20")
EIGHT = [f"2024-03-{day:02}" for day in range(6, 14)]
RANGE = {"dagster/asset_partition_range_start": "2024-03-08", "dagster/asset_partition_range_end": "2024-03-10"}

SOURCES = """
CREATE SCHEMA raw_shop;
CREATE TABLE raw_shop.people AS SELECT * FROM (VALUES (1, 'Ann', 'a@x'), (2, 'Bob', 'b@x')) AS p (id, name, email);
CREATE TABLE raw_shop.payments (order_id int, amount int, loaded_at timestamptz);
INSERT INTO raw_shop.payments SELECT g, 10, now() - interval '15 hours' FROM generate_series(1, 3) AS g;
CREATE TABLE raw_shop.sales AS
    SELECT g AS id, date '2024-03-06' + g % 8 AS day, g AS amount, 'usual' AS kind FROM generate_series(1, 80) AS g;
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dbt") / "shop"
    shutil.copytree(Path(__file__).parent / "shop", directory, ignore=shutil.ignore_patterns("target", "logs"))
    return directory


@contextmanager
def shop_database(server, name):
    """A database with the project's sources: its URL, and how to ask it."""
    name = f"{name}_{os.getpid()}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as session:
        session.execute(f'CREATE DATABASE "{name}"')
    with psycopg.connect(server.url(name), autocommit=True) as session:
        session.execute(SOURCES)

        def run(text):
            cursor = session.execute(text)
            return cursor.fetchall() if cursor.description else None

        yield server.url(name), run


def shop_tables(project):
    from dagster_sluice.dbt import dbt_tables

    whole = dbt_tables(project, name="whole", exclude="tag:daily", schema="shop")
    daily = dbt_tables(project, name="daily", select="tag:daily", partitions_def=DAYS, schema="shop")
    return whole, daily


def checks_of(result):
    found = {}
    for event in result.all_events:
        if event.event_type_value == "ASSET_CHECK_EVALUATION":
            data = event.event_specific_data
            found.setdefault(data.check_name, []).append(data)
    return found


def published_of(result):
    return {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}


# One story over whole models: all well; then a bad payment, a person without an address, and a new name.


@pytest.fixture(scope="module")
def story(server, project):
    with shop_database(server, "gated") as (url, run):
        yield from _story(project, url, run)


def _story(project, url, run):
    whole, _ = shop_tables(project)
    keys = {key.path[-1]: key for key in whole.keys}
    ran = []

    @dg.asset(deps=[keys["orders"]])
    def letters():
        ran.append("letters")

    def build(tables=whole):
        return dg.materialize(
            [tables, letters],
            resources={"warehouse": WarehouseResource(url=url)},
            instance=instance,
            raise_on_error=False,
        )

    with dg.DagsterInstance.ephemeral() as instance:
        first = build()
        seen = SimpleNamespace(url=url, run=run, first=first, ran=ran, keys=keys, instance=instance)
        seen.schemas = {name for (name,) in run("SELECT nspname FROM pg_namespace")}
        seen.before = run("SELECT * FROM shop_marts.orders ORDER BY 1")
        run("CREATE SCHEMA bi; CREATE VIEW bi.value AS SELECT * FROM shop_marts.customer_value")
        run("INSERT INTO raw_shop.payments VALUES (1, -100, now())")
        run("UPDATE raw_shop.people SET email = NULL, name = 'Robert' WHERE id = 2")
        seen.second = build()
        seen.staged = run("SELECT amount FROM shop_marts__sluice.orders WHERE order_id = 1")
        seeds = project / "seeds" / "raw_orders.csv"
        seeds.write_text(seeds.read_text() + "5,2,lost\n")
        seen.third = build(shop_tables(project)[0])
        yield seen


def test_a_project_of_somebody_else_runs_with_no_edits(story):
    assert story.first.success, failures(story.first)
    assert published_of(story.first) == {
        "raw_orders", "stg_orders", "stg_customers", "orders", "customers", "customer_value", "people_snapshot", "letters"
    }  # fmt: skip
    assert story.before == [(1, 1, 10), (2, 1, 10), (3, 2, 10)]
    # dbt's own naming of schemas is as the project has it.
    assert {"shop", "shop_marts", "shop_seeds", "shop_snapshots"} <= story.schemas


def test_a_build_that_is_published_leaves_nothing_beside_it(story):
    assert not [name for name in story.schemas if name.endswith("__sluice")]


def test_checks_are_about_the_materialization(story):
    checks = checks_of(story.first)
    assert {"unique_orders_order_id", "not_null_customers_email", "no_negative_amounts"} <= {*checks}
    for name in ("unique_orders_order_id", "no_negative_amounts"):
        (check,) = checks[name]
        assert check.passed
        made = story.instance.fetch_materializations(check.asset_key, limit=5).records
        assert check.target_materialization_data.storage_id in [record.storage_id for record in made]
        assert check.target_materialization_data.run_id == story.first.run_id


def test_what_failed_leaves_the_last_good_mart_readable(story):
    assert not story.second.success
    assert story.run("SELECT * FROM shop_marts.orders ORDER BY 1") == story.before
    assert "orders" not in published_of(story.second)


def test_what_failed_can_be_looked_at(story):
    assert story.staged == [(-90,)]


def test_siblings_are_published_and_what_is_made_of_it_is_not(story):
    assert published_of(story.second) == {"raw_orders", "stg_orders", "stg_customers", "customers", "people_snapshot"}
    assert story.run("SELECT name FROM shop_marts.customers ORDER BY customer_id") == [("Ann",), ("Robert",)]
    # A view over both reads the last good one of the one, and the new one of the other.
    assert story.run("SELECT * FROM bi.value ORDER BY 1") == [(1, "Ann", 20), (2, "Robert", 10)]


def test_a_view_whose_test_failed_does_not_show_what_failed(story):
    assert (
        "raw_orders: The view stg_orders reads it, and its test accepted_values_stg_orders" in failures(story.third)[0]
    )
    assert (
        story.run("SELECT count(*) FROM shop.stg_orders")
        == story.run("SELECT count(*) FROM shop_seeds.raw_orders")
        == [(4,)]
    )
    assert published_of(story.third) == {"stg_customers", "customers", "people_snapshot"}


def test_a_warning_stops_nothing_and_is_told(story):
    (warned,) = checks_of(story.second)["not_null_customers_email"]
    assert (warned.passed, warned.severity, warned.blocking) == (False, dg.AssetCheckSeverity.WARN, False)


def test_the_failing_test_is_told(story):
    (failed,) = checks_of(story.second)["no_negative_amounts"]
    assert (failed.passed, failed.severity, failed.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    (words,) = failures(story.second)
    assert "orders: The test no_negative_amounts failed." in words
    assert "customer_value: It is made of orders, which is not published." in words
    assert "shop_marts__sluice" in words


def test_python_downstream_did_not_run(story):
    assert story.ran == ["letters"]


def test_the_snapshot_has_history(story):
    found = story.run("SELECT name, dbt_valid_to IS NULL FROM shop_snapshots.people_snapshot WHERE id = 2 ORDER BY 2")
    assert found == [("Bob", False), ("Robert", True)]


def test_the_index_is_published_with_its_table(story):
    found = story.run("SELECT count(*) FROM pg_indexes WHERE schemaname = 'shop_marts' AND tablename = 'customers'")
    assert found == [(1,)]


# One story over days: eight first partitions at once; a range; rows that do not belong; all anew.


@pytest.fixture(scope="module")
def days(server, project):
    with shop_database(server, "days") as (url, run):
        yield from _days(project, url, run)


def _days(project, url, run):
    _, daily = shop_tables(project)
    resources = {"warehouse": WarehouseResource(url=url)}

    def one(key):
        with dg.DagsterInstance.ephemeral() as own:
            return dg.materialize([daily], partition_key=key, resources=resources, instance=own, raise_on_error=False)

    def build(tags):
        return dg.materialize([daily], tags=tags, resources=resources, instance=instance, raise_on_error=False)

    def rows(table):
        return run(f"SELECT * FROM shop_marts.{table} ORDER BY 1, 2")

    tables = ("daily_sales", "sales_seen", "sales_batches")
    with dg.DagsterInstance.ephemeral() as instance:
        seen = SimpleNamespace(run=run, instance=instance, keys={key.path[-1]: key for key in daily.keys})
        with ThreadPoolExecutor(8) as pool:
            seen.firsts = list(pool.map(one, EIGHT))
        seen.first_rows = {table: rows(table) for table in tables}
        # Two of the days that are built, one that is not.
        run("UPDATE raw_shop.sales SET amount = amount + 1000 WHERE day IN ('2024-03-08', '2024-03-10', '2024-03-12')")
        run("INSERT INTO raw_shop.sales VALUES (900, '2024-03-09', 5, 'usual')")
        seen.range = build(RANGE)
        seen.range_rows = {table: rows(table) for table in tables}
        run("INSERT INTO raw_shop.sales VALUES (901, '2024-03-13', 7, 'stray')")
        seen.strays = build(RANGE)
        seen.stray_rows = {table: rows(table) for table in tables}
        run("DELETE FROM raw_shop.sales WHERE day = '2024-03-06'")
        seen.anew = build({**RANGE, "sluice/full_refresh": "true"})
        seen.anew_rows = {table: rows(table) for table in tables}
        yield seen


def failures(result):
    found = [event.event_specific_data for event in result.all_events if event.is_step_failure]
    return [data.user_failure_data.description if data.user_failure_data else str(data.error) for data in found]


def test_eight_first_partitions_at_once_give_every_row_once(days):
    assert [failures(result) for result in days.firsts] == [[]] * 8
    assert len(days.first_rows["daily_sales"]) == 8
    assert sum(sales for _, sales, _ in days.first_rows["daily_sales"]) == 80
    for table in ("sales_seen", "sales_batches"):
        ids = sorted(row[0] if table == "sales_seen" else row[1] for row in days.first_rows[table])
        assert ids == list(range(1, 81)), table


def test_a_check_of_one_partition_has_it(days):
    for key, result in zip(EIGHT, days.firsts, strict=True):
        for name in ("unique_daily_sales_day", "unique_sales_seen_id"):
            (check,) = checks_of(result)[name]
            assert (check.partition, check.passed) == (key, True)


def changed(before, after):
    return {row[0] if isinstance(row[0], dt.date) else row for row in set(before) ^ set(after)}


def test_only_the_partitions_of_the_run_change(days):
    assert days.range.success, failures(days.range)
    of = [days.first_rows["daily_sales"], days.range_rows["daily_sales"]]
    assert changed(*of) == {dt.date(2024, 3, 8), dt.date(2024, 3, 9), dt.date(2024, 3, 10)}
    assert {day.date() for day in changed(days.first_rows["sales_batches"], days.range_rows["sales_batches"])} == {
        dt.date(2024, 3, 8), dt.date(2024, 3, 9), dt.date(2024, 3, 10)
    }  # fmt: skip


def test_a_model_that_looks_how_far_it_has_come_sees_all_of_itself(days):
    assert {row[0] for row in set(days.range_rows["sales_seen"]) - set(days.first_rows["sales_seen"])} == {900}
    assert len(days.range_rows["sales_seen"]) == 81


def test_checks_of_a_range_are_told_of_each_partition(days):
    found = checks_of(days.range)["unique_daily_sales_day"]
    assert sorted(check.partition for check in found) == ["2024-03-08", "2024-03-09", "2024-03-10"]
    assert all(check.passed and check.blocking for check in found)
    for check in found:
        (made,) = [
            event
            for event in days.range.get_asset_materialization_events()
            if event.asset_key == check.asset_key and event.partition == check.partition
        ]
        record = days.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=check.asset_key, asset_partitions=[check.partition]), limit=9
        ).records
        assert check.target_materialization_data.storage_id in [one.storage_id for one in record]
        assert check.target_materialization_data.run_id == days.range.run_id, made


def test_rows_of_other_partitions_block(days):
    assert not days.strays.success
    assert days.stray_rows["daily_sales"] == days.range_rows["daily_sales"]
    assert "daily_sales" not in published_of(days.strays)
    assert "sales_batches" in published_of(days.strays)
    assert "1 rows whose day is in none of the partitions" in str(failures(days.strays))


def test_a_full_refresh_builds_all_anew(days):
    assert days.anew.success, failures(days.anew)
    kept = days.run("SELECT id FROM raw_shop.sales ORDER BY id")
    assert [(row[0],) for row in days.anew_rows["sales_seen"]] == kept
    assert sorted((row[1],) for row in days.anew_rows["sales_batches"]) == kept
    assert min(row[0] for row in days.anew_rows["daily_sales"]) == dt.date(2024, 3, 7)
    assert max(row[2] for row in days.anew_rows["daily_sales"] if row[0] == dt.date(2024, 3, 12)) > 1000

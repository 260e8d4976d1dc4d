"""A planner over real tables: what it finds, launches and learns, through Dagster's own instance."""

import datetime as dt
from contextlib import closing

import dagster as dg
import pytest
import sqlalchemy as sa
from air import DAYS, observe, platform, retention, source

from dagster_sluice.backfills.budget import Budget
from dagster_sluice.backfills.launching import BackfillState, backfill_state, cancel_backfill, end_backfill
from dagster_sluice.backfills.plan import Decision
from dagster_sluice.backfills.schedule import nightly_backfills
from dagster_sluice.warehouse.postgres import PostgresWarehouse


@pytest.fixture
def instance():
    source["rows"].clear()
    source["raise"].clear()
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def look(instance, database_url, state):
    """A function that gives a planner of a platform."""
    with closing(PostgresWarehouse(database_url)) as warehouse:

        def planner(**settings):
            repository = platform(database_url, **settings).get_repository_def()
            (declared,) = nightly_backfills(["nightly"])
            made = declared.planner(repository, instance, lambda _: warehouse, state)
            made.repository = repository
            return made

        yield planner


def now():
    return dt.datetime.now(dt.timezone.utc)


def gaps(planner):
    found = {}
    for row in planner.draft(now()).plan.rows():
        found.setdefault(row.table, {})[row.partition] = row.reasons.words
    return found


def fill(planner, instance, *, backfill="b", keep_going=False):
    """Plan, claim, launch, and do what the daemon would."""
    draft = planner.draft(now())
    claimed = planner.claim(draft, backfill_id=backfill, correlation_id="cause")
    if claimed is None:
        return None
    planner.launch(claimed, backfill_id=backfill, correlation_id="cause", at=now())
    for name in [name for name in planner.tables if name in claimed.partitions]:
        key, keys = planner.tables[name].key, sorted(claimed.partitions[name])
        job = planner.repository.get_implicit_job_def_for_assets([key])
        subset = job.get_subset(asset_selection={key})
        tags = {
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[-1],
            "dagster/backfill": backfill,
        }
        subset.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
    if not keep_going:
        end_backfill(instance, planner.graph, backfill, done={}, canceled=False, at=now())
    return claimed


def test_an_empty_warehouse_is_all_gaps_and_a_night_fills_them(look, instance):
    planner = look()
    found = gaps(planner)
    assert {table: len(partitions) for table, partitions in found.items()} == {
        "air/raw": 12,
        "air/flights": 12,
        "weeks": 2,
    }
    fill(planner, instance)
    (settled,) = planner.settle(now())
    assert settled.counts() == {"done": 26, "failed": 0, "undone": 0}
    assert gaps(look()) == {}


def test_what_came_late_is_found_and_what_is_made_of_it_follows(look, instance):
    for day in DAYS:
        observe(instance, day, "first")
    planner = look()
    fill(planner, instance)
    planner.settle(now())
    observe(instance, DAYS[2], "first")
    assert gaps(look()) == {}
    observe(instance, DAYS[2], "second")
    assert gaps(look()) == {
        "air/raw": {DAYS[2]: ("late_data",)},
        "air/flights": {DAYS[2]: ("upstream_planned",)},
        "weeks": {"2026-03-01": ("upstream_planned",)},
    }


def test_other_code_makes_gaps_and_the_same_content_makes_none_downstream(look, instance):
    fill(look(), instance)
    changed = look(version="2")
    changed.settle(now())
    assert {table: {*map(tuple, reasons.values())} for table, reasons in gaps(changed).items()} == {
        "air/raw": {("code_changed",)},
        "air/flights": {("upstream_planned",)},
        "weeks": {("upstream_planned",)},
    }
    fill(look(version="2"), instance, backfill="again")
    after = look(version="2")
    after.settle(now())
    assert gaps(after) == {}


def test_a_blocked_day_is_told_learned_and_holds_up_only_what_is_made_of_it(look, instance):
    source["rows"][DAYS[3]] = [999]
    fill(look(), instance)
    planner = look()
    (settled,) = planner.settle(now())
    # Made by itself, the day of flights has nothing to be made of, and fails too.
    failed = {one for one, state in settled.ending.states.items() if state == "failed"}
    assert failed == {("air/raw", DAYS[3]), ("air/flights", DAYS[3])}
    record = planner.nights.attempts()["air/raw", DAYS[3]]
    assert record.kind.value == "data"
    rows = {(row.table, row.partition): row for row in planner.draft(now()).plan.rows()}
    blocked = rows["air/raw", DAYS[3]]
    assert (blocked.reasons.words, blocked.decision) == (("missing", "failed", "blocked"), Decision.WAITING)


def test_each_day_that_raises_fails_by_itself(look, instance):
    source["raise"] |= {DAYS[1]: KeyError("gone"), DAYS[5]: ConnectionError("lost")}
    fill(look(), instance)
    planner = look()
    (settled,) = planner.settle(now())
    kinds = {
        one.partition: one.fault.kind.value for one in settled.ending.outcomes if one.fault and one.table == "air/raw"
    }
    assert kinds == {DAYS[1]: "unknown", DAYS[5]: "transient"}


def test_what_was_repaired_by_other_hands_is_no_gap(look, instance):
    source["rows"][DAYS[3]] = [999]
    fill(look(), instance)
    look().settle(now())
    source["rows"].clear()
    planner = look()
    job = planner.repository.get_implicit_job_def_for_assets([dg.AssetKey(["air", "raw"])])
    for name in ("raw", "flights"):
        job.get_subset(asset_selection={dg.AssetKey(["air", name])}).execute_in_process(
            instance=instance, partition_key=DAYS[3]
        )
    assert "air/raw" not in gaps(planner)


def test_what_the_source_no_longer_keeps_is_told(look):
    rows = list(look(tables=retention(3)).draft(now()).plan.rows())
    told = [row.partition for row in rows if row.table == "air/raw" and row.decision is Decision.UNFILLABLE]
    assert told == DAYS[:3]
    downstream = [row for row in rows if row.table == "air/flights" and row.decision is Decision.UNFILLABLE]
    assert [row.note for row in downstream] == [
        f"it is made of air/raw [{day}], which can never be filled" for day in DAYS[:3]
    ]


def test_the_number_of_queries_does_not_grow_with_partitions(look, instance):
    counted = []

    def count(_connection, _cursor, statement, *_):
        counted.append(statement)

    planner = look()
    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        planner.draft(now())
        first = len(counted)
        fill(planner, instance, keep_going=True)
        counted.clear()
        planner.draft(now())
        assert len(counted) <= first + 2
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)


class TestTicks:
    def tick(self, instance, database_url, **settings):
        definitions = platform(database_url, **settings)
        repository = definitions.get_repository_def()
        with dg.build_schedule_context(
            instance=instance,
            repository_def=repository,
            resources=repository.get_top_level_resources(),
            scheduled_execution_time=now(),
        ) as context:
            return repository.get_schedule_def("nightly").evaluate_tick(context)

    @pytest.fixture(autouse=True)
    def _database(self, database_url, monkeypatch):
        monkeypatch.setenv("SLUICE_DATABASE_URL", database_url)

    def test_a_tick_launches_a_real_backfill_and_tells_its_plan(self, instance, database_url):
        found = self.tick(instance, database_url, budget=Budget(partitions=5))
        (request,) = found.run_requests
        (backfill,) = instance.get_backfills()
        assert request.tags["sluice/backfill"] == backfill.backfill_id
        assert backfill.is_asset_backfill
        assert backfill.tags["dagster/priority"] == "-10"
        told = request.run_config["ops"]["explain_nightly"]["config"]
        assert told["told"][0] == "5 planned, 21 over budget of 2 tables."
        assert {row["decision"] for row in told["rows"]} == {"planned", "over budget"}

    def test_the_run_that_explains_it_shows_a_table(self, instance, database_url):
        (request,) = self.tick(instance, database_url).run_requests
        job = platform(database_url).get_repository_def().get_job("nightly_plan")
        result = job.execute_in_process(run_config=request.run_config, instance=instance)
        assert result.success
        (event,) = [one for one in result.all_events if one.event_type_value == "STEP_OUTPUT"]
        table = event.step_output_data.metadata["plan"]
        assert [record.data["table"] for record in table.records] == ["air/raw", "air/flights", "weeks"]

    def test_a_second_tick_leaves_what_the_first_one_has(self, instance, database_url):
        self.tick(instance, database_url)
        found = self.tick(instance, database_url)
        assert "26 running" in found.skip_message
        assert len(instance.get_backfills()) == 1

    def test_a_canceled_backfill_leaves_gaps(self, instance, database_url):
        self.tick(instance, database_url)
        (backfill,) = instance.get_backfills()
        assert cancel_backfill(instance, backfill.backfill_id)
        assert backfill_state(instance, backfill.backfill_id) is BackfillState.CANCELING
        graph = platform(database_url).get_repository_def().asset_graph
        end_backfill(instance, graph, backfill.backfill_id, done={}, canceled=True, at=now())
        assert not cancel_backfill(instance, backfill.backfill_id)
        (request,) = self.tick(instance, database_url).run_requests
        told = request.run_config["ops"]["explain_nightly"]["config"]["told"]
        assert told[0] == "Plan 1 of nightly is over: 26 undone."
        assert len(instance.get_backfills()) == 2

    def test_outside_its_hours_nothing_is_launched(self, instance, database_url):
        from dagster_sluice.backfills import Hours

        hour = (now() + dt.timedelta(hours=2)).replace(minute=0)
        hours = Hours(begin=hour.time(), end=(hour + dt.timedelta(hours=1)).time())
        found = self.tick(instance, database_url, hours=hours)
        assert found.skip_message.startswith("Nothing is launched now: it is not between")
        assert instance.get_backfills() == []

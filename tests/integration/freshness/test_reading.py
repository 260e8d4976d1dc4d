"""Tables of a real ledger, judged as they stand."""

import datetime as dt
from contextlib import closing

import dagster as dg
import pytest
import sqlalchemy as sa
from harbour import NEWEST, NOW, SHIPS, fill, platform, vienna

from dagster_sluice.backfills.attempts import AttemptRecord
from dagster_sluice.backfills.faults import FaultClass
from dagster_sluice.backfills.memory import Nights
from dagster_sluice.backfills.settlement import Learned
from dagster_sluice.contracts.deadlines import Deadline, Exceptional
from dagster_sluice.errors import SettingError
from dagster_sluice.freshness import freshness_checks, freshness_sensor
from dagster_sluice.freshness.judging import Status, attainment
from dagster_sluice.freshness.reading import evaluate
from dagster_sluice.freshness.tables import partitions_of, watched_tables
from dagster_sluice.freshness.watching import project_tables
from dagster_sluice.freshness.zones import micro
from dagster_sluice.warehouse.duckdb import DuckDBWarehouse


def stands(found, number=0):
    judged = found.judged[number]
    return {key: Status(one).words for key, one in zip(judged.windows.keys, judged.status, strict=True)}


def test_nothing_is_published(look):
    found = look()
    assert set(found) == {"harbour/berthed", "harbour/ports", "harbour/ships", "tides"}
    assert stands(found["harbour/ships"]) == {f"2026-03-{day}": "late" for day in range(25, 30)}
    assert stands(found["harbour/ports"]) == {"2026-03-30 07:00": "late", "2026-03-31 07:00": "due"}
    assert stands(found["tides"]) == {f"2026-03-{day}": "late" for day in (27, 28, 29)}
    assert len(stands(found["harbour/berthed"])) == 4


def test_everything_is_there(look, ledger):
    fill(ledger)
    found = look()
    assert set(stands(found["harbour/ships"]).values()) == {"on time"}
    assert set(stands(found["harbour/berthed"]).values()) == {"on time"}
    assert stands(found["harbour/ports"]) == {"2026-03-30 07:00": "on time", "2026-03-31 07:00": "due"}


def test_backfilling_an_old_day_makes_yesterday_no_fresher(look, ledger):
    fill(ledger, until=29)
    before = stands(look()["harbour/ships"])
    assert before["2026-03-29"] == "late"
    for day in (5, 27, 28):
        ledger.publish("ships", f"2026-03-{day:02}", vienna(30, 9))
    assert stands(look()["harbour/ships"]) == before
    ledger.publish("ships", "2026-03-29", vienna(30, 9, 10))
    assert stands(look()["harbour/ships"])["2026-03-29"] == "published late"


def test_to_the_minute_on_the_day_after_the_clock_changed(look, ledger):
    fill(ledger, until=29)
    limit = vienna(30, 6, 15)
    assert stands(look(limit)["harbour/ships"])["2026-03-29"] == "due"
    assert stands(look(limit + dt.timedelta(minutes=1))["harbour/ships"])["2026-03-29"] == "late"
    # 28 March ended at midnight, and its deadline was five hours later, not six.
    judged = look(limit)["harbour/ships"].judged[0]
    place = judged.windows.keys.index("2026-03-28")
    assert judged.dues.due[place] - judged.windows.ends[place] == 5 * 3_600_000_000


def test_what_is_gone_is_late(look, ledger):
    fill(ledger)
    ledger.drop("ships", "2026-03-27", vienna(29, 9))
    found = look()["harbour/ships"]
    assert stands(found)["2026-03-27"] == "late"
    assert attainment(found.judged[0], 0).share == 1.0


def test_a_partition_that_waits_or_failed_is_late_and_says_why(look, ledger, state, warehouse):
    from dagster_sluice.warehouse import Address, AuditRecord

    record = AuditRecord(
        run_id="r", correlation_id="c", contract_version="1", contract_fingerprint="f", code_version="v", rows_in=1,
        passed=0, warned=0, failed=1, seconds=1.0, reasons=("No rows.",),
    )  # fmt: skip
    warehouse.record_block(Address(schema="harbour", table="ships"), "2026-03-29", record)
    parked = AttemptRecord(
        failures=3,
        kind=FaultClass.DATA,
        message="broken",
        signature="s",
        failed_at=NOW,
        next_at=NOW,
        parked_at=NOW,
        inputs="",
    )
    with state.transaction() as connection:
        Nights(state)._learn(connection, Learned(records={("harbour/ships", "2026-03-28"): parked}, circuits={}))
    judged = look()["harbour/ships"].judged[0]
    assert judged.notes == {"2026-03-29": "stopped: No rows.", "2026-03-28": "parked after 3: broken"}


def test_what_others_made_is_told_by_the_event_log(look, instance):
    def made(day):
        instance.report_runless_asset_event(dg.AssetMaterialization("tides", partition=f"2026-03-{day}"))

    made(28)
    made(28)
    assert stands(look()["tides"]) == {"2026-03-27": "late", "2026-03-28": "published late", "2026-03-29": "late"}


def test_looking_back_over_months(look, ledger):
    fill(ledger)
    ledger.publish("ships", "2026-03-30", vienna(31, 9))
    found = look(vienna(31, 12), back=dt.timedelta(days=30))
    ships = found["harbour/ships"].judged[0]
    told = attainment(ships, micro(vienna(1, 0)))
    assert (told.met, told.missed) == (29, 1)
    ports = attainment(found["harbour/ports"].judged[0], 0)
    assert ports.met == 1
    assert ports.missed > 15


def test_partitions_further_back_can_be_asked_for(look, ledger):
    fill(ledger)
    assert "2026-03-02" in stands(look(also={"harbour/ships": ["2026-03-02", "nothing like it"]})["harbour/ships"])


def test_the_newest_row(look, ledger, database_url):
    import psycopg

    (age,) = look()["harbour/ships"].ages
    assert (age.known, age.late, age.at) == (False, True, None)
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("CREATE SCHEMA harbour")
        session.execute("CREATE TABLE harbour.ships (at timestamptz)")
        (age,) = look()["harbour/ships"].ages
        assert (age.known, age.late, age.at) == (True, True, None)
        newest = NOW - dt.timedelta(hours=23)
        session.execute("INSERT INTO harbour.ships VALUES (%s)", [newest])
        (age,) = look()["harbour/ships"].ages
        assert (age.late, age.at, age.left) == (False, micro(newest), 3_600_000_000)
        (age,) = look(NOW + dt.timedelta(hours=2))["harbour/ships"].ages
        assert age.late
        # Without a time zone it is the table's own clock that is meant.
        session.execute("ALTER TABLE harbour.ships ALTER at TYPE date USING date '2026-03-29'")
        (age,) = look()["harbour/ships"].ages
        assert age.at == micro(vienna(29, 0))


def test_the_number_of_queries_does_not_grow(look, ledger):
    fill(ledger, until=4)
    counted = []
    sa.event.listen(sa.Engine, "before_cursor_execute", lambda *given: counted.append(given[2]))
    look()
    few = len(counted)
    fill(ledger)
    counted.clear()
    look()
    assert len(counted) <= few


@pytest.mark.parametrize(
    ("ships", "says"),
    [
        ((Deadline("06:00", since=dt.date(2026, 3, 28)),), {"2026-03-28", "2026-03-29"}),
        ((Deadline("06:00", look_back=1),), {"2026-03-29"}),
        ((Deadline("06:00", look_back=10_000),), {f"2026-03-{day:02}" for day in range(1, 30)}),
    ],
)
def test_what_is_looked_at(look, ships, says):
    assert set(stands(look(ships=ships)["harbour/ships"])) == says


def test_several_deadlines_of_one_table_have_names_of_their_own(look):
    found = look(ships=(SHIPS, SHIPS, Deadline("09:00", name="desk")))["harbour/ships"]
    assert [one.deadline.name for one in found.judged] == ["", "deadline 2", "desk"]


def test_deadlines_that_fit_nothing_are_told(database_url):
    repository = platform(database_url).get_repository_def()
    definitions = list(repository.assets_defs_by_key.values())
    with pytest.raises(SettingError, match="nobody"):
        watched_tables(partitions_of(definitions), definitions, deadlines={"nobody": SHIPS})
    own = Deadline("06:00", exceptions=[Exceptional("07:00", "monday")])
    with pytest.raises(SettingError, match="only partitions in time"):
        watched_tables(partitions_of(definitions), definitions, deadlines={"harbour/quays": own})


def test_what_a_run_publishes_is_there(look, instance, database_url):
    ships = (Deadline("2000 days after the end", look_back=10_000),)
    repository = platform(database_url, ships=ships).get_repository_def()
    key = dg.AssetKey(["harbour", "ships"])
    job = repository.get_implicit_global_asset_job_def().get_subset(asset_selection={key})
    begun = dt.datetime.now(dt.timezone.utc)
    assert job.execute_in_process(instance=instance, partition_key="2026-03-08").success
    found = look(dt.datetime.now(dt.timezone.utc), ships=ships)["harbour/ships"]
    stand = stands(found)
    assert stand.pop("2026-03-08") == "on time"
    assert set(stand.values()) == {"due"}
    judged = found.judged[0]
    first = judged.first[judged.windows.keys.index("2026-03-08")]
    assert micro(begun) <= first <= judged.now
    (age,) = found.ages
    assert age.at == micro(dt.datetime(2026, 3, 8, 12, tzinfo=dt.timezone.utc))


def test_a_duckdb_file_is_judged_alike(instance, tmp_path):
    url = f"duckdb:///{tmp_path}/harbour.duckdb"
    repository = platform(url, ships=(Deadline("2000 days after the end", look_back=2_000),), recency=NEWEST)
    repository = repository.get_repository_def()
    keys = {dg.AssetKey(["harbour", "ships"]), dg.AssetKey(["harbour", "ports"])}
    whole = repository.get_implicit_global_asset_job_def()
    for key, partition in (("ships", "2026-03-08"), ("ports", None)):
        job = whole.get_subset(asset_selection={dg.AssetKey(["harbour", key])})
        assert job.execute_in_process(instance=instance, partition_key=partition).success
    tables = project_tables(repository, selection=dg.AssetSelection.assets(*keys))
    at = dt.datetime.now(dt.timezone.utc)
    with closing(DuckDBWarehouse(url)) as opened:
        found = {
            one.table.name: one
            for one in evaluate(
                tables, instance=instance, warehouse=lambda _: opened, now=at, back=dt.timedelta(days=999)
            )
        }
    ships = stands(found["harbour/ships"])
    assert ships.pop("2026-03-08") == "on time"
    assert set(ships.values()) == {"due"}
    assert found["harbour/ships"].ages[0].at == micro(dt.datetime(2026, 3, 8, 12, tzinfo=dt.timezone.utc))
    # Every period that is over has come to an end with this publication, however late.
    assert set(stands(found["harbour/ports"]).values()) <= {"published late", "on time", "late"}
    assert "published late" in stands(found["harbour/ports"]).values()


def test_a_project_has_the_deadlines_of_its_contracts_sensors_and_checks(database_url):
    one, two = Deadline("01:00"), Deadline("02:00")
    sensor = freshness_sensor("key:tides", name="watch_tides", deadlines={"tides": one})
    plain = platform(database_url)
    checks = freshness_checks(plain.assets, deadlines={"harbour/quays": two}, name="in_time")
    repository = platform(database_url, sensors=[sensor], checks=checks).get_repository_def()
    found = {table.name: [own.due for own in table.deadlines] for table in project_tables(repository)}
    assert found["tides"] == ["01:00"]
    assert found["harbour/quays"] == ["02:00"]
    assert found["harbour/ships"] == ["06:00 on the next day"]
    own = project_tables(repository, deadlines={"tides": two}, selection=dg.AssetSelection.assets("tides"))
    assert [table.deadlines[0].due for table in own] == ["02:00"]
    assert (
        project_tables(platform(database_url).get_repository_def(), selection=dg.AssetSelection.assets("tides")) == []
    )

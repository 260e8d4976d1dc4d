"""Dagster's own freshness policies, where they say the same."""

import datetime as dt

import dagster as dg
import pytest

from dagster_sluice import Column, Contract, table
from dagster_sluice.contracts.deadlines import Deadline, Exceptional
from dagster_sluice.freshness import with_freshness
from dagster_sluice.freshness.policies import freshness_policy
from dagster_sluice.tables.declared import declared_tables

HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("deadline", "policy"),
    [
        (Deadline("06:30"), dg.FreshnessPolicy.cron("30 6 * * *", 6.5 * HOUR, "UTC")),
        (
            Deadline("06:00 on the next day", timezone="Europe/Vienna", grace=HOUR / 2),
            dg.FreshnessPolicy.cron("30 6 * * *", 6.5 * HOUR, "Europe/Vienna"),
        ),
        (Deadline("06:00", within=2 * HOUR), dg.FreshnessPolicy.cron("0 6 * * *", 2 * HOUR, "UTC")),
        (Deadline("0 6 * * *"), dg.FreshnessPolicy.cron("0 6 * * *", 24 * HOUR, "UTC")),
        (Deadline("5 * * * *"), dg.FreshnessPolicy.cron("5 * * * *", HOUR, "UTC")),
        (Deadline("0 6 * * 1-5", within=3 * HOUR), dg.FreshnessPolicy.cron("0 6 * * 1-5", 3 * HOUR, "UTC")),
        (Deadline("26 hours after the end", grace=HOUR), dg.FreshnessPolicy.time_window(27 * HOUR)),
        (Deadline("0 6 * * 1-5"), None),
        (Deadline("0 6 * * *", grace=HOUR), None),
        (Deadline("06:00 on the next business day"), None),
        (Deadline("06:00", business_days_only=True), None),
        (Deadline("06:00", exceptions=[Exceptional(None, "sunday")]), None),
        (Deadline("06:00", timezone="+01:00"), None),
        (Deadline("23:50", grace=HOUR), None),
        (Deadline("00:00"), None),
    ],
)
def test_a_deadline_as_dagster_tells_it(deadline, policy):
    assert freshness_policy(deadline) == policy


def promised(name, *deadlines, **more):
    contract = Contract(table=name, schema="s", columns=(Column(name="id", type="integer"),), deadlines=deadlines)

    @table(contract=contract, **more)
    def one():
        return None

    return one


def test_only_tables_without_partitions_get_one_and_stay_what_they_are():
    daily = dg.DailyPartitionsDefinition("2026-03-01")
    given = [
        promised("whole", Deadline("06:00 on the next business day"), Deadline("06:00")),
        promised("days", Deadline("06:00"), partitions_def=daily),
        promised("free"),
        dg.AssetSpec("others"),
        dg.AssetSpec("own", freshness_policy=dg.FreshnessPolicy.time_window(HOUR)),
        "no asset",
    ]
    deadlines = {"others": Deadline("07:00"), "own": Deadline("07:00")}
    found = with_freshness(given, deadlines=deadlines)
    assert found[-1] == "no asset"
    specs = [one.get_asset_spec() if isinstance(one, dg.AssetsDefinition) else one for one in found[:-1]]
    assert [spec.freshness_policy for spec in specs] == [
        dg.FreshnessPolicy.cron("0 6 * * *", 6 * HOUR, "UTC"),
        None,
        None,
        dg.FreshnessPolicy.cron("0 7 * * *", 7 * HOUR, "UTC"),
        dg.FreshnessPolicy.time_window(HOUR),
    ]
    assert len(declared_tables(found)) == 3
    assert {check.name for check in found[0].check_keys} == {"conforms"}

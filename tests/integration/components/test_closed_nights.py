"""Holidays, weekends and the place in the queue, by YAML and in a schedule's tick."""

import datetime as dt

import dagster as dg
import pytest

from dagster_sluice import WarehouseResource
from dagster_sluice.backfills.schedule import nightly_backfills
from dagster_sluice.components import NightlyBackfillComponent
from dagster_sluice.errors import SettingError

pytestmark = pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")

YAML = """
selection: 'key:"days"'
name: closed_nights
timezone: Europe/Berlin
runs: 3
priority: -20
pool: source
begin: "22:00"
end: "06:00"
closed:
  country: DE
  subdivision: BY
  weekends: true
  days: ["2026-12-24"]
  open: ["2026-10-31"]
"""


def built(text):
    component = NightlyBackfillComponent.resolve_from_yaml(text)
    return component.build_defs(dg.ComponentTree.for_test().load_context)


def test_what_yaml_says_is_what_python_gets():
    built(YAML)
    (declared,) = nightly_backfills(["closed_nights"])
    budget, hours = declared.rules.budget, declared.rules.hours
    assert budget.tags == {"dagster/priority": "-20", "sluice/runs_at_once": "3", "sluice/pool": "source"}
    assert (hours.closed.place, hours.closed_weekends) == ("DE-BY", True)
    told = {
        date: hours.why_not(dt.datetime.fromisoformat(f"{date}T23:00:00+01:00"))
        for date in ("2026-01-06", "2026-12-24", "2026-10-30", "2026-10-31", "2026-11-14")
    }
    assert told == {
        "2026-01-06": "2026-01-06 is closed: Epiphany (DE-BY)",
        "2026-12-24": "2026-12-24 is closed: own holiday (DE-BY)",
        "2026-10-30": None,
        "2026-10-31": None,
        "2026-11-14": "2026-11-14 is closed: Saturday",
    }


def test_days_and_weekends_need_no_country():
    built("selection: '*'\nname: no_country\nclosed:\n  weekend: [friday]\n  weekends: true\n  days: ['2026-12-24']")
    (declared,) = nightly_backfills(["no_country"])
    nights = [
        declared.rules.hours.night(dt.datetime(2026, 12, n, 12, tzinfo=dt.timezone.utc)) for n in (23, 24, 25, 26)
    ]
    assert [one is None for one in nights] == [False, True, True, False]


@pytest.mark.parametrize(
    ("closed", "told"),
    [
        ("country: XX", "XX.*not available"),
        ("days: ['24.12.2026']", "'24.12.2026': is no date, YYYY-MM-DD"),
        ("weekend: [caturday]", "'caturday': is none of monday"),
    ],
)
def test_a_closed_day_that_cannot_be_read_is_told(closed, told):
    with pytest.raises(SettingError, match=told):
        built(f"selection: '*'\nclosed:\n  {closed}")


def test_a_tick_on_a_closed_day_says_why(database_url):
    @dg.asset
    def days() -> None: ...

    today = dt.datetime.now(dt.timezone.utc).date()
    around = [str(today + dt.timedelta(days=one)) for one in (-1, 0, 1)]
    (schedule,) = built(f"selection: 'key:\"days\"'\nname: dark\nclosed:\n  days: {around}").schedules
    definitions = dg.Definitions(
        assets=[days], schedules=[schedule], resources={"warehouse": WarehouseResource(url=database_url)}
    )
    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(
            instance=instance,
            repository_def=definitions.get_repository_def(),
            resources={"warehouse": WarehouseResource(url=database_url)},
        ) as context,
    ):
        told = schedule.evaluate_tick(context)
        assert instance.get_backfills() == []
    assert "is closed: own holiday" in told.skip_message

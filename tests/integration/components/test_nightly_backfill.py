"""The YAML face of nightly backfills."""

import datetime as dt
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import dagster as dg
import pytest

from dagster_sluice.backfills.budget import Order
from dagster_sluice.backfills.schedule import nightly_backfills
from dagster_sluice.components import NightlyBackfillComponent
from dagster_sluice.errors import SettingError

# Dagster's own reading of YAML.
pytestmark = pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")

YAML = """
selection: 'group:"flights"'
name: by_yaml
cron: "30 3 * * *"
timezone: Europe/Berlin
window_days: 14
partitions: 20
order: wanted
begin: "22:00"
end: "06:00"
tables:
  flights/raw:
    reasons: [missing, late_data]
    retention_days: 90
running: true
"""


def built(text):
    component = NightlyBackfillComponent.resolve_from_yaml(text)
    return component.build_defs(dg.ComponentTree.for_test().load_context)


def test_what_yaml_says_is_what_python_gets():
    (schedule,) = built(YAML).schedules
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 3 * * *", "Europe/Berlin")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    (declared,) = nightly_backfills(["by_yaml"])
    rules = declared.rules
    assert (rules.window, rules.budget.partitions, rules.order) == (dt.timedelta(days=14), 20, Order.WANTED)
    assert (rules.hours.begin, rules.hours.end, rules.hours.zone) == (dt.time(22), dt.time(6), "Europe/Berlin")
    assert declared.tables["flights/raw"].retention == dt.timedelta(days=90)
    assert declared.tables["flights/raw"].counted.words == ("missing", "late_data")


def test_a_selection_is_enough():
    (schedule,) = built("selection: '*'").schedules
    assert schedule.name == "nightly_backfill"


@pytest.mark.parametrize(
    ("text", "told"), [("selection: '*'\nordr: newest", "ordr"), ("selection: '*'\norder: any", "newest")]
)
def test_a_misspelt_field_is_told(text, told):
    with pytest.raises(Exception, match=told):
        built(text)


def test_hours_that_are_none_are_told():
    with pytest.raises(SettingError, match=r"'25:00' is no time of day, HH:MM|'25:00'"):
        built("selection: '*'\nbegin: '25:00'")


def test_dg_finds_it():
    found = [one.value for one in entry_points(group="dagster_dg_cli.registry_modules")]
    assert "dagster_sluice.components" in found
    dg_command = Path(sys.executable).with_name("dg")
    told = subprocess.run([dg_command, "list", "components"], check=True, capture_output=True, text=True)
    assert "NightlyBackfillComponent" in told.stdout.replace("\n", "")

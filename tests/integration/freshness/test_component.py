"""The YAML face of the freshness sensor."""

import datetime as dt

import dagster as dg
import pytest

from dagster_sluice.calendars import Calendar
from dagster_sluice.components import FreshnessComponent
from dagster_sluice.errors import SettingError
from dagster_sluice.freshness import Deadline, Exceptional
from dagster_sluice.freshness import watching as declared

# Dagster's own reading of YAML.
pytestmark = pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")

YAML = """
selection: 'group:"flights"'
name: by_yaml
every_minutes: 5
escalate_after_hours: 2
log: false
webhooks:
  - {url_env: HOOK_URL, name: oncall, headers_env: {Authorization: HOOK_TOKEN}}
deadlines:
  tides:
    - due: 06:00 on the next business day
      timezone: Europe/Vienna
      grace_minutes: 15
      calendar: {country: AT, closed: ["2026-12-24"]}
      business_days_only: true
      look_back: 10
      since: "2026-03-01"
      retention_days: 90
      exceptions:
        - {due: "12:00 on the next day", when: [month end], grace_minutes: 60}
        - {due: null, partitions: ["2026-03-08"]}
running: true
"""


def built(text):
    component = FreshnessComponent.resolve_from_yaml(text)
    return component.build_defs(dg.ComponentTree.for_test().load_context)


def test_what_yaml_says_is_what_python_gets():
    (sensor,) = built(YAML).sensors
    assert (sensor.name, sensor.minimum_interval_seconds) == ("by_yaml", 300)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert declared._of_sensors["by_yaml"] == {
        "tides": (
            Deadline(
                "06:00 on the next business day",
                timezone="Europe/Vienna",
                grace=dt.timedelta(minutes=15),
                calendar=Calendar(country="AT", closed=frozenset({dt.date(2026, 12, 24)})),
                business_days_only=True,
                look_back=10,
                since=dt.date(2026, 3, 1),
                retention=dt.timedelta(days=90),
                exceptions=[
                    Exceptional("12:00 on the next day", "month end", grace=dt.timedelta(hours=1)),
                    Exceptional(None, partitions=["2026-03-08"]),
                ],
            ),
        )
    }


def test_nothing_need_be_said():
    (sensor,) = built("{}").sensors
    assert sensor.name == "freshness_sensor"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("deadlines: {t: [{due: soon}]}", "no deadline that can be read"),
        ("deadlines: {t: [{due: '06:00', since: soon}]}", "is no date"),
    ],
)
def test_what_cannot_be_read_is_told(text, says):
    with pytest.raises(SettingError, match=says):
        built(text)

"""Nights on which nothing is launched, and why; what a budget tells the run queue."""

import datetime as dt
from pathlib import Path

import pytest
import yaml

from dagster_sluice.backfills.budget import Budget, Hours
from dagster_sluice.calendars import Calendar

NIGHT = {"begin": dt.time(22), "end": dt.time(6), "zone": "Europe/Berlin"}


def why(text, **kwargs):
    hours = Hours(**{**NIGHT, **kwargs})
    now = dt.datetime.fromisoformat(text)
    told = hours.why_not(now)
    assert (told is None) is (hours.night(now) is not None)
    return told


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ("2025-10-03T23:00:00+02:00", "2025-10-03 is closed: German Unity Day (DE)"),
        ("2025-10-04T05:00:00+02:00", "2025-10-03 is closed: German Unity Day (DE)"),
        ("2025-10-03T05:00:00+02:00", None),
        ("2025-10-03T12:00:00+02:00", "it is not between 22:00 and 06:00 Europe/Berlin"),
        ("2025-10-04T23:00:00+02:00", None),
    ],
)
def test_a_holiday_is_the_night_that_begins_on_it(now, told):
    assert why(now, closed=Calendar("DE")) == told


def test_weekends_are_closed_only_if_asked():
    saturday = "2025-10-04T23:00:00+02:00"
    assert why(saturday) is None
    assert why(saturday, closed_weekends=True) == "2025-10-04 is closed: Saturday"
    friday = {"closed": Calendar(weekend=("friday",)), "closed_weekends": True}
    assert why(saturday, **friday) is None
    assert why("2025-10-10T23:00:00+02:00", **friday) == "2025-10-10 is closed: Friday"


def test_a_blackout_is_told():
    assert why("2026-12-25T03:00:00+01:00", blackouts={dt.date(2026, 12, 24)}) == "2026-12-24 is closed: a blackout"


def test_all_day_a_closed_day_ends_at_midnight():
    always = {"begin": dt.time(0), "end": dt.time(0), "closed": Calendar("DE")}
    assert why("2025-10-03T00:00:00+02:00", **always) == "2025-10-03 is closed: German Unity Day (DE)"
    assert why("2025-10-04T00:00:00+02:00", **always) is None


def test_a_day_may_begin_in_the_morning():
    hours = {"begin": dt.time(6), "end": dt.time(6), "closed": Calendar(closed={dt.date(2025, 10, 6)})}
    assert why("2025-10-06T05:59:00+02:00", **hours) is None
    assert why("2025-10-06T06:00:00+02:00", **hours) == "2025-10-06 is closed: own holiday"


def test_a_budget_tells_the_queue():
    assert Budget().tags == {"dagster/priority": "-10", "sluice/runs_at_once": "2"}
    assert Budget(priority=-5, runs=4, pool="source").tags == {
        "dagster/priority": "-5",
        "sluice/runs_at_once": "4",
        "sluice/pool": "source",
    }


def test_the_page_s_limits_are_for_these_tags():
    page = Path(__file__).parents[3] / "docs" / "how-to" / "backfills.md"
    (block,) = [one for one in page.read_text().split("```yaml\n")[1:] if one.startswith("concurrency:")]
    limits = yaml.safe_load(block.split("```")[0])["concurrency"]["runs"]["tag_concurrency_limits"]
    assert {one["key"] for one in limits} == set(Budget(pool="source").tags) - {"dagster/priority"}

"""How all partitions stand, as strips on one page."""

import datetime as dt
import re

import numpy as np

from dagster_sluice.backfills.attempts import AttemptRecord, Standing
from dagster_sluice.backfills.budget import Budget
from dagster_sluice.backfills.faults import FaultClass
from dagster_sluice.backfills.finder import find_gaps
from dagster_sluice.backfills.gaps import TableFacts
from dagster_sluice.backfills.heat import LEGEND, strips
from dagster_sluice.backfills.planner import Memory, make_plan
from dagster_sluice.reports.page import strips_page

NOW = dt.datetime(2026, 3, 1, 2, tzinfo=dt.timezone.utc)
DAYS = ["2026-02-01", "2026-02-02", "2026-02-03", "<b>2026"]


def drawn(count=4, **known):
    keys = DAYS if count == 4 else [str(number) for number in range(count)]
    facts = [TableFacts.blank("air/flights", keys, **known)]
    record = AttemptRecord(
        failures=4,
        kind=FaultClass.CODE,
        message="KeyError: <script>",
        signature="",
        failed_at=NOW,
        next_at=NOW,
        parked_at=NOW,
        inputs="",
    )
    plan = make_plan(
        find_gaps(facts),
        budget=Budget(partitions=1),
        now=NOW,
        memory=Memory(standings={"air/flights": {DAYS[1]: Standing(parked=True)}}),
    )
    return strips(plan, facts, {("air/flights", DAYS[1]): record})


def test_each_partition_has_the_colour_of_its_state():
    (strip,) = drawn(published=np.array([1, 0, 0, 0]), computed=np.array([1, 0, 0, 0]))
    assert [(cell.state, cell.tone) for cell in strip.cells] == [
        ("published", "good"),
        ("parked", "bad"),
        ("over budget", "warn"),
        ("planned", "wait"),
    ]
    assert strip.sentence == "1 of 4 published, 1 planned, 1 over budget, 1 parked."
    assert strip.cells[1].why == "missing; code: KeyError: <script>"
    assert strip.tone == "bad"
    assert [stretch.state for stretch in strip.trouble] == ["parked", "over budget", "planned"]


def test_of_many_partitions_the_last_are_shown():
    (strip,) = drawn(1_000)
    assert (len(strip.cells), strip.left_out, strip.cells[-1].partition) == (400, 600, "999")


def test_the_page_is_one_file_and_shows_hostile_text_as_text():
    page = strips_page("nightly", "As of now.", drawn(), LEGEND)
    assert "<script" not in page
    assert "<b>2026" not in page
    assert "&lt;b&gt;2026" in page
    assert not re.search(r"(?:src|href)=|https?:", page)

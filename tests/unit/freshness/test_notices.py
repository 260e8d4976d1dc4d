"""What is told when: once, again if it lasts, once when it is over."""

import datetime as dt
import json
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from dagster_sluice.contracts.deadlines import Deadline, Recency
from dagster_sluice.freshness.dues import dues
from dagster_sluice.freshness.judging import judge
from dagster_sluice.freshness.notices import NoticeKind, Remembered, decide
from dagster_sluice.freshness.reading import Age, Evaluated
from dagster_sluice.freshness.tables import Watched
from dagster_sluice.freshness.words import as_json, is_late, sentence, span_words, status_rows
from dagster_sluice.freshness.zones import micro

UTC = dt.timezone.utc
HOUR = dt.timedelta(hours=1)
NOW = dt.datetime(2026, 3, 9, 9, tzinfo=UTC)


def at(day, hour, minute=0):
    return dt.datetime(2026, 3, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def stand(daily):
    """A function: one table of three days as it stands."""

    def make(*first, now=NOW, notes=None, ages=(), **more):
        deadline = Deadline("06:00 on the next day", timezone="UTC", name="six", driver="regulatory", **more)
        windows = daily(ZoneInfo("UTC"), dt.date(2026, 3, 6), 3)
        known = np.array([0 if one is None else micro(one) for one in first])
        judged = judge(
            deadline, windows, dues(deadline, windows), first=known, stands=known > 0, now=micro(now), notes=notes
        )
        import dagster as dg

        table = Watched(key=dg.AssetKey(["s", "t"]), definition=None, declared=None, deadlines=(deadline,), recency=())
        return [Evaluated(table=table, judged=(judged,), ages=tuple(ages))]

    return make


def decided(found, remembered=None, *, now=NOW, after=HOUR):
    return decide(found, remembered or {}, now=now, escalate_after=after)


def told(found):
    return [(one.kind.value, one.partition) for one in found.notices]


SPOT = ("s/t", "six", "2026-03-07")


def test_what_is_late_is_told(stand):
    found = decided(stand(at(7, 5), None, None, notes={"2026-03-08": "parked"}))
    assert told(found) == [("late", "2026-03-07"), ("late", "2026-03-08")]
    one, two = found.notices
    assert one.late_since == at(8, 6)
    assert one.text == "s/t 2026-03-07 is late, since 2026-03-08 06:00 UTC (1 d 3 h): due 06:00 on the next day."
    assert two.text.endswith("(parked).")
    assert json.loads(json.dumps(one.as_json()))["driver"] == "regulatory"


def test_what_was_told_is_told_again_only_if_it_lasts(stand):
    found = stand(at(7, 5), None, at(9, 5))
    fresh = {SPOT: Remembered(late_since=at(8, 6), told_at=NOW - HOUR / 2)}
    assert told(decided(found, fresh)) == []
    lasting = {SPOT: Remembered(late_since=at(8, 6), told_at=NOW - HOUR)}
    assert told(decided(found, lasting)) == [("escalated", "2026-03-07")]
    assert told(decided(found, lasting, after=None)) == []
    again = {SPOT: Remembered(late_since=at(8, 6), told_at=NOW - 9 * HOUR, escalated_at=NOW - 8 * HOUR)}
    assert told(decided(found, again)) == []


def test_what_was_told_and_is_over_is_told_once(stand):
    known = {SPOT: Remembered(late_since=at(8, 6), told_at=NOW - HOUR)}
    found = decided(stand(at(7, 5), at(9, 8), at(9, 5)), known)
    assert told(found) == [("recovered", "2026-03-07")]
    assert found.notices[0].text == "s/t 2026-03-07 is no longer late (published 2026-03-09 08:00 UTC)."
    excused = decided(stand(at(7, 5), None, at(9, 5), retention=dt.timedelta(days=2)), known)
    assert told(excused) == [("recovered", "2026-03-07")]
    assert "nobody waits for it: its source keeps 2 days" in excused.notices[0].text


def test_what_was_never_told_does_not_recover(stand):
    known = {SPOT: Remembered(late_since=at(8, 6))}
    assert told(decided(stand(at(7, 5), at(9, 8), at(9, 5)), known)) == []
    assert told(decided(stand(at(7, 5), None, at(9, 5)), known)) == [("late", "2026-03-07")]


def test_what_nobody_looks_at_any_more_is_forgotten_without_a_word(stand):
    gone, other = ("s/t", "six", "2020-01-01"), ("s/other", "six", "2020-01-01")
    known = {spot: Remembered(late_since=at(1, 6), told_at=at(1, 7)) for spot in (gone, other)}
    found = decided(stand(at(7, 5), at(8, 5), at(9, 5)), known)
    assert (found.notices, found.over) == ((), (gone,))


def test_a_notice_told_again_has_the_same_id(stand):
    found = stand(at(7, 5), None, at(9, 5))
    one, two = decided(found).notices[0], decided(found, now=NOW + HOUR).notices[0]
    assert one.id == two.id
    known = {SPOT: Remembered(late_since=at(8, 6), told_at=NOW - HOUR)}
    assert decided(found, known).notices[0].id != one.id


def test_old_rows_are_told_like_late_partitions(stand):
    recency = Recency(column="at", within=2 * HOUR)
    old = Age(recency=recency, at=micro(at(9, 6)), known=True, late=True, left=-3_600_000_000)
    found = stand(at(7, 5), at(8, 5), at(9, 5), ages=[old])
    assert is_late(found[0])
    (notice,) = decided(found).notices
    assert (notice.kind, notice.spot, notice.late_since) == (NoticeKind.LATE, ("s/t", "age of at", ""), at(9, 8))
    young = Age(recency=recency, at=micro(at(9, 8)), known=True, late=False, left=3_600_000_000)
    known = {notice.spot: Remembered(late_since=at(9, 8), told_at=NOW)}
    assert told(decided(stand(at(7, 5), at(8, 5), at(9, 5), ages=[young]), known)) == [("recovered", "")]
    nothing = Age(recency=recency, at=None, known=True, late=True, left=None)
    assert "there is no row" in decided(stand(at(7, 5), at(8, 5), at(9, 5), ages=[nothing])).notices[0].text


def test_words(stand):
    found = stand(None, None, at(9, 5), notes={"2026-03-07": "stopped: No rows."})
    assert sentence(found[0]) == "Late: 2026-03-06 … 2026-03-07 (2) since 2026-03-07 06:00 UTC, stopped: No rows."
    assert sentence(stand(at(7, 5), at(8, 7), at(9, 5))[0]) == "Nothing is late: 2 on time, 1 published late."
    (row,) = status_rows(found)
    assert (row["late"], row["on time"], row["time left"]) == (2, 1, "–2 d 3 h")
    (waiting,) = status_rows(stand(at(7, 5), at(8, 5), None, now=at(9, 5, 15)))
    assert (waiting["due"], waiting["time left"]) == (1, "45 min")
    (told,) = as_json(found)
    assert [one["status"] for one in told["deadlines"][0]["partitions"]] == ["late", "late", "on_time"]
    assert told["deadlines"][0]["partitions"][1]["why"] == "stopped: No rows."
    assert told["deadlines"][0]["partitions"][0]["seconds_left"] == -(51 * 3600)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, "0 min"),
        (59, "59 min"),
        (60, "1 h"),
        (61, "1 h 1 min"),
        (1440, "1 d"),
        (1441, "1 d"),
        (1500, "1 d 1 h"),
        (-90, "1 h 30 min"),
    ],
)
def test_lengths_of_time(minutes, words):
    assert span_words(minutes * 60_000_000) == words

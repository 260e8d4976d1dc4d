"""Which day of 2013 a calendar day replays."""

import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resources.feed import PERIOD_DAYS, SOURCE_START, replay_day, source_day

LAST = datetime.date(2013, 12, 30)
any_day = st.dates()
source_days = st.dates(min_value=SOURCE_START, max_value=LAST)


@given(any_day)
@example(datetime.date.min)
@example(datetime.date.max)
@example(datetime.date(2012, 12, 31))
@example(datetime.date(2013, 12, 31))
@example(datetime.date(2024, 2, 29))
def test_weekday_and_range(day: datetime.date) -> None:
    source = source_day(day)
    assert SOURCE_START <= source <= LAST
    assert source.weekday() == day.weekday()
    assert (day - source).days % PERIOD_DAYS == 0


@given(st.dates(max_value=datetime.date.max - datetime.timedelta(days=PERIOD_DAYS)))
def test_period(day: datetime.date) -> None:
    assert source_day(day + datetime.timedelta(days=PERIOD_DAYS)) == source_day(day)


@given(st.dates(max_value=datetime.date.max - datetime.timedelta(days=PERIOD_DAYS)))
def test_a_period_replays_every_source_day_once(day: datetime.date) -> None:
    days = {source_day(day + datetime.timedelta(days=n)) for n in range(PERIOD_DAYS)}
    assert len(days) == PERIOD_DAYS


@given(source_days)
def test_a_source_day_replays_itself(day: datetime.date) -> None:
    assert source_day(day) == day


@given(source_days, st.dates(max_value=datetime.date.max - datetime.timedelta(days=PERIOD_DAYS)))
def test_replay_day_is_the_inverse(source: datetime.date, start: datetime.date) -> None:
    day = replay_day(source, on_or_after=start)
    assert source_day(day) == source
    assert 0 <= (day - start).days < PERIOD_DAYS


@pytest.mark.parametrize("never", [datetime.date(2013, 12, 31), datetime.date(2014, 1, 1), datetime.date(2012, 5, 1)])
def test_what_is_never_replayed(never: datetime.date) -> None:
    with pytest.raises(ValueError, match="never replayed"):
        replay_day(never, on_or_after=SOURCE_START)


def test_a_datetime_is_no_day() -> None:
    with pytest.raises(TypeError, match=r"\.date\(\)"):
        source_day(datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc))


@pytest.mark.parametrize(
    ("day", "source"),
    [
        (datetime.date(2013, 12, 31), datetime.date(2013, 1, 1)),
        (datetime.date(2012, 12, 31), datetime.date(2013, 12, 30)),
        (datetime.date(2026, 1, 1), datetime.date(2013, 1, 17)),
        (datetime.date(2026, 3, 8), datetime.date(2013, 3, 24)),
        (datetime.date(2026, 11, 1), datetime.date(2013, 11, 17)),
    ],
)
def test_the_documented_examples(day: datetime.date, source: datetime.date) -> None:
    assert source_day(day) == source

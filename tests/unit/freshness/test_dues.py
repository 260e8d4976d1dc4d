"""When partitions are due: to the minute, over changes of clocks, leap days and holidays, as an oracle has it."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import oracle
import pytest
from dagster._utils.schedules import cron_string_iterator
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dagster_sluice.calendars import Calendar
from dagster_sluice.contracts.cron import read_cron
from dagster_sluice.contracts.deadlines import Deadline, Exceptional
from dagster_sluice.errors import SettingError
from dagster_sluice.freshness.dues import Windows, dues, periods
from dagster_sluice.freshness.ticks import first_tick, ticks
from dagster_sluice.freshness.zones import clock_of, micro, moment

UTC = dt.timezone.utc
ZONES = ("America/New_York", "Europe/Vienna", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago")
CALENDARS = {
    "none": Calendar(),
    "AT": Calendar(country="AT"),
    "exchange": Calendar(market="XNYS"),
    "gulf": Calendar(weekend=("friday", "saturday"), closed={dt.date(2024, 2, 29)}),
}
# Two changes of the clock in each year, and two leap days.
MOMENTS = st.integers(
    micro(dt.datetime(2024, 1, 1, tzinfo=UTC)) // 60_000_000, micro(dt.datetime(2028, 4, 1, tzinfo=UTC)) // 60_000_000
)
TRICKY = [
    dt.datetime(*parts, tzinfo=UTC)
    for parts in (
        (2024, 2, 29, 5), (2024, 3, 10, 5), (2024, 3, 10, 7), (2024, 11, 3, 4), (2024, 11, 3, 5, 30), (2024, 11, 3, 6),
        (2025, 3, 30, 0), (2025, 3, 30, 1), (2025, 10, 26, 0, 30), (2025, 10, 26, 1), (2026, 4, 4, 15), (2026, 10, 3, 15, 30),
        (2028, 2, 28, 23), (2028, 2, 29, 23),
    )
]  # fmt: skip
NEAR = st.builds(
    lambda at, minutes: micro(at) // 60_000_000 + minutes, st.sampled_from(TRICKY), st.integers(-36 * 60, 36 * 60)
)
CLOCKS = st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59))
NIGHTS = st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 3), st.sampled_from([0, 15, 30, 59]))
DUES = st.one_of(
    st.builds(
        lambda clock, rest: f"{clock} {rest}".strip(),
        CLOCKS | NIGHTS,
        st.sampled_from(
            ["", "on the same day", "on the next day", "on the next business day", "on the 3rd business day"]
        ),
    ),
    st.builds(
        lambda n, unit: f"{n} {unit} after the end", st.integers(1, 40), st.sampled_from(["hours", "minutes", "days"])
    ),
)


def window(end, zone):
    return Windows(keys=["one"], starts=np.array([end - 3_600_000_000]), ends=np.array([end]), zone=zone)


@settings(max_examples=400)
@given(
    minute=MOMENTS | NEAR,
    due=DUES,
    zone=st.sampled_from(ZONES),
    partition_zone=st.sampled_from(ZONES),
    calendar=st.sampled_from(sorted(CALENDARS)),
)
@example(micro(TRICKY[2]) // 60_000_000, "02:30", "America/New_York", "America/New_York", "none")
@example(micro(TRICKY[4]) // 60_000_000, "01:30", "America/New_York", "America/New_York", "none")
@example(micro(TRICKY[7]) // 60_000_000 - 120, "24 hours after the end", "Europe/Vienna", "Europe/Vienna", "none")
@example(micro(TRICKY[4]) // 60_000_000, "1 days after the end", "America/New_York", "America/New_York", "none")
def test_a_partition_is_due_when_the_oracle_says(minute, due, zone, partition_zone, calendar):
    end = minute * 60_000_000
    deadline = Deadline(due, timezone=zone, calendar=CALENDARS[calendar])
    found = dues(deadline, window(end, ZoneInfo(partition_zone))).due
    wanted = oracle.due(
        due,
        moment(end),
        zone=ZoneInfo(zone),
        partition_zone=ZoneInfo(partition_zone),
        calendar=CALENDARS[calendar],
    )
    assert moment(int(found[0])) == wanted


@st.composite
def crons(draw):
    def some(low, high, most=3):
        return draw(st.sets(st.integers(low, high), min_size=1, max_size=most))

    minutes = some(0, 59)
    hours = draw(st.none() | st.sets(st.integers(0, 4) | st.integers(0, 23), min_size=1, max_size=3))
    month_days = draw(st.none() | st.sets(st.integers(1, 31), min_size=1, max_size=2))
    months = draw(st.none() | st.sets(st.sampled_from([2, 3, 4, 10, 11, 12]), min_size=1, max_size=3))
    week_days = draw(st.none() | st.sets(st.integers(0, 6), min_size=1, max_size=3))
    return minutes, hours, month_days, months, week_days


def written(fields):
    return " ".join("*" if field is None else ",".join(map(str, sorted(field))) for field in fields)


@settings(max_examples=300)
@given(fields=crons(), minute=MOMENTS | NEAR, zone=st.sampled_from(ZONES))
def test_the_first_tick_is_the_oracles(fields, minute, zone):
    try:
        cron = read_cron(written(fields))
    except ValueError:
        return
    # What comes every few years is no work for an oracle that counts minutes.
    if fields[1] is None and (fields[2] is not None or fields[3] is not None):
        fields = (fields[0], fields[1], None, None, None)
        cron = read_cron(written(fields))
    at = minute * 60_000_000
    found = first_tick(cron, ZoneInfo(zone), np.array([at]))
    if fields[1] is not None and found[0] - at > 40 * 86_400_000_000:
        return
    assert moment(int(found[0])) == oracle.next_tick(fields, moment(at), ZoneInfo(zone))


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Vienna", "UTC"])
@pytest.mark.parametrize(
    "text",
    [
        "30 2 * * *", "30 1 * * *", "5 * * * *", "*/30 * * * *", "30 1,2 * * *", "*/20 2 * * *", "0 */2 * * *",
        "0 0 31 * 1", "15 6 * * mon-fri", "0 12 1-7 * *", "0 0 29 2 *", "@daily", "@weekly", "0 9-17/4 * jan,jul 0",
    ],
)  # fmt: skip
def test_ticks_are_dagsters(text, zone):
    begin, end = dt.datetime(2027, 12, 1, tzinfo=UTC), dt.datetime(2029, 1, 1, tzinfo=UTC)
    found = [moment(int(one)) for one in ticks(read_cron(text), ZoneInfo(zone), micro(begin), micro(end))]
    wanted = []
    for tick in cron_string_iterator(begin.timestamp(), text, zone):
        if tick > end:
            break
        wanted.append(tick.astimezone(UTC))
    assert found == wanted
    assert found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0 0 31 2 *", "never comes"),
        ("0 6 * *", "4 fields"),
        ("60 6 * * *", "0 to 59"),
        ("0 6 * * 8", "0 to 7"),
        ("0 6 * 1-13 *", "1 to 12"),
        ("0 6 * * fri-mon", "names nothing"),
        ("0 6 */0 * *", "names nothing"),
        ("0 6 ? * *", "cannot be read"),
        ("0 6 x * *", "cannot be read"),
    ],
)
def test_a_cron_that_cannot_be_read_is_told(text, says):
    with pytest.raises(ValueError, match=says):
        read_cron(text)


def test_a_month_is_due_after_its_last_day_and_a_month_end_later():
    zone = ZoneInfo("Europe/Vienna")
    months = [dt.datetime(2024, month, 1, tzinfo=zone) for month in range(1, 6)]
    moments = np.array([micro(one) for one in months])
    windows = Windows(keys=["1", "2", "3", "4"], starts=moments[:-1], ends=moments[1:], zone=zone)
    # 1 April 2024 was Easter Monday, 1 May a holiday.
    deadline = Deadline("06:00 on the next business day", timezone="Europe/Vienna", calendar=Calendar(country="AT"))
    found = [moment(int(one), zone) for one in dues(deadline, windows).due]
    assert [(one.month, one.day, one.hour) for one in found] == [(2, 1, 6), (3, 1, 6), (4, 2, 6), (5, 2, 6)]


def test_exceptions_the_first_that_names_a_partition_counts(daily):
    zone = ZoneInfo("America/New_York")
    windows = daily(zone, dt.date(2026, 3, 26), 8)
    deadline = Deadline(
        "06:00 on the next day",
        timezone="America/New_York",
        grace=dt.timedelta(minutes=10),
        exceptions=[
            Exceptional(None, partitions=["2026-03-27"]),
            Exceptional("12:00 on the 2nd business day", "month end", grace=dt.timedelta(hours=1)),
            Exceptional("08:00 on the next day", ["friday", "saturday"]),
            Exceptional("09:00 on the next day", "tuesday"),
        ],
    )
    found = dues(deadline, windows)
    shown = {key: f"{moment(int(at), zone):%m-%d %H:%M}" for key, at in zip(windows.keys, found.due, strict=True)}
    assert shown["2026-03-28"] == "03-29 08:00"
    assert shown["2026-03-31"] == "04-02 12:00"
    assert shown["2026-03-30"] == "03-31 06:00"
    assert found.unexpected.tolist() == [False, True, False, False, False, False, False, False]
    graces = dict(zip(windows.keys, ((found.limit - found.due) // 60_000_000).tolist(), strict=True))
    assert (graces["2026-03-30"], graces["2026-03-31"], graces["2026-03-28"]) == (10, 60, 10)


@pytest.mark.parametrize(
    ("word", "days"),
    [
        ("weekend", {"2026-12-27", "2027-01-02"}),
        ("holiday", {"2026-12-25", "2026-12-26", "2027-01-01"}),
        ("month end", {"2026-12-31"}),
        ("quarter end", {"2026-12-31"}),
        ("year end", {"2026-12-31"}),
        ("last business day of the month", {"2026-12-31"}),
        ("monday", {"2026-12-28"}),
    ],
)
def test_words_for_days(daily, word, days):
    windows = daily(ZoneInfo("Europe/Vienna"), dt.date(2026, 12, 25), 9)
    deadline = Deadline("06:00", calendar=Calendar(country="AT"), exceptions=[Exceptional(None, word)])
    found = dues(deadline, windows).unexpected
    assert {key for key, meant in zip(windows.keys, found, strict=True) if meant} == days


def test_nobody_waits_for_what_has_no_business_day(daily):
    windows = daily(ZoneInfo("Europe/Vienna"), dt.date(2026, 12, 24), 5)
    deadline = Deadline("06:00", calendar=Calendar(country="AT"), business_days_only=True)
    assert dues(deadline, windows).closed.tolist() == [False, True, True, True, False]


def test_a_calendar_without_a_business_day_is_told(daily):
    never = Calendar(weekend=("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
    windows = daily(ZoneInfo("UTC"), dt.date(2026, 1, 1), 2)
    with pytest.raises(SettingError, match="no business day"):
        dues(Deadline("06:00 on the next business day", calendar=never), windows)


def test_no_partitions_are_no_trouble(daily):
    for due in ("06:00", "06:00 on the next business day", "0 6 * * *", "1 day after the end", "2 hours after the end"):
        windows = daily(ZoneInfo("UTC"), dt.date(2026, 1, 1), 0)
        assert len(dues(Deadline(due, business_days_only=True), windows).due) == 0


def test_periods_of_a_table_without_partitions(daily):
    zone = ZoneInfo("Europe/Vienna")
    begin, end = dt.datetime(2026, 3, 27, tzinfo=zone), dt.datetime(2026, 4, 8, 12, tzinfo=zone)
    # Good Friday is no holiday in Austria, Easter Monday is.
    deadline = Deadline("06:00 on the next business day", timezone="Europe/Vienna", calendar=Calendar(country="AT"))
    windows, _ = periods(deadline, begin, end)
    assert windows.keys == [
        f"2026-{day} 06:00" for day in ("03-27", "03-30", "03-31", "04-01", "04-02", "04-03", "04-07", "04-08")
    ]
    assert {f"{moment(int(one), zone):%H:%M}" for one in windows.starts} == {"00:00"}
    hourly, _ = periods(
        Deadline("5 * * * *", timezone="Europe/Vienna"),
        dt.datetime(2026, 3, 29, tzinfo=UTC),
        dt.datetime(2026, 3, 29, 3, tzinfo=UTC),
    )
    assert hourly.keys == ["2026-03-29 01:05", "2026-03-29 03:05", "2026-03-29 04:05"]
    assert (hourly.ends - hourly.starts).tolist() == [3_600_000_000] * 3
    monthly, _ = periods(Deadline("0 6 1 1 *", within=dt.timedelta(days=2)), begin, end + dt.timedelta(days=400))
    assert monthly.keys == ["2027-01-01 06:00"]
    assert (monthly.ends - monthly.starts).tolist() == [2 * 86_400_000_000]


@pytest.mark.parametrize("name", [*ZONES, "Africa/Casablanca", "Europe/Dublin", "Pacific/Apia", "UTC"])
def test_a_clock_is_zoneinfos(name):
    zone = ZoneInfo(name)
    begin = micro(dt.datetime(2024, 1, 1, tzinfo=UTC)) // 1_000_000
    seconds = np.arange(begin, begin + 2 * 366 * 86_400, 1_777, dtype=np.int64)
    shown = clock_of(zone, int(seconds[0]), int(seconds[-1])).local(seconds)
    for at, here in list(zip(seconds.tolist(), shown.tolist(), strict=True))[::7]:
        wanted = dt.datetime.fromtimestamp(at, zone)
        assert here - at == wanted.utcoffset().total_seconds()


@pytest.mark.parametrize("name", ["America/New_York", "Europe/Vienna", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "changed", [(2024, 3, 9), (2024, 3, 30), (2024, 4, 6), (2024, 10, 5), (2024, 10, 26), (2024, 11, 2)]
)
def test_every_hour_around_a_change_of_the_clock(hourly, name, changed):
    zone = ZoneInfo(name)
    windows = hourly(zone, dt.date(*changed), 60)
    for due, fields in (
        ("5 * * * *", ({5}, None, None, None, None)),
        ("30 1,2 * * *", ({30}, {1, 2}, None, None, None)),
    ):
        found = dues(Deadline(due, timezone=name), windows).due
        for end, at in zip(windows.ends.tolist(), found.tolist(), strict=True):
            assert moment(at) == oracle.next_tick(fields, moment(end), zone)
    after = dues(Deadline("90 minutes after the end", timezone=name), windows).due
    assert set((after - windows.ends).tolist()) == {90 * 60_000_000}

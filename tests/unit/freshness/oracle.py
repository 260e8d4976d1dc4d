"""What the arrays must say, worked out one minute, one day and one partition at a time with ``zoneinfo``."""

import datetime as dt
import re

UTC = dt.timezone.utc
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def shown_at(at, zone):
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def wall(date, hour, minute, zone):
    """The moment at which a clock shows this: the second if it does twice, the jump if it never does."""
    wanted = dt.datetime.combine(date, dt.time(0)) + dt.timedelta(hours=hour, minutes=minute)
    at = (wanted - dt.timedelta(hours=15)).replace(tzinfo=UTC)
    last, beyond = None, None
    for _ in range(30 * 60):
        shown = shown_at(at, zone)
        if shown == wanted:
            last = at
        elif shown > wanted and beyond is None:
            beyond = at
        at += MINUTE
    return last or beyond


def matches(fields, date):
    """Whether a cron expression's fields (sets; None for a star) tick on a day."""
    _, _, month_days, months, week_days = fields
    if months is not None and date.month not in months:
        return False
    by_month, by_week = month_days is not None and date.day in month_days, False
    if week_days is not None:
        by_week = date.isoweekday() % 7 in week_days
    if month_days is None and week_days is None:
        return True
    return by_month or by_week


def next_tick(fields, at, zone):
    """The first tick at or after a moment."""
    minutes, hours, *_ = fields
    if hours is None:
        probe = at.replace(second=0, microsecond=0)
        probe += MINUTE * (probe < at)
        while True:
            shown = shown_at(probe, zone)
            if shown.minute in minutes and matches(fields, shown.date()):
                return probe
            probe += MINUTE
    date = shown_at(at, zone).date() - DAY
    while True:
        if matches(fields, date):
            here = sorted(wall(date, hour, minute, zone) for hour in hours for minute in minutes)
            later = [one for one in here if one >= at]
            if later:
                return later[0]
        date += DAY


def partition_day(end, zone):
    return (end - dt.timedelta(microseconds=1)).astimezone(zone).date()


def due(text, end, *, zone, partition_zone, calendar):
    """When a partition that ends then is due."""
    day = partition_day(end, partition_zone)
    if found := re.fullmatch(r"(\d+) (minute|hour)s after the end", text):
        return end + int(found[1]) * dt.timedelta(**{found[2] + "s": 1})
    if found := re.fullmatch(r"(\d+) days after the end", text):
        shown = shown_at(end, zone) + int(found[1]) * DAY
        return wall(shown.date(), shown.hour, shown.minute, zone)
    hour, minute = map(int, re.match(r"(\d+):(\d+)", text).groups())
    rest = text.partition(" ")[2]
    if rest == "on the same day":
        return wall(day, hour, minute, zone)
    if rest == "on the next day":
        return wall(day + DAY, hour, minute, zone)
    if found := re.fullmatch(r"on the (next|\d+\w\w) business day", rest):
        count = 1 if found[1] == "next" else int(found[1][:-2])
        while count:
            day += DAY
            count -= calendar.is_business_day(day)
        return wall(day, hour, minute, zone)
    date = shown_at(end, zone).date() - DAY
    while True:
        found = wall(date, hour, minute, zone)
        if found >= end:
            return found
        date += DAY


def status(*, first, stands, limit, now, excused):
    """How a partition stands, and whether its deadline was met."""
    if stands and first is not None and first <= limit:
        stand = "on time"
    elif excused:
        stand = "excused"
    elif stands:
        stand = "published late"
    else:
        stand = "late" if now > limit else "due"
    if first is not None and first <= limit:
        met = "met"
    elif excused:
        met = "excused"
    else:
        met = "missed" if now > limit else "open"
    return stand, met

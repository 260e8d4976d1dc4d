"""Partitions of one clock or another, without Dagster."""

import datetime as dt

import numpy as np
import pytest

from dagster_sluice.freshness.dues import Windows
from dagster_sluice.freshness.zones import micro


def midnights(zone, first, count):
    return [
        dt.datetime.combine(first + dt.timedelta(days=number), dt.time(0), zone).astimezone(dt.timezone.utc)
        for number in range(count)
    ]


@pytest.fixture(scope="session")
def daily():
    """A function: so many daily partitions of a zone from a date on."""

    def make(zone, first, count):
        moments = midnights(zone, first, count + 1)
        return windows(moments, zone, [(first + dt.timedelta(days=number)).isoformat() for number in range(count)])

    return make


@pytest.fixture(scope="session")
def hourly():
    """A function: so many hourly partitions of a zone from a day's beginning on."""

    def make(zone, first, count):
        begin = midnights(zone, first, 1)[0]
        moments = [begin + dt.timedelta(hours=number) for number in range(count + 1)]
        return windows(moments, zone, [str(number) for number in range(count)])

    return make


def windows(moments, zone, keys):
    found = np.array([micro(one) for one in moments], np.int64)
    return Windows(keys=keys, starts=found[:-1], ends=found[1:], zone=zone)

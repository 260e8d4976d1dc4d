"""A day that breaks its contract: the rest is published, the message names table, day and reason."""

import datetime as dt
from collections.abc import Iterator

import pytest
from checkout import Checkout, Finished, copied

DOCTORED = """    found = feed.flights(context.day)
    if context.partition_key == "{day}":
        found = pa.concat_tables([found, found.slice(0, 1)])
    return found
"""


@pytest.fixture(scope="module")
def day(platform) -> str:
    """The second of the last three days."""
    (row,) = [row for row in platform.checkout.sluice("tables", "--json").json if row["name"] == "flights"]
    return (dt.date.fromisoformat(row["last"]) - dt.timedelta(days=1)).isoformat()


@pytest.fixture(scope="module")
def checkout(platform, day) -> Iterator[Checkout]:
    with copied(like=platform.checkout) as made:
        made.change("assets/flights/tables.py", "    return feed.flights(context.day)\n", DOCTORED.format(day=day))
        yield made


@pytest.fixture(scope="module")
def blocked(checkout) -> Finished:
    return checkout.sluice("run", "--last", "3", "--select", 'group:"flights"')


def test_it_exits_with_1_and_names_table_day_and_reason(blocked, day) -> None:
    assert blocked.code == 1, blocked.said
    assert f"blocked flights.flights {day}: flight_once failed: 2 of" in blocked.said
    assert "Traceback" not in blocked.said
    (line,) = [line for line in blocked.out.splitlines() if line.startswith("│") and day in line]
    assert "blocked" in line


def test_the_other_days_are_published(checkout, blocked, day) -> None:
    listed = {row["name"]: row for row in checkout.sluice("tables", "--json").json}
    assert listed["raw_flights"]["partitions"] == 3
    assert listed["flights"]["partitions"] == 2
    assert checkout.processes() == []

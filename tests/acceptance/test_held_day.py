"""A day that waits for a person: the rest is published; once released, what is built on it is built."""

import datetime as dt
from collections.abc import Iterator

import pytest
from checkout import Checkout, copied

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
        made.change(
            "assets/flights/contracts/flights.yaml",
            "{property: policy, value: block}",
            "{property: policy, value: hold}",
        )
        yield made


def test_a_held_day_is_told_released_and_built_upon(checkout, day) -> None:
    held = checkout.sluice("run", "--last", "3")
    assert held.code == 1, held.said
    assert f"held flights.flights {day}: flight_once failed: 2 of" in held.said
    (line,) = [line for line in held.out.splitlines() if line.startswith("│") and day in line]
    assert "held" in line
    (hold,) = checkout.sluice("hold", "list", "--json").json
    assert (hold["table"], hold["partition"], hold["status"]) == ("flights.flights", day, "open")
    assert f"sluice hold release {hold['id']}" in held.said
    listed = {row["name"]: row for row in checkout.sluice("tables", "--json").json}
    assert (listed["flights"]["partitions"], listed["flights"]["held"]) == (2, 1)

    released = checkout.sluice("hold", "release", str(hold["id"]), "--why", "it flew twice", "--by", "ann", "--json")
    assert released.code == 0, released.said
    assert released.json[0]["rows_published"] == hold["rows_held"]

    after = checkout.sluice("run", "--last", "3", "--json")
    assert after.code == 0, after.said
    results = {(item["table"], item["partition"]): item["result"] for item in after.json["batches"]}
    assert results["flights.flights", day] == "unchanged"
    assert after.json["good"]
    assert after.json["marts"]["built"]
    assert checkout.sluice("hold", "list", "--json").json == []
    assert checkout.processes() == []

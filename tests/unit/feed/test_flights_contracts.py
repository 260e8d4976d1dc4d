"""The contracts of the flights tables: valid for any tool, and true of the real data.

The promises are judged here by plain DuckDB, written from the ODCS specification and not from our own gates, so that
the two can be held against each other.
"""

import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pyarrow as pa
import pytest
import yaml

from assets.flights.conform import FLIGHTS_SCHEMA, conform_flights
from dagster_sluice.contracts.odcs import load_contracts
from resources.feed import SCHEMAS, FlightsFeed, replay_day

FOLDER = Path(__file__).parents[3] / "assets" / "flights" / "contracts"
TABLES = ("raw_flights", "flights", "weather", "planes", "airports", "airlines")
EXPECTED = {**SCHEMAS, "raw_flights": SCHEMAS["flights"], "flights": FLIGHTS_SCHEMA}
LOGICAL = {
    pa.int64(): "integer",
    pa.float64(): "number",
    pa.string(): "string",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamp",
}


def contract(table: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / f"{table}.yaml").read_text(encoding="utf-8"))
    return loaded


def custom(holder: dict[str, Any], name: str) -> Any:
    return next((p["value"] for p in holder.get("customProperties", ()) if p["property"] == name), None)


def test_there_are_no_others() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_valid_by_the_standards_own_schema(table: str) -> None:
    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(contract(table), schema, cls=jsonschema.Draft201909Validator)


@pytest.mark.parametrize("table", TABLES)
def test_form(table: str) -> None:
    loaded = contract(table)
    assert (loaded["apiVersion"], loaded["kind"], loaded["status"]) == ("v3.1.0", "DataContract", "active")
    assert (loaded["name"], loaded["version"]) == (table, "1.0.0")
    assert loaded["team"]["name"] == "flights-data"
    assert 0 <= custom(loaded, "quarantineLimit") <= 1
    assert custom(loaded, "timezone") == "America/New_York"
    (shape,) = loaded["schema"]
    assert (shape["name"], shape["physicalName"]) == (table, f"flights.{table}")
    assert all(column["description"].endswith(".") for column in shape["properties"])
    names = [rule["name"] for holder in (shape, *shape["properties"]) for rule in holder.get("quality", ())]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("table", TABLES)
def test_columns_are_those_of_the_frame(table: str) -> None:
    (shape,) = contract(table)["schema"]
    declared = [(column["name"], column["logicalType"]) for column in shape["properties"]]
    assert declared == [(field.name, LOGICAL[field.type]) for field in EXPECTED[table]]


def test_nothing_quarantines_in_the_landing_table() -> None:
    assert "quarantine" not in {promise.policy for promise in promises("raw_flights")}


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A rule as SQL: a condition that holds for failing rows, or a condition on the batch."""

    name: str
    policy: str
    row: str | None = None
    batch: str | None = None


def quoted(values: list[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def promises(table: str) -> Iterator[Promise]:
    (shape,) = contract(table)["schema"]
    default = custom(shape, "policy")
    for rule in shape["quality"]:
        yield from rule_promises(rule, None, default)
    for column in shape["properties"]:
        name, policy = column["name"], custom(column, "policy") or default
        if column.get("required"):
            yield Promise(name=f"{name}_not_null", policy=policy, row=f"{name} is null")
        if column.get("unique"):
            yield Promise(name=f"{name}_unique", policy=policy, row=doubled([name]))
        options = column.get("logicalTypeOptions", {})
        if "minimum" in options:
            low, high = options["minimum"], options["maximum"]
            yield Promise(name=f"{name}_between", policy=policy, row=f"{name} not between {low} and {high}")
        if "pattern" in options:
            yield Promise(
                name=f"{name}_regex", policy=policy, row=f"not regexp_matches({name}, '{options['pattern']}')"
            )
        for rule in column.get("quality", ()):
            yield from rule_promises(rule, name, policy)


def doubled(columns: list[str]) -> str:
    return f"count(*) over (partition by batch_day, {', '.join(columns)}) > 1"


def rule_promises(rule: dict[str, Any], column: str | None, default: str) -> Iterator[Promise]:
    name, policy = rule["name"], custom(rule, "policy") or default
    metric, arguments = rule.get("metric"), rule.get("arguments", {})
    if metric == "rowCount":
        low, high = rule.get("mustBeBetween", [rule.get("mustBeGreaterOrEqualTo"), 10**9])
        yield Promise(name=name, policy=policy, batch=f"count(*) between {low} and {high}")
        return
    if metric:
        assert rule["mustBe"] == 0
        conditions = {
            "duplicateValues": lambda: doubled(arguments["properties"]),
            "nullValues": lambda: f"{column} is null",
            "invalidValues": lambda: f"{column} not in ({quoted(arguments['validValues'])})",
        }
        yield Promise(name=name, policy=policy, row=conditions[metric]())
        return
    implementation = rule["implementation"]
    kwargs = implementation["kwargs"]
    match implementation["type"]:
        case "expect_column_values_to_be_in_set":
            other, other_column = kwargs["value_set"]["from"].split(".")
            yield Promise(name=name, policy=policy, row=f"{column} not in (select {other_column} from {other})")
        case "expect_column_values_to_be_between":
            condition = f"{column} not between {kwargs['min_value']} and {kwargs['max_value']}"
            yield Promise(name=name, policy=policy, row=condition)
        case "expect_column_values_to_not_be_null":
            yield Promise(name=name, policy=policy, batch=f"count({column}) / count(*) >= {kwargs['mostly']}")
        case "expect_column_pair_values_a_to_be_greater_than_b":
            yield Promise(name=name, policy=policy, row=f"{kwargs['column_A']} <= {kwargs['column_B']}")
        case other_type:
            raise AssertionError(f"this test cannot judge {other_type}")


Failures = dict[tuple[str, str], dict[Any, int]]


@pytest.fixture(scope="session", params=[2013, 2026])
def judged(request: pytest.FixtureRequest, feed: FlightsFeed) -> Callable[[str], Failures]:
    """By table, the promises broken in a year: (name, policy) → day → failing rows (1 for a promise on the batch)."""
    first = datetime.date(request.param, 1, 1)
    days = [first + datetime.timedelta(days=n) for n in range(364)]
    raw = pa.concat_tables(feed.flights(day) for day in days)
    weather = pa.concat_tables(feed.weather(day) for day in days)
    planes, airports, airlines = feed.planes(), feed.airports(), feed.airlines()
    tables = {
        "raw_flights": raw,
        "weather": weather,
        "planes": planes,
        "airports": airports,
        "airlines": airlines,
        "flights": conform_flights(raw, planes, airports, airlines, weather),
    }
    batch = {"raw_flights": "make_date(year, month, day)", "weather": "make_date(year, month, day)"}
    batch["flights"] = "flight_date"
    connection = duckdb.connect()
    for name, table in tables.items():
        connection.register(name, table)

    def judge(table: str) -> Failures:
        failures: Failures = {}
        source = f"(select *, {batch.get(table, 'current_date')} as batch_day from {table})"
        for promise in promises(table):
            if promise.batch:
                query = f"select batch_day, 1 from {source} group by batch_day having not ({promise.batch})"
            else:
                query = (
                    f"select batch_day, count(*) from (select batch_day, {promise.row} as failing from {source}) "
                    "where failing group by batch_day"
                )
            found = connection.execute(query)
            rows = dict(found.fetchall())
            if rows:
                failures[promise.name, promise.policy] = rows
        return failures

    return judge


@pytest.mark.parametrize("table", TABLES)
def test_no_real_day_is_blocked(judged: Callable[[str], Failures], table: str) -> None:
    assert not [name for name, policy in judged(table) if policy == "block"]


def test_only_unknown_destinations_are_quarantined(judged: Callable[[str], Failures], feed: FlightsFeed) -> None:
    broken = {name: rows for (name, policy), rows in judged("flights").items() if policy == "quarantine"}
    assert set(broken) == {"dest_known"}
    for day, failing in broken["dest_known"].items():
        assert failing / feed.flights(day).num_rows < custom(contract("flights"), "quarantineLimit")


def test_what_flights_warn_of(judged: Callable[[str], Failures]) -> None:
    warned = {name: rows for (name, policy), rows in judged("flights").items() if policy == "warn"}
    assert set(warned) == {"tailnum_present", "tailnum_known", "cancelled_share", "distance_between"}
    assert len(warned["cancelled_share"]) == 17
    assert sum(warned["distance_between"].values()) == 1
    assert len(warned["tailnum_known"]) == 364


def test_what_the_weather_quarantines(judged: Callable[[str], Failures], feed: FlightsFeed) -> None:
    broken = {name: rows for (name, policy), rows in judged("weather").items() if policy == "quarantine"}
    year = next(iter(broken["wind_speed_possible"])).year
    storm = replay_day(datetime.date(2013, 2, 12), on_or_after=datetime.date(year, 1, 1))
    assert broken.pop("wind_speed_possible") == {storm: 1}
    doubled_days = {datetime.date(2026, 3, 8): 6, datetime.date(2026, 10, 18): 6} if year == 2026 else {}
    assert broken == ({"reading_once": doubled_days} if doubled_days else {})
    for rows in broken.values():
        for day, failing in rows.items():
            assert failing / feed.weather(day).num_rows < custom(contract("weather"), "quarantineLimit")


def test_what_the_airports_warn_of(judged: Callable[[str], Failures]) -> None:
    broken = {name: sum(rows.values()) for (name, _), rows in judged("airports").items()}
    assert broken == {"lon_western": 4, "lat_between": 1}


@pytest.mark.parametrize("table", ["raw_flights", "planes", "airlines"])
def test_the_rest_is_clean(judged: Callable[[str], Failures], table: str) -> None:
    assert not judged(table)


def test_our_reader_takes_them_as_they_are_meant() -> None:
    """The same promises with the same policies, by our reader and by this test's own reading."""
    for loaded in load_contracts(sorted(FOLDER.iterdir())):
        mine = sorted((promise.name.replace("__", "_"), promise.policy) for promise in promises(loaded.table))
        assert sorted((e.name.replace("__", "_").replace("match_regex", "regex"), e.policy.value)
                      for e in loaded.expectations) == mine  # fmt: skip
        assert loaded.schema == "flights"
        assert loaded.owners == ("team:flights-data",)
        assert loaded.quarantine_limit == custom(contract(loaded.table), "quarantineLimit")

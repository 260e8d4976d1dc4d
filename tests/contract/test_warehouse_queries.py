"""SELECTs that people wrote, on every warehouse: parameters are values, nothing can be changed, one error if it is wrong."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
import scenario
from test_warehouse import flights, ids, publish

from dagster_sluice.errors import FrameError, QueryError
from dagster_sluice.warehouse.selects import read_select

UTC = dt.timezone.utc


def asked(warehouse, text, *, timezone="UTC", **parameters):
    select = read_select(text, known=list(parameters), file=None, label="raw.daily")
    return warehouse.query(select, parameters, timezone=timezone)


def test_published_rows_by_a_parameter(warehouse):
    publish(warehouse, flights(1, 2, who="a"), partition="x")
    publish(warehouse, flights(3, who="b"), partition="y")
    found = asked(
        warehouse, "SELECT id, who FROM raw.flights WHERE _partition = {partition} ORDER BY id;", partition="x"
    )
    assert found.to_pylist() == [{"id": 1, "who": "a"}, {"id": 2, "who": "a"}]
    assert asked(warehouse, "SELECT id FROM raw.flights WHERE id > 9").num_rows == 0


def test_a_parameter_is_a_value_whatever_it_looks_like(warehouse):
    for value in (*scenario.AWKWARD_TEXTS, *scenario.AWKWARD_KEYS):
        found = asked(warehouse, "SELECT {key} AS c, {key} = {same} AS d", key=value, same=value)
        assert found.to_pylist() == [{"c": value, "d": True}]


def test_parameters_keep_their_types(warehouse):
    moment = dt.datetime(2024, 1, 1, 23, 0, 0, 1, tzinfo=UTC)
    for value in (7, -(2**63), 0.1, True, dt.date(2024, 2, 29), moment):
        (found,) = asked(warehouse, "SELECT {value} AS c", value=value).column("c").to_pylist()
        assert (found, type(found)) == (value, type(value))


def test_dates_are_made_by_the_clock_that_was_asked_for(warehouse):
    start = dt.datetime(2024, 3, 31, 22, 30, tzinfo=UTC)
    text = "SELECT CAST({start} AS date) AS day, CAST(DATE '2024-04-01' AS timestamptz) AS midnight"
    for timezone, day, offset in (("UTC", 31, 0), ("Europe/Berlin", 1, 2), ("America/New_York", 31, -4)):
        found = asked(warehouse, text, start=start, timezone=timezone).to_pylist()[0]
        assert found["day"].day == day
        assert found["midnight"] == dt.datetime(2024, 4, 1, tzinfo=UTC) - dt.timedelta(hours=offset)
    assert asked(warehouse, "SELECT CAST({start} AS date) AS day", start=start).to_pylist()[0]["day"].day == 31


@pytest.mark.parametrize(
    "text", ["SELECT 1 AS c -- {not} one\n", "SELECT 1 AS c /* ; {not} */;\n-- the end", "(SELECT 1 AS c)"]
)
def test_comments_and_semicolons(warehouse, text):
    assert asked(warehouse, text).to_pylist() == [{"c": 1}]


@pytest.mark.parametrize(
    "text",
    [
        "WITH gone AS (DELETE FROM raw.flights RETURNING id) SELECT * FROM gone",
        "WITH gone AS (UPDATE raw.flights SET id = 0 RETURNING id) SELECT * FROM gone",
    ],
)
def test_nothing_can_be_changed(warehouse, text):
    publish(warehouse, flights(1, 2))
    with pytest.raises(QueryError, match=r"raw\.daily"):
        asked(warehouse, text)
    assert ids(warehouse) == [1, 2]
    publish(warehouse, flights(3))
    assert ids(warehouse) == [3]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("SELECT 1,\n  nope", 2, "nope"),
        ("SELECT\n\n* FROM raw.nowhere", 3, "nowhere"),
        ("SELECT {a}\nFROM (SELECT 1)\n WHRE", None, ""),
        ("SELECT 1 +\n'x' || ", 2, "syntax"),
    ],
)
def test_an_error_has_its_line_and_the_databases_words(warehouse, text, line, words):
    publish(warehouse, flights(1))
    with pytest.raises(QueryError) as caught:
        asked(warehouse, text + (" x y" if line is None else ""), a="x")
    (culprit,) = caught.value.culprits
    assert words in culprit.problem
    if line is not None:
        assert culprit.where == f"line {line}"
    assert "Query was" not in str(caught.value)


def test_an_error_in_a_file_names_it(warehouse):
    select = read_select("SELECT\n nope", known=(), file=Path("daily.sql"), label="raw.daily")
    with pytest.raises(QueryError, match=r"daily\.sql:2: .*nope"):
        warehouse.query(select, {})


def test_a_value_that_cannot_be_computed_is_of_the_batch(warehouse):
    with pytest.raises(FrameError, match=r"raw\.daily cannot be computed"):
        asked(warehouse, "SELECT CAST({said} AS integer) AS c", said="none")
    assert asked(warehouse, "SELECT CAST({said} AS integer) AS c", said="7").to_pylist() == [{"c": 7}]


def test_what_comes_has_names_and_types(warehouse):
    found = asked(warehouse, "SELECT 1 AS a, 'x' AS b, CAST(0.5 AS double precision) AS c, NULL AS d, true AS e")
    assert found.column_names == ["a", "b", "c", "d", "e"]
    assert pa.types.is_integer(found.schema.field("a").type)
    assert pa.types.is_floating(found.schema.field("c").type)
    assert pa.types.is_boolean(found.schema.field("e").type)


# The text alone


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no SELECT"),
        ("-- nothing\n ;", "no SELECT"),
        ("DELETE FROM x", "begins with 'DELETE'"),
        ("COPY x TO PROGRAM 'sh'", "begins with 'COPY'"),
        ("SELECT 1; DROP TABLE x", "another statement"),
        ("SELECT 1;\n;", "^ok$"),
        ("SELECT '{partition}'", "within quotes"),
        ('SELECT "{partition}"', "within quotes"),
        ("SELECT $$ {partition} $$", "within quotes"),
        ("SELECT {partitoin}", r"no parameter \{partitoin\}. Known are \{partition\}"),
    ],
)
def test_what_is_refused_before_any_database_sees_it(text, words):
    if words == "^ok$":
        assert read_select(text, known=(), file=None, label="t").text == "SELECT 1"
        return
    with pytest.raises(QueryError, match=words):
        read_select(text, known=["partition"], file=None, label="t")


def test_braces_in_quotes_and_comments_are_no_parameters():
    text = "SELECT '{a,b}'::text[], '{\"k\": 1}', \"{x}\", $q$ {y} $q$ /* {z} */ FROM t WHERE a = {partition} -- {b}"
    select = read_select(text, known=["partition"], file=None, label="t")
    assert select.parameters == ("partition",)
    assert select.bound(lambda place, name: f"${place + 1}") == text.replace("{partition}", "$1")

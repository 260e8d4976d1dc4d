"""Promises about the past, kept by a warehouse that remembers its audits."""

import dataclasses
import time

import dagster as dg
import pyarrow as pa
import pytest

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy
from dagster_sluice.errors import TableError
from dagster_sluice.gates import Outcome
from dagster_sluice.tables import gate
from dagster_sluice.tables.gatekeeper import Origin, admit
from dagster_sluice.tables.memory import past_audits
from dagster_sluice.warehouse import Address

ADDRESS = Address(schema="tests", table="days")
COUNT = Expectation(
    name="usual_count",
    type="expect_table_row_count_to_be_near_median",
    kwargs={"within": 0.5, "last": 4, "minimum": 3},
    policy=Policy.BLOCK,
)
NULLS = Expectation(
    name="usual_nulls",
    type="expect_column_null_share_to_be_near_median",
    kwargs={"column": "t", "within": 0.2, "minimum": 2},
    policy=Policy.WARN,
)
COLUMNS = Expectation(name="columns", type="expect_table_schema_to_be_unchanged", policy=Policy.BLOCK)
CONTRACT = Contract(
    table="days",
    columns=(Column(name="a", type=LogicalType.INTEGER), Column(name="t", type=LogicalType.STRING)),
    expectations=(COUNT, NULLS, COLUMNS),
)


def through(warehouse, day, count, empty=0, contract=CONTRACT, **more):
    standing = warehouse.current(ADDRESS).get(day)
    rows = pa.table({"a": list(range(count)), "t": [None] * empty + ["x"] * (count - empty), **more})
    return admit(
        rows,
        contract=contract,
        warehouse=warehouse,
        address=ADDRESS,
        partition=day,
        origin=Origin(
            run_id="run",
            correlation_id="cause",
            code_version="code",
            base=standing.id if standing else None,
            started=time.perf_counter(),
        ),
        references={},
    )


def failed(judged):
    return [result.name for result in judged.verdict.results if not result.success]


def test_a_day_is_held_against_the_days_before_it(warehouse):
    for day, count in (("2024-01-01", 10), ("2024-01-02", 3), ("2024-01-03", 12)):
        judged = through(warehouse, day, count)
        assert failed(judged) == []
        assert "not enough history" in judged.verdict.results[1].details["note"]

    few = through(warehouse, "2024-01-04", 4)
    assert (failed(few), few.decision.outcome) == (["usual_count"], Outcome.BLOCK)
    assert few.verdict.results[1].details["median"] == 10
    assert "usual_count failed: observed 4" in few.decision.reasons[0]
    assert failed(through(warehouse, "2024-01-04", 5)) == []
    # The first days have nothing before them, however often they are judged.
    assert failed(through(warehouse, "2024-01-01", 100)) == []


@pytest.mark.parametrize("policy", [Policy.BLOCK, Policy.HOLD])
def test_what_was_never_published_is_not_what_is_usual(warehouse, policy):
    contract = dataclasses.replace(CONTRACT, expectations=(dataclasses.replace(COUNT, policy=policy),))
    for number in range(1, 5):
        through(warehouse, f"2024-01-0{number}", 10, contract=contract)
    for number in range(5, 9):
        assert failed(through(warehouse, f"2024-01-0{number}", 100, contract=contract)) == ["usual_count"]
    assert failed(through(warehouse, "2024-01-09", 10, contract=contract)) == []


def test_what_a_person_released_is_as_usual_as_the_rest(warehouse):
    contract = dataclasses.replace(CONTRACT, expectations=(dataclasses.replace(COUNT, policy=Policy.HOLD),))
    for number in range(1, 4):
        through(warehouse, f"2024-01-0{number}", 10, contract=contract)
    for number in range(4, 7):
        hold = through(warehouse, f"2024-01-0{number}", 100, contract=contract).hold
        warehouse.release(hold.id, by="ann", why="we have grown")
    assert failed(through(warehouse, "2024-01-07", 100, contract=contract)) == []


def test_shares_of_null_and_columns_are_remembered(warehouse):
    for number, empty in ((1, 1), (2, 2), (3, 1)):
        assert failed(through(warehouse, f"2024-01-0{number}", 10, empty)) == []
    judged = through(warehouse, "2024-01-04", 10, 5)
    assert (failed(judged), judged.decision.outcome) == (["usual_nulls"], Outcome.PUBLISH)

    wider = dataclasses.replace(CONTRACT, columns=(*CONTRACT.columns, Column(name="b", type=LogicalType.BOOLEAN)))
    judged = through(warehouse, "2024-01-05", 10, contract=wider, b=[True] * 10)
    assert failed(judged) == ["columns"]
    assert judged.verdict.results[3].details["details"] == {"added": ["b bool"]}


def test_a_table_without_partitions_is_held_against_its_own_past(warehouse):
    for count in (10, 11, 12):
        assert failed(through(warehouse, None, count)) == []
    assert failed(through(warehouse, None, 2)) == ["usual_count"]


def test_nothing_is_asked_where_nothing_is_promised_about_the_past(warehouse):
    plain = dataclasses.replace(CONTRACT, expectations=())
    assert past_audits(warehouse, ADDRESS, "2024-01-01", plain) is None
    assert past_audits(warehouse, ADDRESS, "2024-01-01", CONTRACT) == []


def test_a_gate_in_place_has_no_past():
    with pytest.raises(TableError, match=r"'usual_count'.*is about past audits"):
        gate(dg.AssetKey("raw"), CONTRACT)

"""A judged batch in Dagster's words."""

import datetime as dt
import json

import dagster as dg
import pyarrow as pa
import pytest
import scenario

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy
from dagster_sluice.tables.events import blocked, broken, check_events
from dagster_sluice.tables.gatekeeper import judge

KEY = dg.AssetKey(["raw", "people"])
SECRET = "4929-1234"


def context():
    return dg.build_asset_context(instance=dg.DagsterInstance.ephemeral())


def contract(*expectations, classification="PII"):
    return Contract(
        table="people",
        columns=(
            Column(name="id", type=LogicalType.INTEGER),
            Column(name="card", type=LogicalType.STRING, classification=classification),
            Column(name="born", type=LogicalType.DATE),
        ),
        expectations=expectations,
    )


def rows(cards=(SECRET, SECRET, None)):
    return pa.table(
        {
            "id": pa.array([2**53 + 1, 2, None][: len(cards)], pa.int64()),
            "card": pa.array(cards, pa.string()),
            "born": pa.array([dt.date(2000, 1, 1)] * len(cards)),
        }
    )


def events(promised, frame, *, in_range=False, partition="p"):
    verdict, _, conformed = judge(frame, promised, {})
    checks = {result.name for result in verdict.results}
    return list(
        check_events(
            context(),
            KEY,
            promised,
            verdict,
            conformed.rows,
            partition,
            in_range=in_range,
            checks=checks,
            extra={"sluice/x": 7},
        )
    )


UNIQUE = Expectation(name="unique_card", type="expect_column_values_to_be_unique", kwargs={"column": "card"})


def everything_said(found):
    return "".join(f"{event!r}" for event in found)


@pytest.mark.parametrize("in_range", [False, True])
@pytest.mark.parametrize("classification", ["pii", "PII", "Confidential", "restricted", "secret"])
def test_what_is_classified_is_masked(in_range, classification):
    expectations = (
        UNIQUE,
        Expectation(
            name="known_cards",
            type="expect_column_distinct_values_to_be_in_set",
            kwargs={"column": "card", "value_set": ["x"]},
        ),
        Expectation(
            name="lowest_card", type="expect_column_min_to_be_between", kwargs={"column": "card", "max_value": "0"}
        ),
        Expectation(
            name="pair",
            type="expect_column_pair_values_to_be_equal",
            kwargs={"column_A": "card", "column_B": "id"},
        ),
        Expectation(
            name="together", type="expect_compound_columns_to_be_unique", kwargs={"column_list": ["card", "born"]}
        ),
    )
    found = events(contract(*expectations, classification=classification), rows(), in_range=in_range)
    assert len(found) == 6
    assert not found[1].passed
    assert SECRET not in everything_said(found)
    assert "•••" in everything_said(found)


def test_reasons_for_a_block_do_not_tell_what_is_classified():
    lowest = Expectation(
        name="lowest_card", type="expect_column_min_to_be_between", kwargs={"column": "card", "max_value": "0"}
    )
    _, decision, _ = judge(rows(), contract(lowest), {})
    assert decision.reasons
    assert SECRET not in "".join(decision.reasons)


@pytest.mark.parametrize("classification", [None, "public", ""])
def test_what_is_not_classified_is_shown(classification):
    sample = events(contract(UNIQUE, classification=classification), rows())[1].metadata["failing_sample"]
    assert [record.data["card"] for record in sample.records] == [SECRET, SECRET]
    assert sample.records[0].data["id"] == 2**53 + 1
    assert sample.records[0].data["born"] == "2000-01-01"


def test_a_result_has_its_counts_and_its_policy():
    promised = contract(Expectation(name="has_id", type="expect_column_values_to_not_be_null", kwargs={"column": "id"},
                                    policy=Policy.QUARANTINE))  # fmt: skip
    conforms, has_id = events(promised, rows())
    assert conforms.passed
    assert conforms.metadata["rows"].value == 3
    assert not has_id.passed
    assert has_id.severity is dg.AssetCheckSeverity.WARN
    assert {name: value.value for name, value in has_id.metadata.items() if name != "failing_sample"} == {
        "policy": "quarantine",
        "engine": has_id.metadata["engine"].value,
        "rows": 3,
        "failing_rows": 1,
        "null_rows": 0,
        "failing_percent": pytest.approx(33.3333),
        "sluice/x": 7,
    }
    assert "1 of 3 rows" in has_id.description


@pytest.mark.parametrize(
    ("policy", "severity"),
    [
        (Policy.WARN, dg.AssetCheckSeverity.WARN),
        (Policy.QUARANTINE, dg.AssetCheckSeverity.WARN),
        (Policy.HOLD, dg.AssetCheckSeverity.ERROR),
        (Policy.BLOCK, dg.AssetCheckSeverity.ERROR),
    ],
)
def test_severity_tells_whether_the_publish_was_stopped(policy, severity):
    expectation = Expectation(name="x", type="expect_table_row_count_to_equal", kwargs={"value": 1}, policy=policy)
    assert events(contract(expectation), rows())[1].severity is severity


def test_in_a_range_each_result_has_its_partition():
    found = events(contract(UNIQUE), rows(), in_range=True, partition="2024-03-10")
    assert all(isinstance(event, dg.AssetCheckEvaluation) for event in found)
    assert {event.partition for event in found} == {"2024-03-10"}


def test_the_same_is_said_of_a_partition_whether_alone_or_in_a_range():
    alone = events(contract(UNIQUE), rows())
    ranged = events(contract(UNIQUE), rows(), in_range=True)
    for one, other in zip(alone, ranged, strict=True):
        assert one.check_name == other.check_name
        assert one.passed == other.passed
        assert one.description == other.description
        assert {name: dg.MetadataValue.text(value).value if isinstance(value, str) else value
                for name, value in one.metadata.items()} == dict(other.metadata)  # fmt: skip


@pytest.mark.parametrize("in_range", [False, True])
def test_awkward_values_survive_dagsters_event_log(in_range):
    expectations = tuple(
        Expectation(
            name=f"none_{index}",
            type="expect_column_values_to_be_in_set",
            kwargs={"column": column.name, "value_set": ["elsewhere"]},
            policy=Policy.WARN,
        )
        for index, column in enumerate(scenario.COLUMNS)
    ) + tuple(
        Expectation(
            name=f"distinct_{index}",
            type="expect_column_distinct_values_to_be_in_set",
            kwargs={"column": column.name, "value_set": ["elsewhere"]},
            policy=Policy.WARN,
        )
        for index, column in enumerate(scenario.COLUMNS)
    )
    promised = Contract(table="awkward", columns=scenario.COLUMNS, expectations=expectations)
    found = events(promised, scenario.rows(), in_range=in_range)
    assert len(found) == 1 + len(expectations)
    for event in found:
        assert json.dumps(dg.serialize_value(dict(event.metadata))).encode()


def test_only_the_checks_that_are_asked_for():
    promised = contract(UNIQUE)
    verdict, _, conformed = judge(rows(), promised, {})
    found = list(
        check_events(
            context(), KEY, promised, verdict, conformed.rows, "p", in_range=False, checks={"unique_card"}, extra={}
        )
    )
    assert [event.check_name for event in found] == ["unique_card"]


def test_the_sample_is_short_however_many_rows_fail():
    many = pa.table({"id": range(5000), "card": ["x"] * 5000, "born": pa.nulls(5000)})
    unique = events(contract(UNIQUE, classification=None), many)[1]
    assert len(unique.metadata["failing_sample"].records) == 10
    assert unique.metadata["failing_rows"].value == 5000


def test_a_block_tells_each_partition_and_is_not_retried():
    failure = blocked(KEY, {"2024-03-10": ("a failed.", "b failed."), None: ("c failed.",)})
    assert failure.allow_retries is False
    assert "raw/people [2024-03-10]: a failed. b failed." in failure.description
    assert "raw/people: c failed." in failure.description


def test_what_raised_may_be_retried():
    failure = broken(KEY, {"2": ("a failed.",)}, {"1": ValueError("boom")})
    assert failure.allow_retries
    assert "[1]: ValueError: boom" in failure.description
    assert "[2]: a failed." in failure.description

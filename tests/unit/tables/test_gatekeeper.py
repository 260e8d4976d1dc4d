"""admit(): a frame through the gate into a warehouse, without Dagster."""

import dataclasses
import time

import pandas as pd
import pyarrow as pa
import pytest
import scenario

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy
from dagster_sluice.errors import ExpectationError, FrameError, TableError
from dagster_sluice.gates import Outcome
from dagster_sluice.quarantine.replaying import Promise, Replayer
from dagster_sluice.tables.gatekeeper import Origin, admit
from dagster_sluice.warehouse import Address, Result

ADDRESS = Address(schema="tests", table="awkward")


def through(warehouse, frame, contract=scenario.CONTRACT, partition="day"):
    standing = warehouse.current(ADDRESS).get(partition)
    origin = Origin(
        run_id="run",
        correlation_id="cause",
        code_version="code",
        base=standing.id if standing else None,
        started=time.perf_counter(),
    )
    return admit(
        frame,
        contract=contract,
        warehouse=warehouse,
        address=ADDRESS,
        partition=partition,
        origin=origin,
        references={},
    )


def small(*expectations, limit=0.5, **column):
    return Contract(
        table="awkward",
        columns=(Column(name="a", type=LogicalType.INTEGER), Column(name="t", type=LogicalType.STRING, **column)),
        expectations=expectations,
        quarantine_limit=limit,
    )


POSITIVE = Expectation(
    name="positive",
    type="expect_column_values_to_be_between",
    kwargs={"column": "a", "min_value": 0},
    policy=Policy.QUARANTINE,
)
FULL = Expectation(
    name="full", type="expect_table_row_count_to_be_between", kwargs={"min_value": 3}, policy=Policy.BLOCK
)


def frame(numbers, text="x"):
    return pa.table({"t": [text] * len(numbers), "a": numbers})


def test_the_good_rows_are_published_and_the_bad_ones_kept_with_their_reasons(warehouse):
    judged = through(warehouse, scenario.reordered())
    assert judged.decision.outcome is Outcome.PUBLISH
    assert judged.publication.rows_published == 11
    assert judged.publication.rows_quarantined == 1
    published = warehouse.read(ADDRESS)
    kept = scenario.rows().take([0, 1, *range(3, 12)])
    assert sorted(map(repr, published.to_pylist())) == sorted(map(repr, kept.to_pylist()))
    (row,) = warehouse.quarantined()
    assert row.payload["key"] is None
    assert [reason["expectation"] for reason in row.reasons] == ["key_present"]
    assert through(warehouse, scenario.rows()).publication.result is Result.UNCHANGED
    assert len(warehouse.quarantined()) == 1


def test_a_value_that_does_not_conform_is_quarantined_whole(warehouse):
    long = "x" * 5000 + "\0"
    rows = pa.table({"a": ["1", "2", "many", "-4"], "t": ["fine", long, "fine", "fine"]})
    judged = through(warehouse, rows, small(POSITIVE, limit=0.8))
    assert judged.publication.rows_published == 1
    assert not judged.verdict.results[0].success
    found = {row.payload["a"]: row for row in warehouse.quarantined()}
    assert set(found) == {2, "many", -4}
    assert found[2].payload["t"] == "x" * 5000 + r"\x00"
    assert len(found[2].reasons[0]["value"]) == 200
    assert found["many"].reasons[0] == {
        "expectation": "conforms",
        "column": "a",
        "value": "many",
        "why": found["many"].reasons[0]["why"],
    }
    assert "is not an integer" in found["many"].reasons[0]["why"]
    assert found[-4].reasons == [{"expectation": "positive", "column": "a", "value": -4}]


def test_a_block_leaves_what_was_published_before(warehouse):
    through(warehouse, frame([1, 2, 3]), small(POSITIVE, FULL))
    before = warehouse.current(ADDRESS)
    judged = through(warehouse, frame([1, 2, -1]).slice(1), small(POSITIVE, FULL))
    assert judged.publication is None
    assert judged.decision.outcome is Outcome.BLOCK
    assert warehouse.current(ADDRESS) == before
    assert warehouse.quarantined() == []
    assert warehouse.read(ADDRESS).num_rows == 3
    assert [audit.result for audit in warehouse.audits("cause")] == [Result.PUBLISHED, Result.BLOCKED]
    assert "full" in warehouse.audits("cause")[1].reasons[0]


@pytest.mark.parametrize(("numbers", "outcome"), [([-1, -2], Outcome.BLOCK), ([], Outcome.PUBLISH)])
def test_an_empty_partition_is_published_only_if_it_came_empty(warehouse, numbers, outcome):
    rows = pa.table({"a": pa.array(numbers, pa.int64()), "t": pa.array(["x"] * len(numbers), pa.string())})
    assert through(warehouse, rows, small(POSITIVE, limit=1.0)).decision.outcome is outcome
    assert len(warehouse.current(ADDRESS)) == (outcome is Outcome.PUBLISH)


HELD = dataclasses.replace(FULL, policy=Policy.HOLD)


def test_a_batch_that_is_held_waits_whole_and_is_not_published(warehouse):
    through(warehouse, frame([1, 2, 3]), small(POSITIVE, HELD))
    before = warehouse.current(ADDRESS)
    judged = through(warehouse, frame([7, -1]), small(POSITIVE, HELD))
    assert (judged.publication, judged.decision.outcome) == (None, Outcome.HOLD)
    assert warehouse.current(ADDRESS) == before
    assert warehouse.quarantined() == []
    assert (judged.hold.rows, judged.hold.rows_quarantined) == (1, 1)
    assert warehouse.held_rows(judged.hold.id).column("a").to_pylist() == [7]
    assert "full" in judged.decision.reasons[0]
    assert f"sluice hold release {judged.hold.id}" in judged.decision.reasons[-1]
    assert [audit.result for audit in warehouse.audits("cause")] == [Result.PUBLISHED, Result.HELD]


def test_a_block_outweighs_a_hold(warehouse):
    blocking = dataclasses.replace(POSITIVE, policy=Policy.BLOCK)
    judged = through(warehouse, frame([-1]), small(blocking, HELD))
    assert (judged.decision.outcome, judged.hold) == (Outcome.BLOCK, None)
    assert warehouse.holds() == []


def test_what_a_person_released_does_not_wait_again(warehouse):
    contract = small(POSITIVE, HELD)
    first = through(warehouse, frame([7, -1]), contract)
    published = warehouse.release(first.hold.id, by="ann", why="a holiday")
    again = through(warehouse, frame([7, -1]), contract)
    assert (again.publication.id, again.publication.result) == (published.id, Result.UNCHANGED)
    assert (again.hold, again.released.id) == (None, first.hold.id)
    assert len(warehouse.quarantined()) == 1
    other = through(warehouse, frame([8, -1]), contract)
    assert other.hold is not None


def test_a_release_covers_that_content_by_that_contract_as_long_as_it_stands(warehouse):
    contract = small(POSITIVE, HELD)
    first = through(warehouse, frame([7]), contract)
    warehouse.release(first.hold.id, by="ann", why="a holiday")
    stricter = small(POSITIVE, dataclasses.replace(HELD, kwargs={"min_value": 4}))
    assert through(warehouse, frame([7]), stricter).hold is not None
    through(warehouse, frame([1, 2, 3]), contract)
    assert through(warehouse, frame([7]), contract).hold is not None


def test_what_was_mended_is_held_too(warehouse):
    """A mend survives, also in a batch that waits."""
    contract = small(POSITIVE, HELD)
    through(warehouse, frame([1, 2, 3, -4]), contract)
    (bad,) = warehouse.quarantined()
    replayer = Replayer(
        warehouse, lambda _: Promise(contract=contract, references={}), run_id="replay", correlation_id="replay"
    )
    (replayed,) = replayer.replay([bad], {bad.id: {**bad.payload, "a": 4}})
    assert replayed.good
    judged = through(warehouse, frame([1, -4]), contract)
    assert judged.restored == 1
    assert sorted(warehouse.held_rows(judged.hold.id).column("a").to_pylist()) == [1, 4]


def test_rows_are_added_to_what_was_released(warehouse):
    """What stands breaks the promise already, and a person wanted it so."""
    contract = small(POSITIVE, dataclasses.replace(HELD, kwargs={"min_value": 4}))
    held = through(warehouse, frame([1, -2]), contract)
    warehouse.release(held.hold.id, by="ann", why="few is right")
    (bad,) = warehouse.quarantined()
    replayer = Replayer(
        warehouse, lambda _: Promise(contract=contract, references={}), run_id="replay", correlation_id="replay"
    )
    (replayed,) = replayer.replay([bad], {bad.id: {**bad.payload, "a": 2}})
    assert replayed.good
    assert warehouse.read(ADDRESS).num_rows == 2


@pytest.mark.parametrize(
    "wrong", [None, 5, [1, 2], {"a": [1]}, pd.DataFrame({"a": [1]}), pd.DataFrame([[1, 2]], columns=["a", "a"])]
)
def test_what_is_no_frame_of_the_contract_is_refused_and_remembered(warehouse, wrong):
    with pytest.raises(FrameError):
        through(warehouse, wrong, small(POSITIVE))
    (audit,) = warehouse.audits("cause")
    assert audit.result is Result.BLOCKED
    assert audit.reasons


def test_text_that_cannot_be_encoded_is_a_misfit_of_its_row_and_remembered(warehouse):
    rows = pd.DataFrame({"a": [1], "t": pd.Series([scenario.LONE_SURROGATE], dtype=object)})
    judged = through(warehouse, rows, small(POSITIVE))
    assert judged.publication is None
    (audit,) = warehouse.audits("cause")
    assert "lone surrogate" in " ".join(audit.reasons)


def test_an_expectation_that_cannot_be_judged_as_written_publishes_nothing(warehouse):
    wrong = Expectation(name="wrong", type="expect_nothing_like_it")
    with pytest.raises(ExpectationError, match="expect_nothing_like_it"):
        through(warehouse, frame([1]), small(wrong))
    assert warehouse.current(ADDRESS) == {}


def test_a_physical_type_that_is_none_publishes_nothing(warehouse):
    with pytest.raises(TableError):
        through(warehouse, frame([1]), small(physical_type="text; DROP TABLE x"))
    assert warehouse.current(ADDRESS) == {}


def test_the_words_of_an_error_reach_the_records_whatever_they_hold(warehouse):
    """A NUL in what was expected stands in the message of what went wrong, and Postgres takes no NUL in jsonb."""
    broken = Expectation(
        name="broken",
        type="expect_column_values_to_match_regex",
        kwargs={"column": "t", "regex": "[\0"},
        policy=Policy.WARN,
    )
    observed = Expectation(
        name="observed",
        type="expect_column_distinct_values_to_be_in_set",
        kwargs={"column": "t", "value_set": ["\0"]},
        policy=Policy.WARN,
    )
    judged = through(warehouse, frame([1]), small(broken, observed))
    assert judged.publication.rows_published == 1
    assert judged.verdict.results[1].error


def test_what_is_published_is_judged_the_same_when_it_is_read_again(warehouse):
    """Checks alone, on what stands in the warehouse."""
    first = through(warehouse, scenario.rows())
    again = through(warehouse, warehouse.read(ADDRESS))
    assert again.publication.result is Result.UNCHANGED
    assert again.publication.id == first.publication.id
    assert again.verdict.results[0].success

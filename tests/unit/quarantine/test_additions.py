"""Rows from the quarantine, judged with those they are to stand beside."""

import dataclasses
import datetime as dt

import pyarrow as pa
import pytest
import scenario

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy
from dagster_sluice.quarantine.replaying import candidate
from dagster_sluice.tables.additions import Candidate, conform_payloads, judge_additions, restore
from dagster_sluice.tables.payload import row_payloads
from dagster_sluice.warehouse import Address, Mended, QuarantinedRow, RejectedRow
from dagster_sluice.warehouse.rejects import identities

PROMISE = Contract(
    table="t",
    columns=(Column(name="id", type=LogicalType.INTEGER), Column(name="who", type=LogicalType.STRING)),
    expectations=(
        Expectation(
            name="id_once", type="expect_column_values_to_be_unique", kwargs={"column": "id"}, policy=Policy.QUARANTINE
        ),
        Expectation(
            name="few_rows",
            type="expect_table_row_count_to_be_between",
            kwargs={"max_value": 4},
            policy=Policy.BLOCK,
        ),
    ),
)


def rows(*ids):
    return pa.table({"id": pa.array(ids, pa.int64()), "who": pa.array(["x"] * len(ids), pa.string())})


def judged(standing, *ids, contract=PROMISE):
    return judge_additions(standing, [Candidate(payload={"id": value, "who": "y"}) for value in ids], contract, {})


def test_the_awkward_batch_goes_to_payloads_and_back():
    batch = scenario.rows()
    payloads = row_payloads(batch, range(batch.num_rows))
    back = conform_payloads([Candidate(payload=payload) for payload in payloads], scenario.CONTRACT)
    assert not back.misfits
    assert list(map(repr, back.rows.to_pylist())) == list(map(repr, batch.to_pylist()))


def test_what_passes_and_what_does_not():
    found = judged(rows(1, 2), 2, 3)
    assert found.blocking == ()
    assert [position for position, _ in found.passed] == [1]
    assert found.rows.to_pylist() == [{"id": 3, "who": "y"}]
    ((position, reasons),) = found.failed
    assert (position, [reason["expectation"] for reason in reasons]) == (0, ["id_once"])


def test_two_candidates_that_are_in_each_others_way_both_stay_out():
    found = judged(rows(1), 7, 7)
    assert [position for position, _ in found.failed] == [0, 1]
    assert found.rows.num_rows == 0


def test_what_stands_is_never_rejected():
    found = judged(rows(1, 1), 2)
    assert [position for position, _ in found.passed] == [0]


def test_a_block_takes_nothing():
    found = judged(rows(1, 2, 3), 4, 5)
    assert found.blocking
    assert found.rows.num_rows == 0
    assert found.passed == found.failed == ()


@pytest.mark.parametrize("policy", [Policy.HOLD, Policy.BLOCK])
def test_a_hold_is_a_block(policy):
    few = dataclasses.replace(PROMISE.expectations[1], policy=policy)
    contract = dataclasses.replace(PROMISE, expectations=(few,))
    assert judged(rows(1, 2, 3), 4, 5, contract=contract).blocking


@pytest.mark.parametrize(("standing", "blocked"), [(4, True), (5, False)])
def test_a_hold_that_stands_broken_already_stops_nothing(standing, blocked):
    """A person released what stands; rows that break the promise anew are another matter."""
    holding = tuple(dataclasses.replace(item, policy=Policy.HOLD) for item in PROMISE.expectations[1:])
    contract = dataclasses.replace(PROMISE, expectations=holding)
    found = judged(rows(*range(standing)), 9, contract=contract)
    assert bool(found.blocking) is blocked
    assert len(found.passed) == (0 if blocked else 1)


def test_a_warning_stops_nothing():
    few = dataclasses.replace(PROMISE.expectations[1], policy=Policy.WARN)
    contract = dataclasses.replace(PROMISE, expectations=(few,))
    assert judged(rows(1, 2, 3), 4, 5, contract=contract).rows.num_rows == 2


def quarantined(payload, *reasons):
    now = dt.datetime.now(dt.timezone.utc)
    return QuarantinedRow(
        id=1,
        address=Address(schema="s", table="t"),
        partition=None,
        payload=payload,
        reasons=reasons,
        status="open",
        run_id="",
        correlation_id="",
        first_seen=now,
        last_seen=now,
    )


NOT_TEXT = {"expectation": "conforms", "column": "who", "value": "7", "why": "is not a string (it is not text)"}


def test_a_value_that_was_no_text_is_none_for_having_been_kept_as_text():
    kept = quarantined({"id": 1, "who": "7"}, NOT_TEXT)
    found = judge_additions(rows(), [candidate(kept, None)], PROMISE, {})
    ((_, reasons),) = found.failed
    assert reasons == [NOT_TEXT]


def test_unless_a_person_wrote_it_anew():
    kept = quarantined({"id": 1, "who": "7"}, NOT_TEXT)
    found = judge_additions(rows(), [candidate(kept, {"id": 1, "who": "seven"})], PROMISE, {})
    assert found.rows.to_pylist() == [{"id": 1, "who": "seven"}]


def test_or_the_contract_promises_another_type():
    kept = quarantined({"id": "7", "who": None}, {**NOT_TEXT, "column": "id", "why": "is not a date"})
    found = judge_additions(rows(), [candidate(kept, None)], PROMISE, {})
    assert found.rows.to_pylist() == [{"id": 7, "who": None}]


@pytest.mark.parametrize("text", ["none", "1.5", "9" * 30])
def test_a_mended_value_must_fit_too(text):
    found = judge_additions(rows(), [Candidate(payload={"id": text, "who": None})], PROMISE, {})
    ((_, (reason,)),) = found.failed
    assert (reason["expectation"], reason["value"]) == ("conforms", text)


# A mend survives the night


def rejected(*ids):
    return [RejectedRow(payload={"id": value, "who": None}, reasons=[{"expectation": "why"}]) for value in ids]


def mended(of, *pairs):
    known = identities(of)
    return [
        Mended(id=100 + at, row_hash=known[at][0], occurrence=known[at][1], payload={"id": value, "who": "mended"})
        for at, value in pairs
    ]


def test_a_mended_row_stands_in_for_the_one_that_is_rejected_again():
    night = rejected(7, 8)
    found = restore(rows(1), night, mended(night, (0, 70)), PROMISE, {})
    assert found.rows.column("id").to_pylist() == [1, 70]
    assert [row.payload["id"] for row in found.rejected] == [8]
    assert found.ids == (100,)


def test_equal_rows_keep_their_places():
    night = rejected(7, 7, 7)
    found = restore(rows(1), night, mended(night, (1, 70)), PROMISE, {})
    assert identities(found.rejected) == [identities(night)[0], identities(night)[2]]


def test_a_mend_that_passes_no_more_is_told():
    night = rejected(7)
    found = restore(rows(1), night, mended(night, (0, 1)), PROMISE, {})
    assert found.rows.num_rows == 1
    (row,) = found.rejected
    assert "id_once" in row.reasons[-1]["why"]
    assert found.ids == ()


def test_a_mend_that_would_block_is_told():
    night = rejected(7)
    found = restore(rows(1, 2, 3, 4), night, mended(night, (0, 9)), PROMISE, {})
    assert found.rows.num_rows == 4
    assert "few_rows" in found.rejected[0].reasons[-1]["why"]


def test_without_a_match_nothing_is_judged():
    night = rejected(7)
    found = restore(rows(1), night, mended(rejected(8), (0, 9)), PROMISE, {})
    assert (found.rows.num_rows, found.rejected) == (1, night)

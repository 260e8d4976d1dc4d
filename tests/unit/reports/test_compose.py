"""What a report says of an audit."""

import dataclasses
import datetime as dt

import pytest
from audits import CONTRACT, MASKED, NOON, audit, counted, kept, result

from dagster_sluice.reports.compose import SAMPLED, compose
from dagster_sluice.reports.text import prose_parts
from dagster_sluice.reports.values import Shape, Tone
from dagster_sluice.warehouse import Result


def report(*results, contract=CONTRACT, masked=MASKED, history=(), examples=None, samples=None, **changes):
    return compose(
        audit(*results, **changes),
        contract=contract,
        masked=masked,
        history=history,
        examples=examples,
        samples=samples,
    )


def promise(found, name):
    return next(item for item in (*found.broken, *found.kept) if item.name == name)


def plain(sentence):
    return "".join(text for _, text in prose_parts(sentence))


def past(day, *results, **changes):
    return audit(*results, partition=f"2026-03-{day:02d}", id=day, run_id=f"run-{day}", **changes)


# The verdict


def test_everything_kept():
    found = report()
    assert (found.tone, found.verdict) == (Tone.GOOD, "Published")
    assert found.sentence == "All 842 rows were published. All 5 promises are kept."
    assert found.broken == ()
    assert [item.name for item in found.kept] == [given["name"] for given in kept()]


def test_rows_kept_out():
    found = report(result("amount_possible", 12), result("id_once"), rows_published=830, rows_quarantined=12)
    assert (found.tone, found.verdict) == (Tone.WARN, "Published in part")
    assert found.sentence == "830 rows were published, and 12 kept out. 1 of 2 promises is broken."
    assert [(figure.label, figure.value, figure.note) for figure in found.figures] == [
        ("Rows that came", "842", ""),
        ("Rows published", "830", ""),
        ("Rows kept out", "12", "1.4% of the rows that came"),
        ("Promises kept", "1", "of 2"),
    ]


def test_only_warned():
    found = report(result("email_form", 1), result("id_once"))
    assert (found.tone, found.verdict) == (Tone.WARN, "Published with a warning")


def test_blocked():
    found = report(
        result("amount_possible", 5),
        result("id_once", 2),
        result=Result.BLOCKED,
        rows_published=0,
        publication=None,
        reasons=("id_once failed: 2 of 842 rows.", "All 842 rows would be quarantined."),
    )
    assert (found.tone, found.verdict) == (Tone.BAD, "Not published")
    assert "What was published before stays" in found.sentence
    assert found.reasons == ("All 842 rows would be quarantined.",), "what the promises say below is not said twice"
    assert [item.name for item in found.broken] == ["id_once", "amount_possible"], "the gravest first"
    assert found.broken[0].consequence == "It stopped the publish; what was published before stays."
    assert "nothing was published" in found.broken[1].consequence


def test_a_promise_that_cannot_say_which_rows_stops_the_publish():
    found = report(
        result("amount_possible", rows=None, missing=None, failing=None, success=False, error="it went wrong"),
        result=Result.BLOCKED,
        reasons=("amount_possible could not be judged: it went wrong. Which rows to quarantine is therefore unknown.",),
    )
    assert "stopped the publish" in found.broken[0].consequence
    assert found.broken[0].found == "It could not be judged: it went wrong."


def test_held_for_a_person():
    found = report(result("id_once", 2), result=Result.HELD, publication=None, reasons=("It waits as hold 3.",))
    assert (found.tone, found.verdict) == (Tone.WAIT, "Waiting for a person")
    assert found.reasons == ("It waits as hold 3.",)
    assert found.figures[1].label == "Rows that wait"


def test_the_same_content_again():
    assert "The content is the same as before." in report(result=Result.UNCHANGED).sentence


def test_a_batch_that_could_not_be_judged():
    refused = dataclasses.replace(audit(result=Result.BLOCKED, reasons=("The frame lacks a column.",)), results=())
    found = compose(refused, contract=CONTRACT, masked=MASKED)
    assert found.sentence.startswith("The batch could not be judged.")
    assert found.reasons == ("The frame lacks a column.",)
    assert found.figures == ()


def test_one_row_and_one_promise_are_told_as_one():
    found = report(result("id_once", rows=1), rows_in=1, rows_published=1)
    assert found.sentence == "1 row was published. The one promise is kept."


# What was promised and found


def test_what_an_author_wrote_comes_first_and_what_it_means_after():
    found = promise(report(), "id_once")
    assert found.says == "An order is there once."
    assert plain(found.exactly) == "No value of id occurs twice."
    found = promise(report(), "amount_possible")
    assert plain(found.says) == "amount lies between -60 and 1,500."
    assert found.exactly == ""


@pytest.mark.parametrize(
    ("given", "examples", "words"),
    [
        (result("amount_possible"), (), "All 842 rows keep it."),
        (result("amount_possible", rows=1), (), "The one row keeps it."),
        (result("amount_possible", 12), (1720, 1801), "12 of 842 rows (1.4%) break it: 1720, 1801, …"),
        (result("amount_possible", 2), (1720, 1720), "2 of 842 rows (0.2%) break it: 1720 (2×)."),
        (result("amount_possible", 1), (), "1 of 842 rows (0.1%) breaks it."),
        (
            result("amount_possible", 12, success=True),
            (),
            "12 of 842 rows (1.4%) break it, which is within what is allowed.",
        ),
        (
            result("amount_possible", missing=2),
            (),
            "All 840 rows keep it. 2 rows have no value there and are not judged.",
        ),
        (result("amount_possible", rows=0), (), "There was no row to judge."),
        (counted(12842), (), "Found 12,842."),
        (counted(None, success=False), (), "It does not hold."),
    ],
)
def test_what_was_found(given, examples, words):
    found = report(given, examples={given["name"]: examples})
    assert (*found.broken, *found.kept)[0].found == words


def test_missing_values_are_what_a_promise_of_presence_judges():
    kind = "expect_column_values_to_not_be_null"
    found = report(result("present", 42, missing=42, type=kind), examples={"present": [None] * 20})
    assert found.broken[0].found == "42 of 842 rows (5%) break it."


# What may be shown

ROWS = [{"id": 1, "email": "me@example.org", "amount": -70.0}, {"id": 2, "email": None, "amount": 1720.5}]


def test_sample_rows_have_the_failing_column_first_and_mask_what_is_personal():
    found = report(result("amount_possible", 2), samples={"amount_possible": ROWS}).broken[0].sample
    assert found.columns == ("amount", "id", "email")
    assert found.named == 1
    assert [[cell.text for cell in row] for row in found.rows] == [["-70", "1", "•••"], ["1720.5", "2", "•••"]]
    assert found.note == ""


def test_no_value_of_a_masked_column_is_told():
    leaks = {
        "results": (
            result("email_form", 1),
            result(
                "largest_email",
                rows=None,
                failing=None,
                success=False,
                type="expect_column_max_to_be_between",
                observed_value="me@example.org",
            ),
            result("own", 1, type="expect_something_of_ours", error="me@example.org"),
            result("query", 1, rows=None, type="unexpected_rows_expectation", observed_value="me@example.org"),
        ),
        "examples": {name: ["me@example.org"] for name in ("email_form", "own", "query")},
        "samples": {"email_form": ROWS},
    }
    found = report(*leaks["results"], examples=leaks["examples"], samples=leaks["samples"])
    assert "example.org" not in repr(found)
    seen = report(*leaks["results"], examples=leaks["examples"], samples=leaks["samples"], masked=set())
    assert repr(seen).count("me@example.org") >= 4


def test_without_a_contract_no_value_is_told():
    found = report(
        result("amount_possible", 2),
        counted(666),
        contract=None,
        masked=set(),
        examples={"amount_possible": [1720]},
        samples={"amount_possible": ROWS},
    )
    assert "1720" not in repr(found)
    assert "666" not in repr(found)
    assert "column values to be between" in promise(found, "amount_possible").says.lower()
    assert any("contract is not at hand" in note for note in found.notes)


def test_a_sample_is_cut_and_says_so():
    wide = [{f"c{n}": "x" * 500 for n in range(60)}] * 12
    found = report(result("amount_possible", 900), samples={"amount_possible": wide}).broken[0].sample
    assert len(found.columns) == 40
    assert len(found.rows) == 10
    assert found.note == "10 of 900 rows, 40 of 60 columns"
    assert found.rows[0][0].text == "x" * 160 + "… (500 characters)"


def test_a_page_of_a_thousand_broken_promises_has_samples_of_the_first():
    results = [result(f"p{n}", 1) for n in range(SAMPLED + 10)]
    found = report(*results, samples={given["name"]: ROWS for given in results})
    assert sum(item.sample is not None for item in found.broken) == SAMPLED
    assert any(str(SAMPLED) in note for note in found.notes)


# How it moved


def test_the_share_of_failing_rows_over_the_last_partitions():
    history = [past(day, result("amount_possible", day if day > 4 else 0, rows=100)) for day in range(1, 9)]
    trend = report(result("amount_possible", 3, rows=100), history=history).broken[0].trend
    assert trend.shape is Shape.SHARE
    assert [point.size for point in trend.points] == [0, 0, 0, 0, 0.05, 0.06, 0.07, 0.08, 0.03]
    assert trend.labels[-1] == "2026-03-09"
    assert trend.text == "Broken in 5 of the last 9. Now 3%, before 0% to 8%."


def test_what_was_measured_over_the_last_partitions():
    history = [past(day, counted(100 * day, success=day > 1)) for day in range(1, 9)]
    trend = report(counted(842), history=history).kept[0].trend
    assert trend.shape is Shape.VALUE
    assert (trend.low, trend.high) == (100, 2000)
    assert trend.text == "Broken in 1 of the last 9. Now 842, before 100 to 800."


def test_a_new_promise_has_no_trend_and_a_gap_is_no_breach():
    history = [past(1, result("id_once")), past(2, result("amount_possible"))]
    found = report(result("amount_possible"), result("email_form"), history=history)
    assert promise(found, "email_form").trend is None
    assert [point.held for point in promise(found, "amount_possible").trend.points] == [None, True, True]


def test_this_partition_counts_once_and_at_most_thirty_are_told():
    history = [*(past(day) for day in range(1, 9)), audit(rows_in=1, run_id="an earlier run")]
    assert len(report(history=history).rows.points) == 9
    many = [audit(partition=f"2025-{day:03d}") for day in range(90)]
    assert len(report(history=many).rows.points) == 30


def test_a_table_without_partitions_is_told_by_its_runs():
    history = [
        audit(partition=None, run_id=f"run-{hour}", rows_in=hour, judged_at=NOON.replace(hour=hour))
        for hour in (1, 5, 23)
    ]
    found = report(partition=None, history=[*history, audit(partition=None)])
    assert found.steps == "runs"
    assert [point.size for point in found.rows.points] == [1, 5, 842], "what came after is not told"
    assert found.rows.labels[-1] == "2026-03-09 08:00", "in the contract's time zone"


def test_a_blocked_partition_is_seen_in_the_rows():
    found = report(history=[past(8, result=Result.BLOCKED, rows_in=3)])
    assert found.rows.text == "842 rows now, 3 before. Not published: 1 of the last 2."


# What else there is to know


def test_facts_and_columns():
    found = report()
    facts = dict(found.facts)
    assert facts["Judged"] == "2026-03-09 08:00:00 EDT"
    assert (facts["Run"], facts["Cause"], facts["Contract version"]) == ("this-run", "this-cause", "1.2.0")
    assert [(column.name, column.required, column.masked) for column in found.columns] == [
        ("id", True, False),
        ("email", False, True),
        ("amount", False, False),
    ]


def test_a_contract_that_has_changed_since_is_told():
    found = report(contract_fingerprint="another")
    assert any("changed since" in note for note in found.notes)


def test_what_an_older_record_lacks_is_not_missed():
    found = report({"name": "x"}, {"name": "y", "type": "expect_column_values_to_be_unique", "success": False}, {})
    assert len(found.broken) == 3


def test_a_moment_without_a_contract_is_told_in_utc():
    eastern = dt.timezone(dt.timedelta(hours=-5))
    assert dict(report(contract=None, judged_at=NOON.astimezone(eastern)).facts)["Judged"] == "2026-03-09 12:00:00 UTC"

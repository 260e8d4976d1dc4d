"""What `sluice run` says at its end, and whether that is good."""

import datetime as dt
import json

import pytest

from dagster_sluice.cli import display
from dagster_sluice.cli.work import Work
from dagster_sluice.warehouse import Address, Audit, Result


def outcome(*results, hold=None):
    audits = tuple(
        Audit(
            address=Address(schema="shop", table="orders"),
            partition=f"day {number}",
            result=result,
            rows_in=5,
            rows_published=0 if result in (Result.HELD, Result.BLOCKED) else 5,
            rows_quarantined=0,
            passed=1,
            warned=0,
            failed=int(result in (Result.HELD, Result.BLOCKED)),
            seconds=0.5,
            judged_at=dt.datetime.now(dt.timezone.utc),
            reasons=("not_many failed: observed 5.",) if result in (Result.HELD, Result.BLOCKED) else (),
            hold=hold if result is Result.HELD else None,
        )
        for number, result in enumerate(results)
    )
    return display.Outcome(
        work=Work(
            graph=None, partitioned=(), whole=(), others=(), partitions=tuple(str(audit.partition) for audit in audits)
        ),
        audits=audits,
        marts={},
        marts_current=[],
        failures=(),
        correlation_id="cause",
        seconds=1.0,
    )


@pytest.mark.parametrize(
    ("results", "good"),
    [
        ((Result.PUBLISHED, Result.UNCHANGED), True),
        ((Result.PUBLISHED, Result.HELD), False),
        ((Result.PUBLISHED, Result.BLOCKED), False),
    ],
)
def test_what_waits_or_is_blocked_is_not_good(results, good):
    assert outcome(*results).good is good


def test_a_held_day_is_named_with_its_hold_and_what_to_do(capsys):
    display.outcome(outcome(Result.BLOCKED, Result.HELD, hold=7), as_json=False)
    said = capsys.readouterr().out
    assert "held shop.orders day 1: not_many failed: observed 5. It waits for a person as hold 7" in said
    assert "blocked shop.orders day 0" in said
    display.outcome(outcome(Result.HELD, hold=7), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["good"], told["days"][0]["result"]) == (False, "held")
    assert (told["batches"][0]["result"], told["batches"][0]["hold"]) == ("held", 7)

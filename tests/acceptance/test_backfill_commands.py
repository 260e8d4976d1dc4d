"""``sluice backfill`` as a person types it: what it says, what it exits with, and what another command sees of it."""

import json
from collections.abc import Iterator

import psycopg
import pytest
from checkout import PATIENCE, SLUICE, wait_until
from killed import hand
from nights import Project, doubled, failed, finished, project

DAYS = [f"2026-01-{number:02}" for number in range(1, 7)]
BAD = DAYS[2]
SMALL = {"NIGHT_DAYS": str(len(DAYS))}
WRONG = [
    (("plan", "weekly"), ("There is no nightly backfill 'weekly'", "nightly")),
    (("run", "--select", 'key:"air/nobody"'), ("has nothing to fill", "selects no table")),
    (("run", "--select", "key:("), ("The selection cannot be read",)),
    (("plan", "--window", "soon"), ("The window cannot be read", "soon")),
    (("request", "air/nothing", "-p", DAYS[0]), ("There is no such table", "air/raw")),
    (("request", "air/raw", "-p", "2030-01-01"), ("2030-01-01", "is no partition of air/raw")),
    (("request", "air/raw"), ("Name them with -p",)),
    (("cancel", "nobody"), ("There is nothing to cancel", "nobody")),
    (("release", "air/nothing"), ("There is no such table", "air/raw")),
    (("run", "--daemon"), ("There is no daemon", "never ran", "sluice ui")),
]
"""What is typed, and words of the one error that comes of it."""


@pytest.fixture
def small(database_url) -> Iterator[Project]:
    with project(database_url) as made:
        made.settings |= SMALL
        yield made


@pytest.fixture(scope="module")
def shared(server) -> Iterator[Project]:
    """One project for what comes one after another, in the order in which it stands here."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as session:
        session.execute("CREATE DATABASE commands")
    with project(server.url("commands")) as made:
        made.settings |= SMALL
        yield made
    with psycopg.connect(server.url("postgres"), autocommit=True) as session:
        session.execute("DROP DATABASE commands WITH (FORCE)")


class TestOneAfterAnother:
    def test_a_plan_is_shown_and_changes_nothing(self, shared) -> None:
        ended = shared.sluice("backfill", "plan")
        assert ended.code == 0, ended.said
        for word in ("air/raw", f"{DAYS[0]} … {DAYS[-1]}", "missing", "planned", "13 planned of 3 tables."):
            assert word in ended.said, (word, ended.said)
        assert shared.ask("SELECT count(*) FROM sluice_state.plans") == [(0,)]
        assert shared.backfills() == {}

    def test_a_plan_as_json(self, shared) -> None:
        ended = shared.sluice("backfill", "plan", "--json", "--budget", "3", "--order", "oldest")
        assert ended.code == 0, ended.said
        assert {*ended.json} == {"made_at", "night", "seconds", "counts", "gaps"}
        assert ended.json["counts"] == {"planned": 3, "over budget": 10}
        first = ended.json["gaps"][0]
        assert first == {
            "table": "air/raw",
            "partition": DAYS[0],
            "reasons": ["missing"],
            "decision": "planned",
            "note": "",
        }
        assert len(ended.json["gaps"]) == 13

    def test_what_is_wrong_is_one_clear_error(self, shared) -> None:
        # Most of a command's time is Python's imports: they go side by side.
        begun = [(words, shared.start(SLUICE, "backfill", *arguments)) for arguments, words in WRONG]
        for words, command in begun:
            ended = finished(command)
            assert ended.code == 2, ended.said
            assert ended.out == ""
            assert "Traceback" not in ended.said
            assert ended.err.count("sluice: ") == 1
            for word in words:
                assert word in ended.said, ended.said
        assert shared.backfills() == {}

    def test_a_day_that_is_blocked_fails_the_command_and_is_told(self, shared) -> None:
        ended = shared.sluice("backfill", "run", NIGHT_BAD=BAD, NIGHT_PAUSE="1")
        assert ended.code == 1, ended.said
        for word in (
            "11 done, 1 failed, in backfills",
            "Left: 1 waiting, 1 upstream.",
            "`sluice backfill status` tells why.",
        ):
            assert word in ended.said, (word, ended.said)
        status = shared.sluice("backfill", "status")
        for word in ("No plan is open.", "air/raw", BAD, "data", "waits until"):
            assert word in status.said, (word, status.said)

    def test_the_status_as_json(self, shared) -> None:
        ended = shared.sluice("backfill", "status", "--json")
        assert ended.code == 0, ended.said
        assert {*ended.json} == {"plans", "failed", "circuits"}
        assert (ended.json["plans"], ended.json["circuits"]) == ([], [])
        one = next(row for row in ended.json["failed"] if row["table"] == "air/raw")
        assert {*one} == {"table", "partition", "failures", "class", "message", "state"}
        assert (one["partition"], one["failures"], one["class"]) == (BAD, 1, "data")

    def test_a_second_run_has_nothing_to_do_and_says_what_waits(self, shared) -> None:
        ended = shared.sluice("backfill", "run", NIGHT_BAD=BAD, NIGHT_PAUSE="1")
        assert ended.code == 0, ended.said
        assert "Nothing to fill now: " in ended.said
        assert "1 waiting" in ended.said

    def test_the_report_is_one_page(self, shared) -> None:
        ended = shared.sluice("backfill", "report", "-o", "night.html")
        assert ended.code == 0, ended.said
        page = (shared.directory / "night.html").read_text(encoding="utf-8")
        for word in ("air/raw", "air/flights", "air/totals", BAD, "5 of 6 published"):
            assert word in page, word
        assert "http://" not in page.replace("http://www.w3.org", "")
        ended = shared.sluice("backfill", "report", "-o", "nowhere/night.html")
        assert ended.code == 2, ended.said
        assert "The report cannot be written." in ended.err

    def test_what_is_released_is_tried_again(self, shared) -> None:
        ended = shared.sluice("backfill", "release", "air/raw", "-p", BAD)
        assert ended.code == 0, ended.said
        assert f"1 partition of air/raw may be tried again: {BAD}." in ended.said
        ended = shared.sluice("backfill", "release", "air/totals")
        assert (ended.code, "Nothing of air/totals is remembered as failed." in ended.said) == (0, True)
        shared.sluice("backfill", "release", "air/flights")
        ended = shared.sluice("backfill", "run", "--json")
        assert ended.code == 0, ended.said
        assert (ended.json["done"], ended.json["failed"], ended.json["left"]) == (3, 0, {})
        assert failed(shared) == []

    def test_nothing_is_left(self, shared) -> None:
        ended = shared.sluice("backfill", "run")
        assert (ended.code, "There is no gap." in ended.said) == (0, True)
        ended = shared.sluice("backfill", "plan", "--json")
        assert (ended.json["counts"], ended.json["gaps"]) == ({}, [])

    def test_what_is_requested_is_made_again_once(self, shared) -> None:
        ended = shared.sluice("backfill", "request", "air/raw", "-p", DAYS[0], "-p", DAYS[4], "--why", "looks odd")
        assert ended.code == 0, ended.said
        assert f"Asked for: air/raw {DAYS[0]}, {DAYS[4]}." in ended.said
        plan = shared.sluice("backfill", "plan", "--json")
        asked = [one["partition"] for one in plan.json["gaps"] if "requested" in one["reasons"]]
        assert asked == [DAYS[0], DAYS[4]]
        ended = shared.sluice("backfill", "run", "--json")
        assert ended.code == 0, ended.said
        assert len(ended.json["backfills"]) == 1
        assert shared.sluice("backfill", "plan", "--json").json["gaps"] == []


def test_cancel_ends_a_run_in_dagster_too_and_leaves_gaps(small) -> None:
    with hand() as holding:
        command = small.start(
            *(SLUICE, "backfill", "run", "--json"), SLUICE_FAILPOINTS=holding.pause("publish.committed", 8)
        )
        holding.hold()
        (plan,) = small.sluice("backfill", "status", "--json").json["plans"]
        assert (plan["planner"], plan["partitions"]) == ("nightly by hand", 13)
        canceled = small.sluice("backfill", "cancel", plan["backfill"])
        assert canceled.code == 0, canceled.said
        assert f"Backfill {plan['backfill']} is being canceled." in canceled.said
        wait_until(lambda: {*small.runs()} & {"CANCELING", "CANCELED"}, PATIENCE, "the run's cancellation")
        holding.let_go()
        ended = finished(command)
    assert ended.code == 1, ended.said
    found = json.loads(ended.out)
    assert (found["canceled"], found["failed"], found["backfills"]) == (True, 0, [plan["backfill"]])
    assert found["done"] + found["undone"] == 13
    assert found["done"] >= 8
    assert small.backfills() == {plan["backfill"]: "CANCELED"}
    assert {*small.runs()} == {"CANCELED"}
    assert failed(small) == []
    again = small.sluice("backfill", "cancel", plan["backfill"])
    assert again.code == 2, again.said
    ended = small.sluice("backfill", "run", "--json")
    assert ended.code == 0, ended.said
    assert ended.json["done"] == found["undone"]
    assert doubled(small) == []


def test_the_daemon_is_followed_to_the_end_of_its_backfill(small) -> None:
    assert small.sluice("backfill", "plan").code == 0
    small.code_server(NIGHT_BAD=BAD)
    daemon = small.daemon()
    ended = small.sluice("backfill", "run", "--daemon")
    assert ended.code == 1, ended.said
    for word in ("was handed to the daemon: 13 partitions.", "1 failed", "`sluice backfill status` tells why."):
        assert word in ended.said, (word, ended.said)
    assert [*small.backfills().values()] == ["COMPLETED_FAILED"]
    assert (DAYS[2], "data") in [(partition, kind) for _, partition, kind, _, _ in failed(small)]

    ended = small.sluice("backfill", "run", "--daemon", "--no-wait", "--json")
    assert ended.code == 0, ended.said
    (handed,) = ended.json["backfills"]
    assert handed in small.backfills()
    wait_until(lambda: [*small.backfills().values()] == ["COMPLETED_FAILED"] * 2, PATIENCE, "the backfill")

    # Nobody goes on waiting for a daemon that is gone.
    daemon.kill()
    daemon.wait()
    command = small.start(SLUICE, "backfill", "run", "--daemon")
    (backfill,) = wait_until(
        lambda: [key for key, status in small.backfills().items() if status == "REQUESTED"], PATIENCE, "the backfill"
    )
    with psycopg.connect(small.url) as session:
        session.execute(
            """UPDATE dagster.daemon_heartbeats
            SET timestamp = timestamp - interval '1 hour',
                body = jsonb_set(body::jsonb, '{timestamp}', to_jsonb((body::jsonb ->> 'timestamp')::float8 - 3600))::text
            """
        )
    ended = finished(command)
    assert ended.code == 2, ended.said
    for word in (
        f"The daemon that ran the backfill {backfill} is gone.",
        "no sign of life since",
        "sluice backfill cancel",
    ):
        assert word in ended.said, (word, ended.said)
    ended = small.sluice("backfill", "run", "--daemon")
    assert (ended.code, "There is no daemon" in ended.said) == (2, True)

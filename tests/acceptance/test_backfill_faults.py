"""``kill -9`` of whoever takes part in a backfill: what is undone is a gap again, and the end is that of an undisturbed one."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from checkout import PATIENCE, SLUICE, wait_until
from killed import hand
from nights import Project, doubled, failed, finished, project

MIDDLE = 70
"""The publish of ``flights`` on the tenth day, after all sixty of ``raw``."""
TENTH = "2026-01-10"


@pytest.fixture
def night(database_url) -> Iterator[Project]:
    with project(database_url) as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(server) -> dict[str, list[Any]]:
    """What a backfill leaves that nobody disturbs."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as session:
        session.execute("CREATE DATABASE undisturbed")
    with project(server.url("undisturbed")) as made:
        ended = made.sluice("backfill", "run", "--json")
        assert ended.code == 0, ended.said
        assert ended.json["done"] == 60 + 60 + 1
        found = made.contents()
    with psycopg.connect(server.url("postgres"), autocommit=True) as session:
        session.execute("DROP DATABASE undisturbed WITH (FORCE)")
    assert len(found["raw"]) == 60 * 19
    assert len(found["quarantine"]) == 60
    return found


def converged(night: Project, undisturbed: dict[str, list[Any]]) -> None:
    """All is as if nothing had happened, and nothing is left open."""
    assert night.contents() == undisturbed
    assert doubled(night) == []
    assert failed(night) == []
    assert night.ask("SELECT id FROM sluice_state.plans WHERE settled_at IS NULL") == []
    assert night.ask("SELECT asset FROM sluice_state.circuits WHERE opened_at IS NOT NULL") == []
    assert {*night.runs()} <= {"SUCCESS", "FAILURE", "CANCELED"}
    assert not {*night.backfills().values()} & {"REQUESTED", "CANCELING", "FAILING"}


def test_a_worker_that_is_killed_costs_one_partition_one_attempt(night, undisturbed) -> None:
    ended = night.sluice(
        *("backfill", "run", "--json"), SLUICE_FAILPOINTS=f"publish.rows_written=kill@{MIDDLE}", NIGHT_PAUSE="1"
    )
    assert ended.code == 1, ended.said
    assert "Traceback" not in ended.said
    # The rest of the range was not tried: the same command goes on with it, and leaves the one that may be to blame.
    assert (ended.json["failed"], ended.json["left"]) == (1, {"waiting": 1})
    assert failed(night) == [("air/flights", TENTH, "unknown", 1, False)]
    assert night.ask("SELECT count(*) FROM air.flights WHERE _partition = %s", TENTH) == [(0,)]
    assert doubled(night) == []
    # The pause goes by.
    with psycopg.connect(night.url) as session:
        session.execute("UPDATE sluice_state.attempts SET next_at = now()")
    ended = night.sluice("backfill", "run", "--json")
    assert ended.code == 0, ended.said
    assert ended.json["done"] == 2
    converged(night, undisturbed)


def test_a_command_that_is_killed_before_its_runs_work_leaves_gaps(night, undisturbed) -> None:
    for failpoint in ("backfill.runs_created", "backfill.launched", "run.noted"):
        ended = night.sluice("backfill", "run", SLUICE_FAILPOINTS=f"{failpoint}=kill")
        assert ended.code == -signal.SIGKILL, (failpoint, ended.said)
    ended = night.sluice("backfill", "run", "--json")
    assert ended.code == 0, ended.said
    assert (ended.json["done"], ended.json["left"]) == (121, {})
    assert ended.err.count("is marked as failed") == 1
    converged(night, undisturbed)
    assert night.ask("SELECT outcome, count(*) FROM sluice_state.claims GROUP BY 1 ORDER BY 1") == [
        ("done", 121),
        ("undone", 3 * 121),
    ]


def test_a_worker_that_outlives_its_command_keeps_what_it_has(night, undisturbed) -> None:
    with hand() as holding:
        command = night.start(
            *(SLUICE, "backfill", "run"), SLUICE_FAILPOINTS=holding.pause("publish.rows_written", MIDDLE)
        )
        _, worker = holding.hold()
        command.kill()
        finished(command)
        plan = night.sluice("backfill", "plan", "--json")
        assert plan.code == 0, plan.said
        assert set(plan.json["counts"]) == {"running"}
        holding.let_go()
        wait_until(lambda: gone(worker), PATIENCE, "the worker")
    ended = night.sluice("backfill", "run", "--json")
    assert ended.code == 0, ended.said
    # It made everything, the mart too; the plan had no one but the next command to be settled by.
    assert (ended.json["done"], ended.json["backfills"]) == (0, [])
    assert "121 done" in ended.err
    converged(night, undisturbed)


def test_a_night_whose_daemon_is_killed_goes_on_with_the_next_one(night, undisturbed) -> None:
    """The plan is the schedule's; before it, a command had died with all partitions in its hands."""
    ended = night.sluice("backfill", "run", SLUICE_FAILPOINTS="backfill.launched=kill")
    assert ended.code == -signal.SIGKILL, ended.said
    with hand() as holding:
        night.code_server(
            SLUICE_FAILPOINTS=holding.pause("publish.rows_written", MIDDLE),
            NIGHT_CRON="* * * * *",
        )
        daemon = night.daemon()
        holding.hold()
        daemon.kill()
        daemon.wait()
        holding.let_go()
    night.daemon()
    wait_until(lambda: "COMPLETED_SUCCESS" in night.backfills().values(), PATIENCE, "the backfill")
    ended = night.sluice("backfill", "run", "--json")
    assert ended.code == 0, ended.said
    assert (ended.json["done"], ended.json["backfills"]) == (0, [])
    assert night.ask("SELECT planner, partitions FROM sluice_state.plans ORDER BY id") == [
        ("nightly by hand", 121),
        ("nightly", 121),
    ]
    converged(night, undisturbed)


def test_a_code_server_that_is_killed_leaves_its_run_to_end(night, undisturbed) -> None:
    assert night.sluice("backfill", "plan").code == 0
    with hand() as holding:
        server = night.code_server(SLUICE_FAILPOINTS=holding.pause("publish.rows_written", MIDDLE))
        # The new server needs as long as it needs.
        night.daemon(DAGSTER_MAX_BACKFILL_RETRIES="1000000")
        command = night.start(SLUICE, "backfill", "run", "--daemon", "--json")
        _, worker = holding.hold()
        server.kill()
        server.wait()
        assert not gone(worker)
        night.code_server()
        holding.let_go()
        ended = finished(command)
    assert ended.code == 0, (ended.said, failed(night), night.log("api")[-4000:])
    assert ended.json["done"] == 121
    assert night.backfills() == {ended.json["backfills"][0]: "COMPLETED_SUCCESS"}
    converged(night, undisturbed)


def test_a_run_that_died_with_its_code_server_holds_its_partitions_for_a_day(night, undisturbed) -> None:
    assert night.sluice("backfill", "plan").code == 0
    with hand() as holding:
        server = night.code_server(SLUICE_FAILPOINTS=holding.pause("publish.rows_written", MIDDLE))
        night.daemon(DAGSTER_MAX_BACKFILL_RETRIES="1000000")
        command = night.start(SLUICE, "backfill", "run", "--daemon", "--json")
        _, worker = holding.hold()
        for process in (server.pid, worker):
            os.kill(process, signal.SIGKILL)
        server.wait()
    night.code_server()
    assert night.runs() == {"STARTED": 1}
    # A day goes by.
    with psycopg.connect(night.url) as session:
        session.execute("UPDATE dagster.runs SET start_time = start_time - 86401")
    ended = finished(command)
    assert ended.code == 0, ended.said
    assert ended.json["done"] == 121
    assert night.runs() == {"FAILURE": 1, "SUCCESS": 2}
    converged(night, undisturbed)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False

"""``sluice run`` interrupted in every way there is: it ends cleanly, says one clear thing, and a rerun converges."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator

import psycopg
import pytest
from checkout import SLUICE, Checkout, Finished, copied, finished
from killed import hand

RUN = ("run", "--last", "4", "--select", 'group:"flights"')


@pytest.fixture(scope="module")
def checkout(platform) -> Iterator[Checkout]:
    """A project of its own, with an empty warehouse."""
    with copied(like=platform.checkout) as made:
        yield made


def published(checkout: Checkout) -> dict[tuple[str, str | None], int]:
    """Rows of each published batch, after proof that the table holds just these."""
    with checkout.server.lease() as server, psycopg.connect(server.url()) as session:
        if session.execute("SELECT to_regclass('sluice.publications')").fetchone() == (None,):
            return {}
        found = session.execute(
            "SELECT table_name, partition, rows_published FROM sluice.publications WHERE superseded_at IS NULL"
        ).fetchall()
        for name in {row[0] for row in found}:
            key = "NULL" if any(row[0] == name and row[1] is None for row in found) else "_partition"
            standing = session.execute(f"SELECT {key}::text, count(*) FROM flights.{name} GROUP BY 1").fetchall()
            assert dict(standing) == {row[1]: row[2] for row in found if row[0] == name}
    return {(row[0], row[1]): row[2] for row in found}


@contextlib.contextmanager
def held(checkout: Checkout, batches: int) -> "Iterator[tuple[subprocess.Popen[str], int]]":
    """A ``sluice run`` and its worker, which has published so many batches and stands still."""
    with hand() as holding:
        failpoints = holding.pause("publish.committed", batches)
        process = checkout.start(SLUICE, *RUN, SLUICE_FAILPOINTS=failpoints)
        _, worker = holding.hold()
        yield process, worker


def interrupt(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGINT)


def terminate(process: "subprocess.Popen[str]") -> None:
    process.terminate()


@pytest.mark.parametrize("end", [interrupt, terminate])
def test_ctrl_c_and_sigterm_end_everything(checkout, end: Callable[..., None]) -> None:
    with held(checkout, 2) as (process, _):
        end(process)
        ended = finished(process)
    assert ended.code == 130, ended.said
    assert "Stopped." in ended.err
    assert "Traceback" not in ended.said
    assert checkout.processes() == []
    published(checkout)


def test_a_worker_that_is_killed_fails_the_run_with_one_message(checkout) -> None:
    ended = checkout.sluice(*RUN, SLUICE_FAILPOINTS="publish.committed=kill@3")
    assert ended.code == 1, ended.said
    assert "Traceback" not in ended.said
    assert ended.said.count("The run's process died (signal SIGKILL).") == 1
    assert checkout.processes() == []
    published(checkout)


@pytest.fixture(scope="module")
def abandoned(checkout) -> dict[tuple[str, str | None], int]:
    """``kill -9`` of ``sluice run`` and of its worker, as when a machine goes down."""
    with held(checkout, 2) as (process, worker):
        process.kill()
        os.kill(worker, signal.SIGKILL)
        finished(process)
    return published(checkout)


@pytest.fixture(scope="module")
def rerun(checkout, abandoned) -> Finished:
    return checkout.sluice(*RUN, "--json")


def test_a_rerun_marks_what_was_abandoned(rerun) -> None:
    assert rerun.code == 0, rerun.said
    assert rerun.err.count("it is marked as failed") == 1


def test_a_rerun_converges_to_what_an_undisturbed_run_makes(platform, checkout, abandoned, rerun) -> None:
    found = published(checkout)
    assert found.items() >= abandoned.items()
    with platform.checkout.server.lease():
        undisturbed = published(platform.checkout)
    assert len({partition for _, partition in found}) == 4 + 1
    assert {key: undisturbed[key] for key in found} == found
    assert checkout.processes() == []


def test_no_run_of_the_instance_is_left_open(checkout, rerun) -> None:
    with checkout.server.lease() as server, psycopg.connect(server.url()) as session:
        found = session.execute("SELECT status, count(*) FROM dagster.runs GROUP BY 1").fetchall()
    assert dict(found) == {"SUCCESS": 1, "CANCELED": 2, "FAILURE": 2}


def test_a_run_whose_parent_was_killed_does_not_disturb_the_next(checkout, rerun) -> None:
    with held(checkout, 1) as (process, _):
        process.kill()
        finished(process)
    ended = checkout.sluice(*RUN, "--json")
    assert ended.code == 0, ended.said
    assert {batch["result"] for batch in ended.json["batches"]} == {"unchanged"}
    assert checkout.processes() == []


def test_a_command_that_is_killed_at_any_step_leaves_no_run_open(checkout, rerun) -> None:
    """Also between the creation of a run and the start of its process, and before that is noted."""
    for failpoint in ("run.created", "run.launched", "run.noted", "run.finished"):
        ended = checkout.sluice(*RUN, SLUICE_FAILPOINTS=f"{failpoint}=kill")
        assert ended.code == -signal.SIGKILL, (failpoint, ended.said)
    ended = checkout.sluice(*RUN, "--json")
    assert ended.code == 0, ended.said
    assert {batch["result"] for batch in ended.json["batches"]} == {"unchanged"}
    with checkout.server.lease() as server, psycopg.connect(server.url()) as session:
        found = session.execute("SELECT DISTINCT status FROM dagster.runs").fetchall()
    assert {status for (status,) in found} == {"SUCCESS", "FAILURE", "CANCELED"}
    assert checkout.processes() == []

"""Failpoints do nothing until they are armed, and then what was asked, at the time that was asked."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from killed import hand

import dagster_sluice
from dagster_sluice.errors import SettingError
from dagster_sluice.failpoints import KNOWN, InjectedFault, armed, failpoint

PACKAGE = Path(dagster_sluice.__file__).parent
PASSING = (
    "from dagster_sluice.failpoints import failpoint\nfor _ in range(5): failpoint('publish.locked')\nprint('through')"
)


def passing(failpoints: str) -> "subprocess.CompletedProcess[str]":
    """A program that passes one failpoint five times."""
    return subprocess.run(
        [sys.executable, "-c", PASSING],
        env={**os.environ, "SLUICE_FAILPOINTS": failpoints},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_failpoint_in_the_code_is_known_and_every_known_one_is_in_the_code() -> None:
    found = {
        call.args[0].value
        for file in PACKAGE.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "failpoint"
        if isinstance(call.args[0], ast.Constant)
    }
    assert found == set(KNOWN)


def test_unarmed_they_do_nothing() -> None:
    ended = passing("")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "through\n", "")


@pytest.mark.parametrize("count", [1, 3, 5])
def test_kill_kills_the_process_at_the_count_asked_for(count, tmp_path) -> None:
    told = tmp_path / "told"
    ended = passing(f"*=tell({told}); publish.locked=kill@{count}")
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "")
    assert [line.split()[1] for line in told.read_text().splitlines()] == ["publish.locked"] * count


def test_one_that_is_never_passed_so_often_does_nothing() -> None:
    assert passing("publish.locked=kill@6; publish.removed=kill").returncode == 0


def test_raise_raises_once() -> None:
    with armed("publish.locked=raise@2"):
        failpoint("publish.locked")
        failpoint("publish.removed")
        with pytest.raises(InjectedFault, match=r"publish\.locked"):
            failpoint("publish.locked")
        failpoint("publish.locked")
    failpoint("publish.locked")


def test_pause_waits_for_a_hand() -> None:
    with hand() as held:
        program = subprocess.Popen(
            [sys.executable, "-c", PASSING],
            env={**os.environ, "SLUICE_FAILPOINTS": held.pause("publish.locked", 2)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert held.hold() == ("publish.locked", program.pid)
        assert program.poll() is None
        held.let_go()
        assert program.communicate()[0] == "through\n"


def test_a_pause_with_nobody_there_is_told(tmp_path) -> None:
    with (
        armed(f"publish.locked=pause({tmp_path}/none)"),
        pytest.raises(SettingError, match=r"publish\.locked cannot pause: nobody listens at"),
    ):
        failpoint("publish.locked")


def test_everything_wrong_is_told_at_once() -> None:
    wrong = "publish.comitted=kill;publish.locked=explode;publish.locked;publish.locked=pause;publish.locked=kill(3)"
    with pytest.raises(SettingError) as caught, armed(wrong):
        pass
    assert [culprit.problem for culprit in caught.value.culprits] == [
        "there is no failpoint 'publish.comitted'; 'publish.committed' is the nearest.",
        "there is no action 'explode', only kill, raise, pause, tell.",
        "is not NAME=ACTION, NAME=ACTION(ARGUMENT) or NAME=ACTION@COUNT.",
        "pause takes an argument: pause(…).",
        "kill takes no argument.",
    ]


def test_a_wrong_setting_stops_the_process_that_has_it() -> None:
    ended = passing("publish.loked=kill")
    assert ended.returncode == 1
    assert "SLUICE_FAILPOINTS: publish.loked=kill" in ended.stderr

"""``sluice ui``: Dagster's webserver and daemon on the instance of this checkout."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from dagster_sluice.cli import display
from dagster_sluice.cli.instance import prepare_instance
from dagster_sluice.errors import Culprit, SettingError

__all__ = ["ui"]

_GRACE_SECONDS = 30.0


def ui(
    port: Annotated[int, typer.Option("--port", "-p", min=1, max=65535, envvar="SLUICE_UI_PORT")] = 3000,
    host: Annotated[
        str, typer.Option("--host", help="Dagster asks nobody who they are: mind who can reach it.")
    ] = "127.0.0.1",
) -> None:
    """Open the Dagster UI, with the daemon that runs schedules. Ctrl-C ends both."""
    directory = Path.cwd()
    if not (directory / "workspace.yaml").is_file() and not (directory / "pyproject.toml").is_file():
        raise SettingError("There is no Dagster project here.", mend="Run sluice in the project's directory.")
    _free(host, port)
    prepare_instance()
    command = [sys.executable, "-m", "dagster", "dev", "--host", host, "--port", str(port)]
    display.note(f"Dagster at http://{host}:{port} in a few seconds. Ctrl-C ends it.")
    process = subprocess.Popen(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_mind_interrupts,  # noqa: PLW1509 (this process has one thread)
    )
    code = _watched(process)
    _sweep(process.pid)
    if code not in (0, -signal.SIGINT, -signal.SIGTERM, 130, 143):
        raise typer.Exit(1)


def _watched(process: "subprocess.Popen[bytes]") -> int:
    """Wait for Dagster to end; pass on the first signal that asks us to, and kill it if it does not heed it."""
    asked: list[float] = []

    def ask(_number: int, _frame: object) -> None:
        if not asked:
            asked.append(time.monotonic())
            process.send_signal(signal.SIGINT)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask)
    while True:
        try:
            return process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            if asked and time.monotonic() - asked[0] > _GRACE_SECONDS:
                _sweep(process.pid)


def _free(host: str, port: int) -> None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as failure:
        raise SettingError(
            f"The UI cannot listen on {host}:{port}.",
            culprits=[Culprit(where=f"--port {port}", problem=f"{failure.strerror}.")],
            mend="End what listens there, or choose another: `sluice ui --port 3001`.",
        ) from failure


def _mind_interrupts() -> None:
    # In a script's background job SIGINT is ignored, dagster dev inherits that, and would never end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _sweep(group: int) -> None:
    """What is left of the process group of an ended `dagster dev`, if anything."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)

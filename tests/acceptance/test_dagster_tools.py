"""Dagster's own tools find nothing wrong with the project."""

import sys
from pathlib import Path

from checkout import finished

BIN = Path(sys.executable).parent


def test_dg_and_dagster_validate_the_project(platform, tmp_path) -> None:
    platform.checkout.settings["DAGSTER_HOME"] = str(tmp_path)
    commands = [("dg", "check", "yaml"), ("dg", "check", "defs"), ("dagster", "definitions", "validate")]
    # dg looks for dagster beside itself on the path.
    path = {"PATH": f"{BIN}:{platform.checkout.environment()['PATH']}"}
    try:
        begun = [platform.checkout.start(str(BIN / name), *rest, **path) for name, *rest in commands]
    finally:
        del platform.checkout.settings["DAGSTER_HOME"]
    for command, process in zip(commands, begun, strict=True):
        ended = finished(process)
        assert ended.code == 0, (command, ended.said)

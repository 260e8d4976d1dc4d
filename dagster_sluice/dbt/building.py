"""One dbt command in a process of its own, and what it says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster_sluice.dbt.environment import surroundings
from dagster_sluice.dbt.runner import STAGED

__all__ = ["PARTIAL_PARSE", "Build"]

_GRACE_SECONDS = 25.0
PARTIAL_PARSE = "partial_parse.msgpack"


@dataclass(kw_only=True)
class Build:
    """A dbt command over a project.

    Attributes:
        directory: The project.
        profiles: Where its ``profiles.yml`` is.
        arguments: dbt's command and its options.
        variables: What dbt finds in its environment besides.
        parsed: Where a parse of the project was left, which saves this build its own.
        target: Where dbt leaves what it made; of this build alone.
        staged: The schema in which each of these nodes is built, by id.
        errors: What dbt called an error, so far.
    """

    directory: Path
    profiles: Path
    arguments: Sequence[str]
    variables: Mapping[str, str]
    parsed: Path
    target: Path
    staged: Mapping[str, str]
    errors: list[str] = field(default_factory=list)

    def run(self) -> Iterator[dict[str, Any]]:
        """Yield dbt's events (its structured log) as they come. What is no event goes to our own output.

        An interrupt of ours is handed on to dbt, which then cancels its queries.
        """
        self.target.mkdir(parents=True, exist_ok=True)
        plan = self.target / "staged.json"
        plan.write_text(json.dumps(dict(self.staged)), encoding="utf-8")
        if (self.parsed / PARTIAL_PARSE).is_file():
            shutil.copy(self.parsed / PARTIAL_PARSE, self.target / PARTIAL_PARSE)
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster_sluice.dbt.runner", *self.arguments],
            cwd=self.directory,
            env={
                **surroundings(self.directory, self.profiles, self.target),
                **self.variables,
                STAGED: str(plan),
                "DBT_LOG_FORMAT": "json",
                "PYTHONUNBUFFERED": "1",
            },
            # Never written to: its end tells dbt's process that this one is gone.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        try:
            with process.stdout or open(os.devnull) as lines:  # noqa: PTH123 (for the type checker; there is a pipe)
                for line in lines:
                    event = _event(line)
                    if event is None:
                        sys.stdout.write(line)
                        continue
                    sys.stdout.write(f"{event['info']['msg']}\n")
                    if event["info"]["level"] == "error":
                        self.errors.append(str(event["info"]["msg"]))
                    yield event
        except BaseException:
            _stop(process)
            raise
        finally:
            sys.stdout.flush()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._keep_parse()

    def _keep_parse(self) -> None:
        """Leave dbt's parse for the next build: one made with other variables is of no use to it."""
        made = self.target / PARTIAL_PARSE
        if made.is_file():
            beside = self.parsed / f"{PARTIAL_PARSE}.{os.getpid()}"
            shutil.copy(made, beside)
            beside.replace(self.parsed / PARTIAL_PARSE)

    def statuses(self) -> dict[str, str] | None:
        """What became of each node and test, by id; ``None`` if dbt did not get so far as to say."""
        file = self.target / "run_results.json"
        if not file.is_file():
            return None
        results = json.loads(file.read_text(encoding="utf-8"))["results"]
        return {result["unique_id"]: str(result["status"]) for result in results}


def _event(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and {"info", "data"} <= {*found} else None


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()

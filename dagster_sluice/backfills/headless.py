"""Runs that a command started itself, without a launcher that could be asked: which of them still have a process.

A run carries the machine, the number and the birth of its process in its tags, so that no later process with that
number is taken for it. Only processes of this machine can be told apart; runs of others are left alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import dagster as dg

__all__ = ["LAUNCHER_TAG", "PROCESS_TAG", "fail_abandoned", "identity", "outliving"]

PROCESS_TAG = "sluice/process"
"""Names the machine and the worker's process of a headless run, so that an abandoned one can be told."""

LAUNCHER_TAG = "sluice/launcher"
"""Names the process that created a headless run and is to start it."""


def identity(pid: int) -> str:
    """A process of this machine, so that no later one with its number is taken for it."""
    return json.dumps([os.uname().nodename, pid, _born(pid)])


def fail_abandoned(instance: dg.DagsterInstance) -> list[str]:
    """Mark as failed every headless run whose process is gone without having said so; returns their ids.

    Nobody else would: such a run has no launcher that could be asked about it.
    """
    abandoned = []
    for run, _, alive in _headless(instance):
        if not alive:
            instance.report_run_failed(run, "The run's process is gone: it was killed, or the machine was restarted.")
            abandoned.append(run.run_id)
    return abandoned


def outliving(instance: dg.DagsterInstance) -> list[tuple[str, int]]:
    """Headless runs whose worker goes on although the command that started it is gone: run id and process id."""
    return [
        (run.run_id, pid)
        for run, pid, alive in _headless(instance)
        if alive and not (LAUNCHER_TAG in run.tags and _lives(run.tags[LAUNCHER_TAG]))
    ]


def _headless(instance: dg.DagsterInstance) -> Iterator[tuple[dg.DagsterRun, int, bool]]:
    """The unfinished headless runs of this machine, with their process and whether it lives."""
    statuses = [
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    for run in instance.get_runs(dg.RunsFilter(statuses=statuses)):
        # Before its own process is known, a run has only the one that will start it.
        tag = run.tags.get(PROCESS_TAG) or run.tags.get(LAUNCHER_TAG)
        if tag is None:
            continue
        node, pid, _ = json.loads(tag)
        if node == os.uname().nodename:
            yield run, pid, _lives(tag)


def _lives(tag: str) -> bool:
    node, pid, born = json.loads(tag)
    return bool(node == os.uname().nodename and _born(pid) == born)


def _born(pid: int) -> Any:
    """When a process started, in whatever unit the system counts; ``None`` if there is none of that number."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None

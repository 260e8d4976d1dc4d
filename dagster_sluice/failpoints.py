"""Named places between two durable steps at which a test can end, stop or break the process.

``failpoint("publish.rows_written")`` costs one comparison unless it is armed, by ``SLUICE_FAILPOINTS`` or by `armed`::

    SLUICE_FAILPOINTS="publish.rows_written=kill@3; publish.committed=pause(/tmp/hand.sock)"

===============  =========================================================================================
``kill``         ``kill -9`` of this process
``raise``        raises `InjectedFault`
``pause(SOCK)``  connects to the Unix socket SOCK, sends ``NAME PID``, and waits for a line or the end of the connection
``tell(FILE)``   appends ``PID NAME`` to FILE
===============  =========================================================================================

``@3`` means the third time this process comes by (the first by default; ``tell`` tells every time). ``*`` means every
failpoint. As in TiKV's fail crate and Postgres's injection points.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

from dagster_sluice.errors import Culprit, SettingError

__all__ = ["KNOWN", "VARIABLE", "InjectedFault", "armed", "failpoint"]

VARIABLE = "SLUICE_FAILPOINTS"

KNOWN = MappingProxyType(
    {
        "ledger.prepared": "the warehouse's own records are there, in this version's form",
        "table.shaped": "the table is there with its columns; this publish has not begun",
        "table.computed": "the function has returned its frame",
        "table.judged": "the batch is judged; nothing of it is written",
        "publish.locked": "this publish has its turn",
        "publish.removed": "the partition's old rows are deleted",
        "publish.rows_written": "its new rows are inserted",
        "publish.superseded": "the publication that stood is marked as superseded",
        "publish.recorded": "the new publication is recorded",
        "publish.reaffirmed": "the publication of unchanged rows is brought up to date",
        "publish.quarantined": "the rejected rows are kept",
        "publish.released": "rows that are no longer rejected are marked as passed",
        "publish.restored": "mended rows that were published again are marked as needed",
        "publish.arrived": "the new native partition has come in, or taken the place of the old one",
        "publish.before_commit": "the audit is recorded; only the commit is missing",
        "publish.committed": "the publish is committed; Dagster has not heard of it",
        "replay.locked": "this replay has its turn, and its rows are held",
        "replay.rows_written": "the replayed rows are inserted",
        "replay.recorded": "the new publication is recorded",
        "replay.settled": "the rows in quarantine have their new status",
        "replay.before_commit": "the audit is recorded; only the commit is missing",
        "replay.committed": "the replay is committed; Dagster has not heard of it",
        "replay.told": "Dagster has heard of it",
        "block.before_commit": "the blocked batch is recorded; only the commit is missing",
        "block.committed": "the blocked batch is recorded",
        "dbt.prepared": "the staging schemas are there; dbt has not begun",
        "dbt.built": "dbt has ended; nothing is judged or published",
        "dbt.published": "all is in its place; only the commit is missing",
        "dbt.committed": "a build is published; Dagster has not heard of it",
        "notices.claimed": "notices are taken by one sender; none of them is sent",
        "notices.sent": "notices are sent; that they are is not written down",
        "hold.locked": "this hold has its turn",
        "hold.recorded": "the hold is recorded; its rows are not staged",
        "hold.staged": "its rows are staged",
        "hold.before_commit": "the audit of the held batch is recorded; only the commit is missing",
        "hold.committed": "the batch is held; Dagster has not heard of it",
        "hold.decided": "the hold has its new status; what it staged is still there",
        "release.claimed": "this release has its turn, and nobody else decides about its hold",
        "release.published": "the rows of the hold are published; the hold is still open",
        "release.before_commit": "the hold is released and nothing is staged; only the commit is missing",
        "release.committed": "the release is committed; Dagster has not heard of it",
        "release.told": "Dagster has heard of it",
        "reject.before_commit": "the hold is rejected and nothing is staged; only the commit is missing",
        "reject.committed": "the rejection is committed",
        "discard.committed": "rows of the quarantine are marked as discarded",
        "prune.committed": "rows of the quarantine are dropped",
        "bulk.before_commit": "a transaction of the bulk connection is about to be committed",
        "bulk.committed": "it is committed",
        "session.before_commit": "a transaction of the connection for questions is about to be committed",
        "session.committed": "it is committed",
        "events.materialized": "Dagster has the materialization, and none of its checks",
        "events.checked": "Dagster has the checks too",
        "gate.judged": "a table that others wrote is judged in place; Dagster has not heard of it",
        "server.program_started": "a program that makes the private server's data runs: initdb, then postgres",
        "server.data_made": "the private server's data is made, and not yet in its place",
        "backfill.runs_created": "the runs of a backfill that the command carries out are created; it is not launched",
        "backfill.launched": "Dagster has the backfill; its plan does not know of it",
        "run.created": "`sluice run` has created a run; it has no process",
        "run.launched": "the run's process is started, and its number is not noted",
        "run.noted": "the number of the run's process is noted",
        "run.finished": "the run's process has ended",
        "lineage.delivered": "a receiver has taken an event; the position in the event log has not moved",
    }
)
"""Every failpoint, and what has happened when it is reached."""

_ACTIONS = {"kill": False, "raise": False, "pause": True, "tell": True}
"""The actions, and whether each takes an argument."""
_TERM = re.compile(r"(?P<name>[^=\s]+)\s*=\s*(?P<action>\w+)(?:\((?P<argument>[^)]+)\))?(?:@(?P<count>[1-9]\d*))?")


class InjectedFault(RuntimeError):  # noqa: N818 (it says what it is)
    """What a failpoint raises: as unforeseen as the failure of anything else."""


@dataclass(kw_only=True)
class _Trap:
    """What happens at a failpoint, and how often that was passed."""

    action: str
    argument: str
    count: int
    passed: int = 0

    def reach(self, name: str) -> None:
        with _mutex:
            self.passed += 1
            if self.action != "tell" and self.passed != self.count:
                return
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.action == "raise":
            raise InjectedFault(f"failpoint {name}")
        elif self.action == "pause":
            _pause(name, self.argument)
        else:
            _tell(name, self.argument)


_mutex = threading.Lock()
_traps: dict[str, list[_Trap]] | None = None
_idle = False


def failpoint(name: str) -> None:
    """A place that has a name; see the module.

    Raises:
        SettingError: ``SLUICE_FAILPOINTS`` cannot be read, or names a failpoint that is not there.
        InjectedFault: The failpoint is armed with ``raise``.
    """
    if not _idle:
        _reach(name)


@contextlib.contextmanager
def armed(text: str) -> Iterator[None]:
    """Arm failpoints of this process for the length of a ``with`` block, instead of what the environment says.

    Raises:
        SettingError: The text cannot be read.
    """
    global _traps, _idle
    before = (_traps, _idle)
    found = _read(text, "armed()")
    _traps, _idle = found, not found
    try:
        yield
    finally:
        _traps, _idle = before


def _reach(name: str) -> None:
    global _traps, _idle  # noqa: PLW0603
    if _traps is None:
        _traps = _read(os.environ.get(VARIABLE, ""), VARIABLE)
        _idle = not _traps
    for trap in (*_traps.get("*", ()), *_traps.get(name, ())):
        trap.reach(name)


def _read(text: str, where: str) -> dict[str, list[_Trap]]:
    found: dict[str, list[_Trap]] = {}
    culprits = []
    for term in filter(None, (part.strip() for part in text.split(";"))):
        match = _TERM.fullmatch(term)
        problem = _problem(match)
        if problem or match is None:
            culprits.append(Culprit(where=f"{where}: {term}", problem=problem))
            continue
        trap = _Trap(action=match["action"], argument=match["argument"] or "", count=int(match["count"] or 1))
        found.setdefault(match["name"], []).append(trap)
    if culprits:
        raise SettingError(
            "Failpoints cannot be armed as written.",
            culprits=culprits,
            mend="Unset it, or correct it; dagster_sluice.failpoints.KNOWN names all of them.",
        )
    return found


def _problem(match: re.Match[str] | None) -> str:
    if match is None:
        return "is not NAME=ACTION, NAME=ACTION(ARGUMENT) or NAME=ACTION@COUNT."
    name, action = match["name"], match["action"]
    if name != "*" and name not in KNOWN:
        near = difflib.get_close_matches(name, KNOWN, 1)
        return f"there is no failpoint {name!r}" + (f"; {near[0]!r} is the nearest." if near else ".")
    if action not in _ACTIONS:
        return f"there is no action {action!r}, only {', '.join(_ACTIONS)}."
    if _ACTIONS[action] != bool(match["argument"]):
        return f"{action} takes an argument: {action}(…)." if _ACTIONS[action] else f"{action} takes no argument."
    return ""


def _pause(name: str, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as hand:
        try:
            hand.connect(path)
        except OSError as failure:
            raise SettingError(f"The failpoint {name} cannot pause: nobody listens at {path} ({failure}).") from failure
        hand.sendall(f"{name} {os.getpid()}\n".encode())
        with contextlib.suppress(ConnectionError):
            hand.recv(1)


def _tell(name: str, path: str) -> None:
    # One write of one line: several processes may tell the same file.
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, f"{os.getpid()} {name}\n".encode())
    finally:
        os.close(file)

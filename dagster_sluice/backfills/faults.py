"""What kind of failure it was: what decides when to try again, and whether two failures are the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["Fault", "FaultClass", "classify", "fault"]


class FaultClass(str, Enum):
    """What kind of failure it was."""

    TRANSIENT = "transient"
    """The world's fault: a connection, a lock, a timeout. Trying again helps."""
    DATA = "data"
    """The batch was refused at the gate. Trying again helps once the source changes."""
    CODE = "code"
    """The program's fault. Trying again helps once the code changes."""
    UNKNOWN = "unknown"
    """Anything else, and runs that vanished without a word."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A failure, classed.

    Attributes:
        kind: What kind it was.
        message: One line of what was said.
        signature: Equal for failures with the same cause: without numbers, quoted values and hexadecimal names.
    """

    kind: FaultClass
    message: str
    signature: str


_TRANSIENT = frozenset(
    {
        "OperationalError",
        "InterfaceError",
        "ConnectionError",
        "ConnectionResetError",
        "ConnectionRefusedError",
        "ConnectionAbortedError",
        "BrokenPipeError",
        "TimeoutError",
        "ConnectTimeout",
        "ReadTimeout",
        "Timeout",
        "DatabaseUnreachable",
        "PublishError",
        "EmbeddedServerError",
        "SerializationFailure",
        "DeadlockDetected",
        "LockNotAvailable",
        "QueryCanceled",
        "AdminShutdown",
        "TooManyRequests",
        "gaierror",
        "SSLError",
        "ChunkedEncodingError",
        "RemoteDisconnected",
        "IncompleteRead",
        "ServiceUnavailable",
        "TransportError",
    }
)
_CODE = frozenset(
    {
        "TypeError",
        "NameError",
        "UnboundLocalError",
        "AttributeError",
        "ImportError",
        "ModuleNotFoundError",
        "SyntaxError",
        "IndentationError",
        "NotImplementedError",
        "RecursionError",
        "ExpectationError",
        "ContractError",
        "TableError",
        "SettingError",
        "DagsterInvalidDefinitionError",
        "DagsterInvalidConfigError",
        "DagsterInvariantViolationError",
    }
)
_DATA = frozenset({"FrameError", "Blocked"})
_LONGEST = 500
_VARYING = (
    (re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\]"), "…"),
    (re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,})*\b"), "#"),
    (re.compile(r"\d+(?:[.,:/-]\d+)*"), "#"),
    (re.compile(r"\s+"), " "),
)


def classify(names: Sequence[str]) -> FaultClass:
    """The kind of an error, by the class names of it and of what caused it, outermost first.

    The innermost known name decides: a failure that a lost connection caused is transient, whatever wrapped it.
    """
    for name in reversed(names):
        short = name.rpartition(".")[2]
        for known, kind in ((_DATA, FaultClass.DATA), (_TRANSIENT, FaultClass.TRANSIENT), (_CODE, FaultClass.CODE)):
            if short in known:
                return kind
    return FaultClass.UNKNOWN


def fault(names: Sequence[str], message: str, *, kind: FaultClass | None = None) -> Fault:
    """A failure, from the class names of its error (outermost first) and what it said."""
    line = " ".join(message.split())[:_LONGEST]
    decided = kind or classify(names)
    signature = line
    for pattern, substitute in _VARYING:
        signature = pattern.sub(substitute, signature)
    name = names[-1].rpartition(".")[2] if names else ""
    return Fault(kind=decided, message=line, signature=f"{decided.value}:{name}:{signature.strip()[:200]}")

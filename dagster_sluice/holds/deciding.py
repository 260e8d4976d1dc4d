"""A person's decision about batches that wait. Knows a warehouse, but not Dagster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from dagster_sluice.errors import Culprit, PublishError, SettingError
from dagster_sluice.warehouse import Hold, Publication, Warehouse

__all__ = ["Action", "Decided", "decide", "named_holds", "words"]


class Action(str, Enum):
    """What is done with a batch that waits."""

    RELEASE = "release"
    REJECT = "reject"


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What became of a decision about one hold.

    Attributes:
        hold: The hold as it is now.
        publication: What its release published; ``None`` if nothing was released.
        refused: Why nothing has changed; empty if it has.
    """

    hold: Hold
    publication: Publication | None = None
    refused: str = ""


def decide(warehouse: Warehouse, holds: Sequence[Hold], action: Action, *, by: str, why: str) -> list[Decided]:
    """Release or reject open holds, each in a transaction of its own.

    One that is refused (because somebody else was faster, or the partition was published meanwhile) does not stop the
    others.

    Args:
        warehouse: Where they wait.
        holds: The holds.
        action: What to do.
        by: Who decides.
        why: Why.

    Raises:
        SettingError: It is not said who decides, or why.
    """
    who, reason = words(by=by, why=why)
    found = []
    for hold in holds:
        publication = None
        try:
            if action is Action.RELEASE:
                publication = warehouse.release(hold.id, by=who, why=reason)
            else:
                warehouse.reject(hold.id, by=who, why=reason)
        except PublishError as failure:
            found.append(Decided(hold=_now(warehouse, hold), refused=str(failure)))
            continue
        found.append(Decided(hold=_now(warehouse, hold), publication=publication))
    return found


def named_holds(warehouse: Warehouse, ids: Sequence[int]) -> list[Hold]:
    """The holds of these numbers, whatever their status, each once.

    Raises:
        SettingError: None is named, or a number is that of no hold; every such number.
    """
    if not ids:
        raise SettingError("No hold is named.", mend="`sluice hold list` shows the numbers.")
    found = {hold.id: hold for hold in warehouse.numbered_holds(ids)}
    absent = [number for number in dict.fromkeys(ids) if number not in found]
    if absent:
        raise SettingError(
            "Holds are asked for that are not there.",
            culprits=[Culprit(where=f"hold {number}", problem="is not there.") for number in absent],
            mend="`sluice hold list` shows the numbers.",
        )
    return [found[number] for number in dict.fromkeys(ids)]


def words(*, by: str, why: str) -> tuple[str, str]:
    """Who decides and why, as they can be kept.

    Raises:
        SettingError: One is empty, or is text that no database takes.
    """
    culprits = []
    for where, text in (("by", by), ("why", why)):
        if not text.strip():
            culprits.append(Culprit(where=where, problem="is empty."))
        elif "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            culprits.append(Culprit(where=where, problem="has characters that cannot be kept as text."))
    if culprits:
        raise SettingError("A decision needs to say who decides, and why.", culprits=culprits)
    return by.strip(), why.strip()


def _now(warehouse: Warehouse, hold: Hold) -> Hold:
    found = warehouse.numbered_holds([hold.id])
    return found[0] if found else hold

"""Tell notifiers what they have not been told: claim, send, settle."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dagster_sluice.failpoints import failpoint
from dagster_sluice.freshness.memory import Told
from dagster_sluice.freshness.notices import Remembered, Spot, decide
from dagster_sluice.freshness.notifiers import Notifier
from dagster_sluice.freshness.reading import Evaluated

__all__ = ["Outcome", "tell"]

_AT_ONCE = 200
"""So many notices go out together."""


@dataclass(kw_only=True)
class Outcome:
    """What was told.

    Attributes:
        sent: How many notices, by notifier.
        failed: Why a notifier could not be told, by its name.
    """

    sent: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def tell(
    found: Sequence[Evaluated],
    notifiers: Sequence[Notifier],
    told: Told,
    *,
    remembered: Mapping[str, Mapping[Spot, Remembered]],
    now: dt.datetime,
    escalate_after: dt.timedelta | None,
) -> Outcome:
    """Tell each notifier what is late, still late, or late no more, and was not told.

    Args:
        found: The tables as they stand.
        notifiers: Who is told. One that fails keeps no other from being told, and is told at the next look.
        told: The memory.
        remembered: What was told of these tables, by notifier.
        now: The moment of telling.
        escalate_after: See `decide`.
    """
    outcome = Outcome()
    for notifier in notifiers:
        decided = decide(found, remembered.get(notifier.name, {}), now=now, escalate_after=escalate_after)
        if decided.over:
            told.forget(notifier.name, decided.over)
        for begin in range(0, len(decided.notices), _AT_ONCE):
            by = uuid.uuid4().hex
            got = told.claim(notifier.name, decided.notices[begin : begin + _AT_ONCE], by=by, at=now)
            if not got:
                continue
            failpoint("notices.claimed")
            try:
                notifier(got)
            except Exception as failure:  # noqa: BLE001 (what others wrote; the rest is still told)
                told.give_back(by)
                outcome.failed[notifier.name] = f"{type(failure).__name__}: {failure}"
                break
            failpoint("notices.sent")
            told.settle(by, at=now)
            outcome.sent[notifier.name] = outcome.sent.get(notifier.name, 0) + len(got)
    return outcome

"""What a contract says to us through ODCS ``customProperties``, and who owns the table.

Ours are ``policy``, ``quarantineLimit``, ``timezone`` and ``owners``; the rest is other tools' and is left alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from dagster_sluice.contracts.contract import Policy, Severity
from dagster_sluice.contracts.document import Document, Steps, did_you_mean

__all__ = ["Settings", "read_settings", "read_severity", "read_team"]

_PLACES: Mapping[str, tuple[str, ...]] = {
    "policy": ("contract", "table", "column", "rule"),
    "quarantineLimit": ("contract", "table"),
    "timezone": ("contract", "table"),
    "owners": ("contract", "table"),
}
_VENDORS = frozenset({"dagster-sluice", "dagster_sluice", "sluice"})
_SEVERITIES: Mapping[Severity, tuple[str, ...]] = {
    Severity.INFO: ("info", "information", "informational", "notice", "low", "minor", "trivial"),
    Severity.WARNING: ("warning", "warn", "medium", "moderate"),
    Severity.CRITICAL: ("critical", "error", "fatal", "high", "major", "severe", "blocker", "urgent"),
}
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")
"""What Dagster takes for an e-mail address (``dagster._core.definitions.utils.is_valid_email``)."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Our custom properties of one element; ``None`` where it does not say.

    Attributes:
        policy: What a failure does.
        quarantine_limit: Largest share (0 to 1) of rows that may be quarantined.
        timezone: IANA name of the zone in which the table's days begin.
        owners: Dagster owners.
        steps: Where each was written, by its ODCS name.
    """

    policy: Policy | None = None
    quarantine_limit: float | None = None
    timezone: str | None = None
    owners: tuple[str, ...] | None = None
    steps: Mapping[str, Steps] = field(default_factory=dict)


def read_settings(document: Document, element: Mapping[str, Any], steps: Steps, level: str) -> Settings:
    """Read our custom properties of an element.

    Args:
        document: Takes the culprits.
        element: The mapping that may have ``customProperties``.
        steps: Where it stands.
        level: ``"contract"``, ``"table"``, ``"column"`` or ``"rule"``.
    """
    entries = element.get("customProperties")
    values: dict[str, Any] = {}
    places: dict[str, Steps] = {}
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict) or not isinstance(entry.get("property"), str):
            continue
        here: Steps = (*steps, "customProperties", index)
        name = entry["property"]
        if str(entry.get("vendor", "sluice")).casefold() not in _VENDORS:
            continue
        if name not in _PLACES:
            if (meant := _meant(name)) is not None:
                document.blame(
                    (*here, "property"),
                    f"Unknown custom property `{name}`.",
                    f"Did you mean `{meant}`? If it belongs to another tool, give it a `vendor`.",
                )
        elif level not in _PLACES[name]:
            places_said = " or ".join(f"the {place}" for place in _PLACES[name])
            document.blame((*here, "property"), f"`{name}` has no effect on a {level}.", f"Set it on {places_said}.")
        elif name in values:
            document.blame((*here, "property"), f"`{name}` is set twice.", "Keep one.")
        elif "value" in entry:
            values[name], places[name] = entry["value"], (*here, "value")
    return Settings(
        policy=_policy(document, values["policy"], places["policy"]) if "policy" in values else None,
        quarantine_limit=(
            _share(document, values["quarantineLimit"], places["quarantineLimit"])
            if "quarantineLimit" in values
            else None
        ),
        timezone=read_timezone(document, values["timezone"], places["timezone"]) if "timezone" in values else None,
        owners=_owners(document, values["owners"], places["owners"]) if "owners" in values else None,
        steps=places,
    )


def _meant(name: str) -> str | None:
    """Which of our properties a name is a slip of the pen for."""
    folded = {re.sub(r"[^a-z]", "", known.casefold()): known for known in _PLACES}
    bare = re.sub(r"[^a-z]", "", name.casefold())
    near = difflib.get_close_matches(bare, folded, n=1, cutoff=0.8)
    return folded[near[0]] if near and abs(len(near[0]) - len(bare)) <= 1 else None


def _policy(document: Document, value: Any, steps: Steps) -> Policy | None:
    words = [policy.value for policy in Policy]
    if value in words:
        return Policy(value)
    document.blame(steps, f"There is no policy `{value}`.", did_you_mean(str(value), words))
    return None


def _share(document: Document, value: Any, steps: Steps) -> float | None:
    share = value
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)):
        share = float(match[1]) / 100
    if isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1:
        return float(share)
    document.blame(steps, f"`quarantineLimit` must be a share from 0 to 1, not `{value}`.", "Write 0.1 or 10%.")
    return None


def read_timezone(document: Document, value: Any, steps: Steps) -> str | None:
    """An IANA time zone name, or ``None`` with a culprit."""
    if isinstance(value, str) and value:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError):
            pass
        else:
            return value
    from zoneinfo import available_timezones

    document.blame(
        steps,
        f"There is no time zone `{value}`.",
        did_you_mean(str(value), sorted(available_timezones())) or "Write an IANA name, such as Europe/Vienna.",
    )
    return None


def _owners(document: Document, value: Any, steps: Steps) -> tuple[str, ...] | None:
    entries = [entry.strip() for entry in value.split(",")] if isinstance(value, str) else value
    if not isinstance(entries, list) or not entries:
        document.blame(steps, "`owners` must be a list of e-mail addresses and `team:name`.")
        return None
    owners = []
    for index, entry in enumerate(entries):
        if isinstance(entry, str) and (_EMAIL.fullmatch(entry) or re.fullmatch(r"team:.+", entry)):
            owners.append(entry)
        else:
            document.blame(
                (*steps, index), f"`{entry}` is no owner that Dagster knows.", "Write an e-mail address or `team:name`."
            )
    return tuple(dict.fromkeys(owners))


def read_team(team: Any) -> tuple[str, ...]:
    """Dagster owners from the ODCS ``team``: its name, and the members whose user name is an e-mail address.

    Members with a ``dateOut`` have left, or are leaving, and own nothing.
    """
    owners = []
    members = team
    if isinstance(team, dict):
        if isinstance(team.get("name"), str) and team["name"].strip():
            owners.append(f"team:{team['name'].strip()}")
        members = team.get("members")
    for member in members if isinstance(members, list) else ():
        if not isinstance(member, dict) or member.get("dateOut") is not None:
            continue
        name = member.get("username")
        if isinstance(name, str) and _EMAIL.fullmatch(name):
            owners.append(name)
    return tuple(dict.fromkeys(owners))


def read_severity(document: Document, value: Any, steps: Steps) -> Severity | None:
    """The severity that an ODCS word stands for; ``None`` when it is absent or unknown."""
    if not isinstance(value, str):
        return None
    for severity, words in _SEVERITIES.items():
        if value.strip().casefold() in words:
            return severity
    known = [severity.value for severity in Severity]
    document.blame(
        steps,
        f"There is no severity `{value}`.",
        did_you_mean(value, [word for words in _SEVERITIES.values() for word in words])
        or f"Write {', '.join(known[:-1])} or {known[-1]}.",
    )
    return None

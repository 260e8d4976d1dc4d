"""What became of a batch, and what a broken promise does, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from dagster_sluice.reports.text import count
from dagster_sluice.reports.values import Tone
from dagster_sluice.warehouse import AuditDetail, Result

__all__ = ["CONSEQUENCES", "verdict_of"]

CONSEQUENCES: Mapping[str, tuple[Tone, str, str, str, str]] = {
    "warn": (
        Tone.WARN,
        "warns",
        "If broken: it is told, and everything is published.",
        "It is told, and everything was published all the same.",
        "It is told; it would not have stopped the publish.",
    ),
    "quarantine": (
        Tone.WARN,
        "keeps rows out",
        "If broken: the rows that break it are kept out, and wait in quarantine.",
        "The rows that break it were kept out, and wait in quarantine.",
        "It keeps the rows out that break it; here nothing was published at all.",
    ),
    "hold": (
        Tone.WAIT,
        "asks a person",
        "If broken: nothing is published until a person has agreed.",
        "A person has agreed that it be published all the same.",
        "Nothing is published until a person has agreed.",
    ),
    "block": (
        Tone.BAD,
        "stops the publish",
        "If broken: nothing is published, and what was published before stays.",
        "It stops a publish.",
        "It stopped the publish; what was published before stays.",
    ),
}
"""By policy: tone, a word, and what a breach would do, did, and did in a batch that was not published."""


def verdict_of(audit: AuditDetail, broken: int, promises: int) -> tuple[Tone, str, str]:
    """Tone, a few words, and one sentence on what became of a batch."""
    kept = _promises(broken, promises)
    if audit.result is Result.BLOCKED:
        if not audit.results:
            return Tone.BAD, "Not published", "The batch could not be judged. What was published before stays."
        return Tone.BAD, "Not published", f"{kept} What was published before stays."
    if audit.result not in (Result.PUBLISHED, Result.UNCHANGED):
        return Tone.WAIT, "Waiting for a person", f"{kept} Nothing is published until somebody has agreed."
    again = " The content is the same as before." if audit.result is Result.UNCHANGED else ""
    published = count(audit.rows_published, "row")
    if audit.rows_quarantined:
        out = f"{published} {_was(audit.rows_published)} published, and {audit.rows_quarantined:,} kept out."
        return Tone.WARN, "Published in part", f"{out} {kept}{again}"
    whole = f"{'All ' if audit.rows_published > 1 else ''}{published} {_was(audit.rows_published)} published."
    if broken:
        return Tone.WARN, "Published with a warning", f"{whole} {kept}{again}"
    return Tone.GOOD, "Published", f"{whole} {kept}{again}"


def _was(rows: int) -> str:
    return "was" if rows == 1 else "were"


def _promises(broken: int, promises: int) -> str:
    if not promises:
        return "Nothing was promised."
    if not broken:
        return "The one promise is kept." if promises == 1 else f"All {promises:,} promises are kept."
    return f"{broken:,} of {count(promises, 'promise')} {'is' if broken == 1 else 'are'} broken."

"""Foreign text and numbers, made fit for a page that people read. Pure.

Whatever comes from data or from a contract passes `clean` before it is shown: characters that cannot be seen, or that
turn the direction of what follows, are told by their code; what is long is cut, and the cut is told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["clean", "code", "count", "joined", "listed", "number", "percent", "prose_parts", "spelled", "visible"]

LONGEST = 160
"""Characters of a foreign text that are shown."""

_OPEN, _CLOSE = "\x02", "\x03"
# Controls, marks of direction and of no width, line separators, lone surrogates. Joiners stay: scripts need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\ud800-\udfff]"
)


def visible(text: str) -> str:
    """The text with everything that cannot be seen told by its code."""
    return _UNSEEN.sub(lambda found: _told(ord(found[0])), text)


def _told(point: int) -> str:
    return f"\\x{point:02x}" if point < 256 else f"\\u{point:04x}"


def clean(text: str, limit: int = LONGEST) -> str:
    """The text as it may be shown: visible, and cut with a note where it is longer than ``limit`` characters."""
    if len(text) <= limit:
        return visible(text)
    return f"{visible(text[:limit])}… ({len(text):,} characters)"


def code(name: object) -> str:
    """A name within a sentence, marked so that a page can set it apart."""
    return f"{_OPEN}{clean(str(name), 80)}{_CLOSE}"


def prose_parts(sentence: str) -> list[tuple[bool, str]]:
    """A sentence in parts: whether each is a name, and its text."""
    parts = re.split(f"{_OPEN}([^{_OPEN}{_CLOSE}]*){_CLOSE}", sentence)
    return [(position % 2 == 1, part) for position, part in enumerate(parts) if part]


def number(value: float, *, grouped: bool = True, digits: int = 6) -> str:
    """A number for people: thousands grouped, and no more digits behind the point than make so many in all."""
    comma = "," if grouped else ""
    if isinstance(value, int):
        return f"{value:{comma}}" if abs(value) < 10**24 else f"{value:.6e}" if abs(value) < 10**300 else "very large"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite" if value > 0 else "-infinite"
    size = abs(value)
    if size and not 1e-4 <= size < 1e15:
        return f"{value:.{digits}g}"
    places = max(0, digits - max(1, len(str(int(size)))))
    text = f"{value:{comma}.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share from 0 to 1 in per cent; never rounded to none or to all."""
    per_cent = 100 * share
    if 0 < per_cent < 0.1:
        return "<0.1%"
    if 99.9 < per_cent < 100:
        return ">99.9%"
    return f"{per_cent:.1f}".removesuffix(".0") + "%"


def count(items: int, one: str, many: str | None = None) -> str:
    """So many things: ``1 row``, ``1,200 rows``."""
    return f"{items:,} {one if items == 1 else many or one + 's'}"


def spelled(value: Any, *, grouped: bool = False, limit: int = LONGEST) -> str:
    """A value of the data or of a contract, in one line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number(value, grouped=grouped)
    if isinstance(value, str):
        return clean(value, limit) if value.strip() else f"“{visible(value)}”"
    if isinstance(value, Mapping):
        return clean(", ".join(f"{key} {spelled(item, grouped=grouped)}" for key, item in value.items()), limit)
    if isinstance(value, (list, tuple, set, frozenset)):
        return clean(f"({', '.join(spelled(item, grouped=grouped) for item in value)})", limit)
    return clean(value.isoformat() if hasattr(value, "isoformat") else str(value), limit)


def listed(values: Iterable[Any], most: int = 8, *, last: str = "or") -> str:
    """Values as an enumeration, of which at most so many are named."""
    every = list(values)
    shown = [spelled(value) for value in every[:most]]
    if len(every) > most:
        return f"{', '.join(shown)} {last} {len(every) - most:,} more"
    return joined(shown, last)


def joined(parts: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return f" {last} ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)

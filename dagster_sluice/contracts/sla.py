"""Reads from ``slaProperties`` of an ODCS contract when its tables must be published, and how old they may be.

Read are ``timeOfAvailability`` and ``deadline`` (our own word for what ODCS leaves to the reader), ``latency`` and
``freshness``; all others are left alone. What ODCS has no place for stands in the ``customProperties`` of the entry.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from dagster_sluice.calendars import Calendar
from dagster_sluice.contracts.contract import Contract
from dagster_sluice.contracts.deadlines import Deadline, Exceptional, Recency, read_due, read_duration
from dagster_sluice.contracts.document import Document, Steps, did_you_mean
from dagster_sluice.contracts.tables import Table
from dagster_sluice.errors import SettingError

__all__ = ["with_deadlines"]

_DEADLINES = ("timeofavailability", "deadline")
_AGES = ("latency", "ly", "freshness")
_VENDORS = frozenset({"dagster-sluice", "dagster_sluice", "sluice"})
_EXCEPTION_KEYS = ("when", "partitions", "due", "grace")
_CALENDAR_KEYS = ("country", "subdivision", "market", "weekend", "closed", "open")
_MINUTES = 24 * 60
_T = TypeVar("_T")


class _Unread(Exception):  # noqa: N818  # never leaves this module
    """What was read is wrong, and its culprits are told."""


def with_deadlines(document: Document, tables: Sequence[Table], contracts: Sequence[Contract]) -> tuple[Contract, ...]:
    """The contracts of a file's tables, with what its ``slaProperties`` say of each.

    Args:
        document: Takes the culprits.
        tables: The tables of the file.
        contracts: Their contracts, in the same order.
    """
    root: Mapping[str, Any] = document.data
    entries = root.get("slaProperties")
    deadlines: list[list[Deadline]] = [[] for _ in tables]
    recencies: list[list[Recency]] = [[] for _ in tables]
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        here: Steps = ("slaProperties", index)
        kind = str(entry.get("property", "")).casefold() if isinstance(entry, dict) else ""
        if kind not in (*_DEADLINES, *_AGES):
            continue
        try:
            for place, column in _elements(document, root, entry, here, tables):
                if kind in _DEADLINES:
                    deadlines[place].append(_deadline(document, entry, here, _due(document, entry, here, kind)))
                elif column is None and kind != "freshness":
                    _length(document, entry, here)
                    # In its own unit: a day is not always 24 hours.
                    value = str(entry["value"]).strip()
                    length = value if value[-1:].isalpha() else f"{value} {entry['unit']}"
                    deadlines[place].append(_deadline(document, entry, here, f"{length} after the end"))
                else:
                    recencies[place].append(_recency(document, entry, here, tables[place], column))
        except _Unread:
            continue
    return tuple(
        replace(contract, deadlines=tuple(mine), recency=tuple(ages))
        for contract, mine, ages in zip(contracts, deadlines, recencies, strict=True)
    )


def _elements(
    document: Document, root: Mapping[str, Any], entry: Mapping[str, Any], here: Steps, tables: Sequence[Table]
) -> list[tuple[int, str | None]]:
    """The tables that an entry is about, each with the column that it names."""
    said = entry.get("element") or root.get("slaDefaultElement")
    if not isinstance(said, str) or not said.strip():
        return [(place, None) for place in range(len(tables))]
    found = []
    for element in (part.strip() for part in said.split(",")):
        first, _, rest = element.partition(".")
        named = [
            place
            for place, table in enumerate(tables)
            if first in (table.name, table.contract.table)
            or element == f"{table.contract.schema}.{table.contract.table}"
        ]
        if named:
            table = tables[named[0]].contract
            found.append((named[0], None if element == f"{table.schema}.{table.table}" else rest or None))
        elif len(tables) == 1:
            found.append((0, element))
        else:
            names = [table.name for table in tables]
            document.blame(
                (*here, "element"), f"`{element}` is of no table of this contract.", did_you_mean(first, names)
            )
            raise _Unread
    return found


def _due(document: Document, entry: Mapping[str, Any], here: Steps, kind: str) -> str:
    value = entry.get("value")
    schedule = entry.get("schedule")
    if kind == "deadline" and isinstance(schedule, str) and str(entry.get("scheduler", "cron")).casefold() == "cron":
        return schedule
    # YAML 1.1 reads 16:30 as a number of sixtieths.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MINUTES:
        return f"{value // 60:02}:{value % 60:02}"
    if isinstance(value, str):
        return value
    document.blame(
        (*here, "value"), f"`{value}` is no deadline.", "Write for instance `06:00 on the next business day`."
    )
    raise _Unread


def _length(document: Document, entry: Mapping[str, Any], here: Steps) -> dt.timedelta:
    unit = entry.get("unit")
    return _duration(document, entry.get("value"), (*here, "value"), unit if isinstance(unit, str) else None)


def _recency(document: Document, entry: Mapping[str, Any], here: Steps, table: Table, column: str | None) -> Recency:
    if column is None:
        problem = "It says of no column how old it may be."
        document.blame((*here, "element"), problem, "Name it: `element: table.column`.", key=True)
        raise _Unread
    name = table.columns.aliases.get(column, column)
    if name not in table.columns.by_name:
        document.blame((*here, "element"), *table.columns.unknown(column))
        raise _Unread
    length = _length(document, entry, here)
    return _made(document, (*here, "value"), lambda: Recency(column=name, within=length, name=_name(entry)))


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("id") or entry.get("driver") or "")


def _deadline(document: Document, entry: Mapping[str, Any], here: Steps, due: str) -> Deadline:
    words = due.strip()
    offset = re.fullmatch(r"(\d{1,2}:\d{2})(Z|[+-]\d{2}:\d{2})", words)
    own = _own(document, entry, here)
    if offset is not None:
        words = offset[1]
        own.setdefault("timezone", "UTC" if offset[2] == "Z" else offset[2])
    try:
        read_due(words)
    except ValueError as failure:
        problem, _, mend = str(failure).partition("\n")
        kind = "schedule" if due == entry.get("schedule") else "value"
        document.blame((*here, kind), f"`{due}` {problem}", mend)
        raise _Unread from None
    text = {key: entry[key] for key in ("driver", "description") if isinstance(entry.get(key), str)}
    return _made(document, here, lambda: Deadline(words, name=_name(entry), **text, **own))


def _own(document: Document, entry: Mapping[str, Any], here: Steps) -> dict[str, Any]:
    """What the custom properties of an entry say, as arguments of a `Deadline`."""
    found: dict[str, Any] = {}
    listed = entry.get("customProperties")
    for index, one in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(one, dict) or not isinstance(one.get("property"), str) or "value" not in one:
            continue
        if str(one.get("vendor", "sluice")).casefold() not in _VENDORS:
            continue
        steps: Steps = (*here, "customProperties", index)
        name = one["property"]
        if name not in _READERS:
            near = difflib.get_close_matches(
                name.casefold(), {key.casefold(): key for key in _READERS}, n=1, cutoff=0.8
            )
            if near:
                meant = next(key for key in _READERS if key.casefold() == near[0])
                mend = f"Did you mean `{meant}`? If it belongs to another tool, give it a `vendor`."
                document.blame((*steps, "property"), f"Unknown custom property `{name}`.", mend)
            continue
        argument, read = _READERS[name]
        if argument in found:
            document.blame((*steps, "property"), f"`{name}` is set twice.", "Keep one.")
            continue
        found[argument] = read(document, one["value"], (*steps, "value"))
    return found


def _made(document: Document, here: Steps, make: Callable[[], _T]) -> _T:
    try:
        return make()
    except SettingError as failure:
        for culprit in failure.culprits:
            document.blame(here, f"{culprit.where} {culprit.problem}", culprit.mend or failure.mend)
        if not failure.culprits:
            document.blame(here, failure.what, failure.mend)
        raise _Unread from None


def _duration(document: Document, value: Any, steps: Steps, unit: str | None = None) -> dt.timedelta:
    try:
        return read_duration("" if value is None or isinstance(value, bool) else str(value), unit)
    except ValueError as failure:
        problem, _, mend = str(failure).partition("\n")
        document.blame(steps, problem, mend)
        raise _Unread from None


def _text(document: Document, value: Any, steps: Steps) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    document.blame(steps, f"This must be a text, not `{value}`.")
    raise _Unread


def _whether(document: Document, value: Any, steps: Steps) -> bool:
    if isinstance(value, bool):
        return value
    document.blame(steps, f"This must be true or false, not `{value}`.")
    raise _Unread


def _number(document: Document, value: Any, steps: Steps) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    document.blame(steps, f"This must be a whole number, not `{value}`.")
    raise _Unread


def _date(document: Document, value: Any, steps: Steps) -> dt.date:
    try:
        return value if type(value) is dt.date else dt.date.fromisoformat(str(value))
    except ValueError:
        document.blame(steps, f"`{value}` is no date.", "Write YYYY-MM-DD.")
        raise _Unread from None


def _calendar(document: Document, value: Any, steps: Steps) -> Calendar:
    """``AT``, ``DE-BY``, ``XNYS``, or a mapping with the arguments of a `Calendar`."""
    given = value
    if isinstance(value, str):
        place, _, part = value.strip().partition("-")
        is_market = len(place) > 2 and not part
        given = {"market": place} if is_market else {"country": place, **({"subdivision": part} if part else {})}
    arguments = _mapping(document, given, steps, _CALENDAR_KEYS, "A calendar is a place, such as `AT`, or a mapping.")
    for name in ("closed", "open"):
        if name in arguments:
            days = _list(document, arguments[name], (*steps, name))
            arguments[name] = frozenset(_date(document, day, (*steps, name, place)) for place, day in enumerate(days))
    if isinstance(arguments.get("weekend"), list):
        arguments["weekend"] = tuple(arguments["weekend"])
    return _made(document, steps, lambda: Calendar(**arguments))


def _exceptions(document: Document, value: Any, steps: Steps) -> tuple[Exceptional, ...]:
    found = []
    for index, one in enumerate(_list(document, value, steps)):
        here: Steps = (*steps, index)
        said = _mapping(document, one, here, _EXCEPTION_KEYS, "An exception is a mapping with `when` and `due`.")
        if "due" not in said:
            document.blame(here, "`due` is missing.", "Add `due:`, or `due: null` if nobody waits for them.")
            raise _Unread
        due = said["due"]
        if isinstance(due, int) and not isinstance(due, bool):
            due = f"{due // 60:02}:{due % 60:02}"
        lists = {
            name: [str(item) for item in (said[name] if isinstance(said[name], list) else [said[name]])]
            for name in ("when", "partitions")
            if said.get(name) is not None
        }
        grace = _duration(document, said["grace"], (*here, "grace")) if "grace" in said else None
        found.append(Exceptional(None if due is None else str(due), grace=grace, **lists))
    return tuple(found)


def _list(document: Document, value: Any, steps: Steps) -> list[Any]:
    if isinstance(value, list):
        return value
    document.blame(steps, "This must be a list.", "Begin each entry with `- `.")
    raise _Unread


def _mapping(document: Document, value: Any, steps: Steps, known: Sequence[str], says: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        document.blame(steps, says)
        raise _Unread
    for key in value:
        if key not in known:
            document.blame((*steps, key), f"Unknown key `{key}`.", did_you_mean(str(key), known), key=True)
            raise _Unread
    return dict(value)


_READERS: Mapping[str, tuple[str, Callable[[Document, Any, Steps], Any]]] = {
    "timezone": ("timezone", _text),
    "grace": ("grace", _duration),
    "calendar": ("calendar", _calendar),
    "businessDaysOnly": ("business_days_only", _whether),
    "lookBack": ("look_back", _number),
    "since": ("since", _date),
    "sourceRetention": ("retention", _duration),
    "within": ("within", _duration),
    "exceptions": ("exceptions", _exceptions),
}

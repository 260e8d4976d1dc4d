"""Columns that Great Expectations cannot tell apart, under names that it can.

It looks for a column without regard to case (``_verify_column_names_exist_and_get_normalized_typed_column_names_map``)
and silently judges the first that fits, so of ``A`` and ``a`` the wrong one. Where a frame has such columns, those that
an expectation does not name go by another name while it is judged; of several that it names itself, all but the first
do, in its arguments too, and its result is translated back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["Renaming", "own_names", "renaming", "translated", "twins"]

Renaming = Mapping[str, str]
"""Other names by the columns' own; empty where none is needed."""

_ONE = ("column", "column_A", "column_B")
_SEVERAL = ("column_list", "column_set")
_TABLE = re.compile(r"expect_(table_|column_to_exist$)")
_TEXTS = re.compile(r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")


def twins(names: Iterable[Any]) -> list[list[str]]:
    """The groups of columns that Great Expectations would take for one."""
    groups: dict[str, list[str]] = {}
    for name in names:
        if isinstance(name, str):
            groups.setdefault(_folded(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _folded(name: str) -> str:
    bare = name[1:-1] if len(name) > 1 and name.startswith("`") and name.endswith("`") else name
    return bare.casefold()


def renaming(
    expectation_type: str, kwargs: Mapping[str, Any], groups: Sequence[Sequence[str]], names: Sequence[Any]
) -> Renaming:
    """Which columns go by another name while an expectation is judged.

    Args:
        expectation_type: Its GX type.
        kwargs: Its arguments.
        groups: As `twins` gives them.
        names: Every column of the frame.
    """
    condition = kwargs.get("row_condition")
    if _TABLE.match(expectation_type) and not condition:
        # It judges the names themselves.
        return {}
    said = _named(kwargs)
    found: dict[str, str] = {}
    for group in groups:
        asked = [name for name in group if name in said] or group[:1]
        for name in group:
            if name != asked[0]:
                found[name] = _free(name, [*names, *found.values()])
    return found


def _named(kwargs: Mapping[str, Any]) -> set[str]:
    said = {kwargs[argument] for argument in _ONE if isinstance(kwargs.get(argument), str)}
    for argument in _SEVERAL:
        listed = kwargs.get(argument)
        said.update(name for name in (listed if isinstance(listed, (list, tuple, set)) else ()) if type(name) is str)
    return said | _in_condition(_plain(kwargs.get("row_condition")))


def _plain(condition: Any) -> Any:
    return condition.dict() if hasattr(condition, "dict") else condition


def _in_condition(condition: Any) -> set[str]:
    """The columns of a condition; of a text, every word of it, for one too many only costs another name."""
    if isinstance(condition, str):
        words = set(re.findall(r"`([^`]*)`", condition)) | set(re.findall(r'col\("([^"]*)"\)', condition))
        return words | set(re.findall(r"\w+", _TEXTS.sub(" ", condition)))
    if not isinstance(condition, Mapping):
        return set()
    column = condition.get("column")
    name = column.get("name") if isinstance(column, Mapping) else column
    inner = condition.get("conditions")
    found = {name} if isinstance(name, str) else set()
    return found.union(*(_in_condition(_plain(part)) for part in inner)) if isinstance(inner, (list, tuple)) else found


def _free(name: str, taken: Sequence[Any]) -> str:
    folded = {_folded(other) for other in taken if isinstance(other, str)}
    number = 2
    while _folded(f"{name}__twin{number}") in folded:
        number += 1
    return f"{name}__twin{number}"


def translated(kwargs: Mapping[str, Any], renamed: Renaming) -> dict[str, Any]:
    """Arguments that name the columns by their other names."""
    if not renamed:
        return dict(kwargs)
    found = dict(kwargs)
    for argument in _ONE:
        if isinstance(found.get(argument), str):
            found[argument] = renamed.get(found[argument], found[argument])
    for argument in _SEVERAL:
        if isinstance(found.get(argument), (list, tuple)):
            found[argument] = [renamed.get(name, name) if type(name) is str else name for name in found[argument]]
    if found.get("row_condition"):
        found["row_condition"] = _condition(_plain(found["row_condition"]), renamed)
    return found


def _condition(condition: Any, renamed: Renaming) -> Any:
    if isinstance(condition, str):

        def other(at: re.Match[str]) -> str:
            return f'col("{renamed.get(at[1], at[1])}")'

        parts = _TEXTS.split(re.sub(r'col\("([^"]*)"\)', other, condition))
        # Every other part is a text in quotes, in which a word is no column.
        return "".join(part if position % 2 else _words(part, renamed) for position, part in enumerate(parts))
    if not isinstance(condition, Mapping):
        return condition
    found = dict(condition)
    column = found.get("column")
    if isinstance(column, Mapping) and isinstance(column.get("name"), str):
        found["column"] = {**column, "name": renamed.get(column["name"], column["name"])}
    elif isinstance(column, str):
        found["column"] = renamed.get(column, column)
    if isinstance(found.get("conditions"), (list, tuple)):
        found["conditions"] = [_condition(_plain(part), renamed) for part in found["conditions"]]
    return found


def _words(text: str, renamed: Renaming) -> str:
    def other(at: re.Match[str]) -> str:
        return f"`{renamed.get(at[1], at[1])}`" if at[1] is not None else renamed.get(at[0], at[0])

    return re.sub(r"`([^`]*)`|\w+", other, text)


def own_names(value: Any, renamed: Renaming) -> Any:
    """A result with the columns' own names, in keys and in sentences."""
    if not renamed:
        return value
    if isinstance(value, str):
        for name, other in renamed.items():
            value = value.replace(other, name)
        return value
    if isinstance(value, Mapping):
        return {own_names(key, renamed): own_names(item, renamed) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(own_names(item, renamed) for item in value)
    return value

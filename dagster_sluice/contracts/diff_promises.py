"""Whether an expectation still promises what it promised, from the side of those who read the table. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from dagster_sluice.contracts.catalogue import CATALOGUE, Kind, short_name
from dagster_sluice.contracts.contract import Expectation, Policy

__all__ = ["Effect", "Shift", "columns_of", "compare", "pair", "said"]

_MOST_SHOWN = 5
_LONGEST = 60


class Effect(str, Enum):
    """What a change does to a promise."""

    WEAKER = "weaker"
    """Rows or tables that broke it now keep it."""
    TIGHTER = "tighter"
    """What keeps it now kept it before, and some of that no longer does."""
    UNSURE = "unsure"
    """Neither can be told from the other."""
    NONE = "none"
    """It judges as before."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One thing that differs between an expectation and its successor.

    Attributes:
        effect: What it does to the promise.
        what: It in words: ``"maximum 900 → 1,500"``.
    """

    effect: Effect
    what: str


_FAMILIES = {
    "expect_column_value_lengths_to_equal": "expect_column_value_lengths_to_be_between",
    "expect_table_column_count_to_equal": "expect_table_column_count_to_be_between",
    "expect_table_row_count_to_equal": "expect_table_row_count_to_be_between",
}
"""To equal a number is to lie between it and itself."""
_DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "exact_match": (True,),
    "ignore_row_if": ("both_values_are_missing", "all_values_are_missing"),
    "match_on": ("any",),
    "mostly": (1,),
    "or_equal": (False,),
    "strict_max": (False,),
    "strict_min": (False,),
    "strictly": (False,),
    "ties_okay": (False,),
}
_MORE_IS_TIGHTER = frozenset({"mostly", "strictly", "exact_match"})
_LESS_IS_TIGHTER = frozenset({"threshold", "multiplier", "or_equal", "ties_okay"})
_FLAGS_WHEN_ABSENT = {"mostly": 1, "exact_match": True, "strictly": False, "or_equal": False, "ties_okay": False}
_ALLOWED = frozenset({"value_set", "value_pairs_set", "type_list", "regex_list", "like_pattern_list"})
"""Arguments that list things; what more of them means depends on the type."""
_MORE_ALLOWS_LESS = frozenset(
    {
        "expect_column_distinct_values_to_contain_set",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_not_match_like_pattern_list",
        "expect_column_values_to_not_match_regex_list",
    }
)
_NEITHER = frozenset({"expect_column_distinct_values_to_equal_set"})
_RELATIVE = frozenset({"expect_column_value_z_scores_to_be_less_than", "expect_column_values_to_not_be_outliers"})
"""Their rows are judged by the other rows, so fewer rows are another question."""
_COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
_CONDITION = ("row_condition", "condition_parser")


@dataclass(frozen=True, kw_only=True)
class _Promise:
    """An expectation in one form: equality as an interval, without arguments that say the default."""

    family: str
    columns: tuple[str, ...]
    condition: tuple[Any, ...]
    arguments: Mapping[str, Any]

    @property
    def judged(self) -> tuple[str, tuple[str, ...]]:
        return self.family, self.columns


def _promise(expectation: Expectation) -> _Promise:
    kwargs = {name: value for name, value in expectation.kwargs.items() if value is not None}
    family = _FAMILIES.get(expectation.type, expectation.type)
    if family != expectation.type and "value" in kwargs:
        kwargs["min_value"] = kwargs["max_value"] = kwargs.pop("value")
    kwargs = {name: value for name, value in kwargs.items() if value not in _DEFAULTS.get(name, ())}
    condition = tuple(kwargs.pop(name, None) for name in _CONDITION)
    columns: list[str] = [str(kwargs.pop(name)) for name in _COLUMN_ARGUMENTS if name in kwargs]
    kind = CATALOGUE.get(expectation.type)
    if kind is not None and kind.kind is Kind.MULTICOLUMN:
        columns += sorted(str(name) for name in kwargs.pop("column_list", ()))
    return _Promise(family=family, columns=tuple(columns), condition=condition, arguments=kwargs)


def columns_of(expectation: Expectation) -> frozenset[str]:
    """The columns an expectation judges rows by; none for one that judges the table."""
    return frozenset(_promise(expectation).columns)


def said(expectation: Expectation) -> str:
    """An expectation in a few words: ``unique of order_id``, ``row_count``."""
    columns = ", ".join(_promise(expectation).columns)
    short = short_name(_FAMILIES.get(expectation.type, expectation.type))
    return f"{short} of {columns}" if columns else short


def pair(
    old: Sequence[Expectation], new: Sequence[Expectation]
) -> tuple[list[tuple[Expectation, Expectation]], list[Expectation], list[Expectation]]:
    """Which new expectation succeeds which old one.

    The surest signs come first: the same promise under the same name; the same promise under another name; the same
    type, columns and condition, by name, then by order; at last another condition under the same name.

    Returns:
        The pairs, the old ones without successor, and the new ones without predecessor, each in declared order.
    """
    promises = {id(expectation): _promise(expectation) for expectation in (*old, *new)}

    def whole(expectation: Expectation) -> Any:
        promise = promises[id(expectation)]
        return promise.judged, promise.condition, promise.arguments

    signs: list[Callable[[Expectation], Any]] = [
        lambda e: (e.name, whole(e), e.policy),
        lambda e: (whole(e), e.policy),
        whole,
        lambda e: (e.name, promises[id(e)].judged, promises[id(e)].condition),
        lambda e: (promises[id(e)].judged, promises[id(e)].condition),
        lambda e: (e.name, promises[id(e)].judged),
    ]
    successors: dict[int, Expectation] = {}
    free = list(new)
    for sign in signs:
        for one in old:
            if id(one) in successors:
                continue
            found = next((other for other in free if sign(one) == sign(other)), None)
            if found is not None:
                successors[id(one)] = found
                free = [other for other in free if other is not found]
    pairs = [(one, successors[id(one)]) for one in old if id(one) in successors]
    return pairs, [one for one in old if id(one) not in successors], free


def compare(old: Expectation, new: Expectation) -> tuple[Shift, ...]:
    """All that differs between an expectation and its successor, its policy included."""
    shifts = [*_conditions(old, new), *_arguments(old, new), *_policies(old.policy, new.policy)]
    if old.import_path != new.import_path:
        shifts.append(Shift(effect=Effect.UNSURE, what=f"class {old.import_path} → {new.import_path}"))
    if old.severity is not new.severity:
        shifts.append(Shift(effect=Effect.NONE, what=f"severity {old.severity.value} → {new.severity.value}"))
    if old.name != new.name:
        shifts.append(Shift(effect=Effect.NONE, what=f"name {old.name} → {new.name}"))
    if old.description != new.description:
        shifts.append(Shift(effect=Effect.NONE, what="description"))
    if old.meta != new.meta:
        shifts.append(Shift(effect=Effect.NONE, what="meta"))
    return tuple(shifts)


def _conditions(old: Expectation, new: Expectation) -> Iterator[Shift]:
    before, after = _promise(old), _promise(new)
    if before.condition == after.condition:
        return
    kind = CATALOGUE.get(old.type)
    each_row = kind is not None and kind.marks_rows and kind.name not in _RELATIVE
    shares = "mostly" in before.arguments or "mostly" in after.arguments
    if before.condition[0] is not None and after.condition[0] is None and each_row and not shares:
        yield Shift(effect=Effect.TIGHTER, what="holds for all rows now, without its condition")
    elif before.condition[0] is None:
        yield Shift(effect=Effect.WEAKER, what="holds only for the rows of a condition now")
    else:
        yield Shift(effect=Effect.UNSURE, what="holds for the rows of another condition now")


def _arguments(old: Expectation, new: Expectation) -> Iterator[Shift]:
    before, after = _promise(old).arguments, _promise(new).arguments
    turned = bool(before.get("outside") or after.get("outside"))
    for side, lower in (("min", True), ("max", False)):
        # Bounds to stay outside of promise more when they widen, but of a range only together.
        shifts = _bound(before, after, side, lower=lower)
        yield from (replace(shift, effect=Effect.UNSURE) if turned else shift for shift in shifts)
    bounds = {"min_value", "max_value", "strict_min", "strict_max"}
    for name in dict.fromkeys([*before, *after]):
        if name in bounds:
            continue
        absent = _FLAGS_WHEN_ABSENT.get(name)
        one, other = before.get(name, absent), after.get(name, absent)
        if _same(one, other):
            continue
        if name in _ALLOWED and isinstance(one, list | tuple) and isinstance(other, list | tuple):
            yield from _listed(old, name, one, other, match_all=after.get("match_on") == "all")
            continue
        effect = Effect.UNSURE
        if name in _MORE_IS_TIGHTER | _LESS_IS_TIGHTER and _ordered(one, other):
            effect = Effect.TIGHTER if (other > one) == (name in _MORE_IS_TIGHTER) else Effect.WEAKER
        yield Shift(effect=effect, what=f"{name} {_shown(one)} → {_shown(other)}")


def _bound(before: Mapping[str, Any], after: Mapping[str, Any], side: str, *, lower: bool) -> Iterator[Shift]:
    key, flag = f"{side}_value", f"strict_{side}"
    one, other = before.get(key), after.get(key)
    strict, stricter = bool(before.get(flag)) and one is not None, bool(after.get(flag)) and other is not None
    if _same(one, other) and strict == stricter:
        return
    end = "minimum" if lower else "maximum"
    what = f"{end} {_end(one, strict=strict)} → {_end(other, strict=stricter)}"
    if one is None:
        effect = Effect.TIGHTER
    elif other is None:
        effect = Effect.WEAKER
    elif _same(one, other):
        effect = Effect.TIGHTER if stricter else Effect.WEAKER
    elif not _ordered(one, other):
        effect = Effect.UNSURE
    else:
        effect = Effect.TIGHTER if (other > one) == lower else Effect.WEAKER
    yield Shift(effect=effect, what=what)


def _listed(
    old: Expectation, name: str, before: Sequence[Any], after: Sequence[Any], *, match_all: bool
) -> Iterator[Shift]:
    added = [value for value in after if not any(_same(value, other) for other in before)]
    removed = [value for value in before if not any(_same(value, other) for other in after)]
    if not added and not removed:
        return
    parts = [
        f"{word} {', '.join(_shown(value) for value in values[:_MOST_SHOWN])}"
        + (f" and {len(values) - _MOST_SHOWN} more" if len(values) > _MOST_SHOWN else "")
        for word, values in (("added", added), ("removed", removed))
        if values
    ]
    less = old.type in _MORE_ALLOWS_LESS or match_all
    if old.type in _NEITHER or (added and removed):
        effect = Effect.UNSURE
    else:
        effect = Effect.TIGHTER if bool(added) == less else Effect.WEAKER
    yield Shift(effect=effect, what=f"{name}: {'; '.join(parts)}")


def _policies(old: Policy, new: Policy) -> Iterator[Shift]:
    """Only warn promises readers nothing, and only block both that nothing bad is read and that nothing is left out."""
    if old is new:
        return
    tighter = old is Policy.WARN or new is Policy.BLOCK
    yield Shift(effect=Effect.TIGHTER if tighter else Effect.WEAKER, what=f"policy {old.value} → {new.value}")


def _same(one: Any, other: Any) -> bool:
    """Equal, and of one kind: to Python, True is 1."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _ordered(one: Any, other: Any) -> bool:
    try:
        return bool(one < other) or bool(one > other)
    except TypeError:
        return False


def _end(value: Any, *, strict: bool) -> str:
    return "none" if value is None else f"{_shown(value)}{' (excluded)' if strict else ''}"


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, dt.date):
        return value.isoformat()
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

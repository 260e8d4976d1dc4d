"""What a change of a contract means to those who read its table. Pure.

A change is **breaking** if a reader who relied on the old contract can be hurt by tables that keep the new one; it is
**compatible** if every table that keeps the new contract keeps what the old one promised; it is **cosmetic** if no
verdict and no row can differ. What cannot be told is breaking.

===================================================  ==========  =====================================================
change                                               impact      because
===================================================  ==========  =====================================================
table removed                                        breaking    it is not found any more
table called otherwise                               breaking    it is not found under its old name
table added                                          compatible
column removed or renamed                            breaking    readers find no such column
column added, required or not                        compatible  the table's function must return it
logical type changed, even to a wider one            breaking    readers hold values of the old one
physical type changed                                breaking    readers hold values of the old one
physical type spelt otherwise                        cosmetic    ``varchar(3)`` is ``character varying(3)``
time zone of a timestamp gained or lost              breaking    every value means another moment, or none
``required`` dropped                                 breaking    a NULL may come
``required`` gained                                  compatible  may warn, quarantine, hold or block more
classification gained                                compatible  reports may mask its values
classification dropped or changed                    breaking    reports may no longer mask its values
order of columns or expectations                     cosmetic    columns are read by name
expectation removed                                  breaking    nobody keeps it any more
expectation added                                    compatible  may warn, quarantine, hold or block more
bound widened or removed, ``mostly`` lowered         breaking    values may come that could not
bound tightened or added, ``mostly`` raised          compatible  may warn, quarantine, hold or block more
set of allowed values enlarged                       breaking    values may come that could not
set of allowed values reduced                        compatible  may warn, quarantine, hold or block more
set of forbidden or demanded values reduced          breaking    values may come that could not, or stay away
set of forbidden or demanded values enlarged         compatible  may warn, quarantine, hold or block more
set that lives in another table, or came from one    breaking    its values are not known here
condition added or changed                           breaking    rows may come that could not
condition removed from a promise about each row      compatible  may warn, quarantine, hold or block more
pattern, format, query, any other argument changed   breaking    neither can be told from the other
policy ``warn`` → any other                          compatible  may quarantine, hold or block more
policy any → ``block``                               compatible  may block more
policy otherwise                                     breaking    bad rows may be read, or good days be incomplete
quarantine limit raised                              breaking    more rows may be missing
quarantine limit lowered                             compatible  may block more
time zone of the table                               breaking    its days begin at another hour
severity alone                                       cosmetic    what is published is the same
name of an expectation                               cosmetic    the same; its check begins a new history
description, owner, tag, ``meta``                    cosmetic
===================================================  ==========  =====================================================

What only concerns a column that is gone or new is told with that column; a column that is gone is taken for renamed if
a new one has its type and much of its name, its place, or its description. A breaking change is **announced** if the
contract's major version was raised with it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from dagster_sluice.contracts.contract import Column, Contract, Expectation, Policy
from dagster_sluice.contracts.diff_promises import Effect, Shift, columns_of, compare, pair, said

__all__ = ["Change", "Impact", "TableDiff", "diff_contracts", "diff_tables"]

_NOT_NULL = "expect_column_values_to_not_be_null"
_ALIKE = 0.6
_SAME_PLACE = _SAME_WORDS = 0.25
_SPELLINGS = {
    "bool": "boolean",
    "decimal": "numeric",
    "double": "double precision",
    "float4": "real",
    "float8": "double precision",
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "timestamptz": "timestamp with time zone",
    "varchar": "character varying",
}


class Impact(str, Enum):
    """What a change does to readers."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"
    COSMETIC = "cosmetic"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that differs between two contracts of a table.

    Attributes:
        impact: What it does to readers.
        subject: What it is about: ``"table"``, ``"column dest"``, ``"expectation dest__in_set"``.
        what: What differs: ``"removed"``, ``"maximum 900 → 1500"``.
        why: What follows from it, a few words.
        announced: Whether the major version was raised with it. Only of breaking changes.
    """

    impact: Impact
    subject: str
    what: str
    why: str = ""
    announced: bool = False

    def __str__(self) -> str:
        return f"{self.subject}: {self.what}" + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True, kw_only=True)
class TableDiff:
    """All that differs between two contracts of one table.

    Attributes:
        table: The table, by its old name.
        old_version: Version of the old contract; ``None`` for a table that is new.
        new_version: Version of the new contract; ``None`` for a table that is gone.
        changes: The breaking ones first, then the compatible, then the cosmetic.
    """

    table: str
    old_version: str | None
    new_version: str | None
    changes: tuple[Change, ...]

    @property
    def broken(self) -> bool:
        """Whether some change is breaking and not announced."""
        return any(change.impact is Impact.BREAKING and not change.announced for change in self.changes)

    @property
    def wanted_version(self) -> str | None:
        """The version that would announce the breaking changes; ``None`` if nothing has to be, or none can."""
        major = _major(self.old_version)
        return f"{major + 1}.0.0" if self.broken and major is not None and self.new_version is not None else None


def diff_contracts(
    old: Sequence[Contract], new: Sequence[Contract], *, ids: Mapping[Path, str] | None = None
) -> tuple[TableDiff, ...]:
    """Compare the contracts of some tables with their later selves.

    A table is known again by its place in the warehouse, else by its name, else by the id of its contract; one table
    on each side are taken for the same whatever they are called.

    Args:
        old: The contracts as they were.
        new: As they are to be.
        ids: The id of each contract file.

    Returns:
        One for each table, in the order of the old ones, then the added.
    """
    ids = ids or {}

    def identity(contract: Contract) -> str | None:
        return ids.get(contract.file) if contract.file is not None else None

    signs: list[Callable[[Contract], Any]] = [lambda c: (c.schema, c.table), lambda c: c.table, identity]
    if len(old) == 1 and len(new) == 1:
        signs.append(lambda _: True)
    successors: dict[int, Contract] = {}
    free = list(new)
    for sign in signs:
        left = [contract for contract in old if id(contract) not in successors]
        for contract in left:
            mark = sign(contract)
            found = [other for other in free if sign(other) == mark]
            if mark is not None and len(found) == 1 and sum(sign(other) == mark for other in left) == 1:
                successors[id(contract)] = found[0]
                free = [other for other in free if other is not found[0]]
    diffs = []
    for contract in old:
        successor = successors.get(id(contract))
        if successor is not None:
            diffs.append(diff_tables(contract, successor))
            continue
        siblings = [other for other in new if identity(other) is not None and identity(other) == identity(contract)]
        gone = Change(
            impact=Impact.BREAKING,
            subject="table",
            what="removed",
            announced=any(_announces(contract, other) for other in siblings),
        )
        diffs.append(TableDiff(table=_place(contract), old_version=contract.version, new_version=None, changes=(gone,)))
    for contract in free:
        come = Change(impact=Impact.COMPATIBLE, subject="table", what="added")
        diffs.append(TableDiff(table=_place(contract), old_version=None, new_version=contract.version, changes=(come,)))
    return tuple(diffs)


def diff_tables(old: Contract, new: Contract) -> TableDiff:
    """Compare a table's contract with its later self."""
    changes = [*_table(old, new), *_columns(old, new), *_expectations(old, new)]
    announced = _announces(old, new)
    changes = [replace(change, announced=announced and change.impact is Impact.BREAKING) for change in changes]
    order = list(Impact)
    return TableDiff(
        table=_place(old),
        old_version=old.version,
        new_version=new.version,
        changes=tuple(sorted(changes, key=lambda change: order.index(change.impact))),
    )


def _place(contract: Contract) -> str:
    return f"{contract.schema}.{contract.table}" if contract.schema else contract.table


def _major(version: str | None) -> int | None:
    found = re.match(r"v?(\d+)(?![^.+-])", version or "")
    return int(found[1]) if found else None


def _announces(old: Contract, new: Contract) -> bool:
    before, after = _major(old.version), _major(new.version)
    return before is not None and after is not None and after > before


def _table(old: Contract, new: Contract) -> Iterator[Change]:
    def change(impact: Impact, what: str, why: str = "") -> Change:
        return Change(impact=impact, subject="table", what=what, why=why)

    if _place(old) != _place(new):
        yield change(Impact.BREAKING, f"is {_place(new)} now", "it is not found under its old name")
    if old.timezone != new.timezone:
        yield change(Impact.BREAKING, f"time zone {old.timezone} → {new.timezone}", "its days begin at another hour")
    limits = f"quarantine limit {old.quarantine_limit:g} → {new.quarantine_limit:g}"
    if old.quarantine_limit < new.quarantine_limit:
        yield change(Impact.BREAKING, limits, "more rows may be missing")
    elif old.quarantine_limit > new.quarantine_limit:
        yield change(Impact.COMPATIBLE, limits, "may block more")
    for name, before, after in (
        ("description", old.description, new.description),
        ("owners", old.owners, new.owners),
        ("tags", old.tags, new.tags),
    ):
        if before != after:
            yield change(Impact.COSMETIC, name)


def _columns(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = [c.name for c in old.columns], [c.name for c in new.columns]
    successors = _renames(old, new)
    for column in old.columns:
        subject = f"column {column.name}"
        later = new.column(column.name)
        if later is not None:
            yield from _column(column, later, old, new)
        elif column.name in successors:
            what = f"removed {column.name}, added {successors[column.name]} (renamed?)"
            yield Change(impact=Impact.BREAKING, subject=subject, what=what, why="readers find no such column")
        else:
            yield Change(impact=Impact.BREAKING, subject=subject, what="removed", why="readers find no such column")
    for column in new.columns:
        if column.name in before or column.name in successors.values():
            continue
        promised = [e for e in new.expectations if columns_of(e) == {column.name}]
        why = "the table's function must return it"
        if promised:
            why += f"; {_more({expectation.policy for expectation in promised})}"
        what = "added, required" if column.required else "added"
        yield Change(impact=Impact.COMPATIBLE, subject=f"column {column.name}", what=what, why=why)
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        yield Change(impact=Impact.COSMETIC, subject="table", what="order of columns")


def _column(old: Column, new: Column, whole_old: Contract, whole_new: Contract) -> Iterator[Change]:
    def change(impact: Impact, what: str, why: str = "") -> Change:
        return Change(impact=impact, subject=f"column {old.name}", what=what, why=why)

    if old.type is not new.type:
        yield change(Impact.BREAKING, f"type {old.type.value} → {new.type.value}", "readers hold values of the old one")
    if old.physical_type != new.physical_type:
        alike = _spelt(old.physical_type) == _spelt(new.physical_type)
        what = f"physical type {old.physical_type or 'none'} → {new.physical_type or 'none'}"
        why = "the same type spelt otherwise" if alike else "readers hold values of the old one"
        yield change(Impact.COSMETIC if alike else Impact.BREAKING, what, why)
    if old.timezone != new.timezone and "timestamp" in (old.type.value, new.type.value):
        what = "its moments carry a time zone now" if new.timezone else "its moments carry no time zone now"
        yield change(Impact.BREAKING, what, "every value means another moment, or none")
    if old.classification != new.classification:
        what = f"classification {old.classification or 'none'} → {new.classification or 'none'}"
        if old.classification is None:
            yield change(Impact.COMPATIBLE, what, "reports may mask its values")
        else:
            yield change(Impact.BREAKING, what, "reports may no longer mask its values")
    # The expectation behind `required` tells more, where there is one.
    if old.required != new.required and not (_not_null(old, whole_old) or _not_null(new, whole_new)):
        if new.required:
            yield change(Impact.COMPATIBLE, "is required now", "may block more")
        else:
            yield change(Impact.BREAKING, "is no longer required", "a NULL may come")
    if old.description != new.description:
        yield change(Impact.COSMETIC, "description")
    if old.tags != new.tags:
        yield change(Impact.COSMETIC, "tags")


def _not_null(column: Column, contract: Contract) -> bool:
    return any(e.type == _NOT_NULL and e.kwargs.get("column") == column.name for e in contract.expectations)


def _spelt(physical: str | None) -> str | None:
    if physical is None:
        return None
    plain = re.sub(r"\s+", " ", physical.strip().casefold())
    plain = re.sub(r"\s*([(),])\s*", r"\1", plain)
    word, rest = re.fullmatch(r"([a-z0-9_]*)(.*)", plain, re.DOTALL).groups()  # type: ignore[union-attr]
    return _SPELLINGS.get(word, word) + rest


def _renames(old: Contract, new: Contract) -> dict[str, str]:
    """Columns that are gone, with the new column that looks like each: the same type, and a name, place or words alike."""
    gone = [(place, c) for place, c in enumerate(old.columns) if new.column(c.name) is None]
    come = [(place, c) for place, c in enumerate(new.columns) if old.column(c.name) is None]
    scored = []
    for place, column in gone:
        for other_place, other in come:
            if column.type is not other.type:
                continue
            score = difflib.SequenceMatcher(None, _bare(column.name), _bare(other.name)).ratio()
            score += _SAME_PLACE * (place == other_place)
            score += _SAME_WORDS * (column.description == other.description != "")
            if score >= _ALIKE:
                scored.append((-score, place, other_place, column.name, other.name))
    found: dict[str, str] = {}
    for *_, name, other_name in sorted(scored):
        if name not in found and other_name not in found.values():
            found[name] = other_name
    return found


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _expectations(old: Contract, new: Contract) -> Iterator[Change]:
    before = [e for e in old.expectations if not _told_with_column(e, new)]
    after = [e for e in new.expectations if not _told_with_column(e, old)]
    pairs, removed, added = pair(before, after)
    for expectation in removed:
        subject = f"expectation {expectation.name}"
        if expectation.type == _NOT_NULL:
            what = f"removed: {expectation.kwargs.get('column')} is no longer required"
        else:
            what = f"removed: {said(expectation)}"
        yield Change(impact=Impact.BREAKING, subject=subject, what=what, why="nobody keeps it any more")
    for one, other in pairs:
        for shift in compare(one, other):
            yield _shifted(shift, one, other)
    for expectation in added:
        subject = f"expectation {expectation.name}"
        what = f"added: {said(expectation)}"
        yield Change(impact=Impact.COMPATIBLE, subject=subject, what=what, why=_more({expectation.policy}))
    order = [one.name for one, _ in pairs]
    names = {one.name: other.name for one, other in pairs}
    later = [e.name for e in after if e.name in names.values()]
    if [names[name] for name in order] != later:
        yield Change(impact=Impact.COSMETIC, subject="table", what="order of expectations")


def _told_with_column(expectation: Expectation, other: Contract) -> bool:
    """Whether an expectation is about a single column that the other contract does not have."""
    columns = columns_of(expectation)
    return len(columns) == 1 and all(other.column(name) is None for name in columns)


def _shifted(shift: Shift, old: Expectation, new: Expectation) -> Change:
    why = ""
    if shift.effect is Effect.TIGHTER:
        why = _more({new.policy})
    elif shift.what.startswith("policy"):
        why = "bad rows may be read" if new.policy is not Policy.QUARANTINE else "good days may be incomplete"
    elif shift.effect is Effect.WEAKER:
        why = "what could not come may come"
    elif shift.effect is Effect.UNSURE:
        why = "neither can be told from the other"
    impact = {Effect.NONE: Impact.COSMETIC, Effect.TIGHTER: Impact.COMPATIBLE}.get(shift.effect, Impact.BREAKING)
    return Change(impact=impact, subject=f"expectation {old.name}", what=shift.what, why=why)


def _more(policies: set[Policy]) -> str:
    words = [policy.value for policy in Policy if policy in policies]
    return f"may {' or '.join(words)} more"

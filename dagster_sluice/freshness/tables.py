"""The tables that have deadlines: which they are, where they are published, what is said of them where."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from dagster_sluice.contracts.deadlines import Deadline, Kind, Recency, read_due
from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.tables.declared import Declared, declared_tables

__all__ = ["Deadlines", "Watched", "deadlines_by_key", "partitions_of", "timed_zone", "watched_tables"]

Deadlines = Mapping[str, Deadline | Sequence[Deadline]]
"""Deadlines by the asset's key as the UI writes it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Watched:
    """A table with deadlines.

    Attributes:
        key: The asset.
        definition: Its partitions; ``None`` if it has none.
        declared: Its promises, if it is a ``@table``; else Dagster's event log tells when it was published.
        deadlines: When it must be published; each has a time zone and a name of its own.
        recency: How old its newest row may be.
    """

    key: dg.AssetKey
    definition: dg.PartitionsDefinition[Any] | None
    declared: Declared | None
    deadlines: tuple[Deadline, ...]
    recency: tuple[Recency, ...]

    @property
    def name(self) -> str:
        """As a person writes it."""
        return self.key.to_user_string()

    @property
    def timezone(self) -> str:
        """In which the table's days begin."""
        return self.declared.contract.timezone if self.declared is not None else "UTC"


def watched_tables(
    partitions: Mapping[dg.AssetKey, dg.PartitionsDefinition[Any] | None],
    definitions: Iterable[Any],
    *,
    chosen: Collection[dg.AssetKey] | None = None,
    deadlines: Deadlines | None = None,
) -> list[Watched]:
    """The tables among some assets that have deadlines or a recency, by name.

    Args:
        partitions: The assets, with their partitions.
        definitions: Their definitions, in which ``@table`` wrote what it promises.
        chosen: Only these; all by default.
        deadlines: Instead of what their contracts say, or where there is no contract.

    Raises:
        SettingError: A deadline is for an asset that is not there, or does not fit its partitions.
    """
    declared = {one.key: one for one in declared_tables(definitions).values()}
    given = {dg.AssetKey.from_user_string(name): own for name, own in deadlines_by_key(deadlines).items()}
    if strangers := [key for key in given if key not in partitions]:
        raise SettingError(
            "There are deadlines for assets that are not there.",
            culprits=[Culprit(where=key.to_user_string(), problem="is no asset of this project.") for key in strangers],
        )
    found, culprits = [], []
    for key in sorted({*declared, *given} & set(partitions if chosen is None else chosen)):
        promise = declared.get(key)
        contract = promise.contract if promise is not None else None
        listed = given.get(key, contract.deadlines if contract is not None else ())
        recency = contract.recency if contract is not None else ()
        if not listed and not recency:
            continue
        zone = contract.timezone if contract is not None else "UTC"
        table = Watched(
            key=key,
            definition=partitions[key],
            declared=promise,
            deadlines=_named([replace(one, timezone=one.timezone or zone) for one in listed]),
            recency=recency,
        )
        culprits += _misfits(table)
        found.append(table)
    if culprits:
        raise SettingError("Some deadlines do not fit their tables.", culprits=culprits)
    return found


def partitions_of(definitions: Iterable[Any]) -> dict[dg.AssetKey, dg.PartitionsDefinition[Any] | None]:
    """The assets of some definitions, with their partitions."""
    found: dict[dg.AssetKey, dg.PartitionsDefinition[Any] | None] = {}
    for definition in definitions:
        specs = definition.specs if isinstance(definition, dg.AssetsDefinition) else [definition]
        found |= {spec.key: spec.partitions_def for spec in specs if isinstance(spec, dg.AssetSpec)}
    return found


def deadlines_by_key(given: Deadlines | None) -> dict[str, tuple[Deadline, ...]]:
    """Deadlines as they were given, each key with a list."""
    return {key: (one,) if isinstance(one, Deadline) else tuple(one) for key, one in (given or {}).items()}


def timed_zone(definition: dg.PartitionsDefinition[Any] | None) -> dt.tzinfo | None:
    """The time zone of partitions in time; ``None`` if the partitions have no time."""
    from zoneinfo import ZoneInfo

    if isinstance(definition, dg.MultiPartitionsDefinition):
        zones = (timed_zone(one.partitions_def) for one in definition.partitions_defs)
        return next((zone for zone in zones if zone is not None), None)
    if isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return ZoneInfo(definition.timezone)
    return None


def _named(deadlines: Sequence[Deadline]) -> tuple[Deadline, ...]:
    """Each with a name of its own among those of a table; the only one may have none."""
    taken: set[str] = set()
    found = []
    for one in deadlines:
        name, number = one.name, 1
        while name in taken:
            number += 1
            name = f"{one.name or 'deadline'} {number}"
        taken.add(name)
        found.append(replace(one, name=name))
    return tuple(found)


def _misfits(table: Watched) -> list[Culprit]:
    if timed_zone(table.definition) is not None:
        return []
    found = []
    for deadline in table.deadlines:
        if any(one.due is not None for one in deadline.exceptions):
            problem = "has exceptions with deadlines of their own, which only partitions in time can have."
            found.append(Culprit(where=f"{table.name}: {deadline.due}", problem=problem))
        if read_due(deadline.due).kind is Kind.AFTER and deadline.exceptions:
            problem = "follows each publication, and has exceptions."
            found.append(Culprit(where=f"{table.name}: {deadline.due}", problem=problem))
    return found

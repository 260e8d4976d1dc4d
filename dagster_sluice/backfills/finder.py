"""Find the partitions that need work, and why. Pure: facts in, gaps out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dagster_sluice.backfills.gaps import Reason, TableFacts, TableGaps

__all__ = ["find_gaps"]

NO_PARENT = "it is made of a partition of {table} that does not exist"
HOPELESS_PARENT = "it is made of {table} [{partition}], which can never be filled"


def find_gaps(tables: Sequence[TableFacts]) -> dict[str, TableGaps]:
    """The gaps of each table, in the order given.

    A gap that can never be filled is told apart: because the facts say so (the source keeps no data that old), or
    because an upstream partition that it is made of does not exist, or can itself never be filled and is not published.

    Args:
        tables: The facts, upstream tables before those made of them. An upstream table that is not among them is taken
            to be there and unchanged.

    Raises:
        ValueError: A table comes before one that it is made of.
    """
    found: dict[str, TableGaps] = {}
    by_name = {facts.table: facts for facts in tables}
    for facts in tables:
        late = [
            parent.table
            for parent in facts.parents
            if parent.table in by_name and parent.table not in found and parent.table != facts.table
        ]
        if late:
            raise ValueError(f"{facts.table} comes before {', '.join(late)}, which it is made of.")
        found[facts.table] = _gaps(facts, found)
    return found


def _gaps(facts: TableFacts, found: Mapping[str, TableGaps]) -> TableGaps:
    published = facts.published > 0
    newer = np.zeros(len(facts.keys), np.bool_)
    for parent in facts.parents:
        upstream = (
            facts if parent.table == facts.table else found[parent.table].facts if parent.table in found else None
        )
        if upstream is not None:
            newer |= parent.greatest(upstream.published) > facts.computed
    held = {
        Reason.MISSING: ~published,
        Reason.FAILED: facts.failed,
        Reason.BLOCKED: facts.blocked,
        Reason.LATE_DATA: published & (facts.source_changed > facts.computed),
        Reason.UPSTREAM_NEWER: published & newer,
        Reason.CODE_CHANGED: published & facts.code_changed,
        Reason.REQUESTED: facts.requested,
    }
    reasons = np.zeros(len(facts.keys), np.int64)
    for reason, holds in held.items():
        if reason & facts.reasons:
            reasons[holds] |= int(reason)
    reasons[~(facts.wanted | facts.requested)] = 0
    hopeless = {position: why for position, why in _hopeless(facts, found).items() if reasons[position]}
    reasons[list(hopeless)] = 0
    return TableGaps(facts=facts, reasons=reasons, unfillable=hopeless)


def _hopeless(facts: TableFacts, found: Mapping[str, TableGaps]) -> dict[int, str]:
    why = dict(facts.unfillable)
    for parent in (one for one in facts.parents if not one.optional):
        absent = parent.owners(np.flatnonzero(parent.indices < 0))
        for position in absent[0]:
            why.setdefault(int(position), NO_PARENT.format(table=parent.table))
        if parent.table not in found:
            continue
        upstream = found[parent.table]
        lost = [one for one in upstream.unfillable if not upstream.facts.published[one]]
        if not lost:
            continue
        places = np.flatnonzero(np.isin(parent.indices, np.array(lost, np.int64)))
        for position, place in parent.owners(places).T:
            key = upstream.facts.keys[int(parent.indices[place])]
            why.setdefault(int(position), HOPELESS_PARENT.format(table=parent.table, partition=key))
    return why

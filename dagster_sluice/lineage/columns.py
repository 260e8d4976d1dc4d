"""Which columns a column is made of: plain values, and a graph of them over all tables.

A table is named as Dagster's UI names its asset (``flights/flights``); nothing here knows Dagster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from dagster_sluice.errors import Culprit, SettingError

__all__ = ["ColumnLineage", "ColumnRef", "Direction", "Hop", "LineageGraph", "Origin", "TableEdge"]


class Origin(str, Enum):
    """How it is known what a column is made of."""

    CONTRACT = "contract"
    """The contract says so: ``transformSourceObjects``, or ``Column(sources=…)``; traced ones stand there too."""
    SQL = "sql"
    """Read off the SELECT of `table_from_sql`."""
    DBT = "dbt"
    """Read off a dbt model."""
    METADATA = "metadata"
    """The asset's own metadata ``dagster/column_lineage``."""


class Direction(str, Enum):
    """Which way a walk goes."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, order=True)
class ColumnRef:
    """A column of a table.

    Attributes:
        table: The asset, its key's parts joined by ``/``.
        column: The column.
    """

    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.table.replace('/', '.')}.{self.column}"


@dataclass(frozen=True, kw_only=True)
class ColumnLineage:
    """What one column is made of.

    Attributes:
        column: The column.
        sources: The columns whose values decide its values; none for one that is made of nothing, as a constant is.
        origin: How that is known.
        logic: How it is made, in words or SQL, where that is said.
    """

    column: ColumnRef
    sources: frozenset[ColumnRef]
    origin: Origin
    logic: str = ""


@dataclass(frozen=True, order=True)
class TableEdge:
    """A table that is made of another one."""

    upstream: str
    downstream: str


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One step of a walk.

    Attributes:
        depth: How far from where the walk began, from 1.
        source: The column upstream.
        target: The column made of it.
        origin: How that is known.
        logic: How it is made, where that is said.
    """

    depth: int
    source: ColumnRef
    target: ColumnRef
    origin: Origin
    logic: str


@dataclass(frozen=True, kw_only=True)
class LineageGraph:
    """All tables, their columns, and what these are made of.

    Attributes:
        columns: The columns of each table that is known, in its order; none where a table's columns are not known.
        lineages: What columns are made of. A column without an entry is one of which nothing is known.
        edges: Which table is made of which, as the asset graph has it.
        problems: What could not be read.
    """

    columns: Mapping[str, tuple[str, ...]]
    lineages: Mapping[ColumnRef, ColumnLineage]
    edges: frozenset[TableEdge] = frozenset()
    problems: tuple[Culprit, ...] = ()
    _readers: dict[ColumnRef, list[ColumnRef]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for target, lineage in sorted(self.lineages.items()):
            for source in sorted(lineage.sources):
                self._readers.setdefault(source, []).append(target)

    def of_table(self, table: str) -> dict[str, ColumnLineage]:
        """What is known of the columns of one table, by column, in its order."""
        known = {ref.column: lineage for ref, lineage in self.lineages.items() if ref.table == table}
        order = [name for name in self.columns.get(table, ()) if name in known]
        return {name: known[name] for name in dict.fromkeys([*order, *sorted(known)])}

    def walk(self, start: ColumnRef, direction: Direction) -> Iterator[Hop]:
        """Every column that a column is made of, or that is made of it, nearest first.

        Each hop comes once, also where tables go round in a circle (as one that reads its own day before).
        """
        seen: set[tuple[ColumnRef, ColumnRef]] = set()
        front = [start]
        depth = 0
        while front:
            depth += 1
            following: list[ColumnRef] = []
            for ref in front:
                for source, target in self._next(ref, direction):
                    if (source, target) in seen:
                        continue
                    seen.add((source, target))
                    known = self.lineages[target]
                    yield Hop(depth=depth, source=source, target=target, origin=known.origin, logic=known.logic)
                    following.append(source if direction is Direction.UP else target)
            front = list(dict.fromkeys(following))

    def _next(self, ref: ColumnRef, direction: Direction) -> list[tuple[ColumnRef, ColumnRef]]:
        if direction is Direction.UP:
            known = self.lineages.get(ref)
            return [(source, ref) for source in sorted(known.sources)] if known else []
        return [(ref, target) for target in self._readers.get(ref, ())]

    def tables(self) -> tuple[str, ...]:
        """Every table: of which columns are known, or which stands in the asset graph."""
        ends = {end for edge in self.edges for end in (edge.upstream, edge.downstream)}
        return tuple(sorted({*self.columns, *ends}))

    def upstream(self, table: str) -> tuple[str, ...]:
        """The tables that a table is made of."""
        return tuple(sorted(edge.upstream for edge in self.edges if edge.downstream == table))

    def downstream(self, table: str) -> tuple[str, ...]:
        """The tables that are made of it."""
        return tuple(sorted(edge.downstream for edge in self.edges if edge.upstream == table))

    def table(self, text: str) -> str:
        """The table that a person means: ``flights.flights``, ``flights/flights``, or its bare name if that is one.

        Raises:
            SettingError: There is none, or several.
        """
        found = _meant(text, self.tables())
        if len(found) == 1:
            return found[0]
        raise _no_such("table", text, found, [name.replace("/", ".") for name in self.tables()])

    def column(self, text: str) -> ColumnRef:
        """The column that a person means: ``flights.flights.carrier``.

        Raises:
            SettingError: There is no such table or column.
        """
        table, _, column = text.replace("/", ".").rpartition(".")
        if not table:
            raise SettingError(
                f"{text!r} is no column of a table.", mend="Name both: sluice lineage column TABLE.COLUMN."
            )
        named = self.table(table)
        ref = ColumnRef(table=named, column=column)
        columns = self.columns.get(named, ())
        if column in columns or ref in self.lineages or ref in self._readers or not columns:
            return ref
        raise _no_such("column", text, [], [str(ColumnRef(named, name)) for name in columns])


def _meant(text: str, tables: Iterable[str]) -> list[str]:
    wanted = tuple(text.replace("/", ".").split("."))
    names = [(name, tuple(name.split("/"))) for name in tables]
    exact = [name for name, parts in names if parts == wanted]
    return exact or [name for name, parts in names if parts[-len(wanted) :] == wanted]


def _no_such(what: str, text: str, found: list[str], known: list[str]) -> SettingError:
    import difflib

    if found:
        return SettingError(
            f"{text!r} may be any of {len(found)} {what}s.",
            culprits=[Culprit(where=name.replace("/", "."), problem="is one of them.") for name in found],
            mend="Write it out.",
        )
    near = difflib.get_close_matches(text.replace("/", "."), known, 1)
    mend = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known[:12])}." if known else ""
    return SettingError(f"There is no {what} {text!r}.", mend=mend)

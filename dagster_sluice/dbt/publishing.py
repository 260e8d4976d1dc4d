"""What was built and judged becomes what readers see: all models of a build in one transaction.

A table that is made anew takes the place of the old one. An incremental one gets the rows that changed, and keeps what
others hang on it: views, grants, indexes. So does a table on which views of others stand.

Nobody who reads is ended by a publish. Rows are changed first, which keeps no reader waiting; then all relations that are
to be replaced are locked, together and briefly: whoever cannot have all of them gives them back and tries again. Postgres
would otherwise break the deadlock with a query over two marts, after ``deadlock_timeout``, by ending that query.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from dagster_sluice.dbt.nodes import Node
from dagster_sluice.dbt.staging import Place, Staging, role, said
from dagster_sluice.errors import Culprit, PublishError
from dagster_sluice.failpoints import failpoint
from dagster_sluice.warehouse.postgres_errors import translate

__all__ = ["Published", "outside", "publish"]

_PATIENCE = 0.5
_PAUSE = 0.05
_TABLES = ("r", "p")
_WORDS = {"r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "f": "FOREIGN TABLE"}


@dataclass(frozen=True, kw_only=True)
class Published:
    """What became of one node.

    Attributes:
        rows: Of the relation now; ``None`` for a view.
        built: Of them, those that this build made; ``None`` for a view.
        changed: Rows that were added or removed; ``None`` where the relation is a new one.
    """

    rows: int | None = None
    built: int | None = None
    changed: int | None = None


def outside(staging: Staging, node: Node) -> int:
    """How many rows a build of some partitions made of others, which would not be published."""
    staged = staging.staged(node)
    if not staging.sliced(node) or staged.kind not in _TABLES:
        return 0
    question = sql.SQL(said("outside")).format(staged=staged.identifier, slice=staging.condition(node, staged.columns))
    found = staging.session.execute(question).fetchone()
    return int(found[0]) if found else 0


def publish(staging: Staging, nodes: Sequence[Node], *, lock_timeout: float, url: str) -> dict[str, Published]:
    """Publish what was built of these nodes.

    Args:
        staging: Where it was built.
        nodes: Upstream first.
        lock_timeout: Seconds to wait for who uses a relation that has to be replaced.
        url: The database, for what an error says.

    Returns:
        What became of each, by id; of nodes that left no relation, nothing.

    Raises:
        PublishError: A view of somebody else stands in the way. Nothing was published.
        OutcomeUnknown: The database was lost during the commit: all was published, or nothing.
    """
    committing = False
    try:
        with staging.session.transaction():
            found = _Publication(staging, nodes, lock_timeout).run()
            failpoint("dbt.published")
            committing = True
    except psycopg.Error as failure:
        translate(url, failure, committing=committing)
    failpoint("dbt.committed")
    return found


class _Publication:
    def __init__(self, staging: Staging, nodes: Sequence[Node], lock_timeout: float) -> None:
        self._staging = staging
        self._lock_timeout = lock_timeout
        self._session: psycopg.Connection[Any] = staging.session
        self._nodes = [node for node in nodes if staging.staged(node).kind is not None]
        self._defined = {
            node.id: self._definition(node) for node in self._nodes if staging.staged(node).kind not in _TABLES
        }
        views = {(node.schema, node.alias) for node in self._nodes if node.id in self._defined}
        self._replaced = {node.id for node in self._nodes if self._is_replaced(node, views)}
        # Asked before anything goes.
        self._readers = {
            node.id: staging.published(node).dependents for node in self._nodes if node.id in self._replaced
        }

    def run(self) -> dict[str, Published]:
        self._refuse()
        self._wait_at_most(self._lock_timeout)
        merged = {node.id: self._fill(node) for node in self._nodes if self._keeps_its_shape(node)}
        others = [node for node in self._nodes if node.id not in merged]
        self._lock([self._staging.published(node) for node in others])
        for node in reversed(others):
            published = self._staging.published(node)
            on_replaced = any((published.schema, published.name) in readers for readers in self._readers.values())
            if node.id in self._replaced or (node.id in self._defined and on_replaced):
                self._drop(published)
        found = {node.id: self._define(node) if node.id in self._defined else self._fill(node) for node in others}
        self._check_hold()
        return merged | found

    def _keeps_its_shape(self, node: Node) -> bool:
        """Whether only rows of what is published change."""
        published, staged = self._staging.published(node), self._staging.staged(node)
        kept = node.id not in self._defined and node.id not in self._replaced
        return kept and published.kind is not None and published.columns == staged.columns

    def _lock(self, places: Sequence[Place]) -> None:
        """Lock relations against readers, all of them or none: never keep one while waiting long for another."""
        found = self._session.execute(said("deadlock_timeout")).fetchone()
        patience = float(found[0]) / 2 if found else _PATIENCE
        deadline = time.monotonic() + self._lock_timeout
        there = [place for place in places if place.kind is not None]
        while True:
            end = min(deadline, time.monotonic() + patience)
            try:
                with self._session.transaction():
                    for place in there:
                        self._wait_at_most(end - time.monotonic())
                        # It stays where it is. LOCK TABLE knows no materialized view, and of a view locks all it reads.
                        self._session.execute(
                            sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(
                                place.identifier, sql.Identifier(place.schema)
                            )
                        )
                break
            except psycopg.errors.LockNotAvailable:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE)
        self._wait_at_most(self._lock_timeout)

    def _wait_at_most(self, seconds: float) -> None:
        milliseconds = max(1, round(seconds * 1000))
        self._session.execute("SELECT set_config('lock_timeout', %s, true)", [f"{milliseconds}ms"])

    def _check_hold(self) -> None:
        """No published view may stand on what is dropped with the staging area."""
        schemas = sorted({node.schema for node in self._staging.nodes})
        names = {"staging": [self._staging.schema(schema) for schema in schemas], "published": schemas}
        leaning = [name for (name,) in self._session.execute(said("leaning"), names).fetchall()]
        if leaning:
            raise PublishError(
                f"Nothing was published: {', '.join(leaning)} would read what is only being built.",
                mend="Let the view refer to models by ref(), and build what it reads together with it.",
            )

    def _is_replaced(self, node: Node, views: set[tuple[str, str]]) -> bool:
        """Whether the published relation goes and the one that was built takes its place."""
        published, staged = self._staging.published(node), self._staging.staged(node)
        if published.kind is None:
            return False
        if (published.kind in _TABLES) != (staged.kind in _TABLES) or "m" in (published.kind, staged.kind):
            return True
        if staged.kind not in _TABLES:
            return False
        free = published.dependents <= views
        same = published.columns == staged.columns
        if self._staging.changes(node):
            return free and not same and not self._staging.sliced(node) and not _grown(published, staged)
        return free or not same

    def _refuse(self) -> None:
        """Never take a view away that this build does not make again."""
        views = {(node.schema, node.alias) for node in self._nodes if node.id in self._defined}
        culprits = []
        for node in self._nodes:
            readers = sorted(self._readers.get(node.id, set()) - views)
            names = ", ".join(".".join(reader) for reader in readers)
            if readers:
                problem = f"has changed its columns or its kind, and is read by the views {names}."
                culprits.append(Culprit(where=f"{node.schema}.{node.alias}", problem=problem))
        if culprits:
            raise PublishError(
                "Nothing was published: it would take views away that this build does not make.",
                culprits=culprits,
                mend="Build them together, or drop them yourself.",
            )

    def _drop(self, place: Place) -> None:
        kind = place.kind
        if kind is not None:
            self._session.execute(sql.SQL(f"DROP {_WORDS[kind]} {{}}").format(place.identifier))

    def _fill(self, node: Node) -> Published:
        published, staged = self._staging.published(node), self._staging.staged(node)
        built = staged.count()
        if published.kind is None:
            self._session.execute(
                sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(staged.identifier, sql.Identifier(node.schema))
            )
            return Published(rows=built, built=built)
        changed = self._merge(node, published, staged)
        self._dress(node, published, staged)
        return Published(rows=published.count(), built=built, changed=changed)

    def _merge(self, node: Node, published: Place, staged: Place) -> int:
        """Make the published rows those that were built, and touch no other."""
        wanted, there = staged.columns, published.columns
        for name, kind in wanted.items():
            if name not in there:
                self._session.execute(
                    sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                        published.identifier, sql.Identifier(name), sql.SQL(kind)
                    )
                )
        odd = [name for name, kind in there.items() if wanted.get(name) != kind]
        if odd:
            raise PublishError(
                f"Nothing was published: {published.text} and what was built differ in the columns {', '.join(odd)}.",
                mend="Build it anew with a full refresh.",
            )
        words: dict[str, sql.Composable] = {
            "published": published.identifier,
            "staged": staged.identifier,
            "columns": sql.SQL(", ").join(sql.Identifier(name) for name in published.given),
            "slice": self._staging.condition(node, wanted),
        }
        removed = self._session.execute(sql.SQL(said("remove")).format(**words)).rowcount
        return removed + self._session.execute(sql.SQL(said("add")).format(**words)).rowcount

    def _definition(self, node: Node) -> str:
        """A view's definition, as it reads where it is published."""
        staged = self._staging.staged(node)
        found = self._session.execute(said("definition"), {"relation": staged.text}).fetchone()
        return self._moved(str(found[0]) if found else "")

    def _moved(self, text: str) -> str:
        """SQL of Postgres's own, with the published schemas in place of the staging ones."""
        for schema in sorted({other.schema for other in self._staging.nodes}):
            text = text.replace(f"{self._quoted(self._staging.schema(schema))}.", f"{self._quoted(schema)}.")
        return text

    def _quoted(self, name: str) -> str:
        """As Postgres itself writes a name: quoted only if need be."""
        found = self._session.execute("SELECT quote_ident(%s)", [name]).fetchone()
        return str(found[0]) if found else name

    def _define(self, node: Node) -> Published:
        published, staged = self._staging.published(node), self._staging.staged(node)
        text = sql.SQL(self._defined[node.id])
        if staged.kind == "m":
            self._session.execute(sql.SQL("CREATE MATERIALIZED VIEW {} AS {}").format(published.identifier, text))
            for (index,) in self._session.execute(said("indexes"), {"relation": staged.text}).fetchall():
                self._session.execute(sql.SQL(self._moved(index)))
        else:
            self._create_view(published, text)
        self._dress(node, published, staged)
        return Published()

    def _dress(self, node: Node, published: Place, staged: Place) -> None:
        """Who may read it and what is said of it, as dbt has done with what it built."""
        wanted = set(self._session.execute(said("granted"), {"relation": staged.text}).fetchall())
        there = set(self._session.execute(said("granted"), {"relation": published.text}).fetchall())
        for privilege, grantee in sorted(wanted - there, key=str):
            self._session.execute(
                sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(privilege), published.identifier, role(grantee))
            )
        # As dbt: a project that says who may read a model says it of all.
        for privilege, grantee in sorted(there - wanted, key=str) if node.grants else ():
            self._session.execute(
                sql.SQL("REVOKE {} ON {} FROM {}").format(sql.SQL(privilege), published.identifier, role(grantee))
            )
        kind = sql.SQL(_WORDS[published.kind or "r"])
        for number, column, words in self._session.execute(said("comments"), {"relation": staged.text}).fetchall():
            what = sql.SQL("COLUMN {}").format(sql.Identifier(published.schema, published.name, column or ""))
            if not number:
                what = sql.SQL("{} {}").format(kind, published.identifier)
            self._session.execute(sql.SQL("COMMENT ON {} IS {}").format(what, sql.Literal(words)))

    def _create_view(self, published: Place, text: sql.SQL) -> None:
        create = sql.SQL("CREATE OR REPLACE VIEW {} AS {}").format(published.identifier, text)
        try:
            with self._session.transaction():
                self._session.execute(create)
        except psycopg.errors.InvalidTableDefinition:
            # Its columns are others: it has to go first, and what reads it with it, if that is made again after it.
            views = {(node.schema, node.alias) for node in self._nodes if node.id in self._defined}
            readers = published.dependents
            if readers - views:
                names = ", ".join(".".join(reader) for reader in sorted(readers - views))
                raise PublishError(
                    f"Nothing was published: the view {published.text} has other columns now, and is read by {names}.",
                    mend="Build them together, or drop them yourself.",
                ) from None
            self._session.execute(sql.SQL("DROP VIEW {} CASCADE").format(published.identifier))
            self._session.execute(create)


def _grown(published: Place, staged: Place) -> bool:
    """Whether what was built has all published columns, as they are, and further ones."""
    wanted = staged.columns
    return all(wanted.get(name) == kind for name, kind in published.columns.items())

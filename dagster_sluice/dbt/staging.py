"""Where models are built before anybody can see them: a schema beside each that they are published in.

``marts`` is built as ``marts__sluice``. It is dropped when all of a build is published; what was not stays until the
next build, so that it can be looked at. One build of a schema at a time, by locks of the session.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from dagster_sluice.dbt.nodes import Node
from dagster_sluice.dbt.slices import Slice
from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.warehouse.postgres_errors import translate
from dagster_sluice.warehouse.statements import statements

__all__ = ["Place", "Staging", "build_turn"]

_LONGEST_NAME = 63
_SUFFIX = "__sluice"
_MARK = "dagster-sluice builds here what is not published yet; the next build drops it."


@contextmanager
def build_turn(url: str, schemas: Collection[str]) -> Iterator[psycopg.Connection[Any]]:
    """Wait until nobody else builds for these schemas in this database, and keep others waiting meanwhile.

    Two builds at once would race to create the same tables. The locks end with the process, however that ends.

    Args:
        url: The database.
        schemas: Those in which the models of the build are published, of whatever project.

    Yields:
        The session that has the locks.

    Raises:
        DatabaseUnreachable: There is no connection to be had.
        PublishError: The database refused a change; nothing of it took place.
    """
    session = None
    try:
        session = psycopg.connect(url, autocommit=True)
        # In one order for all, so that no two wait for each other.
        for schema in sorted({staging_of(schema) for schema in schemas}):
            session.execute(said("lock"), [f"sluice.dbt|{schema}"])
        yield session
    except psycopg.Error as failure:
        translate(url, failure)
    finally:
        if session is not None:
            session.close()


def said(name: str) -> str:
    """A statement of the staging area's file."""
    return statements("postgres", "staging", "dagster_sluice.dbt")[name]


class Place:
    """A relation in a database, and what can be asked about it.

    Args:
        session: Where to ask.
        schema: Its schema.
        name: Its name.
    """

    def __init__(self, session: psycopg.Connection[Any], schema: str, name: str) -> None:
        self._session = session
        self.schema = schema
        self.name = name

    @property
    def identifier(self) -> sql.Identifier:
        """The relation, quoted."""
        return sql.Identifier(self.schema, self.name)

    @property
    def text(self) -> str:
        """The relation as ``regclass`` reads it."""
        return self.identifier.as_string(self._session)

    @property
    def kind(self) -> str | None:
        """``r`` or ``p`` table, ``v`` view, ``m`` materialized view; ``None`` if it is not there."""
        found = self._session.execute(said("relation"), {"schema": self.schema, "name": self.name}).fetchone()
        return None if found is None else str(found[0])

    @property
    def columns(self) -> dict[str, str]:
        """The columns in their order, and their types."""
        return dict(self._session.execute(said("columns"), {"schema": self.schema, "name": self.name}).fetchall())

    @property
    def given(self) -> list[str]:
        """The columns to which values are given; generated ones are not."""
        found = self._session.execute(said("given"), {"schema": self.schema, "name": self.name}).fetchall()
        return [name for (name,) in found]

    @property
    def dependents(self) -> set[tuple[str, str]]:
        """The views that read it, by schema and name."""
        return set(self._session.execute(said("dependents"), {"relation": self.text}).fetchall())

    def count(self) -> int:
        """Its rows."""
        found = self._session.execute(sql.SQL("SELECT count(*) FROM {}").format(self.identifier)).fetchone()
        return int(found[0]) if found else 0


class Staging:
    """The staging area of one build.

    Args:
        session: One that has the project's turn.
        nodes: What is to be built.
        part: The partitions that are built; ``None`` for whole models.
        full_refresh: Nothing of what is published is kept.
    """

    def __init__(
        self,
        session: psycopg.Connection[Any],
        nodes: Sequence[Node],
        *,
        part: Slice | None = None,
        full_refresh: bool = False,
    ) -> None:
        self.session = session
        self.nodes = nodes
        self._part = part
        self._full_refresh = full_refresh
        self._sliced: set[str] = set()

    def prepare(self) -> dict[str, str]:
        """Make the area anew: empty, but for what a build is to change, which is copied.

        Of an incremental model whose partition column is known, only the partitions of the build are. The schemas in
        which is published are made if they are not there, as dbt makes them before the project's hooks run.

        Returns:
            The schema in which each node is built, by its id.

        Raises:
            SettingError: A schema of that name is somebody else's.
        """
        for schema in sorted({node.schema for node in self.nodes}):
            self._make(schema)
        for node in self.nodes:
            if self.changes(node) and self.published(node).kind in ("r", "p"):
                # A model that is not there yet is built whole, and published as it was built.
                if self._part is not None and node.column is not None:
                    self._sliced.add(node.id)
                self._copy(node)
        return {node.id: staging_of(node.schema) for node in self.nodes}

    def drop(self, *, lock_timeout: float) -> None:
        """Drop the area: nothing of it is needed any more. Where somebody is looking at it, the next build drops it.

        Args:
            lock_timeout: Seconds to wait for who looks at it.
        """
        with contextlib.suppress(psycopg.Error), self.session.transaction():
            self.session.execute("SELECT set_config('lock_timeout', %s, true)", [f"{round(lock_timeout * 1000)}ms"])
            for name in sorted({staging_of(node.schema) for node in self.nodes}):
                self.session.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))

    def schema(self, published: str) -> str:
        """The schema in which the models of a schema are built."""
        return staging_of(published)

    def changes(self, node: Node) -> bool:
        """Whether the build changes what is published, instead of making it anew."""
        return node.grows and not self._full_refresh

    def sliced(self, node: Node) -> bool:
        """Whether only the partitions of the build are built and published."""
        return node.id in self._sliced

    def published(self, node: Node) -> Place:
        """Where a node is published."""
        return Place(self.session, node.schema, node.alias)

    def staged(self, node: Node) -> Place:
        """Where it is built."""
        return Place(self.session, staging_of(node.schema), node.alias)

    def condition(self, node: Node, columns: dict[str, str]) -> sql.Composable:
        """Which rows of a node belong to the build, as SQL.

        Raises:
            SettingError: The node has no such column.
        """
        if not self.sliced(node) or self._part is None or node.column is None:
            return sql.SQL("TRUE")
        if node.column not in columns:
            raise SettingError(
                f"The dbt model {node.name} has no column {node.column!r}, which is to tell its partitions.",
                mend="Name another in the model's meta (sluice: partition_column), or none in dbt_tables.",
            )
        column = sql.Identifier(node.column)
        bounds = self._part.bounds(columns[node.column])
        if bounds is None:
            return sql.SQL("{}::text = ANY({})").format(column, sql.Literal(list(self._part.keys)))
        first, end = map(sql.Literal, bounds)
        return sql.SQL("{} >= {} AND {} < {}").format(column, first, column, end)

    def _make(self, schema: str) -> None:
        name = staging_of(schema)
        found = self.session.execute(said("mark"), [name]).fetchone()
        if found is not None and found[0] != _MARK:
            raise SettingError(
                "There is no place to build dbt's models.",
                culprits=[Culprit(where=f"schema {name}", problem="is there already, and not made by dagster-sluice.")],
                mend="Rename or drop it.",
            )
        place = sql.Identifier(name)
        with self.session.transaction():
            self.session.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
            self.session.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(place))
            self.session.execute(sql.SQL("CREATE SCHEMA {}").format(place))
            self.session.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(place, sql.Literal(_MARK)))
            # A table that is built here and moved there is to be read by whom a table made there would be.
            for privilege, grantee in self.session.execute(said("default_grants"), [schema]).fetchall():
                self.session.execute(
                    sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT {} ON TABLES TO {}").format(
                        place, sql.SQL(privilege), role(grantee)
                    )
                )

    def _copy(self, node: Node) -> None:
        published, staged = self.published(node), self.staged(node)
        columns = published.columns
        listed = sql.SQL(", ").join(map(sql.Identifier, published.given))
        self.session.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(staged.identifier, published.identifier)
        )
        self.session.execute(
            sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} WHERE {}").format(
                staged.identifier, listed, listed, published.identifier, self.condition(node, columns)
            )
        )
        # Its numbers go on where those of the published table are.
        for column, last in self.session.execute(said("sequences"), {"relation": published.text}).fetchall():
            self.session.execute("SELECT setval(pg_get_serial_sequence(%s, %s), %s)", [staged.text, column, last])


def role(name: str | None) -> sql.Composable:
    """Somebody to whom something is granted; ``None`` is everybody."""
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)


def staging_of(schema: str) -> str:
    """The schema in which the models of a schema are built."""
    return f"{schema.encode()[: _LONGEST_NAME - len(_SUFFIX)].decode(errors='ignore')}{_SUFFIX}"

"""The database in which the state lives: its engine, its migrations, its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from dagster_sluice.embedded import database_url, redact, with_driver
from dagster_sluice.errors import DatabaseUnreachable
from dagster_sluice.state.schema import SCHEMA

__all__ = ["State"]

_MIGRATIONS = Path(__file__).with_name("migrations")
_HEAD = "0003"
"""The newest step, so that a database that has it is known without asking Alembic, which takes half a second."""


class State:
    """What the platform remembers, in the schema ``sluice_state`` of one Postgres database.

    Safe to use from several processes at once.

    Args:
        url: A ``postgresql://`` URL; the database in use by default.
    """

    def __init__(self, url: str | None = None) -> None:
        self._url = url or database_url()
        self._engine = sa.create_engine(with_driver(self._url, "psycopg"), pool_pre_ping=True, pool_size=2)
        self._prepared = False

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A transaction: committed at the end, rolled back if anything is raised.

        Raises:
            DatabaseUnreachable: The database does not answer, or went away; what was done is undone.
        """
        self.prepare()
        with self._told(), self._engine.begin() as connection:
            yield connection

    def prepare(self) -> None:
        """Bring the schema up to date. Doing it again changes nothing, two at once wait for each other.

        Raises:
            DatabaseUnreachable: The database does not answer, or the schema cannot be made.
        """
        if self._prepared:
            return
        with self._told(), self._engine.begin() as connection:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('sluice.state', 0))"))
            if self._revision(connection) != _HEAD:
                connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
                _upgrade(connection)
        self._prepared = True

    def close(self) -> None:
        """Let go of connections. The next call opens new ones."""
        self._engine.dispose()

    @staticmethod
    def _revision(connection: sa.Connection) -> str | None:
        there = connection.execute(sa.text(f"SELECT to_regclass('{SCHEMA}.alembic_version')")).scalar()
        if there is None:
            return None
        found = connection.execute(sa.text(f"SELECT version_num FROM {SCHEMA}.alembic_version")).scalar()  # noqa: S608
        return str(found) if found is not None else None

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError) as failure:
            raise DatabaseUnreachable(
                f"The state cannot be kept: {redact(' '.join(str(failure.orig).split()))}",
                mend="See that the database of SLUICE_DATABASE_URL answers and that its user may create schemas.",
            ) from failure
        except sa.exc.ProgrammingError as failure:
            if "permission denied" not in str(failure):
                raise
            raise DatabaseUnreachable(
                f"The state cannot be kept: {' '.join(str(failure.orig).split())}",
                mend=f"Let the user of SLUICE_DATABASE_URL create the schema {SCHEMA}.",
            ) from failure


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS))
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")

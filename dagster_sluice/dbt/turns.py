"""Who builds a dbt project takes turns: its models have one place, and two builds at once would race to create them."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg  # noqa: TID253 (only a step that builds imports this)

from dagster_sluice.warehouse.postgres_errors import translate

__all__ = ["in_turn"]

_LOCK = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"


@contextmanager
def in_turn(url: str, project: str) -> Iterator[None]:
    """Wait until nobody else builds this project in this database, and keep others waiting meanwhile.

    The lock is that of a session: it ends with the process, however that ends.

    Args:
        url: The database.
        project: The project's name.

    Raises:
        DatabaseUnreachable: There is no connection to be had.
    """
    session = None
    try:
        try:
            session = psycopg.connect(url, autocommit=True)
            session.execute(_LOCK, [f"sluice.dbt|{project}"])
        except psycopg.Error as failure:
            translate(url, failure)
        yield
    finally:
        if session is not None:
            session.close()

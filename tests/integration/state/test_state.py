"""Our own schema: made once, whoever comes first, and as the code has it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from dagster_sluice.errors import DatabaseUnreachable
from dagster_sluice.state import State, database
from dagster_sluice.state.schema import SCHEMA, metadata, requests


@pytest.fixture
def state(database_url):
    with closing(State(database_url)) as state:
        yield state


def test_all_steps_together_are_the_schema(state):
    with state.transaction() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "version_table_schema": SCHEMA,
                "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
                "compare_server_default": True,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_the_newest_step_is_the_one_that_is_looked_for():
    assert ScriptDirectory(str(database._MIGRATIONS)).get_current_head() == database._HEAD


def test_many_at_once_make_it_once(database_url):
    def prepare(_):
        with closing(State(database_url)) as one:
            one.prepare()

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(prepare, range(4)))) == 4


def test_what_fails_is_undone(state):
    row = {"asset": "a", "partition": "p", "requested_by": "me", "why": "", "requested_at": sa.func.now()}

    def fail():
        with state.transaction() as connection:
            connection.execute(requests.insert().values(row))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with state.transaction() as connection:
        assert connection.execute(sa.select(requests)).all() == []


def test_a_server_that_is_not_there_is_told():
    with pytest.raises(DatabaseUnreachable, match="The state cannot be kept"):
        State("postgresql://nobody:secret@127.0.0.1:1/none").prepare()

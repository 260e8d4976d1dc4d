"""A memory of its own for each test."""

from contextlib import closing

import pytest

from dagster_sluice.backfills.memory import Nights
from dagster_sluice.state import State


@pytest.fixture
def state(database_url):
    with closing(State(database_url)) as state:
        yield state


@pytest.fixture
def nights(state):
    return Nights(state)

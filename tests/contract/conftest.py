"""What the suites of this directory share: each adapter in turn, with a fresh and empty database."""

import multiprocessing

import adapters
import pytest

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(params=sorted(adapters.ADAPTERS))
def place(request):
    """An empty database; see `adapters.Place`."""
    adapter = adapters.ADAPTERS[request.param]
    if issubclass(adapter, adapters.PostgresPlace):
        return adapter(request.getfixturevalue("database_url"))
    return adapter(f"duckdb:///{request.getfixturevalue('tmp_path')}/warehouse.duckdb")


@pytest.fixture
def opened(place):
    """A function that opens the same empty database again and again."""
    made = []

    def open_one():
        made.append(place.open())
        return made[-1]

    yield open_one
    for warehouse in made:
        warehouse.close()


@pytest.fixture
def warehouse(opened):
    return opened()


@pytest.fixture
def elsewhere(place):
    """A function that runs another one in a process of its own, with a warehouse as its first argument."""

    def start(function, *arguments):
        results = SPAWN.SimpleQueue()
        process = SPAWN.Process(target=adapters.elsewhere, args=(place, function, arguments, results))
        process.start()
        return process, results

    return start

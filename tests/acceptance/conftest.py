"""One copy of the project in which ``sluice run`` has run once; it takes the better part of a minute."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkout import Checkout, Finished, copied


def pytest_collection_modifyitems(items) -> None:
    """Whole projects run here, two at once on two cores in CI: a test may take its time, and only must end."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(1800))


@dataclass(frozen=True)
class Platform:
    """A checkout after its first run, what that run said and which processes it left."""

    checkout: Checkout
    first: Finished
    left: list[str]


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    with copied() as checkout:
        first = checkout.sluice("run")
        assert first.code == 0, first.said
        yield Platform(checkout, first, checkout.processes())

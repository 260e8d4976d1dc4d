"""One copy of the project in which ``sluice run`` has run once; it takes the better part of a minute."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from checkout import Checkout, Finished, copied


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

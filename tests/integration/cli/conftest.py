"""A copy of the project that has never run, and a copy of that to spoil."""

import shutil
from collections.abc import Iterator

import pytest
from checkout import Checkout, copied


@pytest.fixture(scope="session")
def pristine() -> Iterator[Checkout]:
    with copied() as made:
        # dbt's manifest is made once, and not by each copy.
        assert made.sluice("doctor").code == 0
        shutil.rmtree(made.home)
        yield made


@pytest.fixture
def checkout(pristine) -> Iterator[Checkout]:
    """A copy to spoil."""
    with copied(like=pristine) as made:
        yield made

"""What Great Expectations imports is not ours to mend."""

import warnings

import pytest


@pytest.fixture(scope="session", autouse=True)
def _imports_that_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations  # noqa: F401

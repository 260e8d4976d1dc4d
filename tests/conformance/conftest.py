"""How much is generated, and where Great Expectations' own tests lie."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile("sample", max_examples=25, deadline=None, derandomize=True, database=None)
settings.register_profile("full", max_examples=2_000, deadline=None, database=None, phases=[Phase.generate])
PROFILE = settings.get_profile(os.environ.get("SLUICE_CONFORMANCE", "sample"))
GENERATED = settings(PROFILE, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="session")
def gx_distribution():
    """Great Expectations' unpacked source distribution, as ``make conformance`` downloads it."""
    found = os.environ.get("SLUICE_GX_SDIST")
    if not found:
        pytest.skip("the source distribution of Great Expectations is not here; `make conformance` fetches it")
    return Path(found)

"""What the import of deadlines costs."""

import os
import subprocess
import sys

import pytest

from dagster_sluice import freshness


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="nothing_like_it"):
        freshness.nothing_like_it  # noqa: B018 (the access is what is tested)


def test_a_deadline_needs_no_engine():
    code = "import sys; from dagster_sluice.freshness import Deadline; Deadline('06:00'); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ended.stdout.split()}
    assert loaded.isdisjoint({"dagster", "numpy", "pyarrow", "pandas", "sqlalchemy", "holidays", "great_expectations"})

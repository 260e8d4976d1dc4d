"""What is imported when: Dagster loads a code location again and again, and a heavy import is paid each time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("great_expectations", "pandas", "duckdb", "dagster", "pyarrow", "dbt", "psycopg", "sqlalchemy", "numpy")


def imported_by(statement, tmp_path):
    """The top-level packages that a fresh interpreter has after a statement."""
    finished = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}}, file=sys.stderr)",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SLUICE_HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return set(finished.stderr.splitlines()[-1].split())


def test_import_dagster_sluice_is_light(tmp_path):
    assert imported_by("import dagster_sluice", tmp_path).isdisjoint(HEAVY)


@pytest.mark.parametrize("module", ["dagster_sluice.errors", "dagster_sluice.contracts", "dagster_sluice.gates"])
def test_so_are_the_values(module, tmp_path):
    assert imported_by(f"import {module}", tmp_path).isdisjoint(HEAVY)


def test_a_table_needs_dagster_and_no_engine(tmp_path):
    found = imported_by("from dagster_sluice import table, WarehouseResource", tmp_path)
    assert "dagster" in found
    assert found.isdisjoint({"great_expectations", "duckdb", "pandas", "pyarrow", "psycopg"})


def test_loading_the_code_location_imports_no_great_expectations(tmp_path):
    found = imported_by("import pipelines.definitions", tmp_path)
    assert "dagster" in found
    assert "great_expectations" not in found

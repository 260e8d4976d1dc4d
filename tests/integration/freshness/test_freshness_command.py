"""``sluice freshness`` in a project of its own: what it shows, what it exits with, what it writes."""

import datetime as dt
import json
import textwrap
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from dagster_sluice.cli import app as cli
from dagster_sluice.errors import SettingError

PROJECT = """
    import dagster as dg
    from harbour import TIDES, platform
    from dagster_sluice.freshness import freshness_sensor

    import os
    sensor = freshness_sensor("key:tides", name="tide_watch", deadlines={"tides": TIDES})
    defs = platform(os.environ["SLUICE_DATABASE_URL"], sensors=[sensor])
"""


@pytest.fixture
def project(tmp_path, monkeypatch, database_url):
    """The harbour, in the working directory."""
    (tmp_path / "place.py").write_text(textwrap.dedent(PROJECT))
    (tmp_path / "workspace.yaml").write_text("load_from:\n  - python_file: place.py\n")
    (tmp_path / "dagster").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "sluice"))
    monkeypatch.setenv("SLUICE_DAGSTER_URL", "")
    return tmp_path


@pytest.fixture
def punctual(project, ledger):
    """Every day of ships and berths was published in time."""
    today = dt.datetime.now(dt.timezone.utc)
    for back in range(1, 120):
        day = today - dt.timedelta(days=back)
        at = day.replace(hour=1, minute=0) + dt.timedelta(days=1)
        if at > today:
            at = day.replace(hour=23, minute=55)
        ledger.publish("ships", f"{day:%Y-%m-%d}", at)
        for berth in ("north", "south"):
            ledger.publish("berthed", f"{berth}|{day:%Y-%m-%d}", at)
    return ledger


def sluice(*words, code=0):
    if not cli.app.registered_commands:
        cli._assemble()
    result = CliRunner().invoke(cli.app, ["freshness", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_what_is_late_is_shown_and_exits_with_one(project, ledger):
    shown = sluice("status", code=1).output
    for word in ("harbour/ships", "harbour/ports", "harbour/berthed", "tides", "06:00 on the next day", "(5) since"):
        assert word in shown, shown
    assert "harbour/quays" not in shown
    told = json.loads(sluice("status", "--json", code=1).stdout)
    assert told["late"] is True
    tables = {one["table"]: one for one in told["tables"]}
    partitions = tables["harbour/ships"]["deadlines"][0]["partitions"]
    assert {one["status"] for one in partitions} == {"late"}
    assert all(one["seconds_left"] < 0 for one in partitions)


def test_nothing_late_exits_with_zero(punctual):
    shown = sluice("status", "--select", "key:harbour/ships or key:harbour/berthed").output
    assert "Nothing is late" in shown
    told = json.loads(sluice("status", "--json", "--select", "key:harbour/ships").stdout)
    assert [one["table"] for one in told["tables"]] == ["harbour/ships"]


def test_nothing_has_a_deadline(project):
    assert "No table has a deadline." in sluice("status", "--select", "key:harbour/quays").output


def test_a_selection_that_cannot_be_read(project):
    with pytest.raises(SettingError, match="selection cannot be read"):
        sluice("status", "--select", "key:(")


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.days, self.addresses = [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "td" and "day" in (given.get("class") or ""):
            self.days.append((given["class"].split()[1], given["title"]))
        self.addresses += [given[name] for name in ("src", "href") if name in given]


def test_a_report_is_a_calendar_that_needs_no_network(punctual, project):
    yesterday = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=40)
    key = f"{yesterday:%Y-%m-%d}"
    punctual.drop("ships", key, dt.datetime.now(dt.timezone.utc))
    sluice("report", "-o", "out.html", "--select", "key:harbour/ships")
    text = (project / "out.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    tones = {title.partition(":")[0]: tone for tone, title in page.days}
    assert tones[key] == "bad"
    assert list(tones.values()).count("good") >= 85
    assert page.addresses == []
    assert "://" not in text
    assert "100 %" in text
    told = json.loads(sluice("report", "--json", "--select", "key:harbour/ships").stdout)
    shares = {one["days"]: one for one in told["tables"][0]["attainment"]}
    assert (shares[30]["share"], shares[90]["share"]) == (1.0, 1.0)
    assert 88 <= shares[90]["met"] <= 91


def test_a_report_that_cannot_be_written(project):
    with pytest.raises(SettingError, match="cannot be written"):
        sluice("report", "-o", "nowhere/out.html")

"""Notices: each once, whoever restarts, dies or tells at the same time."""

import datetime as dt
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import dagster as dg
import psycopg
import pytest
from harbour import NOW, TIDES, fill, platform, vienna
from killed import hand, workers

from dagster_sluice.errors import SettingError, SluiceError
from dagster_sluice.freshness import LogNotifier, Notifier, WebhookNotifier, freshness_checks, freshness_sensor
from dagster_sluice.freshness.memory import LEASE, Told
from dagster_sluice.freshness.notices import Notice, NoticeKind
from dagster_sluice.freshness.sensor import look

HOUR = dt.timedelta(hours=1)
SHIPS = dg.AssetSelection.assets("harbour/ships")


class Kept:
    """A notifier that keeps what it is told, or refuses it."""

    def __init__(self, name="kept"):
        self.name = name
        self.told = []
        self.refuses = False

    def __call__(self, notices):
        if self.refuses:
            raise ConnectionError("no route")
        self.told += [(one.kind.value, one.partition) for one in notices]

    def take(self):
        found, self.told = self.told, []
        return found


@pytest.fixture
def tell(instance, warehouse, state, database_url):
    """A function: one look, telling these notifiers."""
    repository = platform(database_url).get_repository_def()

    def tell(now, *notifiers, selection=SHIPS, deadlines=None):
        return look(
            repository,
            selection,
            deadlines or {},
            notifiers=notifiers,
            instance=instance,
            warehouse=lambda _: warehouse,
            state=state,
            now=now,
            escalate_after=4 * HOUR,
        )[1]

    return tell


def test_once_again_and_once(tell, ledger):
    fill(ledger, until=29)
    kept = Kept()
    assert tell(vienna(30, 6, 15), kept).sent == {}
    assert tell(vienna(30, 6, 16), kept).sent == {"kept": 1}
    assert kept.take() == [("late", "2026-03-29")]
    for minutes in (1, 2, 239):
        assert tell(vienna(30, 6, 16) + dt.timedelta(minutes=minutes), kept).sent == {}
    tell(vienna(30, 10, 16), kept)
    assert kept.take() == [("escalated", "2026-03-29")]
    assert tell(vienna(30, 23), kept).sent == {}
    ledger.publish("ships", "2026-03-29", vienna(30, 23, 30))
    tell(vienna(30, 23, 31), kept)
    assert kept.take() == [("recovered", "2026-03-29")]
    assert tell(vienna(30, 23, 32), kept).sent == {}
    # It is dropped: late anew, and told anew.
    ledger.drop("ships", "2026-03-29", vienna(31, 0))
    tell(vienna(31, 0, 1), kept)
    assert kept.take() == [("late", "2026-03-29")]


def test_an_old_day_that_is_filled_recovers_nothing_else(tell, ledger):
    fill(ledger, until=28)
    kept = Kept()
    tell(NOW, kept)
    assert kept.take() == [("late", "2026-03-28"), ("late", "2026-03-29")]
    ledger.publish("ships", "2026-03-05", NOW)
    assert tell(NOW + HOUR, kept).sent == {}
    ledger.publish("ships", "2026-03-28", NOW)
    tell(NOW + HOUR, kept)
    assert kept.take() == [("recovered", "2026-03-28")]


def test_what_was_told_recovers_even_when_it_is_no_longer_looked_back_on(tell, ledger):
    fill(ledger, until=29)
    kept = Kept()
    tell(NOW, kept)
    kept.take()
    for day in range(30, 32):
        ledger.publish("ships", f"2026-03-{day}", vienna(day, 23) + 2 * HOUR)
    weeks = NOW + dt.timedelta(days=20)
    tell(weeks, kept)
    assert ("escalated", "2026-03-29") in kept.take()
    ledger.publish("ships", "2026-03-29", weeks)
    tell(weeks + HOUR, kept)
    assert ("recovered", "2026-03-29") in kept.take()


def test_each_notifier_is_remembered_by_itself_and_one_that_fails_is_told_later(tell, ledger):
    fill(ledger, until=29)
    good, bad = Kept("good"), Kept("bad")
    bad.refuses = True
    outcome = tell(NOW, bad, good)
    assert outcome.sent == {"good": 1}
    assert "no route" in outcome.failed["bad"]
    bad.refuses = False
    assert tell(NOW + HOUR / 60, bad, good).sent == {"bad": 1}
    assert (good.take(), bad.take()) == ([("late", "2026-03-29")], [("late", "2026-03-29")])


def test_a_thousand_late_partitions_are_told_in_parts(tell, ledger, state, database_url):
    kept = Kept()
    deadlines = {"tides": TIDES.__class__("06:00", look_back=1_000)}
    outcome = tell(NOW + dt.timedelta(days=900), kept, selection=dg.AssetSelection.assets("tides"), deadlines=deadlines)
    assert outcome.sent["kept"] > 900
    assert len(set(kept.told)) == len(kept.told) == outcome.sent["kept"]


def test_a_table_that_is_gone_is_forgotten(tell, ledger, database_url):
    fill(ledger, until=29)
    kept = Kept()
    tell(NOW, kept)
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("UPDATE sluice_state.notices SET partition = '1999-01-01'")
    assert tell(NOW + HOUR, kept).sent == {"kept": 1}
    with psycopg.connect(database_url) as session:
        assert session.execute("SELECT partition FROM sluice_state.notices").fetchall() == [("2026-03-29",)]


@pytest.fixture(scope="module")
def teller(tmp_path_factory):
    with workers(Path(__file__).with_name("teller.py"), tmp_path_factory.mktemp("teller")) as opened:
        yield opened


def lines(path):
    return path.read_text().split("\n")[:-1] if path.exists() else []


def test_killed_before_it_sends_it_is_told_by_another_once_the_claim_is_old(teller, ledger, database_url, tmp_path):
    fill(ledger, until=29)
    path = tmp_path / "told"
    teller.die("notices.claimed", url=database_url, path=str(path), now=NOW.isoformat())
    assert lines(path) == []
    soon = NOW + LEASE / 2
    assert teller.run(url=database_url, path=str(path), now=soon.isoformat()).code == 0
    assert lines(path) == []
    later = NOW + LEASE + HOUR / 60
    assert teller.run(url=database_url, path=str(path), now=later.isoformat()).code == 0
    assert len(lines(path)) == 1
    assert teller.run(url=database_url, path=str(path), now=(later + HOUR).isoformat()).code == 0
    assert len(lines(path)) == 1


def test_killed_after_it_sent_it_is_told_again_with_the_same_id(teller, ledger, database_url, tmp_path):
    fill(ledger, until=29)
    path = tmp_path / "told"
    teller.die("notices.sent", url=database_url, path=str(path), now=NOW.isoformat())
    later = NOW + LEASE + HOUR / 60
    assert teller.run(url=database_url, path=str(path), now=later.isoformat()).code == 0
    first, second = lines(path)
    assert first == second


def test_of_two_at_once_one_tells(teller, tell, ledger, database_url, tmp_path):
    fill(ledger, until=29)
    path = tmp_path / "told"
    kept = Kept("file")
    with hand() as held:
        teller.begin(held.pause("notices.claimed"), url=database_url, path=str(path), now=NOW.isoformat())
        assert held.hold()[0] == "notices.claimed"
        assert tell(NOW, kept).sent == {}
        held.let_go()
    assert teller.end().code == 0
    assert len(lines(path)) == 1
    assert tell(NOW + HOUR, kept).sent == {}


def test_many_claim_at_once_and_each_notice_is_got_once(state):
    wanted = [
        Notice(kind=NoticeKind.LATE, table="t", deadline="", partition=str(number), due="06:00", late_since=NOW, at=NOW)
        for number in range(50)
    ]
    got, barrier = [], threading.Barrier(4)
    told = Told(state)
    told.remembered(["t"])

    def claim(number):
        barrier.wait()
        got.extend(told.claim("n", wanted[number * 5 :], by=str(number), at=NOW))

    threads = [threading.Thread(target=claim, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(one.partition) for one in got) == list(range(50))


def test_who_looked_before_a_recovery_was_told_tells_nothing_of_it(state):
    def notice(kind, at):
        return Notice(kind=kind, table="t", deadline="", partition="p", due="06:00", late_since=NOW, at=at)

    told = Told(state)
    assert told.claim("n", [notice(NoticeKind.LATE, NOW)], by="a", at=NOW)
    told.settle("a", at=NOW)
    assert told.claim("n", [notice(NoticeKind.RECOVERED, NOW + HOUR)], by="b", at=NOW + HOUR)
    told.settle("b", at=NOW + HOUR)
    assert not told.claim("n", [notice(NoticeKind.LATE, NOW)], by="c", at=NOW + HOUR / 2)
    assert told.claim("n", [notice(NoticeKind.LATE, NOW)], by="c", at=NOW + 2 * HOUR)


def test_what_follows_each_publication_recovers_with_the_next(tell, ledger):
    kept = Kept()
    deadlines = {"harbour/ports": TIDES.__class__("4 hours after the end")}
    ports = dg.AssetSelection.assets("harbour/ports")
    ledger.publish("ports", None, vienna(30, 5))
    for minutes, says in ((0, []), (1, [("late", "")]), (2, [])):
        tell(vienna(30, 9, minutes), kept, selection=ports, deadlines=deadlines)
        assert kept.take() == says
    ledger.publish("ports", None, vienna(30, 9, 30))
    tell(vienna(30, 9, 31), kept, selection=ports, deadlines=deadlines)
    assert kept.take() == [("recovered", "")]


class _Receiver(BaseHTTPRequestHandler):
    got: ClassVar[list] = []
    status = 200

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).got.append((self.path, dict(self.headers), json.loads(body)))
        self.send_response(type(self).status)
        if type(self).status == 302:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    _Receiver.got, _Receiver.status = [], 200
    with HTTPServer(("127.0.0.1", 0), _Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook/s3cret"
        server.shutdown()
        thread.join()


NOTICE = Notice(
    kind=NoticeKind.LATE, table="s/t", deadline="", partition="2026-03-29", due="06:00", late_since=NOW, at=NOW
)


def test_a_webhook_posts_json_with_secrets_of_the_environment(receiver, monkeypatch):
    monkeypatch.setenv("HOOK_URL", receiver)
    monkeypatch.setenv("HOOK_TOKEN", "Bearer t0ken")
    notifier = WebhookNotifier(url_env="HOOK_URL", headers_env={"Authorization": "HOOK_TOKEN"})
    assert isinstance(notifier, Notifier)
    notifier([NOTICE])
    ((path, headers, body),) = _Receiver.got
    assert path == "/hook/s3cret"
    assert headers["Authorization"] == "Bearer t0ken"
    assert body["text"] == NOTICE.text
    assert body["notices"][0]["partition"] == "2026-03-29"
    assert "s3cret" not in repr(notifier)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_is_no_success_is_told_without_the_secret(receiver, status, caplog):
    _Receiver.status = status
    with pytest.raises(SluiceError) as caught:
        WebhookNotifier(receiver)([NOTICE])
    assert str(status) in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert "s3cret" not in str(caught.value) + caplog.text
    assert len(_Receiver.got) == 1


def test_nobody_who_answers_is_told_without_the_secret():
    with pytest.raises(SluiceError) as caught:
        WebhookNotifier("http://127.0.0.1:9/s3cret", timeout=5)([NOTICE])
    assert "did not answer" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_addresses_that_are_none(monkeypatch):
    monkeypatch.delenv("NO_HOOK", raising=False)
    for make in (
        WebhookNotifier,
        lambda: WebhookNotifier("file:///etc/passwd"),
        lambda: WebhookNotifier("http://a", url_env="B"),
        lambda: WebhookNotifier(url_env="NO_HOOK")([NOTICE]),
    ):
        with pytest.raises(SettingError):
            make()
    with pytest.raises(SettingError, match="one name"):
        freshness_sensor(notifiers=[LogNotifier(), LogNotifier()])


def test_the_log(caplog):
    caplog.set_level(logging.INFO, "dagster_sluice.freshness")
    LogNotifier()([NOTICE])
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.WARNING, NOTICE.text)


@pytest.fixture
def project(database_url):
    """A project of today with a sensor and checks."""
    kept = Kept()
    sensor = freshness_sensor(
        dg.AssetSelection.assets("harbour/ships", "tides"), notifiers=[kept], deadlines={"tides": TIDES}
    )
    plain = platform(database_url)
    checks = freshness_checks(plain.assets, deadlines={"tides": TIDES})
    definitions = platform(database_url, sensors=[sensor], checks=checks)
    return definitions, kept


def tick(definitions, instance, cursor=None):
    repository = definitions.get_repository_def()
    sensor = repository.get_sensor_def("freshness_sensor")
    with dg.build_sensor_context(
        instance=instance, repository_def=repository, cursor=cursor, resources=dict(definitions.resources)
    ) as context:
        return sensor.evaluate_tick(context)


def test_a_sensor_tells_and_keeps_checks_up_to_date(project, instance, ledger):
    definitions, kept = project
    first = tick(definitions, instance)
    assert "late: harbour/ships, tides" in first.skip_message
    assert len(kept.take()) == 5 + 3
    told = {event.asset_key.to_user_string(): event for event in first.asset_events}
    assert set(told) == {"harbour/ships", "tides"}
    assert not told["tides"].passed
    assert told["tides"].description.startswith("Late: ")
    # As the daemon does with them.
    for event in first.asset_events:
        instance.report_runless_asset_event(event)
    keys = [dg.AssetCheckKey(key, "freshness") for key in (dg.AssetKey("tides"), dg.AssetKey(["harbour", "ships"]))]
    shown = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    assert [shown[key].status.value for key in keys] == ["FAILED", "FAILED"]
    second = tick(definitions, instance, first.cursor)
    assert (second.asset_events, kept.take()) == ([], [])


def test_checks_say_which_partitions_are_late_since_when(project, instance, ledger):
    definitions, _ = project
    job = definitions.get_repository_def().get_implicit_global_asset_job_def()
    keys = {
        key
        for key in definitions.get_repository_def().asset_graph.asset_check_keys
        if key.name == "freshness" and key.asset_key != dg.AssetKey(["harbour", "berthed"])
    }
    assert len(keys) == 3
    ran = job.get_subset(asset_check_selection=keys, asset_selection=set()).execute_in_process(instance=instance)
    found = {one.asset_key.to_user_string(): one for one in ran.get_asset_check_evaluations()}
    assert set(found) == {"harbour/ports", "harbour/ships", "tides"}
    ships = found["harbour/ships"]
    assert not ships.passed
    assert "(5) since" in ships.description
    assert ships.metadata["sluice/late"].value == 5
    assert len(ships.metadata["sluice/late_partitions"].value.records) == 5
    assert ships.severity is dg.AssetCheckSeverity.WARN
    assert ships.partition is None

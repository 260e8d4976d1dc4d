"""Receivers that are dead, slow, or say no: no event is lost, none is out of order, and no run waits for them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from lineage_market import market, run
from openlineage.client.serde import Serde
from receiver import Receiver

from dagster_sluice.errors import SettingError
from dagster_sluice.failpoints import InjectedFault, armed
from dagster_sluice.lineage import openlineage_sensor
from dagster_sluice.lineage.openlineage.position import Position
from dagster_sluice.lineage.openlineage.sending import receiver as opened


@pytest.fixture
def receiver():
    found = Receiver()
    found.up()
    yield found
    found.down()


class Daemon:
    """Evaluates a sensor as Dagster's daemon does, from the position that the last evaluation left."""

    def __init__(self, sensor, shop, instance) -> None:
        self.sensor, self.shop, self.instance = sensor, shop, instance
        self.cursor = None

    def tick(self, *, patient: bool = False) -> str:
        """One evaluation; a patient one comes when the receiver is to be tried again."""
        if patient and self.cursor:
            position = json.loads(self.cursor)
            self.cursor = json.dumps({**position, "wait_until": 0})
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor, definitions=self.shop.defs) as context:
            said = self.sensor(context)
            self.cursor = context.cursor
        return said.skip_message


def letters(events):
    return [json.dumps(event, sort_keys=True) for event in events]


@pytest.fixture
def told(instance, schema, database_url, tmp_path):
    """A platform after a run, and all its events as a receiver that was always there has them."""
    shop = market(schema, database_url)
    run(shop, instance, "2026-03-08")
    file = tmp_path / "all.jsonl"
    daemon = Daemon(openlineage_sensor(receiver=f"file:{file}", history=True), shop, instance)
    assert "events sent." in daemon.tick()
    wanted = [json.dumps(json.loads(line), sort_keys=True) for line in file.read_text().splitlines()]
    assert len(wanted) > 20
    return shop, wanted


def test_a_receiver_that_is_there_has_it_all_in_one_go(instance, told, receiver) -> None:
    shop, wanted = told
    daemon = Daemon(openlineage_sensor(receiver=receiver.url, history=True), shop, instance)
    assert daemon.tick() == f"{len(wanted)} events sent."
    assert letters(receiver.events) == wanted
    assert daemon.tick() == "0 events sent."


def test_a_dead_receiver_is_told_all_of_it_once_it_is_back(instance, told, receiver) -> None:
    shop, wanted = told
    daemon = Daemon(openlineage_sensor(receiver=receiver.url, history=True), shop, instance)
    receiver.down()
    assert "0 events sent; then: ConnectionError" in daemon.tick()
    # It is left alone for a while, and then longer.
    assert "tried again later" in daemon.tick()
    daemon.tick(patient=True)
    assert Position.read(daemon.cursor).failures == 2
    run(shop, instance, "2026-03-09")
    receiver.up()
    # No run has spoken to it: only the sensor does.
    assert receiver.asked == 0
    daemon.tick(patient=True)
    assert letters(receiver.events)[: len(wanted)] == wanted
    assert len(receiver.events) > len(wanted) + 20
    assert Position.read(daemon.cursor).failures == 0


def test_one_that_fails_now_and_then_loses_nothing_and_keeps_the_order(instance, told, receiver) -> None:
    shop, wanted = told
    receiver.answers = [201, 500, 201, 201, 503, 429, 201, 404, 201, 401, 201]
    daemon = Daemon(openlineage_sensor(receiver=receiver.url, history=True), shop, instance)
    ticks = [daemon.tick(patient=True) for _ in range(7)]
    assert sum("then: HTTPError" in tick for tick in ticks) == 5
    assert ticks[-1] == "0 events sent."
    # An event is sent again if a later one of the same record was not taken: it is the same one.
    assert list(dict.fromkeys(letters(receiver.events))) == wanted


def test_a_slow_one_is_waited_for_once_and_no_longer_than_said(instance, told, receiver) -> None:
    shop, wanted = told
    receiver.answers = [201, "hang"]
    daemon = Daemon(openlineage_sensor(receiver=receiver.url, history=True, timeout=0.2), shop, instance)
    assert "1 events sent; then: ReadTimeout" in daemon.tick()
    assert receiver.asked == 2
    daemon.tick(patient=True)
    assert list(dict.fromkeys(letters(receiver.events))) == wanted


def test_an_event_that_is_refused_for_good_does_not_keep_back_the_others(instance, told, receiver) -> None:
    shop, wanted = told
    receiver.answers = [422, 422, 422]
    daemon = Daemon(openlineage_sensor(receiver=receiver.url, history=True), shop, instance)
    assert "422" in daemon.tick(patient=True)
    assert "422" in daemon.tick(patient=True)
    assert daemon.tick(patient=True) == f"{len(wanted) - 1} events sent."
    assert letters(receiver.events) == wanted[1:]
    (number,) = Position.read(daemon.cursor).refused
    assert number > 0


def test_a_sensor_that_is_killed_between_delivery_and_position_sends_the_same_again(instance, told, receiver) -> None:
    shop, wanted = told
    daemon = Daemon(openlineage_sensor(receiver=receiver.url, history=True), shop, instance)
    # The evaluation ends in the middle, and its position is lost with it.
    with armed("lineage.delivered=raise@7"):
        assert InjectedFault.__name__ in daemon.tick()
    daemon.cursor = None
    daemon.tick()
    assert len(receiver.events) == len(wanted) + 7
    assert letters(receiver.events)[7:] == wanted
    assert letters(receiver.events)[:7] == wanted[:7]


def test_two_sensors_at_once_double_nothing_but_what_is_the_same(instance, told, receiver) -> None:
    shop, wanted = told
    one, other = (
        Daemon(openlineage_sensor(receiver=receiver.url, history=True, name=name), shop, instance)
        for name in ("one", "other")
    )
    one.tick()
    other.tick()
    assert len(receiver.events) == 2 * len(wanted)
    assert set(letters(receiver.events)) == set(wanted)
    keys = {
        (event["run"]["runId"], event["eventType"], event["eventTime"]) for event in receiver.events if "run" in event
    }
    assert len(keys) == len(wanted)


def test_without_history_it_begins_with_now(instance, told, receiver) -> None:
    shop, _ = told
    daemon = Daemon(openlineage_sensor(receiver=receiver.url), shop, instance)
    assert daemon.tick() == "0 events sent."
    run(shop, instance, "2026-03-09")
    daemon.tick()
    assert {event["eventType"] for event in receiver.events} == {"START", "COMPLETE"}


def test_a_run_that_goes_on_between_two_evaluations_is_told_in_pieces(instance, told, receiver) -> None:
    """The same events, whenever they are asked for."""
    shop, wanted = told
    daemon = Daemon(openlineage_sensor(receiver=receiver.url, history=True), shop, instance)
    receiver.answers = [answer for _ in wanted for answer in (201, 500)]
    for _ in range(2 * len(wanted)):
        daemon.tick(patient=True)
        if not receiver.answers:
            break
    receiver.answers = []
    daemon.tick(patient=True)
    assert list(dict.fromkeys(letters(receiver.events))) == wanted


@pytest.mark.parametrize("address", ["ftp://x", "file:relative", "http://", "nonsense", "file:/no/such/dir/x.jsonl"])
def test_what_is_no_receiver_is_said(address) -> None:
    with pytest.raises(SettingError):
        opened(address, timeout=1)


def test_openlineages_own_settings_name_the_receiver(instance, told, receiver, monkeypatch) -> None:
    shop, wanted = told
    monkeypatch.setenv("OPENLINEAGE_URL", receiver.url)
    daemon = Daemon(openlineage_sensor(history=True), shop, instance)
    receiver.answers = [503]
    daemon.tick()
    # One request: what is to be tried again, the sensor tries again.
    assert receiver.asked == 1
    daemon.tick(patient=True)
    assert [event["run"]["runId"] for event in receiver.events] == [
        json.loads(letter)["run"]["runId"] for letter in wanted
    ]


def test_a_transport_that_may_lose_events_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "async_http")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", "http://127.0.0.1:9")
    with pytest.raises(SettingError, match="before an event is delivered"):
        opened(None, timeout=1)


def test_a_composite_that_goes_on_after_a_failure_is_refused(monkeypatch, tmp_path) -> None:
    (tmp_path / "openlineage.yml").write_text(
        "transport:\n  type: composite\n  transports:\n    - {type: http, url: 'http://127.0.0.1:9'}\n"
        "    - {type: console}\n"
    )
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(tmp_path / "openlineage.yml"))
    with pytest.raises(SettingError, match="misses events"):
        opened(None, timeout=1)


def test_no_receiver_at_all_is_said(monkeypatch) -> None:
    for name in list(os.environ):
        if name.startswith("OPENLINEAGE"):
            monkeypatch.delenv(name)
    with pytest.raises(SettingError, match="no receiver"):
        opened(None, timeout=1)


def test_the_console_prints_one_event_a_line(instance, told, capsys) -> None:
    shop, wanted = told
    daemon = Daemon(openlineage_sensor(receiver="console", history=True), shop, instance)
    capsys.readouterr()
    daemon.tick()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [json.dumps(json.loads(line), sort_keys=True) for line in lines] == wanted


def test_without_the_extra_it_says_what_to_install(tmp_path) -> None:
    (tmp_path / "openlineage.py").write_text(
        "raise ModuleNotFoundError('No module named openlineage', name='openlineage')"
    )
    script = "from dagster_sluice.lineage import openlineage_sensor; openlineage_sensor()"
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pip install 'dagster-sluice[openlineage]'" in ended.stderr


def test_serde_is_what_http_sends(instance, told, receiver) -> None:
    """The file and the console hold what an HTTP receiver gets."""
    shop, wanted = told
    seen = []
    from dagster_sluice.lineage.openlineage.assets import Assets
    from dagster_sluice.lineage.openlineage.sensor import _composer
    from dagster_sluice.lineage.openlineage.telling import tell

    tell(instance, Assets(shop.repository), _composer("dagster", None), seen.append, Position(low=0))
    assert [json.dumps(json.loads(Serde.to_json(event)), sort_keys=True) for event in seen] == wanted

"""Kills chosen by a seed, each at a named failpoint, and after each one the proof that nothing is lost or doubled."""

import contextlib
import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from checkout import PATIENCE, wait_until
from killed import Ended, Hand, Workers, crash, hand, own_server, unanswered, workers
from world import DAYS, PLACES, World, contract, multiset_hash

from dagster_sluice.embedded import EmbeddedPostgres, with_driver
from dagster_sluice.tables.conform import conform
from dagster_sluice.tables.content import content_hash

Name = tuple[str, str | None]

CONNECTION = ["bulk.before_commit", "bulk.committed"]
PUBLISH = [
    *(
        "table.judged",
        "table.shaped",
        "publish.locked",
        "publish.removed",
        "publish.rows_written",
        "publish.superseded",
    ),
    *("publish.recorded", "publish.quarantined", "publish.released", "publish.restored", "publish.reaffirmed"),
    *("publish.arrived", "publish.before_commit", "publish.committed", *CONNECTION),
]
FAILPOINTS = {
    "publish": PUBLISH,
    "run": [*PUBLISH, "table.computed", "events.materialized", "events.checked"],
    "replay": [
        *("replay.locked", "replay.rows_written", "replay.recorded", "replay.settled", "replay.before_commit"),
        *("replay.committed", *CONNECTION),
    ],
    "block": ["block.before_commit", "block.committed", *CONNECTION],
    "discard": ["session.before_commit", "session.committed", "discard.committed"],
    "prune": ["session.before_commit", "session.committed", "prune.committed"],
}
"""Where each deed can be killed."""
WEIGHTS = {"publish": 38, "run": 16, "replay": 22, "block": 4, "discard": 3, "prune": 3, "pair": 5, "server": 9}
UNDER_WAY = ["publish.rows_written", "publish.before_commit", "bulk.before_commit"]


class Campaign:
    """So many kills of one world.

    Args:
        seed: Chooses everything: the same seed gives the same kills.
        kills: How many.
        directory: For what the victims say.
    """

    def __init__(self, seed: int, kills: int, directory: Path) -> None:
        self.seed, self.kills, self.directory = seed, kills, directory
        self.chance = random.Random(seed)
        self.world = World(seed)
        self.generation = 0
        self.tally: Counter[tuple[str, str]] = Counter()
        self.reruns = self.missed = 0

    @property
    def done(self) -> int:
        return sum(self.tally.values())

    def run(self) -> None:
        program = Path(__file__).with_name("victim.py")
        with (
            own_server() as self.server,
            workers(program, self.directory) as self.first,
            workers(program, self.directory) as self.second,
        ):
            self._instance()
            # How many questions a discard and a prune ask is theirs to say; what they change comes last.
            self.asked = {
                deed: self._do(deed, [PLACES[0]]).passed.count("session.before_commit") for deed in ("discard", "prune")
            }
            # A first publish has failpoints that no later one has.
            for failpoint in ("ledger.prepared", "table.shaped"):
                self._kill("publish", [PLACES[-1]], failpoint, 1)
            deeds, weights = zip(*WEIGHTS.items(), strict=True)
            told = 0
            while self.done < self.kills:
                if self.done >= told + 25:
                    told = self.done
                    print(f"{told} of {self.kills} kills", flush=True)
                (deed,) = self.chance.choices(deeds, weights)
                if deed == "pair":
                    self._pair()
                elif deed == "server":
                    self._server()
                else:
                    self._one(deed)

    # -- one victim

    def _one(self, deed: str) -> None:
        places = self._places(deed)
        failpoint = self.chance.choice(FAILPOINTS[deed])
        if failpoint == "publish.arrived" and deed == "publish":
            places = [name for name in PLACES if name[0] == "leaves"]
        count = self.chance.randint(1, len(places))
        if failpoint == "table.shaped":
            count = 1
        if failpoint.startswith("session."):
            count = self.asked[deed]
        if deed in ("publish", "run") and self.chance.random() < 0.75:
            self.generation += 1
        self._kill(deed, places, failpoint, count)
        if self.chance.random() < 0.25:
            self._settle(deed, places)

    def _kill(self, deed: str, places: list[Name], failpoint: str, count: int) -> None:
        before = self._events()
        ended = self._do(deed, places, f"{failpoint}=kill@{count}")
        commits = self._commits(deed, ended)
        if ended.code == 0:
            assert Counter(ended.passed)[failpoint] < count
            assert commits >= 1 or deed == "replay", (deed, ended)
            self.missed += 1
        else:
            assert (ended.code, ended.last) == (-signal.SIGKILL, failpoint), (deed, places, ended)
            new = failpoint.endswith(".committed") or failpoint.startswith("events.")
            self.tally[failpoint, "new" if new else "old"] += 1
        self.world = self.world.after("publish" if deed == "run" else deed, places, self.generation, commits)
        self.prove(f"{deed} of {places} (generation {self.generation}) at {failpoint}, time {count}")
        # Dagster has heard of what is published, and of nothing else.
        assert self._events() - before == ended.passed.count("events.materialized")

    def _settle(self, deed: str, places: list[Name]) -> None:
        """The same again, to its end."""
        ended = self._do(deed, places)
        assert ended.code == 0, ended
        self.world = self.world.after("publish" if deed == "run" else deed, places, self.generation, len(places))
        self.prove(f"a rerun: {deed} of {places} (generation {self.generation})")
        self.reruns += 1

    def _commits(self, deed: str, ended: Ended) -> int:
        if deed in ("discard", "prune"):
            return int(ended.passed.count("session.committed") >= self.asked[deed])
        return ended.commits

    # -- two publishers of one place at once

    def _pair(self) -> None:
        place = self.chance.choice(PLACES)
        older, newer = self.generation + 1, self.generation + 2
        self.generation = newer
        with hand() as held:
            failpoint = self.chance.choice(["table.judged", *UNDER_WAY])
            victim = self._begin(self.first, "publish", [place], held.pause(failpoint), older)
            held.hold()
            if failpoint == "table.judged":
                # The other comes between: the first is refused, for it computed from what stood before.
                assert self._do("publish", [place]).code == 0
                held.let_go()
                ended = self.first.end()
                assert ended.code == 1, ended
                assert "was published by somebody else meanwhile" in ended.said
            else:
                # The other waits for its turn, which comes when the first is dead.
                self._begin(self.second, "publish", [place], "", newer)
                wait_until(self._somebody_waits, PATIENCE, "the second publisher")
                os.kill(victim, signal.SIGKILL)
                assert self.first.end().code == -signal.SIGKILL
                held.let_go()
                ended = self.second.end()
                assert ended.code == 0, ended
                self.tally[f"{failpoint}, another waits", "old"] += 1
        self.world = self.world.after("publish", [place], newer, 1)
        self.prove(f"two publishers of {place} at {failpoint}")

    def _somebody_waits(self) -> bool:
        return self._ask("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'")[0][0] > 0

    # -- the server

    def _server(self) -> None:
        place = self.chance.choice(PLACES)
        self.generation += 1
        method = self.chance.choice(["server", "backend", "unanswered commit"])
        failpoint = "bulk.before_commit"
        if method != "unanswered commit":
            failpoint = self.chance.choice([*UNDER_WAY, "publish.committed"])
        with hand() as held:
            self._begin(self.first, "publish", [place], held.pause(failpoint), self.generation)
            held.hold()
            if method == "backend":
                self._kill_backend()
                held.let_go()
                ended = self.first.end()
            else:
                self._kill_server(held, answering=method == "server")
                ended = self.first.end()
                self.server.acquire()
        durable = failpoint == "publish.committed" or method == "unanswered commit"
        assert ended.code == int(failpoint != "publish.committed"), ended
        if failpoint == "bulk.before_commit":
            assert ended.said.splitlines()[-2].startswith("failed OutcomeUnknown "), ended.said
        self.world = self.world.after("publish", [place], self.generation, int(durable))
        self.prove(f"{method} killed at {failpoint} of a publish of {place}")
        label = method if method == "unanswered commit" else f"{failpoint}, {method} killed"
        self.tally[label, "new" if durable else "old"] += 1
        self._settle("publish", [place])

    def _kill_server(self, held: Hand, *, answering: bool) -> None:
        if answering:
            crash(self.server)
            held.let_go()
            return
        with unanswered(self.server) as wait:
            held.let_go()
            wait(1)
            crash(self.server)

    def _kill_backend(self) -> None:
        """kill -9 of the session that publishes; Postgres ends all others and recovers."""
        for (pid,) in self._ask("SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice'"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), PATIENCE, "the end of the session")
        wait_until(self._answers, PATIENCE, "the server's recovery")

    def _answers(self) -> bool:
        try:
            return self._ask("SELECT 1") == [(1,)]
        except psycopg.OperationalError:
            return False

    # -- the proof

    def prove(self, what: str) -> None:
        """Hold the warehouse against the model, everything in one snapshot."""
        found = self._snapshot()
        for name, place in self.world.places.items():
            label = f"seed {self.seed}, kill {self.done}: {what}: {name}"
            rows, current, publications, kept, audits = found[name]
            expected = place.rows if place.rows is not None else Counter()
            assert multiset_hash(rows.elements()) == multiset_hash(expected.elements()), (label, rows, expected)
            wanted = {key: (item.status, item.replacement) for key, item in place.kept.items()}
            assert kept == wanted, label
            assert publications == place.publications, label
            assert audits == place.audits, label
            if place.rows is None:
                assert current == [], label
            else:
                assert current == [(expected.total(), place.quarantined, _content_hash(name[0], expected))], label

    def _snapshot(self) -> dict[Name, Any]:
        with psycopg.connect(self.server.url()) as session:
            session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

            def ask(query: str, *values: Any) -> list[tuple[Any, ...]]:
                return session.execute(query.encode(), values).fetchall()

            found: dict[Name, Any] = {}
            for table, partition in PLACES:
                rows: Counter[Any] = Counter()
                if ask("SELECT to_regclass(%s)", f"chaos.{table}") != [(None,)]:
                    told = "_partition IS NOT DISTINCT FROM %s" if partition else "%s::text IS NULL"
                    query = f"SELECT id::text, pulse::text, note FROM chaos.{table} WHERE {told}"
                    rows = Counter(ask(query, partition))
                here = "WHERE table_schema = 'chaos' AND table_name = %s AND partition IS NOT DISTINCT FROM %s"
                publications = ask(
                    "SELECT rows_published, rows_quarantined, content_hash, superseded_at IS NULL"
                    f" FROM sluice.publications {here}",
                    *(table, partition),
                )
                kept = {
                    (_row(payload), occurrence): (status, _row(replacement) if replacement else None)
                    for payload, occurrence, status, replacement in ask(
                        f"SELECT payload, occurrence, status, replacement FROM sluice.quarantine {here}",
                        *(table, partition),
                    )
                }
                audits = ask(f"SELECT result, count(*) FROM sluice.audits {here} GROUP BY 1", table, partition)
                current = [row[:3] for row in publications if row[3]]
                found[table, partition] = rows, current, len(publications), kept, Counter(dict(audits))
        return found

    def _events(self) -> int:
        """How many materializations Dagster has heard of."""
        kind = "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
        return int(self._ask(kind)[0][0])

    # -- what it is done with

    def _instance(self) -> None:
        import dagster as dg

        (self.directory / "dagster.yaml").write_text(
            "telemetry:\n  enabled: false\n"
            # Otherwise each run has two processes that follow its output.
            "compute_logs:\n"
            "  module: dagster._core.storage.noop_compute_log_manager\n  class: NoOpComputeLogManager\n"
            f"storage:\n  postgres:\n    postgres_url: {with_driver(self.server.url(), 'psycopg2')}\n"
        )
        with dg.DagsterInstance.from_config(str(self.directory)) as instance:
            instance.get_runs(limit=1)

    def _places(self, deed: str) -> list[Name]:
        if deed == "run":
            first = self.chance.randrange(len(DAYS) - 1)
            return [("days", day) for day in DAYS[first : self.chance.randint(first + 2, len(DAYS))]]
        if deed in ("discard", "block", "prune"):
            return [self.chance.choice(PLACES)]
        places = list(PLACES)
        if deed == "replay":
            places = [name for name in PLACES if self.world.places[name].open] or places
        return self.chance.sample(places, min(len(places), self.chance.randint(1, 3)))

    def _do(self, deed: str, places: list[Name], failpoints: str = "") -> Ended:
        self._begin(self.first if deed != "publish" else self.second, deed, places, failpoints, self.generation)
        return (self.first if deed != "publish" else self.second).end()

    def _begin(self, worker: Workers, deed: str, places: list[Name], failpoints: str, generation: int) -> int:
        return worker.begin(
            failpoints,
            url=self.server.url(),
            seed=self.seed,
            home=str(self.directory),
            deed=deed,
            places=places,
            generation=generation,
        )

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.url(), autocommit=True) as session:
            return session.execute(query.encode()).fetchall()

    server: EmbeddedPostgres
    first: Workers
    second: Workers
    asked: dict[str, int]

    def summary(self) -> str:
        """Kills by failpoint, and whether what was under way took place."""
        names = sorted({name for name, _ in self.tally})
        width = max(map(len, names))
        lines = [f"{'killed at':{width}}  kills    old    new"]
        for name in names:
            old, new = self.tally[name, "old"], self.tally[name, "new"]
            lines.append(f"{name:{width}}  {old + new:5}  {old:5}  {new:5}")
        old, new = (sum(self.tally[name, outcome] for name in names) for outcome in ("old", "new"))
        lines.append(f"{'':{width}}  {old + new:5}  {old:5}  {new:5}")
        lines.append(f"seed {self.seed}; {self.reruns} reruns settled; {self.missed} deeds ended without coming by")
        return "\n".join(lines)


def _row(payload: dict[str, Any]) -> tuple[str, str, str]:
    return str(payload["id"]), str(payload["pulse"]), str(payload["note"])


def _content_hash(table: str, rows: Counter[Any]) -> str:
    columns = list(zip(*rows.elements(), strict=True)) or [(), (), ()]
    names = ("id", "pulse", "note")
    frame = pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})
    return content_hash(conform(frame, contract(table)).rows)

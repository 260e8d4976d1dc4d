"""What the chaos test publishes, and the model of what must stand there: written apart from the code that it judges."""

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy
from dagster_sluice.warehouse import Address

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04")
PLACES: tuple[tuple[str, str | None], ...] = (
    *(("days", day) for day in DAYS),
    *(("leaves", day) for day in DAYS[:2]),
    ("whole", None),
)
"""Each partition of a table, of one whose partitions are tables of their own, and a table without partitions."""
STOP = "STOP"
"""A note that no batch may have."""

Row = tuple[str, str, str]
"""id, pulse, note; as text."""


def address(table: str) -> Address:
    return Address(schema="chaos", table=table)


def contract(table: str) -> Contract:
    return Contract(
        table=table,
        columns=(
            Column(name="id", type=LogicalType.INTEGER),
            Column(name="pulse", type=LogicalType.INTEGER),
            Column(name="note", type=LogicalType.STRING),
        ),
        expectations=(
            Expectation(
                name="pulse_possible",
                type="expect_column_values_to_be_between",
                kwargs={"column": "pulse", "min_value": 0, "max_value": 200},
                policy=Policy.QUARANTINE,
            ),
            Expectation(
                name="nobody_says_stop",
                type="expect_column_values_to_not_be_in_set",
                kwargs={"column": "note", "value_set": [STOP]},
                policy=Policy.BLOCK,
            ),
        ),
        quarantine_limit=1.0,
    )


def source(seed: int, table: str, partition: str | None, generation: int) -> list[Row]:
    """The batch of a generation: some equal rows, and some bad ones that come again in other generations."""
    chance = random.Random(f"{seed} {table} {partition} {generation}")
    good = [(str(number), str(60 + number % 90), f"Größe {generation} 🦆") for number in range(chance.randrange(5, 60))]
    good += chance.sample(good, 2)
    bad = [(str(number), "high" if number % 4 == 0 else str(300 + number), "bad") for number in range(1000, 1012)]
    chosen = chance.sample(bad, chance.randrange(len(bad)))
    rows = good + chosen + chosen[:2]
    chance.shuffle(rows)
    return rows


def passes(row: Row) -> bool:
    return row[1].isdecimal() and int(row[1]) <= 200


def mended(row: Row) -> Row | None:
    """What a person makes of a bad row; every third one is left as it is."""
    return None if int(row[0]) % 3 == 0 else (row[0], str(int(row[0]) % 100), "mended")


def multiset_hash(rows: Iterable[Row]) -> str:
    """One number for rows in any order, in which a row that is there twice counts twice."""
    total = sum(int.from_bytes(hashlib.sha256(repr(row).encode()).digest(), "big") for row in rows)
    return f"{total % 2**256:064x}"


@dataclass
class Kept:
    """A quarantined row."""

    status: str = "open"
    replacement: Row | None = None


@dataclass
class Place:
    """One partition, or one table without any.

    Attributes:
        rows: What is published; ``None`` if nothing ever was.
        publications: How many there have been.
        quarantined: What the current one says of its rows in quarantine.
        audits: How many of each result.
        kept: The quarantined rows, each with its place among equal ones.
    """

    rows: Counter[Row] | None = None
    publications: int = 0
    quarantined: int = 0
    audits: Counter[str] = field(default_factory=Counter)
    kept: dict[tuple[Row, int], Kept] = field(default_factory=dict)

    @property
    def open(self) -> list[tuple[Row, int]]:
        return [identity for identity, kept in self.kept.items() if kept.status == "open"]

    def publish(self, batch: list[Row]) -> None:
        good = Counter(row for row in batch if passes(row))
        rejected = []
        for identity in _identities(row for row in batch if not passes(row)):
            before = self.kept.get(identity)
            if before is not None and before.status == "replayed" and before.replacement is not None:
                good[before.replacement] += 1
            else:
                rejected.append(identity)
        for identity in rejected:
            kept = self.kept.setdefault(identity, Kept())
            kept.status = "discarded" if kept.status == "discarded" else "open"
        for identity in self.open:
            if identity not in rejected:
                self.kept[identity].status = "passed"
        changed = good != self.rows
        self.rows = good
        self.quarantined = len(rejected)
        self.publications += changed
        self.audits["published" if changed else "unchanged"] += 1

    def replay(self) -> None:
        """All open rows, mended as far as they are."""
        added = [(identity, row) for identity in self.open if (row := mended(identity[0])) is not None]
        if not self.open or self.rows is None:
            return
        for identity, row in added:
            self.rows[row] += 1
            self.kept[identity] = Kept("replayed", row)
        if added:
            self.quarantined = len(self.open)
            self.publications += 1
        self.audits["published" if added else "unchanged"] += 1

    def block(self) -> None:
        self.audits["blocked"] += 1

    def discard(self) -> None:
        """The open rows with an even number."""
        for identity in self.open:
            if int(identity[0][0]) % 2 == 0:
                self.kept[identity].status = "discarded"

    def prune(self) -> None:
        self.kept = {identity: kept for identity, kept in self.kept.items() if kept.status == "open"}


def _identities(rows: Iterable[Row]) -> Iterator[tuple[Row, int]]:
    seen: Counter[Row] = Counter()
    for row in rows:
        seen[row] += 1
        yield row, seen[row]


class World:
    """All places. A deed changes them one after the other, each in a transaction; it may end after any of them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.places = {place: Place() for place in PLACES}

    def after(self, deed: str, places: list[tuple[str, str | None]], generation: int, commits: int) -> "World":
        """The world after so many transactions of a deed."""
        world = World(self.seed)
        world.places = deepcopy(self.places)
        if deed == "prune":
            for place in world.places.values() if commits else ():
                place.prune()
            return world
        for name in places[:commits]:
            place = world.places[name]
            if deed == "publish":
                place.publish(source(self.seed, *name, generation))
            else:
                getattr(place, deed)()
        return world

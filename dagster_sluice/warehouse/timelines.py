"""When partitions were first published, from the rows of the ledger; and how old the newest row of a table is."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagster_sluice.warehouse.standing import stopped_of
from dagster_sluice.warehouse.values import Address, Stopped

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Lives",
    "Newest",
    "Place",
    "Timeline",
    "aggregated",
    "asked_columns",
    "asked_lives",
    "asked_refreshes",
    "flat",
    "newest_of",
    "timelines_of",
]

Place = tuple[Address, str]
"""A column of a table."""

Lives = tuple[Any, Any, Any]
"""Of one table: its partitions (Arrow), when each was first published (µs since 1970), and whether it stands."""

_YEAR_2000 = 946_684_800_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


@dataclass(frozen=True, kw_only=True, eq=False)
class Timeline:
    """When the partitions of a table were published.

    Attributes:
        partitions: Those that ever were; the empty key for the whole of a table without partitions. Arrow strings.
        first: When each was first published, in microseconds since 1970 (int64). Nothing that comes later changes it.
        stands: Whether each is published now (bool).
        refreshed: By partition when it was published or found unchanged, in order, in microseconds since 1970; only of
            tables of which it was asked.
        stopped: Partitions whose last batch was blocked or held, after what stands was computed.
    """

    partitions: pa.Array[Any]
    first: Any
    stands: Any
    refreshed: Mapping[str, Sequence[int]]
    stopped: Mapping[str, Stopped]


@dataclass(frozen=True, kw_only=True)
class Newest:
    """The greatest value of a column that holds moments or days.

    Attributes:
        at: In microseconds since 1970; ``None`` if there is no row, or the value is infinite.
        zoned: Whether the column has a time zone. If not, ``at`` is what its clock shows, as if it were UTC.
    """

    at: int | None
    zoned: bool


def asked_lives(since: Mapping[Address, str]) -> str:
    """The tables asked about, each with the least of the keys that matter, as one JSON parameter."""
    return _asked(since, [{"since": key} for key in since.values()])


def asked_refreshes(addresses: Iterable[Address], refreshed: Mapping[Address, dt.datetime]) -> str:
    """Those of the tables whose refreshes are asked for, as one JSON parameter; numbered as all of them."""
    return json.dumps(
        [
            {
                "number": number,
                "schema": address.schema,
                "table": address.table,
                "refreshed": refreshed[address].astimezone(dt.timezone.utc).isoformat(),
            }
            for number, address in enumerate(addresses)
            if address in refreshed
        ]
    )


def asked_columns(places: Sequence[Place]) -> str:
    """The columns asked about, as one JSON parameter."""
    return _asked([address for address, _ in places], [{"column": column} for _, column in places])


def _asked(addresses: Iterable[Address], more: Iterable[Mapping[str, Any]]) -> str:
    # `code` is what the statement for stopped batches expects.
    rows = [{"schema": address.schema, "table": address.table, "code": ""} for address in addresses]
    return json.dumps(
        [{"number": number, **row, **own} for number, (row, own) in enumerate(zip(rows, more, strict=True))]
    )


def timelines_of(
    addresses: Iterable[Address],
    lives: Mapping[int, Lives],
    refreshes: Iterable[Sequence[Any]],
    stopped: Iterable[Sequence[Any]],
) -> dict[Address, Timeline]:
    """One timeline for each table.

    Args:
        addresses: The tables, in the order in which they were asked about.
        lives: Of each, by its number.
        refreshes: Rows of number, partition and moment, in order of time.
        stopped: Rows of number, partition, moment and reasons.
    """
    refreshed: dict[int, dict[str, list[int]]] = {}
    for number, partition, moment in refreshes:
        at = (moment - _EPOCH) // dt.timedelta(microseconds=1)
        refreshed.setdefault(int(number), {}).setdefault(partition, []).append(at)
    waiting = stopped_of(stopped)
    found = {}
    for number, address in enumerate(addresses):
        partitions, first, stands = lives.get(number) or _nothing()
        found[address] = Timeline(
            partitions=partitions,
            first=first,
            stands=stands,
            refreshed=refreshed.get(number, {}),
            stopped=waiting.get(number, {}),
        )
    return found


def aggregated(rows: pa.Table) -> dict[int, Lives]:
    """From one row for each table: number, partitions (list), and the other columns as Postgres sends them, in bytes."""
    import numpy as np
    import pyarrow as pa

    found: dict[int, Lives] = {}
    numbers: list[Any] = rows.column("number").to_pylist()
    for place, number in enumerate(numbers):
        row: dict[str, Any] = {name: rows.column(name)[place] for name in rows.column_names}
        first = np.frombuffer(row["first"].as_buffer(), ">i8").astype(np.int64) + _YEAR_2000
        stands = np.frombuffer(row["stands"].as_buffer(), np.bool_)
        found[number] = row["partitions"].values.cast(pa.string()), first, stands
    return found


def flat(rows: pa.Table) -> dict[int, Lives]:
    """From one row for each partition: number, partition, first and stands."""
    import numpy as np
    import pyarrow as pa

    found: dict[int, Lives] = {}
    numbers: list[Any] = rows.column("number").unique().to_pylist()
    for number in numbers:
        part: Any = rows.filter(pa.compute.equal(rows.column("number"), number)).combine_chunks()
        first = part.column("first").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
        stands = part.column("stands").to_numpy().astype(np.bool_)
        found[number] = part.column("partition").combine_chunks().cast(pa.string()), first, stands
    return found


def newest_of(seconds: float | None, *, zoned: bool) -> Newest:
    """From seconds since 1970, as databases give them."""
    at = None if seconds is None or not math.isfinite(seconds) else round(seconds * 1_000_000)
    return Newest(at=at, zoned=zoned)


def _nothing() -> Lives:
    import numpy as np
    import pyarrow as pa

    return pa.array([], pa.string()), np.zeros(0, np.int64), np.zeros(0, np.bool_)

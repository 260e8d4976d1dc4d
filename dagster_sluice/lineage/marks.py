"""Finds out which inputs a function's outputs depend on, by changing the inputs one column at a time. Pure.

A column is a source of another if changing a value in it changes a value of the other, in a row that is there before
and after. So the key by which a row is looked up or grouped is a source of what is looked up or summed, as it decides
the value; a column by which rows are only kept or dropped is none.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

__all__ = ["Probe", "Traced", "changed", "probes", "trace"]

_ROWS = 4
"""Single rows that are changed in each column, spread over the sample."""
_PAIRED = 40
"""Rows that are looked at where they have to be paired by their looks."""

Cells = Sequence[tuple[str, ...]]
Outputs = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One change of one column.

    Attributes:
        values: The column with the change.
        whole: Whether many rows are changed, or a single one.
    """

    values: Any
    whole: bool


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What was found.

    Attributes:
        sources: For each output the inputs that decide it: (input, column). An output that is missing is unstable.
        unstable: Outputs that differ between two runs over the same rows; nothing can be said of them.
        silent: Inputs whose change changed no value: not read, read to keep or drop rows, or not hit by the sample.
        refused: Inputs at whose every change the function raised, with what it said.
        rows: Rows that the function made of the sample.
        runs: How often the function was called.
    """

    sources: Mapping[str, frozenset[tuple[str, str]]]
    unstable: frozenset[str]
    silent: tuple[tuple[str, str], ...]
    refused: Mapping[tuple[str, str], str]
    rows: int
    runs: int


def trace(
    function: Callable[[Mapping[str, pa.Table]], Outputs],
    inputs: Mapping[str, pa.Table],
    *,
    outputs: Sequence[str],
    told: Callable[[], None] = lambda: None,
) -> Traced:
    """Run a function over a sample again and again, each time with one change.

    Args:
        function: Takes the inputs by name and returns its columns by name. What it raises over the sample as it is
            goes through; what it raises over a changed one is noted.
        inputs: The sample.
        outputs: The columns that count.
        told: Called after each input column.
    """
    runs = 2
    first = _cells(function(inputs), outputs)
    unstable = changed(first, _cells(function(inputs), outputs), outputs, whole=False)
    found: dict[str, set[tuple[str, str]]] = {name: set() for name in outputs if name not in unstable}
    silent = []
    refused = {}
    for name, table in inputs.items():
        for column in table.column_names:
            hit: set[str] = set()
            said, went = "", False
            for probe in probes(table.column(column).combine_chunks()):
                place = table.column_names.index(column)
                given = {**inputs, name: table.set_column(place, table.field(place), probe.values)}
                runs += 1
                try:
                    made = _cells(function(given), outputs)
                except Exception as failure:  # noqa: BLE001 (a function of someone's may raise anything)
                    said = f"{type(failure).__name__}: {failure}"
                    continue
                went = True
                hit |= changed(first, made, outputs, whole=probe.whole)
            for output in hit - unstable:
                found[output].add((name, column))
            if said and not went:
                refused[name, column] = said.splitlines()[0]
            elif not hit:
                silent.append((name, column))
            told()
    return Traced(
        sources={name: frozenset(sources) for name, sources in found.items()},
        unstable=frozenset(unstable),
        silent=tuple(silent),
        refused=refused,
        rows=len(first),
        runs=runs,
    )


def probes(column: Any) -> Iterator[Probe]:
    """The changes of one column.

    All values marked; all exchanged among themselves; then single rows, in both ways; then single values taken away, and
    put where there was none.
    """
    values = column.to_pylist()
    kind = column.type
    there = [place for place, value in enumerate(values) if value is not None]
    if not there:
        invented = _invented(kind)
        if invented is not None and values:
            yield Probe(values=pa.array([invented] * len(values), kind), whole=True)
        return
    marked = [None if value is None else _marked(value) for value in values]
    others = _exchanged(values)
    for changes in (marked, others):
        if changes != values and (array := _array(changes, kind)) is not None:
            yield Probe(values=array, whole=True)
    for place in _chosen(values, there):
        for changes in (marked, others):
            if changes[place] == values[place]:
                continue
            array = _array([*values[:place], changes[place], *values[place + 1 :]], kind)
            if array is not None:
                yield Probe(values=array, whole=False)
    # Whether there is a value at all may be what counts.
    lost = [(place, None) for place in there[:: max(1, len(there) // 2)][:2]]
    found = [(place, values[there[0]]) for place, value in enumerate(values) if value is None][:2]
    for place, value in (*lost, *found):
        yield Probe(values=pa.array([*values[:place], value, *values[place + 1 :]], kind), whole=False)


def _chosen(values: Sequence[Any], there: Sequence[int]) -> list[int]:
    """A few rows: those of the least and the greatest value, on which a minimum and a maximum hang, and others."""
    spread = list(there[:: max(1, len(there) // _ROWS)])
    try:
        ends = [min(there, key=lambda place: values[place]), max(there, key=lambda place: values[place])]
    except TypeError:
        ends = []
    return list(dict.fromkeys([*ends, *spread]))[:_ROWS]


def changed(before: Cells, after: Cells, names: Sequence[str], *, whole: bool) -> set[str]:
    """The columns in which rows that are there before and after differ, whatever their order.

    Args:
        before: Rows, as tuples of cells.
        after: The same, after a change of the inputs.
        names: The columns.
        whole: Whether many input rows were changed. Then rows may have taken the place of others, and where no column
            tells which is which, nothing is concluded.
    """
    gone = list((Counter(before) - Counter(after)).elements())
    came = list((Counter(after) - Counter(before)).elements())
    if not gone or not came:
        return set()
    same_length = len(before) == len(after)
    in_place = [pair for pair in zip(before, after, strict=False) if pair[0] != pair[1]] if same_length else []
    weights = [len({row[place] for row in before}) for place in range(len(names))]
    pairs = in_place if in_place and len(in_place) <= len(gone) else _paired(gone, came, weights)
    varying = {place for place in range(len(names)) if len({row[place] for row in (*before, *after)}) > 1}
    # Where there is but one row, it is the same one.
    sure = same_length and (not whole or len(before) == 1)
    different: set[int] = set()
    for old, new in pairs:
        differing = {place for place in varying if old[place] != new[place]}
        # Two rows that have nothing in common are two rows.
        if sure or differing != varying or len(varying) == 1:
            different |= differing
    if whole and not sure and len(varying) > 1:
        # Values that were only dealt anew may as well have stayed, and their rows have moved.
        different = {
            place for place in different if Counter(r[place] for r in before) != Counter(r[place] for r in after)
        }
        if different == varying:
            return set()
    return {names[place] for place in different}


def _paired(
    gone: Sequence[tuple[str, ...]], came: Sequence[tuple[str, ...]], weights: Sequence[int]
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Each row that went with the one that came that is most like it; columns of many values tell most."""

    def alike(old: tuple[str, ...], new: tuple[str, ...]) -> int:
        return sum(weight for one, other, weight in zip(old, new, weights, strict=True) if one == other)

    pairs = []
    left = list(came[: _PAIRED * 5])
    for old in gone[:_PAIRED]:
        if not left:
            break
        best = max(range(len(left)), key=lambda place: alike(old, left[place]))
        pairs.append((old, left.pop(best)))
    return pairs


def _cells(made: Outputs, names: Sequence[str]) -> list[tuple[str, ...]]:
    columns = []
    for name in names:
        values = made.get(name, ())
        columns.append([_cell(value) for value in values])
    longest = max((len(column) for column in columns), default=0)
    return list(zip(*(column or [""] * longest for column in columns), strict=True))


def _cell(value: Any) -> str:
    # The last digits of a sum depend on the order in which it is summed.
    return format(value, ".12g") if isinstance(value, float) else repr(value)


def _marked(value: Any) -> Any:
    """Another value of the same type, which is none of the sample's as far as that can be had."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, Decimal)):
        return value + 1
    if isinstance(value, float):
        return value + 1.5
    if isinstance(value, str):
        return f"{value}~"
    if isinstance(value, bytes):
        return value + b"~"
    if isinstance(value, dt.datetime):
        return value + dt.timedelta(days=1, minutes=1)
    if isinstance(value, dt.date):
        return value + dt.timedelta(days=1)
    if isinstance(value, dt.timedelta):
        return value + dt.timedelta(minutes=1)
    if isinstance(value, dt.time):
        return value.replace(minute=(value.minute + 1) % 60)
    if isinstance(value, list):
        return [_marked(item) if item is not None else None for item in value]
    if isinstance(value, dict):
        return {key: _marked(item) if item is not None else None for key, item in value.items()}
    return value


def _exchanged(values: Sequence[Any]) -> list[Any]:
    """Each value for another one of the column: what is looked up by it is still found, and thresholds are crossed."""
    distinct = list({repr(value): value for value in values if value is not None}.values())
    try:
        distinct.sort()
    except TypeError:
        distinct.sort(key=repr)
    half = len(distinct) // 2 or 1
    other = {repr(value): distinct[(place + half) % len(distinct)] for place, value in enumerate(distinct)}
    return [None if value is None else other[repr(value)] for value in values]


def _array(values: Sequence[Any], kind: pa.DataType) -> Any:
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None


def _invented(kind: pa.DataType) -> Any:
    """A value for a column that has none in the sample."""
    known: tuple[tuple[Callable[[Any], bool], Any], ...] = (
        (pa.types.is_boolean, True),
        (pa.types.is_integer, 1),
        (pa.types.is_floating, 1.5),
        (pa.types.is_decimal, Decimal(1)),
        (pa.types.is_string, "~"),
        (pa.types.is_large_string, "~"),
        (pa.types.is_date, dt.date(2001, 1, 1)),
        (pa.types.is_timestamp, dt.datetime(2001, 1, 1, tzinfo=dt.timezone.utc)),
    )
    return next((value for fits, value in known if fits(kind)), None)

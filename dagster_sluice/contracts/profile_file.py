"""Writes a first contract from a `Profile`: ODCS YAML with comments that say what was merely observed. Pure.

Nothing in the file is looser than what was seen, and nothing tighter, so that the rows it was written from pass it:

=====================  ================================================================================================
written                where
=====================  ================================================================================================
``required``           no value is NULL or NaN
``unique``             no value stands twice (two values at least; not booleans, objects, arrays)
``primaryKey``         the one required and unique integer or text column that is called ``id`` or after the table
``minimum, maximum``   integers, numbers, dates, timestamps: the least and the greatest finite value. An integer that a
                       double cannot hold is rounded away from the values, since Great Expectations compares doubles
``min/maxLength``      texts
``validValues``        texts instead, where there are 20 distinct or fewer and they are 5 % of the rows or fewer
``nullValues``         where some values are NULL: their share in percent, rounded up in a place the rows cannot show
``rowCount``           exactly so many rows (in each partition so many), and at least one
=====================  ================================================================================================

Everything warns until a person has read it, but for the empty table, which blocks.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from dagster_sluice.contracts.contract import LogicalType, Policy
from dagster_sluice.contracts.profile import ObservedColumn, Profile

__all__ = ["first_contract", "primary_key"]

_KEYS = ("id", "key", "uuid", "guid")
_WIDE = 10**9


def first_contract(
    seen: Profile, *, table: str, schema: str | None = None, source: str, policy: Policy = Policy.WARN
) -> str:
    """The text of an ODCS v3.1 file that promises exactly what was observed.

    Args:
        seen: The observations.
        table: The table's name.
        schema: The warehouse schema; ``None`` leaves it to the asset's key.
        source: What was observed, in words, for the comment on top: ``"shop.orders"``, ``"orders.csv"``.
        policy: What a broken observation does. ``quarantine`` blocks where a promise points at no rows.
    """
    key = primary_key(seen, table)
    lines = [
        *_head(seen, table, schema, source, policy),
        *_table_rules(seen),
        "    properties:",
    ]
    for column in seen.columns:
        lines.extend(_column(column, key=column.name == key))
    return "\n".join(lines) + "\n"


def primary_key(seen: Profile, table: str) -> str | None:
    """The column that obviously is the key: required, unique, and called so. ``None`` where none, or more than one, is."""
    able = {
        column.name
        for column in seen.columns
        if column.unique and not column.missing and column.type in (LogicalType.INTEGER, LogicalType.STRING)
    }
    stem = table.casefold()
    stems = dict.fromkeys([stem, stem.removesuffix("s"), stem.removesuffix("es"), re.sub("ies$", "y", stem)])
    for called in ({f"{name}_{key}" for name in stems for key in _KEYS} | {f"{name}id" for name in stems}, set(_KEYS)):
        found = [name for name in able if name.casefold() in called]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _head(seen: Profile, table: str, schema: str | None, source: str, policy: Policy) -> Iterator[str]:
    rows = _rows(seen.rows)
    identity = re.sub(r"[^a-z0-9]+", "-", f"{schema or ''} {table}".casefold()).strip("-") or "table"
    yield f"# A first contract, written by `sluice contract init` from {_comment(source)}."
    if seen.rows:
        yield f"# All bounds, lengths, sets, shares and counts are observations of {rows}, exactly as seen; nobody has"
        yield "# promised them yet. Widen what may grow, remove what is chance, say why in the descriptions, and set the"
        yield f"# policy ({policy.value} here) of what readers may rely on to quarantine or block."
    else:
        yield "# There was no row to observe: only the columns and their types are promised."
    yield "apiVersion: v3.1.0"
    yield "kind: DataContract"
    yield f"id: {_scalar(identity)}"
    yield f"name: {_scalar(table)}"
    yield "version: 0.1.0"
    yield "status: draft"
    yield "schema:"
    yield f"  - name: {_scalar(table)}"
    if schema is not None:
        yield f"    physicalName: {_scalar(f'{schema}.{table}')}"
    yield "    logicalType: object"
    yield "    physicalType: table"
    yield f"    description: {_scalar(f'Observed in {_comment(source)}: {rows} of {_columns(len(seen.columns))}.')}"
    yield "    customProperties:"
    yield f"      - {{property: policy, value: {policy.value}}}"


def _table_rules(seen: Profile) -> Iterator[str]:
    if not seen.rows:
        return
    counts = seen.partition_rows or (seen.rows,)
    low, high = counts[0], counts[-1]
    each = f" in each of {len(counts)} partitions" if seen.partition_rows else ""
    count = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    yield "    quality:"
    yield "      - name: not_empty"
    yield f"        description: {_scalar(f'Observed {count} rows{each}; an empty table is never right.')}"
    yield "        type: library"
    yield "        metric: rowCount"
    yield "        mustBeGreaterOrEqualTo: 1"
    yield "        customProperties:"
    yield "          - {property: policy, value: block}"
    yield f"      # An observation of {_rows(seen.rows)}{each}:"
    yield "      - name: row_count"
    yield f"        description: {_scalar(f'Observed {count} rows{each}.')}"
    yield "        type: library"
    yield "        metric: rowCount"
    yield f"        mustBe: {low}" if low == high else f"        mustBeBetween: [{low}, {high}]"


def _column(column: ObservedColumn, *, key: bool) -> Iterator[str]:
    yield f"      - name: {_scalar(column.name)}"
    yield f"        logicalType: {column.type.value}"
    if column.physical_type is not None:
        yield f"        physicalType: {_scalar(column.physical_type)}"
    yield f"        description: {_scalar(_described(column))}"
    if key:
        yield "        primaryKey: true"
        yield "        primaryKeyPosition: 1"
    if column.rows and not column.missing:
        yield "        required: true"
    if column.unique:
        yield "        unique: true"
    options = _options(column)
    if _bounded(column):
        yield f"        # Observations of {_rows(column.rows)}:"
    yield from (f"        # {remark}" for remark in _remarks(column))
    if options:
        yield f"        logicalTypeOptions: {{{', '.join(f'{name}: {value}' for name, value in options.items())}}}"
    rules = list(_rules(column))
    if rules:
        yield "        quality:"
        yield from rules


def _bounded(column: ObservedColumn) -> bool:
    bounds = (column.minimum, column.maximum, column.longest)
    return any(bound is not None for bound in bounds) or 0 < column.missing < column.rows


def _remarks(column: ObservedColumn) -> Iterator[str]:
    if column.guessed:
        yield "No value shows the type; text is a guess."
    if column.rows and column.missing == column.rows:
        yield f"Nothing but NULL in {_rows(column.rows)}, so nothing is promised."
    if column.nan:
        yield f"{column.nan:,} of the missing values are NaN, which the gate counts as NULL."
    if column.infinite:
        yield f"{_many(column.infinite, 'value is', 'values are')} infinite; no bound can be written on that side."
    if column.earliest is not None:
        yield "Great Expectations has no bounds for times of day."
    if any(isinstance(value, int) and int(float(value)) != value for value in (column.minimum, column.maximum)):
        yield "Rounded away from the values: Great Expectations compares doubles, which do not hold them."


def _options(column: ObservedColumn) -> dict[str, str]:
    options: dict[str, str] = {}
    if column.type is LogicalType.TIMESTAMP:
        options["timezone"] = "true" if column.timezone else "false"
        if column.timezone:
            options["defaultTimezone"] = "UTC"
    if column.minimum is not None:
        options["minimum"] = _bound(column.minimum, up=False)
    if column.maximum is not None:
        options["maximum"] = _bound(column.maximum, up=True)
    if column.longest is not None and column.values is None:
        options["minLength"] = str(column.shortest)
        options["maxLength"] = str(column.longest)
    return options


def _rules(column: ObservedColumn) -> Iterator[str]:
    if column.values is not None:
        yield "          - type: library"
        yield "            metric: invalidValues"
        yield f"            description: {_scalar(f'Observed {len(column.values):,} distinct.')}"
        yield f"            arguments: {{validValues: {_texts(column.values)}}}"
        yield "            mustBe: 0"
    if 0 < column.missing < column.rows:
        share = f"Observed {column.missing:,} of {column.rows:,} missing"
        if column.missing_share != Fraction(column.missing, column.rows):
            share += ", the partition with the largest share decides"
        yield "          - type: library"
        yield "            metric: nullValues"
        yield f"            description: {_scalar(share + '.')}"
        yield "            unit: percent"
        yield f"            mustBeLessOrEqualTo: {_percent_up(column.missing_share, column.rows)}"


def _described(column: ObservedColumn) -> str:
    if not column.rows:
        return "Observed without a row."
    if column.missing == column.rows:
        return f"Observed nothing but NULL in {_rows(column.rows)}."
    parts = [f"Observed {_many(column.rows - column.missing, 'value', 'values')}"]
    if column.type in (LogicalType.INTEGER, LogicalType.NUMBER, LogicalType.DATE, LogicalType.TIMESTAMP):
        low = "-infinity" if column.minimum is None else _shown(column.minimum)
        high = "infinity" if column.maximum is None else _shown(column.maximum)
        parts[0] += f" from {low} to {high}"
    elif column.earliest is not None:
        parts[0] += f" from {column.earliest} to {column.latest}"
    elif column.longest is not None:
        lengths = (
            f"{column.longest:,}" if column.shortest == column.longest else f"{column.shortest:,} to {column.longest:,}"
        )
        parts[0] += f" of {lengths} characters"
    if column.distinct is not None:
        parts.append("all distinct" if column.unique else f"{column.distinct:,} distinct")
    parts.append(f"{column.missing:,} missing" if column.missing else "none missing")
    return ", ".join(parts) + "."


def _shown(value: Any) -> str:
    return str(value.isoformat()) if isinstance(value, dt.date) else str(value)


def _bound(value: Any, *, up: bool) -> str:
    """A bound as YAML. Moments are quoted: the standard's schema wants text there."""
    if isinstance(value, dt.datetime):
        spec = "microseconds" if value.microsecond else "seconds"
        return f"'{value.isoformat(timespec=spec)}'"
    if isinstance(value, dt.date):
        return f"'{value.isoformat()}'"
    return _scalar(_outward(value, up=up) if isinstance(value, int) else float(value))


def _outward(value: int, *, up: bool) -> int:
    """The nearest integer that a double holds, not below (not above) the value."""
    near = float(value)
    if up and near < value:
        near = math.nextafter(near, math.inf)
    elif not up and near > value:
        near = math.nextafter(near, -math.inf)
    return int(near)


def _percent_up(share: Fraction, rows: int) -> str:
    """The share in percent, rounded up in a place where one row more would show."""
    places = max(2, len(str(rows)))
    return _scalar(math.ceil(share * 100 * 10**places) / 10**places)


def _scalar(value: Any) -> str:
    """A value as YAML on one line, in quotes where it needs them."""
    import yaml

    style = '"' if isinstance(value, str) and not value.isprintable() else None
    text: str = yaml.safe_dump(value, allow_unicode=True, width=_WIDE, default_style=style)
    return text.removesuffix("...\n").strip("\n")


def _texts(values: Sequence[str]) -> str:
    import yaml

    style = None if all(value.isprintable() for value in values) else '"'
    text: str = yaml.safe_dump(
        list(values), allow_unicode=True, width=_WIDE, default_flow_style=True, default_style=style
    )
    return text.strip("\n")


def _comment(text: str) -> str:
    """Text that may stand in a comment: on one line."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _rows(count: int) -> str:
    return _many(count, "row", "rows")


def _columns(count: int) -> str:
    return _many(count, "column", "columns")


def _many(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"

"""Quarantined rows as a file that a person can edit, and what was edited in it.

A CSV has neither types nor NULL, and spreadsheets drop quotes; so a cell counts as edited only if it differs from what was
written for the row. What was not touched keeps its kept value exactly.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from dagster_sluice.contracts import Column, Contract
from dagster_sluice.contracts.csv_faults import first_fault
from dagster_sluice.errors import Culprit, FrameError, SettingError
from dagster_sluice.quarantine.words import reason_text
from dagster_sluice.tables.additions import Candidate, conform_payloads
from dagster_sluice.tables.payload import jsonable
from dagster_sluice.warehouse import QuarantinedRow

__all__ = ["ID", "Mends", "read_mends", "write_rows"]

ID = "_quarantine_id"
_PARTITION = "_partition"
_STATUS = "_status"
_REASONS = "_reasons"
_OURS = (ID, _PARTITION, _STATUS, _REASONS)
KINDS = (".csv", ".parquet")

Mends = Mapping[int, Mapping[str, Any]]
"""Edited cells by number of the row, each with its value in JSON's types; a CSV's are text."""


def write_rows(rows: Sequence[QuarantinedRow], columns: Sequence[Column], path: Path) -> None:
    """Write rows of one table: number, partition, status, reasons and the row itself, column by column.

    Args:
        rows: The rows.
        columns: The columns of the table, whose types a Parquet file takes over. A column in which a kept value does not
            fit is written as text, so that nothing is lost.
        path: Where to; ``.csv`` or ``.parquet``.

    Raises:
        SettingError: The file is of another kind, or cannot be written.
    """
    known = {column.name for column in columns}
    others = dict.fromkeys(name for row in rows for name in row.payload if name not in known)
    names = [*(column.name for column in columns), *others]
    try:
        if _kind(path) == ".csv":
            _write_csv(rows, names, path)
        else:
            _write_parquet(rows, columns, list(others), path)
    except OSError as failure:
        raise SettingError(
            "The rows cannot be written.",
            culprits=[Culprit(file=path, problem=f"{failure.strerror or failure}.")],
        ) from failure


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise SettingError(
            "Quarantined rows are written to CSV or Parquet.",
            culprits=[Culprit(file=path, problem="is named like neither.")],
            mend="End its name in .csv or .parquet.",
        )
    return kind


def _write_csv(rows: Sequence[QuarantinedRow], names: Sequence[str], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*_OURS, *names])
        for row in rows:
            cells = [cell_text(row.payload.get(name)) for name in names]
            writer.writerow([row.id, row.partition or "", row.status, _reasons(row), *cells])


def _write_parquet(
    rows: Sequence[QuarantinedRow], columns: Sequence[Column], others: Sequence[str], path: Path
) -> None:
    import pyarrow.parquet as pq

    described = Contract(table="rows", columns=tuple(columns))
    conformed = conform_payloads([Candidate(payload=row.payload, reasons=row.reasons) for row in rows], described)
    unfit = {misfit.column for misfit in conformed.misfits}
    table: dict[str, Any] = {
        ID: pa.array([row.id for row in rows], pa.int64()),
        _PARTITION: pa.array([row.partition for row in rows], pa.string()),
        _STATUS: pa.array([row.status for row in rows], pa.string()),
        _REASONS: pa.array([_reasons(row) for row in rows], pa.string()),
    }
    for name in [*(column.name for column in columns), *others]:
        if name in unfit or name in others:
            texts = [None if row.payload.get(name) is None else cell_text(row.payload[name]) for row in rows]
            table[name] = pa.array(texts, pa.string())
        else:
            table[name] = conformed.rows.column(name)
    pq.write_table(pa.table(table), path)


def _reasons(row: QuarantinedRow) -> str:
    return "; ".join(reason_text(reason) for reason in row.reasons)


def cell_text(value: Any) -> str:
    """A kept value as a cell of a CSV."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value)


def read_mends(path: Path) -> dict[int, dict[str, Any]]:
    """The cells of an exported file that was edited, by number of the row; bookkeeping columns are left out.

    Raises:
        FrameError: The file cannot be read, has no ``_quarantine_id``, or names a row twice.
    """
    try:
        records = list(_read_csv(path) if _kind(path) == ".csv" else _read_parquet(path))
    except (OSError, UnicodeError, csv.Error, pa.ArrowException) as failure:
        problem = (str(getattr(failure, "strerror", None) or failure).splitlines() or [type(failure).__name__])[0]
        raise FrameError("The mended rows cannot be read.", culprits=[Culprit(file=path, problem=problem)]) from failure
    mends: dict[int, dict[str, Any]] = {}
    culprits = []
    for place, line in records:
        text = str(line.get(ID) if line.get(ID) is not None else "").strip()
        if not text.isascii() or not text.isdigit():
            culprits.append(Culprit(file=path, line=place, problem=f"has no number in {ID}, but {text!r}."))
        elif int(text) in mends:
            culprits.append(Culprit(file=path, line=place, problem=f"has the row {text} once more."))
        else:
            mends[int(text)] = {name: value for name, value in line.items() if name not in _OURS}
    if culprits:
        raise FrameError(
            "The mended rows cannot be told apart.",
            culprits=culprits,
            mend=f"Keep the column {ID} of `sluice quarantine export` as it is.",
        )
    return mends


def _read_csv(path: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    data = path.read_bytes()
    head = data.partition(b"\n")[0].decode("utf-8", "replace")
    # Spreadsheets of many countries write semicolons.
    delimiter = max(",;\t", key=head.count)
    fault = first_fault(data, delimiter=delimiter)
    if fault is not None:
        raise FrameError(
            "The mended rows cannot be read.", culprits=[Culprit(file=path, line=fault[0], problem=fault[1])]
        )
    text = data.decode("utf-8-sig")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names = next(reader, [])
    if ID not in names:
        raise csv.Error(f"its first line does not name {ID}.")
    found = []
    for cells in reader:
        if not any(cells):
            continue
        found.append((reader.line_num, dict(zip(names, cells, strict=True))))
    return found


def _read_parquet(path: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read()
    if ID not in table.column_names:
        raise pa.ArrowInvalid(f"it has no column {ID}.")
    names = table.column_names
    columns = [[jsonable(value) for value in table.column(name).to_pylist()] for name in names]
    return [(place, dict(zip(names, row, strict=True))) for place, row in enumerate(zip(*columns, strict=True), 1)]


def mended_payload(row: QuarantinedRow, cells: Mapping[str, Any], columns: Sequence[str], path: Path) -> dict[str, Any]:
    """The whole row with the edited cells in it; a cell that says what was kept is not edited. Pure.

    Raises:
        FrameError: The file has a column that the table has not.
    """
    unknown = [name for name in cells if name not in columns and name not in row.payload]
    if unknown:
        raise FrameError(
            "The mended rows have columns that the table has not.",
            culprits=[
                Culprit(file=path, where=f"column {name!r}", problem="is not in the contract.") for name in unknown
            ],
        )
    payload = dict(row.payload)
    for name, cell in cells.items():
        kept = row.payload.get(name)
        if cell == kept or (isinstance(cell, str) and cell == cell_text(kept)):
            continue
        payload[name] = None if cell == "" and path.suffix.lower() == ".csv" else cell
    return payload

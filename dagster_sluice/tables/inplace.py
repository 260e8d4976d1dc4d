"""Judge a table where it stands: one that others wrote, whose columns and types are as they are. Nothing is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from dagster_sluice.contracts import Contract, Policy, Reference, Severity
from dagster_sluice.errors import Culprit, FrameError, SluiceError, TableError
from dagster_sluice.gates.gate import audit
from dagster_sluice.gates.verdict import ExpectationResult, Verdict
from dagster_sluice.tables.conform import Conformed, conform
from dagster_sluice.tables.naming import CONFORMS
from dagster_sluice.warehouse import PARTITION_COLUMN, Address
from dagster_sluice.warehouse.slices import Slice

__all__ = ["Found", "judge_in_place", "native", "slices_of"]

_KEPT_VALUES = 20
_SHOWN = 200


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found in one partition of a table.

    Attributes:
        verdict: One result for ``conforms``, if it was asked for, and one for each expectation.
        rows: The rows judged, in the contract's types where they fit.
    """

    verdict: Verdict
    rows: pa.Table


def slices_of(
    address: Address,
    present: Sequence[str],
    key: str,
    window: tuple[dt.datetime, dt.datetime] | None,
    parts: Mapping[str, tuple[str, tuple[dt.datetime, dt.datetime] | None]] | None,
    column: str | Mapping[str, str] | None,
) -> list[Slice]:
    """Where the rows of a partition are.

    Args:
        address: The table.
        present: Its columns.
        key: The partition's key.
        window: Its start and end, if it is one of time.
        parts: The key and window of each dimension, if it has several.
        column: The column that tells the partition, or one for each dimension; ``None`` for ``_partition``.

    Raises:
        TableError: No such column, or none that tells the partition.
    """
    if isinstance(column, Mapping):
        if parts is None or set(column) != set(parts):
            raise TableError(
                f"The partition_expr of {address} does not name the dimensions of its partitions.",
                culprits=[
                    Culprit(where="partition_expr", problem=f"names {sorted(column)}, not {sorted(parts or ())}.")
                ],
            )
        slices = [Slice(column=column[name], key=parts[name][0], **_window(parts[name][1])) for name in parts]
    elif column is None:
        slices = [Slice(column=PARTITION_COLUMN, key=key)]
    else:
        slices = [Slice(column=column, key=key, **_window(window))]
    absent = [part.column for part in slices if part.column not in present]
    if not absent:
        return slices
    if column is None:
        raise TableError(
            f"Nothing says which rows of {address} belong to a partition: it has no column {PARTITION_COLUMN!r}.",
            mend='Name the column that tells it: gate(..., partition_expr="day"), or as metadata of the asset.',
        )
    raise TableError(
        f"The partitions of {address} cannot be told apart.",
        culprits=[
            Culprit(where=f"partition_expr {name!r}", problem="is not a column of the table.") for name in absent
        ],
        mend=f"Name one of its columns: {', '.join(present)}.",
    )


def _window(window: tuple[dt.datetime, dt.datetime] | None) -> dict[str, dt.datetime]:
    return {} if window is None else {"start": window[0], "end": window[1]}


def judge_in_place(
    rows: pa.Table,
    contract: Contract,
    references: Mapping[Reference, Sequence[Any]],
    *,
    present: Collection[str],
    conforming: bool,
) -> Found:
    """Judge rows of a table by the expectations of a contract.

    Whether ``conforms`` is asked for or not, the values judged are those of the contract's types, so that a result
    does not depend on what is judged beside it.

    Args:
        rows: The columns that were read.
        contract: With the expectations to judge and no others.
        references: The sets that live in other tables.
        present: The columns that the table has.
        conforming: Whether to judge the columns and their types too.

    Raises:
        ExpectationError: An expectation cannot be judged as it is written.
    """
    promised = tuple(column for column in contract.columns if column.name in rows.column_names)
    clash: SluiceError | None = None
    try:
        conformed = conform(rows.select([column.name for column in promised]), replace(contract, columns=promised))
    except FrameError as failure:
        clash = failure
        conformed = Conformed(rows=rows.slice(0, 0).select([]), misfits=())
    fitted = set(conformed.rows.column_names)
    arrays: dict[str, Any] = {
        name: conformed.rows.column(name) if name in fitted else native(rows.column(name)) for name in rows.column_names
    }
    judged = pa.table(arrays)
    verdict = audit(judged, contract, references=references)
    if conforming:
        missing = [column.name for column in contract.columns if column.name not in present]
        result = _conformity(conformed, clash, missing, judged.num_rows)
        verdict = verdict.preceded_by(result, sorted({misfit.row for misfit in conformed.misfits}))
    return Found(verdict=verdict, rows=judged)


def _conformity(conformed: Conformed, clash: SluiceError | None, missing: list[str], total: int) -> ExpectationResult:
    """A missing column or a wrong kind of moments stops what is downstream; single values that do not fit do not."""
    failing = {misfit.row for misfit in conformed.misfits}
    error = None
    if missing:
        error = f"these columns are promised and not in the table: {', '.join(missing)}"
    elif clash is not None:
        error = clash.what.rstrip(".")
    return ExpectationResult(
        name=CONFORMS,
        type=CONFORMS,
        kwargs={},
        success=not failing and error is None,
        element_count=total,
        missing_count=0,
        unexpected_count=len(failing),
        unexpected_percent=100.0 * len(failing) / total if total else 0.0,
        partial_unexpected_list=tuple(
            f"{misfit.column}={misfit.value[:_SHOWN]!r} {misfit.reason}" for misfit in conformed.misfits[:_KEPT_VALUES]
        ),
        severity=Severity.CRITICAL,
        policy=Policy.BLOCK if error else Policy.WARN,
        engine="sluice",
        error=error,
    )


def native(array: Any) -> Any:
    """A column as others hold it, without the wrapping in which the driver hands it over: ``numeric`` is a double."""
    kind: Any = array.type
    if not isinstance(kind, pa.BaseExtensionType):
        return array
    if kind.extension_name == "arrow.uuid":
        return pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string())
    storage = array.cast(kind.storage_type)
    return storage.cast(pa.float64()) if getattr(kind, "type_name", None) == "numeric" else storage

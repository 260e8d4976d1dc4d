"""Traces a ``@table``: runs its function on a sample of what is published, and publishes nothing."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import numpy as np

from dagster_sluice.errors import Culprit, TableError
from dagster_sluice.lineage.columns import ColumnLineage, ColumnRef, Origin
from dagster_sluice.lineage.definitions import select_of, step_of, table_name
from dagster_sluice.lineage.marks import Traced, trace
from dagster_sluice.tables.context import TableContext
from dagster_sluice.tables.frames import batch_of
from dagster_sluice.tables.inputs import Reader, address_of, framed
from dagster_sluice.tables.step import Step
from dagster_sluice.warehouse import Warehouse

__all__ = ["TracedTable", "trace_table"]


@dataclass(frozen=True, kw_only=True)
class TracedTable:
    """What was found of one table.

    Attributes:
        table: The asset, as the lineage names it.
        partition: The partition whose inputs were taken.
        sampled: Rows of each input table.
        lineages: What each column is made of; those of which nothing can be said are left out.
        found: The rest of what was found.
    """

    table: str
    partition: str | None
    sampled: Mapping[str, int]
    lineages: tuple[ColumnLineage, ...]
    found: Traced


def trace_table(
    definition: dg.AssetsDefinition,
    warehouse: Warehouse,
    *,
    partition: str | None = None,
    rows: int = 200,
    told: Callable[[int, int], None] = lambda _done, _of: None,
) -> TracedTable:
    """Find out what the columns of a ``@table`` are made of.

    Its function is called some dozen times for each column of its inputs, over at most so many of their published rows.

    Args:
        definition: The table.
        warehouse: Where its inputs are published.
        partition: Which one; by default the latest that all its inputs have.
        rows: At most so many rows of each input, spread evenly over it.
        told: Called with the columns that are done, and how many there are.

    Raises:
        TableError: It is no ``@table`` whose function reads published tables, nothing of these is published, or the
            function raises over the sample as it is.
    """
    step = step_of(definition)
    if step is None:
        raise TableError("Only a @table can be traced.", mend="Declare its lineage in Python or in its contract.")
    label = ".".join(step.key.path)
    if select_of(step) is not None:
        raise TableError(f"{label} is a SELECT: its lineage is read off its text, and needs no tracing.")
    if not step.needs.upstreams:
        raise TableError(f"The function of {label} reads no published table: there is nothing to trace.")
    chosen = _partition(step, definition, warehouse, partition)
    inputs = _inputs(step, warehouse, chosen, rows)
    total = sum(len(table.column_names) for table in inputs.values())
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        told(done, total)

    kinds = {upstream.parameter: upstream.kind for upstream in step.needs.upstreams}
    with _resources(step, definition) as resources:

        def function(given: Mapping[str, Any]) -> Mapping[str, Sequence[Any]]:
            arguments: dict[str, Any] = {name: framed(table, kinds[name]) for name, table in given.items()}
            if step.needs.context is not None:
                arguments[step.needs.context] = _context(definition, chosen)
            made = batch_of(step.function(**resources, **arguments))
            if isinstance(made, Mapping):
                return {name: _listed(values) for name, values in made.items()}
            return {name: made.column(name).to_pylist() for name in made.column_names}

        _refuse_raising(label, function, inputs)
        found = trace(function, inputs, outputs=[column.name for column in step.contract.columns], told=advance)
    tables = {upstream.parameter: table_name(upstream.key) for upstream in step.needs.upstreams}
    return TracedTable(
        table=table_name(step.key),
        partition=chosen,
        sampled={tables[name]: table.num_rows for name, table in inputs.items()},
        lineages=tuple(
            ColumnLineage(
                column=ColumnRef(table_name(step.key), name),
                sources=frozenset(ColumnRef(tables[parameter], column) for parameter, column in sources),
                origin=Origin.CONTRACT,
            )
            for name, sources in found.sources.items()
        ),
        found=replace(found, silent=tuple((tables[name], column) for name, column in found.silent)),
    )


def _refuse_raising(label: str, function: Callable[[Mapping[str, Any]], Any], inputs: Mapping[str, Any]) -> None:
    try:
        function(inputs)
    except Exception as failure:
        raise TableError(
            f"The function of {label} raises over the sample.",
            culprits=[Culprit(problem=f"{type(failure).__name__}: {failure}")],
            mend="Take more rows, or another partition.",
        ) from failure


def _partition(step: Step, definition: dg.AssetsDefinition, warehouse: Warehouse, wanted: str | None) -> str | None:
    common: set[str] | None = None
    for upstream in step.needs.upstreams:
        keys = {key for key in warehouse.current(address_of(upstream.key)) if key is not None}
        if keys:
            common = keys if common is None else common & keys
    if definition.partitions_def is None or common is None:
        return wanted
    if wanted is not None and wanted in common:
        return wanted
    if not common or wanted is not None:
        which = f"partition {wanted}" if wanted is not None else "partition in common"
        raise TableError(f"The inputs of {'.'.join(step.key.path)} have no published {which}.")
    return max(common)


def _inputs(step: Step, warehouse: Warehouse, partition: str | None, rows: int) -> dict[str, Any]:
    reader = Reader(warehouse)
    found = {}
    for upstream in step.needs.upstreams:
        table = reader.read(replace(upstream, kind="arrow"), partition)
        if table.num_rows == 0:
            raise TableError(
                f"{'.'.join(upstream.key.path)} has no rows to trace with.", mend="Take another partition."
            )
        if table.num_rows > rows:
            table = table.take(np.unique(np.linspace(0, table.num_rows - 1, rows).astype(np.int64)))
        found[upstream.parameter] = table.combine_chunks()
    return found


def _context(definition: dg.AssetsDefinition, partition: str | None) -> TableContext:
    window = None
    if partition is not None and isinstance(definition.partitions_def, dg.TimeWindowPartitionsDefinition):
        window = definition.partitions_def.time_window_for_partition_key(partition)
    with dg.build_asset_context(partition_key=partition) as dagster:
        return TableContext(partition_key=partition, time_window=window, run_id="", correlation_id="", dagster=dagster)


@contextlib.contextmanager
def _resources(step: Step, definition: dg.AssetsDefinition) -> Iterator[dict[str, Any]]:
    wanted = {name: definition.resource_defs.get(name) for name in step.needs.resources}
    absent = [name for name, found in wanted.items() if found is None]
    if absent:
        raise TableError(
            f"The function of {'.'.join(step.key.path)} needs resources that are not here: {', '.join(absent)}."
        )
    if not wanted:
        yield {}
        return
    with dg.build_resources({name: found for name, found in wanted.items() if found is not None}) as built:
        yield {name: getattr(built, name) for name in wanted}


def _listed(values: Any) -> Sequence[Any]:
    return values.to_pylist() if hasattr(values, "to_pylist") else list(values)

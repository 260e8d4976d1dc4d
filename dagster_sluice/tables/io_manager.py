"""``WarehouseIOManager``: ordinary assets read published tables and publish their own."""

import importlib
import inspect
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from dagster_sluice.contracts import Contract, load_contract
from dagster_sluice.errors import Culprit, DatabaseUnreachable, PublishError, SettingError, SluiceError, TableError
from dagster_sluice.tables.failing import as_failure
from dagster_sluice.tables.inputs import Reader, frame_kind, framed
from dagster_sluice.tables.naming import CORRELATION_TAG
from dagster_sluice.tables.place import PARTITION_EXPR, place_of, plain, table_of
from dagster_sluice.tables.resource import WarehouseResource
from dagster_sluice.warehouse import PARTITION_COLUMN, Address, Warehouse

__all__ = ["WarehouseIOManager"]

COLUMNS = "columns"
WITH_PARTITION = "partition_column"
MAY_BE_MISSING = "allow_missing_partitions"
CONTRACT = "sluice/contract"
_SHOWN = 10


class WarehouseIOManager(dg.ConfigurableIOManager):
    """Reads the tables of upstream assets for ordinary ``@asset``s, and publishes what these return.

    **Inputs.** An input annotated as a pandas or Polars frame is one, any other is a ``pyarrow.Table``. Of a partitioned
    table come the partitions that the partition mapping asks for, one after the other in one frame; a downstream asset
    without partitions gets all that are published. The metadata of an input says more: ``columns``, the columns to
    read; ``partition_column: True`` adds the column ``_partition``; ``allow_missing_partitions: True`` takes what is
    published of the partitions asked for, where otherwise a missing one fails the step.

    **Outputs.** A frame (pandas, Polars, Arrow, a DuckDB relation) replaces the table, or its partition, in one
    transaction with the publication. The first publish fixes the types of the columns. With a contract in the asset's
    metadata ``sluice/contract`` the frame goes through that gate first, as in ``@table``: the path of an ODCS file,
    relative to the function's file, or the name of a `Contract` in Python, ``"module:NAME"``.
    A run over a range of partitions returns a mapping from partition key to frame, or one frame with the column
    ``_partition``.
    """

    # Not a nested resource: Dagster 1.13 warns of its own deprecated property wherever there is one.
    url: str | None = Field(default=None, description="As of the WarehouseResource, and by default the same.")
    reports: str | None = Field(default="", description="As of the WarehouseResource; of tables with a contract.")
    reports_kept: int = Field(default=10, description="As of the WarehouseResource.")
    reports_url: str | None = Field(default=None, description="As of the WarehouseResource.")

    _warehouse: WarehouseResource | None = PrivateAttr(default=None)

    def load_input(self, context: dg.InputContext) -> Any:
        """The rows that an input asks for, as the frame of its annotation."""
        try:
            return _load(context, self._open())
        except SluiceError as failure:
            raise as_failure(failure) from failure

    def handle_output(self, context: dg.OutputContext, obj: Any) -> Iterator[Any]:  # type: ignore[override]
        """Publish what an asset returned."""
        try:
            yield from _publish(context, obj, self._resource())
        except SluiceError as failure:
            raise as_failure(failure) from failure

    def _open(self) -> Warehouse:
        return self._resource().open()

    def _resource(self) -> WarehouseResource:
        if self._warehouse is None:
            self._warehouse = WarehouseResource(
                url=self.url, reports=self.reports, reports_kept=self.reports_kept, reports_url=self.reports_url
            )
        return self._warehouse

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: D102 (Dagster's)
        if self._warehouse is not None:
            self._warehouse.teardown_after_execution(context)
            self._warehouse = None


def _load(context: dg.InputContext, warehouse: Warehouse) -> Any:
    annotation = context.dagster_type.typing_type
    kind = frame_kind(annotation)
    if kind is None:
        raise TableError(
            f"The input {context.name!r} is annotated {annotation}, which is not a frame.",
            mend="Annotate it as pandas.DataFrame, polars.DataFrame or pyarrow.Table.",
        )
    metadata = context.definition_metadata or {}
    upstream = _spec_metadata(context, context.asset_key)
    address = table_of(context.asset_key, upstream)
    present = list(warehouse.columns(address))
    if not present:
        raise TableError(f"There is no table {address} in the warehouse.", mend="Materialize it first.")
    columns = plain(metadata.get(COLUMNS))
    if isinstance(columns, str):
        columns = [columns]
    wanted = list(columns) if columns is not None else [name for name in present if name != PARTITION_COLUMN]
    keyed = bool(plain(metadata.get(WITH_PARTITION)))
    if not context.has_asset_partitions:
        rows = warehouse.read(address, columns=wanted)
    elif PARTITION_COLUMN in present:
        if keyed and PARTITION_COLUMN not in wanted:
            wanted.append(PARTITION_COLUMN)
        partitions = _published(context, warehouse, address, bool(plain(metadata.get(MAY_BE_MISSING))))
        rows = warehouse.read(address, columns=wanted, partitions=partitions)
    else:
        rows = _sliced(context, warehouse, address, present, wanted, plain(upstream.get(PARTITION_EXPR)), keyed=keyed)
    frame = framed(rows, kind)
    return frame.lazy() if getattr(annotation, "__name__", "") == "LazyFrame" else frame


def _published(
    context: dg.InputContext, warehouse: Warehouse, address: Address, may_be_missing: bool
) -> list[str] | None:
    """The partitions to read; ``None`` for all there are."""
    asked = context.asset_partition_keys
    if _all_asked(context, asked):
        return None
    if may_be_missing:
        return list(asked)
    there = warehouse.current(address, asked)
    missing = [key for key in asked if key not in there]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise TableError(
            f"{address} lacks partitions that are asked for: {', '.join(missing[:_SHOWN])}{more}.",
            mend=f'Materialize them first, or take what there is with the input\'s metadata {{"{MAY_BE_MISSING}": True}}.',
        )
    return list(asked)


def _all_asked(context: dg.InputContext, asked: Sequence[str]) -> bool:
    """Whether the whole table is meant, whatever its partitions are: then those that nobody has made are not missed.

    A range that happens to be every partition is not that: there each one is needed for the one of its own key.
    """
    layer = context.step_context.job_def.asset_layer
    reader = layer.get_assets_def_for_node(context.step_context.node_handle)
    mapping = reader.get_partition_mapping(context.asset_key) if reader is not None else None
    if reader is not None and reader.partitions_def is not None and not isinstance(mapping, dg.AllPartitionMapping):
        return False
    every = context.asset_partitions_def.get_partition_keys(dynamic_partitions_store=context.instance)
    return set(asked) == set(every)


def _sliced(
    context: dg.InputContext,
    warehouse: Warehouse,
    address: Address,
    present: Sequence[str],
    columns: list[str],
    partition_expr: str | Mapping[str, str] | None,
    *,
    keyed: bool,
) -> Any:
    """Rows of a partitioned table that others wrote."""
    import pyarrow as pa

    from dagster_sluice.tables.inplace import slices_of
    from dagster_sluice.warehouse.slices import read_slice

    asked = context.asset_partition_keys
    if _all_asked(context, asked) and not keyed:
        return warehouse.read(address, columns=columns)
    tables = []
    for key in asked:
        slices = slices_of(address, present, key, *place_of(context.asset_partitions_def, key), partition_expr)
        rows = read_slice(warehouse, address, columns, slices)
        if keyed:
            rows = rows.append_column(PARTITION_COLUMN, pa.array([key] * rows.num_rows, pa.string()))
        tables.append(rows)
    return pa.concat_tables(tables) if tables else warehouse.read(address, columns=columns).slice(0, 0)


def _publish(context: dg.OutputContext, obj: Any, resource: WarehouseResource) -> Iterator[Any]:
    from dagster_sluice.gates.frames import as_arrow
    from dagster_sluice.tables.gatekeeper import Judged, Origin, admit
    from dagster_sluice.tables.inferred import inferred_contract
    from dagster_sluice.tables.reporting import Reporter

    warehouse = resource.open()
    key = context.asset_key
    address = table_of(key, _spec_metadata(context, key))
    written = context.step_context.job_def.asset_layer.asset_graph.get(key).code_version or ""
    promised = _contract(context)
    partitions: list[str | None] = list(context.asset_partition_keys) if context.has_asset_partitions else [None]
    frames = _frames(obj, address, partitions)
    standing = warehouse.current(address, [key for key in partitions if key is not None] or None)
    published: dict[str | None, Judged] = {}
    reasons: dict[str | None, tuple[str, ...]] = {}
    holds: dict[str | None, int] = {}
    cause = context.step_context.run_tags.get(CORRELATION_TAG, context.run_id)
    reporter = Reporter(
        address=address,
        contract=promised,
        resource=resource,
        run_id=context.run_id,
        instance=context.step_context.instance,
        log=context.log,
    )
    for partition, frame in frames.items():
        started = time.perf_counter()
        current = standing.get(partition)
        try:
            # A promised column may take what Arrow has no one type for; see `dagster_sluice.tables.frames`.
            rows = frame if promised else as_arrow(frame)
            contract = promised or inferred_contract(rows, address, warehouse.columns(address))
            judged = admit(
                rows,
                contract=contract,
                warehouse=warehouse,
                address=address,
                partition=partition,
                origin=Origin(
                    run_id=context.run_id,
                    correlation_id=cause,
                    code_version=f"{written}-{contract.fingerprint}",
                    base=current.id if current else None,
                    started=started,
                ),
                references=Reader(warehouse).sets(contract, address.schema),
            )
        except (TableError, PublishError, DatabaseUnreachable, SettingError):
            # Nothing is wrong with the frame, and the next one would fare no better.
            yield from _partly(context, key, published)
            raise
        except SluiceError as failure:
            reasons[partition] = (str(failure),)
            reporter.refused(partition, cause, failure)
            continue
        reporter.write(partition, cause, judged)
        if judged.publication is None:
            reasons[partition] = _why(judged, inferred=promised is None)
            if judged.hold is not None:
                holds[partition] = judged.hold.id
        else:
            published[partition] = judged
    if reasons:
        yield from _partly(context, key, published)
        from dagster_sluice.tables.events import blocked

        raise blocked(key, reasons, holds, reporter.summary())
    context.add_output_metadata({**_metadata(address, published), **reporter.summary()})
    if len(published) == 1:
        (judged,) = published.values()
        if judged.publication is not None:
            context.step_context.set_data_version(key, dg.DataVersion(judged.publication.content_hash))


def _why(judged: Any, *, inferred: bool) -> tuple[str, ...]:
    """Why a batch is blocked; without a contract only values that are not of the table's types can do that."""
    if not inferred:
        return tuple(judged.decision.reasons)
    return tuple(f"{value}." for value in judged.verdict.results[0].partial_unexpected_list[:_SHOWN])


def _partly(context: dg.OutputContext, key: dg.AssetKey, published: Mapping[str | None, Any]) -> Iterator[Any]:
    """What of a range is published all the same; Dagster records nothing of a step that fails."""
    for partition, judged in published.items():
        publication = judged.publication
        yield dg.DagsterEvent.asset_materialization(
            context.step_context,
            dg.AssetMaterialization(
                key,
                partition=partition,
                metadata=_metadata(publication.address, {partition: judged}),
                tags={"dagster/data_version": publication.content_hash},
            ),
        )


def _metadata(address: Address, published: Mapping[str | None, Any]) -> dict[str, Any]:
    publications = [judged.publication for judged in published.values()]
    rows = sum(publication.rows_published for publication in publications)
    metadata: dict[str, Any] = {
        "dagster/row_count": rows,
        "dagster/table_name": str(address),
        "sluice/rows_in": sum(judged.verdict.row_count for judged in published.values()),
        "sluice/rows_quarantined": sum(publication.rows_quarantined for publication in publications),
        "sluice/seconds": round(sum(judged.seconds for judged in published.values()), 3),
    }
    warned = sorted({result.name for judged in published.values() for result in judged.verdict.failed})
    if warned:
        metadata["sluice/failed_expectations"] = ", ".join(warned)
    if len(publications) == 1:
        metadata |= {"sluice/publication": publications[0].id, "sluice/result": publications[0].result.value}
    return metadata


def _frames(obj: Any, address: Address, partitions: Sequence[str | None]) -> dict[str | None, Any]:
    """The frame of each partition.

    Raises:
        TableError: There is none, or it is not said to which partition the rows belong.
    """
    if obj is None:
        raise TableError(
            f"The function of {address} returned nothing to publish.",
            mend="Return a frame, or annotate the function `-> None` if it writes by itself.",
        )
    if isinstance(obj, Mapping):
        return _by_key(obj, address, partitions)
    if partitions == [None]:
        return {None: obj}
    from dagster_sluice.gates.frames import as_arrow

    rows = as_arrow(obj)
    if PARTITION_COLUMN in rows.column_names:
        import pyarrow as pa
        import pyarrow.compute as pc

        keys = rows.column(PARTITION_COLUMN).cast(pa.string())
        said = {**dict.fromkeys(partitions), **dict.fromkeys(keys.unique().to_pylist())}
        bare = rows.drop_columns([PARTITION_COLUMN])
        return _by_key(
            {key: bare.filter(pc.is_in(keys, pa.array([key], pa.string()))) for key in said}, address, partitions
        )
    if len(partitions) != 1:
        raise TableError(
            f"The run is of {len(partitions)} partitions of {address}, and its function returned one frame.",
            mend=f"Return a mapping from partition key to frame, add a column {PARTITION_COLUMN!r},"
            " or give the asset BackfillPolicy.multi_run(1).",
        )
    return {partitions[0]: obj}


def _by_key(frames: Mapping[Any, Any], address: Address, partitions: Sequence[str | None]) -> dict[str | None, Any]:
    culprits = [
        Culprit(where=f"partition {key!r}", problem="is in what was returned and not in the run.")
        for key in frames
        if key not in partitions
    ]
    culprits += [
        Culprit(where=f"partition {key!r}", problem="is in the run and not in what was returned.")
        for key in partitions
        if key not in frames
    ]
    if culprits:
        raise TableError(f"What was returned for {address} is not of the partitions of the run.", culprits=culprits)
    return {key: frames[key] for key in partitions}


def _contract(context: dg.OutputContext) -> Contract | None:
    given = plain(_spec_metadata(context, context.asset_key).get(CONTRACT))
    if given is None or isinstance(given, Contract):
        return given
    if re.fullmatch(r"[\w.]+:\w+", str(given)):
        return _named_contract(str(given))
    path = Path(given)
    if not path.is_absolute():
        function = getattr(context.op_def.compute_fn, "decorated_fn", None)
        path = (Path(inspect.getfile(function)).parent if function else Path.cwd()) / path
    return load_contract(path)


def _named_contract(name: str) -> Contract:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        found = None
    if not isinstance(found, Contract):
        raise TableError(f"{name!r} names no contract.", mend="Write it as module:NAME, or give the path of a file.")
    return found


def _spec_metadata(context: dg.InputContext | dg.OutputContext, key: dg.AssetKey) -> Mapping[str, Any]:
    graph = context.step_context.job_def.asset_layer.asset_graph
    return graph.get(key).metadata if graph.has(key) else {}

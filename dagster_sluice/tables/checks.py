"""``gate``: the checks of a contract on an asset that others make, judged where its table stands."""

import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_sluice.contracts import Contract, Policy, load_contract
from dagster_sluice.contracts.own import HISTORICAL
from dagster_sluice.errors import Culprit, TableError
from dagster_sluice.failpoints import failpoint
from dagster_sluice.tables.asset import refuse_mistakes
from dagster_sluice.tables.failing import failures_told
from dagster_sluice.tables.inputs import Reader
from dagster_sluice.tables.naming import CONFORMS, masked_columns
from dagster_sluice.tables.place import PARTITION_EXPR, address_from, place_of, plain, table_of
from dagster_sluice.tables.reach import columns_of, wanted_columns
from dagster_sluice.warehouse import Address, Warehouse

__all__ = ["gate"]

_IN_PLACE = "The rows stay in the table, for others wrote it: only a publish through `@table` can keep rows out."


@dataclass(frozen=True, kw_only=True)
class _Gate:
    """What `gate` was told.

    Attributes:
        key: The asset.
        contract: What it promises.
        partitions_def: Its partitions.
        columns: The columns to read; ``None`` leaves it to the expectations.
        partition_expr: The column that tells a row's partition, or one for each dimension.
        address: The table; ``None`` leaves it to the asset's metadata or key.
        blocking: Whether failures stop what is downstream, whatever their policy.
    """

    key: dg.AssetKey
    contract: Contract
    partitions_def: dg.PartitionsDefinition[Any] | None
    columns: tuple[str, ...] | None
    partition_expr: str | Mapping[str, str] | None
    address: Address | None
    blocking: bool | None


def gate(
    asset: dg.AssetsDefinition | dg.AssetSpec | dg.AssetKey | Sequence[str] | str,
    contract: Contract | str | Path,
    *,
    partitions_def: dg.PartitionsDefinition[Any] | None = None,
    columns: Sequence[str] | None = None,
    partition_expr: str | Mapping[str, str] | None = None,
    warehouse: str = "warehouse",
    address: Address | str | None = None,
    blocking: bool | None = None,
) -> dg.AssetChecksDefinition:
    """Judge an asset that others make (a plain ``@asset``, dlt, Sling, dbt) by a contract: one check per expectation.

    The checks run after the asset and read its table from the warehouse: only the columns that the expectations look
    at, and of a partitioned asset only the rows of the partition. ``conforms`` judges that the promised columns are
    there and hold values of their types; a contract without columns has no such check. A run over a range of
    partitions gives one result for each.

    What was written is judged, not kept out. So policies ``block`` and ``hold`` fail as errors and stop what is
    downstream, and ``warn`` and ``quarantine`` warn; the rows that ``quarantine`` would keep out are counted, shown as
    a sample, and stay in the table.

    Args:
        asset: The asset: its key, its spec, or the definition that makes it alone.
        contract: What it promises: a `Contract`, or the path of an ODCS file, relative to the file that calls.
        partitions_def: Its partitions, where only the key is given. Without them the whole table is judged.
        columns: The columns to read, where reading fewer than the expectations seem to need will do: an SQL condition
            or a row condition reads the whole row otherwise.
        partition_expr: The column that tells a row's partition (a date, a timestamp, or a text equal to the key); for
            partitions of several dimensions a column for each. By default the asset's metadata ``partition_expr``,
            else ``_partition``, which a published table has.
        warehouse: The key of the `WarehouseResource`.
        address: Where the table is, ``schema.table``. By default the asset's metadata ``dagster/table_name``, else the
            last two parts of its key.
        blocking: Whether failures stop what is downstream; by default each policy says it.

    Raises:
        ContractError: The contract is wrong; every culprit with file, line and column.
        TableError: The asset and what is said of it do not fit.
    """
    spec = asset if isinstance(asset, dg.AssetSpec) else _only_spec(asset)
    key = spec.key if spec is not None else dg.AssetKey.from_coercible(asset)  # type: ignore[arg-type]
    if not isinstance(contract, Contract):
        path = Path(contract)
        # The caller's own file, as in `@table`: a working directory differs from process to process.
        here = Path(sys._getframe(1).f_code.co_filename).parent  # noqa: SLF001
        contract = load_contract(path if path.is_absolute() else here / path)
    refuse_mistakes(contract, key)
    given = _Gate(
        key=key,
        contract=contract,
        partitions_def=_partitions(key, spec, partitions_def),
        columns=None if columns is None else tuple(columns),
        partition_expr=partition_expr,
        address=address_from(address) if address is not None else None,
        blocking=blocking,
    )
    _refuse(given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        specs = _specs(given)

        @dg.multi_asset_check(
            name=re.sub(r"[^A-Za-z0-9_]", "_", "__".join([*key.path, "gate"])),
            specs=specs,
            can_subset=True,
            required_resource_keys={warehouse},
        )
        def judge(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
            with failures_told():
                yield from _run(context, given, getattr(context.resources, warehouse).open())

    return judge


def _run(context: dg.AssetCheckExecutionContext, given: _Gate, warehouse: Warehouse) -> Iterator[Any]:
    from dagster_sluice.gates.decision import describe
    from dagster_sluice.tables import events
    from dagster_sluice.tables.inplace import judge_in_place, slices_of
    from dagster_sluice.warehouse.slices import read_slice

    metadata = context.job_def.asset_layer.asset_graph.get(given.key).metadata
    address = given.address or table_of(given.key, metadata)
    partition_expr = given.partition_expr or plain(metadata.get(PARTITION_EXPR))
    partitioned = given.partitions_def is not None
    partitions: list[str | None] = list(context.partition_keys) if partitioned else [None]
    in_range = partitioned and not context.has_partition_key
    checks = {check.name for check in context.selected_asset_check_keys}
    asked = tuple(expectation for expectation in given.contract.expectations if expectation.name in checks)
    contract = replace(given.contract, expectations=asked)
    conforming = CONFORMS in checks
    present = list(warehouse.columns(address))
    if not present:
        raise TableError(f"There is no table {address} in the warehouse.", mend="Materialize it first.")
    columns = wanted_columns(contract, present, conforming=conforming, given=given.columns)
    references = Reader(warehouse).sets(contract, address.schema)
    masked = masked_columns(contract)
    reasons: dict[str | None, tuple[str, ...]] = {}
    for partition in partitions:
        slices = []
        if partition is not None:
            slices = slices_of(address, present, partition, *place_of(given.partitions_def, partition), partition_expr)
        rows = read_slice(warehouse, address, columns, slices)
        found = judge_in_place(rows, contract, references, present=present, conforming=conforming)
        failpoint("gate.judged")
        yield from events.check_events(
            context,
            given.key,
            contract,
            found.verdict,
            found.rows,
            partition,
            in_range=in_range,
            checks=checks,
            extra={"sluice/table": str(address), "sluice/judged": "in place"},
            notes={item.name: {"sluice/quarantine": _IN_PLACE} for item in asked if item.policy is Policy.QUARANTINE},
            blocking=given.blocking,
        )
        failed = [result for result in found.verdict.failed if events.stopping(result, given.blocking)]
        if failed:
            reasons[partition] = tuple(describe(result, masked) for result in failed)
    if reasons:
        raise _stopped(given.key, reasons)
    if in_range:
        yield from events.handed_on(context)


def _stopped(key: dg.AssetKey, reasons: Mapping[str | None, tuple[str, ...]]) -> dg.Failure:
    """The failure of checks that stop what is downstream; a retry would find the same."""
    lines = [
        f"{key.to_user_string()}{f' [{partition}]' if partition is not None else ''}: {' '.join(why)}"
        for partition, why in reasons.items()
    ]
    return dg.Failure(
        description="Stopped at the gate; what was written stands, what is downstream does not run.\n"
        + "\n".join(lines),
        metadata={"sluice/blocked": len(reasons)},
        allow_retries=False,
    )


def _specs(given: _Gate) -> list[dg.AssetCheckSpec]:
    specs = []
    if given.contract.columns:
        specs.append(
            dg.AssetCheckSpec(
                name=CONFORMS,
                asset=given.key,
                description="The promised columns are there, and their values are of the promised types.",
                # It stops what is downstream if a column is missing; that it warns otherwise says its severity.
                blocking=given.blocking is not False,
                partitions_def=given.partitions_def,
            )
        )
    for expectation in given.contract.expectations:
        stops = expectation.policy in (Policy.BLOCK, Policy.HOLD) if given.blocking is None else given.blocking
        metadata = {"sluice/expectation": expectation.type, "sluice/policy": expectation.policy.value}
        if expectation.policy is Policy.QUARANTINE:
            metadata["sluice/quarantine"] = _IN_PLACE
        specs.append(
            dg.AssetCheckSpec(
                name=expectation.name,
                asset=given.key,
                description=expectation.description or f"{expectation.type}, policy {expectation.policy.value}",
                blocking=stops,
                metadata=metadata,
                partitions_def=given.partitions_def,
            )
        )
    return specs


def _only_spec(asset: Any) -> dg.AssetSpec | None:
    if not isinstance(asset, dg.AssetsDefinition):
        return None
    specs = list(asset.specs)
    if len(specs) != 1:
        raise TableError(
            f"{asset.node_def.name} makes {len(specs)} assets, and a gate is of one.",
            culprits=[
                Culprit(where=spec.key.to_user_string(), problem="is one of them.")
                for spec in sorted(specs, key=lambda spec: spec.key)
            ],
            mend="Give the spec or the key of the one that is meant: gate(definition.specs_by_key[key], ...).",
        )
    return specs[0]


def _partitions(
    key: dg.AssetKey, spec: dg.AssetSpec | None, given: dg.PartitionsDefinition[Any] | None
) -> dg.PartitionsDefinition[Any] | None:
    if spec is None or given is None:
        return given if spec is None else spec.partitions_def
    if spec.partitions_def != given:
        raise TableError(
            f"The partitions given to the gate are not those of {key.to_user_string()}.",
            mend="Leave out `partitions_def`: the asset has them.",
        )
    return given


def _refuse(given: _Gate) -> None:
    culprits = []
    if not given.contract.columns and not given.contract.expectations:
        culprits.append(Culprit(where="contract", problem="promises nothing.", mend="Give it columns or expectations."))
    for expectation in given.contract.expectations:
        if expectation.type in HISTORICAL:
            problem = "is about past audits, and a table judged in place has none in the ledger."
            culprits.append(Culprit(where=f"expectation {expectation.name!r}", problem=problem, mend="Leave it out."))
    if given.columns is not None:
        for expectation in given.contract.expectations:
            unread = sorted((columns_of(expectation) or frozenset()) - set(given.columns))
            problem = f"looks at {', '.join(unread)}, which `columns` leaves out."
            culprits += [Culprit(where=f"expectation {expectation.name!r}", problem=problem)] if unread else []
    if given.partition_expr is not None and given.partitions_def is None:
        problem = "is given, and the asset has no partitions."
        culprits.append(Culprit(where="partition_expr", problem=problem, mend="Give its `partitions_def` too."))
    dimensions = None
    if isinstance(given.partitions_def, dg.MultiPartitionsDefinition):
        dimensions = {dimension.name for dimension in given.partitions_def.partitions_defs}
    columns = given.partition_expr
    if isinstance(columns, Mapping) and given.partitions_def is not None and set(columns) != (dimensions or set()):
        problem = f"names {sorted(columns)}, and the dimensions are {sorted(dimensions or ())}."
        culprits.append(Culprit(where="partition_expr", problem=problem))
    if culprits:
        raise TableError(f"The gate of {given.key.to_user_string()} cannot be kept.", culprits=culprits)

"""``@table``: an asset whose published form is a warehouse table, audited before anybody can see it."""

import hashlib
import inspect
import re
import textwrap
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_sluice.contracts import Contract, Policy, load_contract
from dagster_sluice.errors import (
    Culprit,
    DatabaseUnreachable,
    PublishError,
    QueryError,
    SettingError,
    SluiceError,
    TableError,
)
from dagster_sluice.failpoints import failpoint
from dagster_sluice.tables.context import TableContext
from dagster_sluice.tables.declared import Declared, declare
from dagster_sluice.tables.inputs import Needs, Reader, address_of, needs_of
from dagster_sluice.tables.naming import CONFORMS
from dagster_sluice.tables.place import refuse_keys
from dagster_sluice.warehouse import Address, Warehouse
from dagster_sluice.warehouse.physical import mistyped

__all__ = ["refuse_mistakes", "table"]

CORRELATION_TAG = "sluice/correlation_id"


def table(
    *,
    contract: Contract | str | Path,
    key: dg.AssetKey | Sequence[str] | str | None = None,
    partitions_def: dg.PartitionsDefinition[Any] | None = None,
    ins: Mapping[str, dg.AssetKey] | None = None,
    deps: Iterable[Any] = (),
    group_name: str | None = None,
    kinds: Iterable[str] = (),
    tags: Mapping[str, str] | None = None,
    code_version: str | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
    automation_condition: dg.AutomationCondition[Any] | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    pool: str | None = None,
    warehouse: str = "warehouse",
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make an asset of a function that returns a frame: compute → conform → audit → publish, in one step.

    The function is called once per partition (or once, without partitions) and returns a pandas, Polars or Arrow
    table, or a DuckDB relation. Its parameters say what it needs: ``context`` is a `TableContext`; a parameter
    annotated with a resource gets the resource; any other parameter gets the published table of that name, as the
    frame it is annotated with, and becomes an upstream asset.

    Args:
        contract: What the table promises: a `Contract`, or the path of an ODCS file, relative to the function's file.
        key: The asset key; by default the contract's schema and table. Its last two parts are where the table lives.
        partitions_def: The table's partitions.
        ins: Assets for parameters whose name is not that of the upstream table.
        deps: Further upstream assets, which the function does not read through the warehouse.
        group_name: As for ``@asset``.
        kinds: As for ``@asset``; ``postgres`` is added.
        tags: As for ``@asset``.
        code_version: By default a hash of the function's source.
        backfill_policy: By default one run for a whole range: each partition is still judged and published by itself.
        automation_condition: As for ``@asset``.
        retry_policy: As for ``@asset``. A batch that is blocked or held is never retried.
        pool: As for ``@asset``.
        warehouse: The key of the `WarehouseResource`.

    Raises:
        ContractError: The contract is wrong; every culprit with file, line and column.
        TableError: The function asks for what it cannot get.
    """

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        promised = _contract(contract, function)
        asset_key = _key(key, promised)
        refuse_mistakes(promised, asset_key)
        refuse_keys(partitions_def, asset_key)
        if not promised.columns:
            raise TableError(f"The contract of {asset_key.to_user_string()} has no columns.", mend="List them.")
        needs = needs_of(function, asset_key, ins or {})
        version = code_version or _version(function)
        upstream_keys = {upstream.key for upstream in needs.upstreams}
        address = address_of(asset_key)
        references = {
            dg.AssetKey(
                [
                    *asset_key.path[:-2],
                    reference.table.rpartition(".")[0] or address.schema,
                    reference.table.rpartition(".")[2],
                ]
            )
            for item in promised.expectations
            for reference in item.references().values()
        }
        spec = dg.AssetSpec(
            key=asset_key,
            deps=[*sorted(upstream_keys | references), *deps],
            skippable=True,
            description=promised.description or inspect.getdoc(function),
            metadata={
                "dagster/column_schema": _column_schema(promised),
                "dagster/table_name": str(address),
                "sluice/contract_version": promised.version,
                **({"sluice/contract": promised.file.name} if promised.file else {}),
            },
            group_name=group_name,
            code_version=f"{version}-{promised.fingerprint}",
            owners=list(promised.owners),
            tags={**{_tag(tag): "" for tag in promised.tags}, **(tags or {})},
            kinds={"postgres", *kinds},
            partitions_def=partitions_def,
            automation_condition=automation_condition,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.PreviewWarning)
            warnings.simplefilter("ignore", dg.BetaWarning)
            checks = _check_specs(promised, asset_key, partitions_def)

            @dg.multi_asset(
                name="__".join(asset_key.path),
                specs=[spec],
                check_specs=checks,
                can_subset=True,
                required_resource_keys={warehouse, *needs.resources},
                backfill_policy=(backfill_policy or dg.BackfillPolicy.single_run()) if partitions_def else None,
                retry_policy=retry_policy,
                pool=pool,
            )
            def step(context: dg.AssetExecutionContext) -> Iterator[Any]:
                try:
                    yield from _run(
                        context,
                        function,
                        promised,
                        asset_key,
                        needs,
                        f"{version}-{promised.fingerprint}",
                        getattr(context.resources, warehouse),
                    )
                except SluiceError as failure:
                    kind = {"sluice/error": type(failure).__name__}
                    raise dg.Failure(description=str(failure), metadata=kind) from failure

        return declare(step, Declared(key=asset_key, address=address, contract=promised, warehouse=warehouse))

    return decorate


def _run(
    context: dg.AssetExecutionContext,
    function: Callable[..., Any],
    contract: Contract,
    key: dg.AssetKey,
    needs: Needs,
    code_version: str,
    resource: Any,
) -> Iterator[Any]:
    """One step: every partition asked for, each by itself; failures are gathered and told at the end."""
    from dagster_sluice.tables import events
    from dagster_sluice.tables.gatekeeper import Origin, admit
    from dagster_sluice.tables.reporting import Reporter

    warehouse: Warehouse = resource.open()
    # A run over a range gives its partitions to steps without partitions too.
    partitioned = context.assets_def.partitions_def is not None
    partitions: list[str | None] = list(context.partition_keys) if partitioned else [None]
    in_range = not context.has_partition_key and partitioned
    checks = {check.name for check in context.selected_asset_check_keys}
    reader = Reader(warehouse)
    address = address_of(key)
    if not context.selected_asset_keys:
        yield from _judge_published(context, contract, key, partitions, reader, warehouse, in_range, checks)
        return
    standing = _standing(warehouse, address, partitions)
    reasons: dict[str | None, tuple[str, ...]] = {}
    raised: dict[str | None, Exception] = {}
    holds: dict[str | None, int] = {}
    reporter = Reporter(
        address=address,
        contract=contract,
        resource=resource,
        run_id=context.run.run_id,
        instance=context.instance,
        log=context.log,
    )
    for partition in partitions:
        started = time.perf_counter()
        told = _context(context, partition)
        try:
            frame = function(**_arguments(context, told, needs, reader, partition))
            failpoint("table.computed")
            judged = admit(
                frame,
                contract=contract,
                warehouse=warehouse,
                address=address,
                partition=partition,
                origin=Origin(
                    run_id=context.run.run_id,
                    correlation_id=told.correlation_id,
                    code_version=code_version,
                    base=standing.get(partition),
                    started=started,
                ),
                references=reader.sets(contract, address.schema),
            )
        except (PublishError, QueryError, DatabaseUnreachable, SettingError):
            # Nothing is wrong with the batch, and the next one would fare no better.
            raise
        except SluiceError as failure:
            reasons[partition] = (str(failure),)
            reporter.refused(partition, told.correlation_id, failure)
            continue
        except Exception as failure:
            if not in_range:
                raise
            context.log.exception("%s [%s] raised.", key.to_user_string(), partition)
            raised[partition] = failure
            continue
        report = reporter.write(partition, told.correlation_id, judged)
        yield from events.batch_events(
            context, key, contract, judged, partition, code_version, in_range=in_range, checks=checks, report=report
        )
        if judged.publication is None:
            reasons[partition] = judged.decision.reasons
        if judged.hold is not None:
            holds[partition] = judged.hold.id
    reports = reporter.summary()
    if raised:
        raise events.broken(key, reasons, raised, holds, reports) from next(iter(raised.values()))
    if reasons:
        raise events.blocked(key, reasons, holds, reports)
    if in_range:
        yield from events.handed_on(context)


def _judge_published(
    context: dg.AssetExecutionContext,
    contract: Contract,
    key: dg.AssetKey,
    partitions: Sequence[str | None],
    reader: Reader,
    warehouse: Warehouse,
    in_range: bool,
    checks: set[str],
) -> Iterator[Any]:
    """Checks without their table: judge what is published, change nothing."""
    from dagster_sluice.tables import events
    from dagster_sluice.tables.approval import standing_release, waiting_for
    from dagster_sluice.tables.gatekeeper import judge
    from dagster_sluice.tables.memory import past_audits

    address = address_of(key)
    names = [column.name for column in contract.columns]
    for partition in partitions:
        wanted = None if partition is None else [partition]
        rows = warehouse.read(address, columns=names, partitions=wanted)
        history = past_audits(warehouse, address, partition, contract)
        verdict, _, conformed = judge(rows, contract, reader.sets(contract, address.schema), history)
        hold = standing_release(warehouse, address, partition, contract.fingerprint)
        yield from events.check_events(
            context,
            key,
            contract,
            verdict,
            conformed.rows,
            partition,
            in_range=in_range,
            checks=checks,
            extra={"sluice/released_hold": hold.id} if hold else {},
            released=waiting_for(hold.audit) if hold else (),
        )
    if in_range:
        yield from events.handed_on(context)


def _standing(warehouse: Warehouse, address: Address, partitions: Sequence[str | None]) -> dict[str | None, int]:
    keys = [partition for partition in partitions if partition is not None]
    found = warehouse.current(address, keys or None)
    return {partition: publication.id for partition, publication in found.items()}


def _context(context: dg.AssetExecutionContext, partition: str | None) -> TableContext:
    window = None
    definition = context.assets_def.partitions_def
    if partition is not None and isinstance(definition, dg.TimeWindowPartitionsDefinition):
        window = definition.time_window_for_partition_key(partition)
    return TableContext(
        partition_key=partition,
        time_window=window,
        run_id=context.run.run_id,
        correlation_id=context.run.tags.get(CORRELATION_TAG, context.run.root_run_id or context.run.run_id),
        dagster=context,
    )


def _arguments(
    context: dg.AssetExecutionContext, told: TableContext, needs: Needs, reader: Reader, partition: str | None
) -> dict[str, Any]:
    arguments: dict[str, Any] = {name: getattr(context.resources, name) for name in needs.resources}
    if needs.context is not None:
        arguments[needs.context] = told
    for upstream in needs.upstreams:
        arguments[upstream.parameter] = reader.read(upstream, partition)
    return arguments


def _contract(given: Contract | str | Path, function: Callable[..., Any]) -> Contract:
    if isinstance(given, Contract):
        return given
    path = Path(given)
    return load_contract(path if path.is_absolute() else Path(inspect.getfile(function)).parent / path)


def _key(given: dg.AssetKey | Sequence[str] | str | None, contract: Contract) -> dg.AssetKey:
    if given is None:
        return dg.AssetKey([contract.schema, contract.table] if contract.schema else [contract.table])
    key = dg.AssetKey.from_coercible(given)
    if key.path[-1] != contract.table:
        raise TableError(
            f"The asset {key.to_user_string()} has a contract for {contract.table!r}.",
            mend="Give it the contract of its own table, or leave out `key`.",
        )
    return key


def refuse_mistakes(contract: Contract, key: dg.AssetKey) -> None:
    """A contract from a file has been checked already; one written in Python comes here as it is."""
    checks = Counter([CONFORMS, *(expectation.name for expectation in contract.expectations)])
    columns = Counter(column.name for column in contract.columns)
    culprits = [
        Culprit(where=f"expectation {name!r}", problem="has the name of another check; names are unique.")
        for name, count in checks.items()
        if count > 1
    ]
    culprits.extend(
        Culprit(where=f"expectation {name!r}", problem="has a name that is not of letters, digits and underscores.")
        for name in checks
        if not re.fullmatch(r"[A-Za-z0-9_]+", name)
    )
    culprits.extend(
        Culprit(where=f"column {name!r}", problem=f"stands {count} times.")
        for name, count in columns.items()
        if count > 1
    )
    culprits.extend(culprit for column in contract.columns if (culprit := mistyped(column)) is not None)
    if not 0 <= contract.quarantine_limit <= 1:
        problem = f"is {contract.quarantine_limit}, not a share from 0 to 1."
        culprits.append(Culprit(where="quarantine_limit", problem=problem))
    if culprits:
        raise TableError(f"The contract of {key.to_user_string()} cannot be kept.", culprits=culprits)


def _version(function: Callable[..., Any]) -> str:
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except OSError:
        source = function.__code__.co_code.hex()
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def _check_specs(
    contract: Contract, key: dg.AssetKey, partitions_def: dg.PartitionsDefinition[Any] | None
) -> list[dg.AssetCheckSpec]:
    conforms = dg.AssetCheckSpec(
        name=CONFORMS,
        asset=key,
        description="Each value is of the type its contract promises; rows that are not are quarantined.",
        partitions_def=partitions_def,
    )
    promised = [
        dg.AssetCheckSpec(
            name=expectation.name,
            asset=key,
            description=expectation.description or f"{expectation.type}, policy {expectation.policy.value}",
            blocking=expectation.policy in (Policy.BLOCK, Policy.HOLD),
            metadata={"sluice/expectation": expectation.type, "sluice/policy": expectation.policy.value},
            partitions_def=partitions_def,
        )
        for expectation in contract.expectations
    ]
    return [conforms, *promised]


def _column_schema(contract: Contract) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.physical_type or column.type.value,
                description=column.description or None,
                constraints=dg.TableColumnConstraints(nullable=not column.required),
            )
            for column in contract.columns
        ]
    )


def _tag(word: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in word)[:63]

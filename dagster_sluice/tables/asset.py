"""``@table``: an asset whose published form is a warehouse table, audited before anybody can see it."""

import hashlib
import inspect
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_sluice.contracts import Contract, Policy, load_contract
from dagster_sluice.errors import Culprit, TableError
from dagster_sluice.tables.declared import Declared, declare
from dagster_sluice.tables.failing import failures_told
from dagster_sluice.tables.inputs import address_of, needs_of
from dagster_sluice.tables.naming import CONFORMS
from dagster_sluice.tables.place import refuse_keys
from dagster_sluice.tables.step import Step
from dagster_sluice.warehouse.physical import mistyped

__all__ = ["refuse_mistakes", "table"]


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
        work = Step(
            function=function,
            key=asset_key,
            contract=promised,
            needs=needs,
            code_version=f"{version}-{promised.fingerprint}",
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
                with failures_told():
                    yield from work.run(context, getattr(context.resources, warehouse))

        return declare(step, Declared(key=asset_key, address=address, contract=promised, warehouse=warehouse))

    return decorate


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

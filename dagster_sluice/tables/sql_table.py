"""``table_from_sql``: a table whose rows are those of a SELECT over published tables."""

import datetime as dt
import hashlib
import inspect
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_sluice.contracts import Contract, load_contract
from dagster_sluice.errors import Culprit, TableError
from dagster_sluice.tables.asset import table
from dagster_sluice.tables.context import TableContext
from dagster_sluice.tables.place import place_of
from dagster_sluice.tables.resource import WarehouseResource
from dagster_sluice.warehouse.selects import Select, read_select

__all__ = ["table_from_sql"]

PARTITION, START, END = "partition", "start", "end"
_CONSTANTS = (str, bool, int, float, Decimal, dt.date)


def table_from_sql(
    key: dg.AssetKey | Sequence[str] | str | None = None,
    *,
    sql: str | Path,
    contract: Contract | str | Path,
    deps: Iterable[Any] = (),
    partitions_def: dg.PartitionsDefinition[Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    group_name: str | None = None,
    kinds: Iterable[str] = (),
    tags: Mapping[str, str] | None = None,
    code_version: str | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
    automation_condition: dg.AutomationCondition[Any] | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    pool: str | None = None,
    warehouse: str = "warehouse",
) -> dg.AssetsDefinition:
    """Make an asset of a SELECT: the warehouse computes the rows, and they are conformed, audited and published as in `table`.

    It runs once per partition (or once, without partitions), in a transaction that can change nothing, and reads
    published tables by their names in the warehouse. A parameter stands in braces and without quotes; it is bound, never
    written into the text:

    - ``{partition}``: the partition's key, as text; of several dimensions, each by the dimension's name too;
    - ``{start}`` and ``{end}``: the window of a time partition, as moments, the end exclusive;
    - those of ``parameters``.

    The session's clock is that of the partitions, or else the contract's time zone: ``{start}::date`` is the
    partition's own day.

    Args:
        key: The asset key, ``"shop.daily"`` or as for ``@asset``; by default the contract's schema and table. Its last
            two parts are where the table lives.
        sql: The SELECT, or the path of a ``.sql`` file, relative to the file that calls.
        contract: What the table promises: a `Contract`, or the path of an ODCS file, relative to the file that calls.
        deps: The assets whose tables it reads; nothing guesses them.
        partitions_def: The table's partitions.
        parameters: Further values by name: texts, numbers, truth values, dates, moments with time zone.
        group_name: As for ``@asset``.
        kinds: As for ``@asset``; ``sql`` and ``postgres`` are added.
        tags: As for ``@asset``.
        code_version: By default a hash of the SQL and the parameters.
        backfill_policy: By default one run for a whole range: each partition is still judged and published by itself.
        automation_condition: As for ``@asset``.
        retry_policy: As for ``@asset``. A batch that is blocked or held is never retried.
        pool: As for ``@asset``.
        warehouse: The key of the `WarehouseResource`.

    Raises:
        ContractError: The contract is wrong; every culprit with file, line and column.
        QueryError: The SQL is no SELECT, more than one statement, or has a parameter that has no value.
        TableError: What is said of the table does not fit.
    """
    # The caller's own file, as in `@table`: a working directory differs from process to process.
    here = Path(sys._getframe(1).f_code.co_filename).parent  # noqa: SLF001
    promised = contract if isinstance(contract, Contract) else load_contract(_beside(here, contract))
    asset_key = None if key is None else _key(key)
    label = asset_key.to_user_string() if asset_key is not None else f"{promised.schema or 'public'}.{promised.table}"
    constants = dict(parameters or {})
    _refuse_constants(label, constants, partitions_def)
    text, file = _read(sql, here, label)
    select = read_select(text, known=[*_known(partitions_def), *constants], file=file, label=label)
    timezone = _timezone(partitions_def) or promised.timezone

    def compute(context: TableContext, **resources: Any) -> Any:
        values = {**constants, **_values(partitions_def, context.partition_key)}
        return resources[warehouse].open().query(select, values, timezone=timezone)

    # `@table` reads what a function needs off its parameters.
    needed = {"context": TableContext, warehouse: WarehouseResource}
    compute.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in needed.items()]
    )
    compute.__annotations__ = needed
    compute.__doc__ = _comment(select)
    return table(
        contract=promised,
        key=asset_key,
        partitions_def=partitions_def,
        deps=deps,
        group_name=group_name,
        kinds={"sql", *kinds},
        tags=tags,
        code_version=code_version or _version(select, constants),
        backfill_policy=backfill_policy,
        automation_condition=automation_condition,
        retry_policy=retry_policy,
        pool=pool,
        warehouse=warehouse,
    )(compute)


def _key(given: dg.AssetKey | Sequence[str] | str) -> dg.AssetKey:
    if isinstance(given, str):
        return dg.AssetKey(given.split("/" if "/" in given else "."))
    return dg.AssetKey.from_coercible(given)


def _beside(here: Path, given: str | Path) -> Path:
    path = Path(given)
    return path if path.is_absolute() else here / path


def _read(sql: str | Path, here: Path, label: str) -> tuple[str, Path | None]:
    if isinstance(sql, str) and not re.fullmatch(r"\S+\.sql", sql.strip()):
        return sql, None
    path = _beside(here, sql if isinstance(sql, Path) else sql.strip())
    try:
        return path.read_text(encoding="utf-8-sig"), path
    except (OSError, UnicodeError) as failure:
        problem = f"cannot be read: {getattr(failure, 'strerror', None) or failure}."
        raise TableError(f"There is no SQL for {label}.", culprits=[Culprit(file=path, problem=problem)]) from failure


def _known(definition: dg.PartitionsDefinition[Any] | None) -> list[str]:
    """The parameters that a partition gives."""
    if definition is None:
        return []
    windows = [definition]
    known = [PARTITION]
    if isinstance(definition, dg.MultiPartitionsDefinition):
        windows = [dimension.partitions_def for dimension in definition.partitions_defs]
        known += [dimension.name for dimension in definition.partitions_defs]
    timed = sum(isinstance(part, dg.TimeWindowPartitionsDefinition) for part in windows)
    return [*known, START, END] if timed == 1 else known


def _values(definition: dg.PartitionsDefinition[Any] | None, key: str | None) -> dict[str, Any]:
    if definition is None or key is None:
        return {}
    window, parts = place_of(definition, key)
    values: dict[str, Any] = {PARTITION: key, **{name: part for name, (part, _) in (parts or {}).items()}}
    windows = [found for found in (window, *(found for _, found in (parts or {}).values())) if found is not None]
    if len(windows) == 1:
        values |= dict(zip((START, END), windows[0], strict=True))
    return values


def _timezone(definition: dg.PartitionsDefinition[Any] | None) -> str | None:
    parts = [definition]
    if isinstance(definition, dg.MultiPartitionsDefinition):
        parts = [dimension.partitions_def for dimension in definition.partitions_defs]
    zones = [part.timezone for part in parts if isinstance(part, dg.TimeWindowPartitionsDefinition)]
    return zones[0] if len(zones) == 1 else None


def _refuse_constants(
    label: str, constants: Mapping[str, Any], definition: dg.PartitionsDefinition[Any] | None
) -> None:
    taken = _known(definition)
    culprits = []
    for name, value in constants.items():
        problem = None
        if not name.isidentifier():
            problem = "is not a name: letters, digits and underscores."
        elif name in taken:
            problem = "is the name of what the partition gives."
        elif not isinstance(value, _CONSTANTS):
            problem = f"is a {type(value).__name__}, which cannot be bound."
        elif isinstance(value, dt.datetime) and value.tzinfo is None:
            problem = "is a moment without a time zone."
        if problem:
            culprits.append(Culprit(where=f"parameter {name!r}", problem=problem))
    if culprits:
        raise TableError(f"The parameters of {label} cannot be used.", culprits=culprits)


def _version(select: Select, constants: Mapping[str, Any]) -> str:
    told = repr((select.text, sorted((name, repr(value)) for name, value in constants.items())))
    return hashlib.sha256(told.encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _comment(select: Select) -> str | None:
    """The comment with which the SQL begins: what it says of itself."""
    lines = []
    for line in select.text.strip().splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return "\n".join(lines) or None

"""``dbt_tables``: the models of a dbt project as assets, built in one dbt invocation per run."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

from dagster_sluice.dbt.environment import connection, environment
from dagster_sluice.dbt.project import prepared
from dagster_sluice.dbt.turns import in_turn
from dagster_sluice.tables.event_log import open_event_log

__all__ = ["dbt_tables"]

FIRST_DAY = "SLUICE_DBT_MIN_DATE"
LAST_DAY = "SLUICE_DBT_MAX_DATE"


class _Translator(DagsterDbtTranslator):
    def __init__(self, group_name: str | None) -> None:
        super().__init__()
        self._group_name = group_name

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return self._group_name or super().get_group_name(dbt_resource_props)


def dbt_tables(
    directory: Path | str,
    *,
    name: str,
    select: str = "fqn:*",
    exclude: str | None = None,
    partitions_def: dg.PartitionsDefinition[Any] | None = None,
    group_name: str | None = None,
    warehouse: str = "warehouse",
) -> dg.AssetsDefinition:
    """Make assets of the models of a dbt project; dbt tests become asset checks.

    dbt reaches the warehouse through the ``SLUICE_DBT_*`` variables, which the profile reads. For models partitioned
    by day, the first and the last day to build come as ``SLUICE_DBT_MIN_DATE`` and ``SLUICE_DBT_MAX_DATE`` (inclusive):
    an environment variable does not make dbt parse anew, which ``--vars`` does. A run over a range of days is one dbt
    invocation.

    Args:
        directory: The dbt project; its ``profiles.yml`` is beside ``dbt_project.yml``.
        name: The op's name.
        select: dbt's selection.
        exclude: dbt's exclusion.
        partitions_def: Daily partitions, for incremental models.
        group_name: The assets' group.
        warehouse: The key of the `WarehouseResource`.

    Raises:
        SettingError: There is no dbt project.
        TableError: dbt cannot parse it.
    """
    project = prepared(Path(directory))

    @dbt_assets(
        manifest=project.manifest_path,
        project=project,
        name=name,
        select=select,
        exclude=exclude,
        partitions_def=partitions_def,
        backfill_policy=dg.BackfillPolicy.single_run() if partitions_def else None,
        dagster_dbt_translator=_Translator(group_name),
        required_resource_keys={warehouse},
    )
    def build(context: dg.AssetExecutionContext) -> Iterator[Any]:
        address = getattr(context.resources, warehouse).address
        variables = connection(address)
        if partitions_def is not None:
            window = context.partition_time_window
            variables[FIRST_DAY] = window.start.date().isoformat()
            variables[LAST_DAY] = context.partition_keys[-1]
        dbt = DbtCliResource(project_dir=project, dbt_executable=_executable())
        with open_event_log(context.instance), in_turn(address, project.name), environment(variables):
            invocation = dbt.cli(["build"], context=context)
            _without_database(invocation.manifest)
            yield from invocation.stream().fetch_row_counts()

    return build


def _without_database(manifest: Mapping[str, Any]) -> None:
    """Name relations by schema and table alone, for dagster-dbt to count their rows.

    The manifest is made without a database and has its name from the profile's default; Postgres refuses a relation
    named with a database other than the one it is in.
    """
    for node in manifest["nodes"].values():
        if node.get("relation_name"):
            parts = (str(node[part]).replace('"', '""') for part in ("schema", "alias"))
            node["relation_name"] = ".".join(f'"{part}"' for part in parts)


def _executable() -> str:
    beside = Path(sys.executable).with_name("dbt")
    return str(beside) if beside.exists() else "dbt"

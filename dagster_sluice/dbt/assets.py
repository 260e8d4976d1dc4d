"""``dbt_tables``: the models of a dbt project as assets, built beside what is published and judged before they replace it."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from dagster_sluice.dbt.project import prepared
from dagster_sluice.dbt.step import Step
from dagster_sluice.dbt.translation import Translator
from dagster_sluice.tables.failing import failures_told

__all__ = ["dbt_tables"]


def dbt_tables(
    directory: Path | str,
    *,
    name: str,
    select: str = "fqn:*",
    exclude: str | None = None,
    partitions_def: dg.PartitionsDefinition[Any] | None = None,
    partition_column: str | None = None,
    schema: str | None = None,
    group_name: str | None = None,
    warehouse: str = "warehouse",
    pool: str | None = None,
) -> dg.AssetsDefinition:
    """Make assets of the models, seeds and snapshots of a dbt project; dbt's tests become their checks.

    A run is one dbt invocation, whatever the number of partitions. dbt builds in a schema beside each published one
    (``marts__sluice`` for ``marts``) and runs the tests there. What passes is published, all of it in one transaction; a
    model with a failing test is not, nor is what is made of it: readers keep what they had. A test of severity ``warn``
    stops nothing. The project needs no change for this.

    dbt reaches the warehouse through the ``SLUICE_DBT_*`` variables, which the project's ``profiles.yml`` may read; for a
    project without one, or with ``schema``, a profile is made. For models partitioned by time, the first and the last
    day to build come as ``SLUICE_DBT_MIN_DATE`` and ``SLUICE_DBT_MAX_DATE`` (inclusive): an environment variable does not
    make dbt parse anew, which ``--vars`` does. Microbatch models get dbt's own ``--event-time-start`` and ``-end``.

    An incremental model needs what is published to build upon. If it says in which column its partition is, only the
    partitions of the run are copied and replaced; otherwise all of it is copied, and what changed is replaced. A run with
    the tag ``sluice/full_refresh`` builds it anew, whole. So does the first run: there is nothing to build upon.

    Args:
        directory: The dbt project.
        name: The op's name.
        select: dbt's selection.
        exclude: dbt's exclusion.
        partitions_def: Partitions of the models.
        partition_column: The column of the partition in incremental models; a model says otherwise in its meta by
            ``sluice: {partition_column: …}``, or, if dbt builds it in batches of time, by its ``event_time``.
        schema: Use a profile for the warehouse with this as its schema, instead of the project's own profile.
        group_name: The assets' group.
        warehouse: The key of the `WarehouseResource`, for Postgres.
        pool: As for ``@asset``.

    Raises:
        SettingError: There is no dbt project.
        TableError: dbt cannot parse it.
    """
    project = prepared(Path(directory), schema=schema)
    translator = Translator(group_name, partitions_def)
    step = Step(project=project, translator=translator, partitions_def=partitions_def, column=partition_column)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)

        @dbt_assets(
            manifest=project.manifest_path,
            project=project,
            name=name,
            select=select,
            exclude=exclude,
            partitions_def=partitions_def,
            backfill_policy=dg.BackfillPolicy.single_run() if partitions_def else None,
            dagster_dbt_translator=translator,
            required_resource_keys={warehouse},
            pool=pool,
        )
        def build(context: dg.AssetExecutionContext) -> Iterator[Any]:
            with failures_told():
                yield from step.run(context, getattr(context.resources, warehouse))

    return build

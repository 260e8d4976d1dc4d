"""One step of dbt: build beside what is published, judge, publish what passed, tell Dagster."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtProject
from dagster_dbt.asset_utils import DAGSTER_DBT_UNIQUE_ID_METADATA_KEY, get_updated_cli_invocation_params_for_context
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from dagster_sluice.dbt.building import Build
from dagster_sluice.dbt.environment import connection
from dagster_sluice.dbt.nodes import Node, Ruling, nodes_of, rule
from dagster_sluice.dbt.publishing import Published, outside, publish
from dagster_sluice.dbt.slices import Slice
from dagster_sluice.dbt.staging import Staging, build_turn
from dagster_sluice.dbt.translation import Translator
from dagster_sluice.failpoints import failpoint
from dagster_sluice.tables.event_log import open_event_log
from dagster_sluice.tables.events import latest_materialization, typed

__all__ = ["FIRST_DAY", "FULL_REFRESH_TAG", "LAST_DAY", "Step"]

FIRST_DAY = "SLUICE_DBT_MIN_DATE"
LAST_DAY = "SLUICE_DBT_MAX_DATE"
FULL_REFRESH_TAG = "sluice/full_refresh"

_SHOWN_ERRORS = 10


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What dbt's events mean for Dagster, kept until it is known what was published."""

    outputs: dict[str, dg.Output[Any]] = field(default_factory=dict)
    checks: list[dg.AssetCheckResult] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a step over dbt models does.

    Attributes:
        project: The dbt project, parsed.
        translator: Its nodes in Dagster's words.
        partitions_def: The partitions of the models.
        column: The partition column of incremental models that name none.
    """

    project: DbtProject
    translator: Translator
    partitions_def: dg.PartitionsDefinition[Any] | None
    column: str | None

    def run(self, context: dg.AssetExecutionContext, resource: Any) -> Iterator[Any]:
        """Build, judge, publish; yield what Dagster is to know.

        Args:
            context: The step's, of Dagster.
            resource: The `WarehouseResource`.

        Raises:
            dagster.Failure: Something was not published, or dbt could not run.
            SettingError: The warehouse is not a Postgres one, or a schema to build in is somebody else's.
            DatabaseUnreachable: The warehouse does not answer.
            OutcomeUnknown: It was lost during the commit: all was published, or nothing.
            PublishError: It refused; nothing was published.
        """
        variables = connection(resource.address)
        manifest = json.loads(self.project.manifest_path.read_text(encoding="utf-8"))
        nodes = self._selected(context, manifest)
        part = self._part(context)
        full_refresh = FULL_REFRESH_TAG in context.run.tags
        with (
            open_event_log(context.instance),
            build_turn(resource.address, {node.schema for node in nodes}) as session,
            tempfile.TemporaryDirectory(prefix="sluice-dbt-") as scratch,
        ):
            staging = Staging(session, nodes, part=part, full_refresh=full_refresh)
            staged = staging.prepare()
            failpoint("dbt.prepared")
            build = self._build(context, manifest, variables, Path(scratch), part, staged, full_refresh=full_refresh)
            told = self._followed(context, manifest, build)
            failpoint("dbt.built")
            statuses = build.statuses()
            if statuses is None:
                raise dg.Failure(
                    description="dbt could not run; what was published before stands.\n" + _errors(build),
                    allow_retries=True,
                )
            standing = [node.id for node in nodes if staging.published(node).kind == "v"]
            ruling = rule(nodes, statuses, manifest, stopped=_strays(staging, nodes, statuses), standing=standing)
            passed = [node for node in nodes if node.id in set(ruling.published)]
            published = publish(staging, passed, lock_timeout=resource.lock_timeout, url=resource.address)
            if not ruling.blocked:
                staging.drop(lock_timeout=resource.lock_timeout)
            yield from self._told(context, nodes, told, ruling, published, staging)
        if ruling.blocked:
            raise _blocked(ruling, nodes, staging, build)

    def _selected(self, context: dg.AssetExecutionContext, manifest: Mapping[str, Any]) -> list[Node]:
        ids = {
            context.assets_def.get_asset_spec(key).metadata[DAGSTER_DBT_UNIQUE_ID_METADATA_KEY]
            for key in context.selected_asset_keys
        }
        return [node for id_, node in nodes_of(manifest, column=self.column).items() if id_ in ids]

    def _part(self, context: dg.AssetExecutionContext) -> Slice | None:
        if self.partitions_def is None:
            return None
        if not isinstance(self.partitions_def, dg.TimeWindowPartitionsDefinition):
            return Slice(keys=context.partition_keys)
        window = context.partition_time_window
        return Slice(keys=context.partition_keys, start=window.start, end=window.end)

    def _build(
        self,
        context: dg.AssetExecutionContext,
        manifest: Mapping[str, Any],
        variables: dict[str, str],
        scratch: Path,
        part: Slice | None,
        staged: Mapping[str, str],
        *,
        full_refresh: bool,
    ) -> Build:
        # It works out dbt's words for the selected assets and checks; the rest of it is for dagster-dbt's own process.
        chosen = get_updated_cli_invocation_params_for_context(context, manifest, self.translator)
        if chosen.indirect_selection:
            variables["DBT_INDIRECT_SELECTION"] = chosen.indirect_selection
        arguments = ["build" if staged else "test", *chosen.selection_args]
        if full_refresh and staged:
            arguments.append("--full-refresh")
        # A model that is built anew is built whole: of a part of it, the rest would be lost.
        if part is not None and part.start is not None and part.end is not None and not full_refresh:
            variables[FIRST_DAY] = part.start.date().isoformat()
            variables[LAST_DAY] = str(part.last_day)
            if _has_microbatch(manifest, staged):
                arguments += ["--event-time-start", f"{part.start:%Y-%m-%dT%H:%M:%S}"]
                arguments += ["--event-time-end", f"{part.end:%Y-%m-%dT%H:%M:%S}"]
        return Build(
            directory=Path((chosen.dbt_project or self.project).project_dir),
            profiles=Path(self.project.profiles_dir),
            arguments=arguments,
            variables=variables,
            parsed=self.project.manifest_path.parent,
            target=scratch,
            staged=staged,
        )

    def _followed(self, context: dg.AssetExecutionContext, manifest: Mapping[str, Any], build: Build) -> _Told:
        told = _Told()
        for raw in build.run():
            if "node_info" not in raw["data"]:
                continue
            message = DbtCoreCliEventMessage(raw_event=raw, event_history_metadata={})
            for event in message.to_default_asset_events(
                manifest, self.translator, context, build.target, self.project
            ):
                if isinstance(event, dg.Output):
                    told.outputs[raw["data"]["node_info"]["unique_id"]] = event
                elif isinstance(event, dg.AssetCheckResult):
                    told.checks.append(event)
                else:
                    told.others.append(event)
        return told

    def _told(
        self,
        context: dg.AssetExecutionContext,
        nodes: Sequence[Node],
        told: _Told,
        ruling: Ruling,
        published: Mapping[str, Published],
        staging: Staging,
    ) -> Iterator[Any]:
        """Materializations of what was published, then the checks: those name what they are about."""
        in_range = self.partitions_def is not None and not context.has_partition_key
        for node in nodes:
            output = told.outputs.get(node.id)
            if output is not None and node.id in ruling.published:
                figures = _figures(node, published.get(node.id, Published()), sliced=staging.sliced(node))
                yield dg.Output(None, output_name=output.output_name, metadata={**output.metadata, **figures})
        yield from told.others

        # Many checks are about one materialization.
        @functools.cache
        def latest(key: dg.AssetKey, partition: str) -> Any:
            return latest_materialization(context.instance, key, partition)

        for check in told.checks:
            yield from _of_each_partition(context, check, latest) if in_range else [check]


def _of_each_partition(
    context: dg.AssetExecutionContext, check: dg.AssetCheckResult, latest: Callable[[dg.AssetKey, str], Any]
) -> Iterator[Any]:
    """Dbt judges a range as a whole; what it found is said of each partition."""
    key, name = check.asset_key, check.check_name
    if key is None or name is None:
        yield check
        return
    spec = context.assets_def.get_spec_for_check_key(dg.AssetCheckKey(key, name))
    if spec.partitions_def is None:
        yield check
        return
    first, last = context.partition_keys[0], context.partition_keys[-1]
    metadata = {
        **{label: typed(value) for label, value in (check.metadata or {}).items()},
        "sluice/judged": dg.MetadataValue.text(f"with all of {first} to {last}"),
    }
    for partition in context.partition_keys:
        yield dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=name,
            passed=check.passed,
            severity=check.severity,
            metadata=metadata,
            description=check.description,
            blocking=spec.blocking,
            partition=partition,
            target_materialization_data=latest(key, partition),
        )


def _strays(staging: Staging, nodes: Sequence[Node], statuses: Mapping[str, str]) -> dict[str, list[str]]:
    """Models that made rows of partitions that are not those of the run."""
    found = {}
    for node in nodes:
        if node.id in statuses and (count := outside(staging, node)):
            why = (
                f"It made {count:,} rows whose {node.column} is in none of the partitions of this run; with the column"
                " as its partition column, they would be lost."
            )
            found[node.id] = [why]
    return found


def _has_microbatch(manifest: Mapping[str, Any], ids: Mapping[str, str]) -> bool:
    return any(manifest["nodes"][id_]["config"].get("incremental_strategy") == "microbatch" for id_ in ids)


def _figures(node: Node, published: Published, *, sliced: bool) -> dict[str, Any]:
    figures: dict[str, Any] = {"dagster/table_name": f"{node.schema}.{node.alias}"}
    if published.rows is not None:
        figures["dagster/row_count"] = published.rows
    if published.changed is not None:
        figures["sluice/rows_changed"] = published.changed
    if sliced and published.built is not None:
        figures["sluice/rows_in_partitions"] = published.built
    return figures


def _errors(build: Build) -> str:
    return "\n".join(build.errors[-_SHOWN_ERRORS:])


def _blocked(ruling: Ruling, nodes: Sequence[Node], staging: Staging, build: Build) -> dg.Failure:
    lines = [f"{node.name}: {' '.join(ruling.blocked[node.id])}" for node in nodes if node.id in ruling.blocked]
    places = sorted({staging.schema(node.schema) for node in nodes if node.id in ruling.blocked})
    return dg.Failure(
        description="Blocked at the gate; what was published before stands.\n"
        + "\n".join(lines)
        + f"\nWhat was built of it stays in {', '.join(places)} until the next build."
        + (f"\n{_errors(build)}" if build.errors else ""),
        metadata={"sluice/blocked": len(ruling.blocked)},
        allow_retries=False,
    )

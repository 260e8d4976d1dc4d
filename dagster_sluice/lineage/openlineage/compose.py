"""Runs, steps and assets as OpenLineage events. Pure: the same facts are the same event, letter by letter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openlineage.client import event_v2 as ol
from openlineage.client.generated import (
    base_subset_dataset,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    documentation_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
    symlinks_dataset,
    tags_run,
)

from dagster_sluice.lineage.openlineage.facts import AssetFacts, RunFacts, State, Used
from dagster_sluice.tables.naming import CORRELATION_TAG

__all__ = ["Composer", "Event", "Physical"]

Event = ol.RunEvent | ol.DatasetEvent
_MOST_PARTITIONS = 400
"""Of one dataset in one event: the keys of a year, and not those of a whole history."""
_LONGEST = 4000
"""Characters of an error's message."""


@dataclass(frozen=True, kw_only=True)
class Physical:
    """Where tables are, as other tools name them.

    Attributes:
        namespace: ``postgres://db.example:5432``, as OpenLineage names databases.
        database: The database's name.
    """

    namespace: str
    database: str


@dataclass(frozen=True, kw_only=True)
class Composer:
    """Makes events.

    Attributes:
        namespace: Of jobs and datasets.
        producer: Who says it: a URL.
        engine_version: Dagster's version.
        adapter_version: Ours.
        physical: Where tables are; then each is known to others by its name there too.
    """

    namespace: str
    producer: str
    engine_version: str
    adapter_version: str
    physical: Physical | None = None

    def run(
        self,
        state: State,
        run: RunFacts,
        moment: float,
        *,
        inputs: Sequence[Used] = (),
        outputs: Sequence[Used] = (),
        error: str | None = None,
    ) -> ol.RunEvent:
        """One event of a run.

        Args:
            state: What happened.
            run: To which run.
            moment: When, in seconds since 1970.
            inputs: What it reads.
            outputs: What it writes.
            error: Why it failed.
        """
        return ol.RunEvent(
            eventType=ol.RunState[state.value],
            eventTime=_time(moment),
            producer=self.producer,
            run=ol.Run(runId=run.id, facets=self._run_facets(run, error)),
            job=ol.Job(namespace=self.namespace, name=run.job, facets=self._job_facets(run)),
            inputs=[self._input(used) for used in inputs],
            outputs=[self._output(used) for used in outputs],
        )

    def dataset(self, used: Used, moment: float) -> ol.DatasetEvent:
        """What became known of an asset outside of any run."""
        facets = self._facets(used)
        return ol.DatasetEvent(
            eventTime=_time(moment),
            producer=self.producer,
            dataset=ol.StaticDataset(namespace=self.namespace, name=used.asset.name, facets=facets),
        )

    def _run_facets(self, run: RunFacts, error: str | None) -> dict[str, Any]:
        facets: dict[str, Any] = {
            "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
                version=self.engine_version,
                name="Dagster",
                openlineageAdapterVersion=self.adapter_version,
                producer=self.producer,
            )
        }
        if run.parent is not None:
            facets["parent"] = parent_run.ParentRunFacet(
                run=parent_run.Run(runId=run.parent.id),
                job=parent_run.Job(namespace=self.namespace, name=run.parent.job),
                root=parent_run.Root(
                    run=parent_run.RootRun(runId=run.root.id),
                    job=parent_run.RootJob(namespace=self.namespace, name=run.root.job),
                ),
                producer=self.producer,
            )
        if run.window is not None:
            start, end = run.window
            facets["nominalTime"] = nominal_time_run.NominalTimeRunFacet(
                nominalStartTime=start.isoformat(), nominalEndTime=end.isoformat(), producer=self.producer
            )
        if run.correlation_id:
            tag = tags_run.TagsRunFacetFields(key=CORRELATION_TAG, value=run.correlation_id, source="dagster-sluice")
            facets["tags"] = tags_run.TagsRunFacet(tags=[tag], producer=self.producer)
        if error is not None:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
                message=error if len(error) <= _LONGEST else f"{error[:_LONGEST]}…",
                programmingLanguage="python",
                producer=self.producer,
            )
        return facets

    def _job_facets(self, run: RunFacts) -> dict[str, Any]:
        facets: dict[str, Any] = {
            "jobType": job_type_job.JobTypeJobFacet(
                processingType="BATCH", integration="DAGSTER", jobType=run.kind, producer=self.producer
            )
        }
        if run.description:
            facets["documentation"] = documentation_job.DocumentationJobFacet(
                description=run.description, producer=self.producer
            )
        return facets

    def _input(self, used: Used) -> ol.InputDataset:
        facets: dict[str, Any] = {}
        if (subset := _subset(used)) is not None:
            facets["subset"] = base_subset_dataset.InputSubsetInputDatasetFacet(
                inputCondition=subset, producer=self.producer
            )
        if used.assertions:
            facets["dataQualityAssertions"] = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
                assertions=[
                    data_quality_assertions_dataset.Assertion(
                        assertion=one.check,
                        name=one.check,
                        success=one.passed,
                        severity=one.severity,
                        column=one.column,
                        description=one.description or None,
                        params={"partition": one.partition} if one.partition is not None else {},
                    )
                    for one in used.assertions
                ],
                producer=self.producer,
            )
        return ol.InputDataset(
            namespace=self.namespace, name=used.asset.name, inputFacets=facets, facets=self._facets(used)
        )

    def _output(self, used: Used) -> ol.OutputDataset:
        facets: dict[str, Any] = {}
        if (subset := _subset(used)) is not None:
            facets["subset"] = base_subset_dataset.OutputSubsetOutputDatasetFacet(
                outputCondition=subset, producer=self.producer
            )
        if used.rows is not None:
            facets["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=used.rows, producer=self.producer
            )
        return ol.OutputDataset(
            namespace=self.namespace,
            name=used.asset.name,
            outputFacets=facets,
            facets={**self._facets(used), **self._lineage(used.asset)},
        )

    def _facets(self, used: Used) -> dict[str, Any]:
        """What holds of an asset whether it is read or written."""
        asset = used.asset
        facets: dict[str, Any] = {}
        if asset.columns:
            facets["schema"] = schema_dataset.SchemaDatasetFacet(
                fields=[
                    schema_dataset.SchemaDatasetFacetFields(
                        name=column.name, type=column.type, description=column.description
                    )
                    for column in asset.columns
                ],
                producer=self.producer,
            )
        if asset.description:
            facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(
                description=asset.description, producer=self.producer
            )
        if asset.table and self.physical is not None:
            facets["symlinks"] = symlinks_dataset.SymlinksDatasetFacet(
                identifiers=[
                    symlinks_dataset.Identifier(
                        namespace=self.physical.namespace, name=f"{self.physical.database}.{asset.table}", type="TABLE"
                    )
                ],
                producer=self.producer,
            )
        if used.version:
            facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(
                datasetVersion=used.version, producer=self.producer
            )
        return facets

    def _lineage(self, asset: AssetFacts) -> dict[str, Any]:
        if not asset.lineage:
            return {}
        fields = {
            name: column_lineage_dataset.Fields(
                inputFields=[
                    column_lineage_dataset.InputField(namespace=self.namespace, name=table, field=column)
                    for table, column in sources
                ]
            )
            for name, sources in asset.lineage.items()
        }
        return {
            "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields, producer=self.producer)
        }


def _subset(used: Used) -> Any:
    if used.partitions is None or len(used.partitions) > _MOST_PARTITIONS:
        return None
    return base_subset_dataset.PartitionSubsetCondition(
        partitions=[
            base_subset_dataset.Partition(identifier=key, dimensions={"partition": key}) for key in used.partitions
        ]
    )


def _time(moment: float) -> str:
    return dt.datetime.fromtimestamp(moment, tz=dt.timezone.utc).isoformat(timespec="microseconds")

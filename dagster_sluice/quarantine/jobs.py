"""The replay as a Dagster job, so that it can be done from the UI."""

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from dagster_sluice.failpoints import failpoint
from dagster_sluice.tables.declared import Declared, declared_tables
from dagster_sluice.tables.failing import failures_told
from dagster_sluice.tables.naming import CORRELATION_TAG

__all__ = ["ReplayConfig", "replay_job"]


class ReplayConfig(dg.Config):
    """Which rows to replay: by number, or by table and partition."""

    table: str | None = Field(default=None, description="schema.table; or leave it out and give ids.")
    partition: str | None = Field(default=None, description="One partition of the table; all by default.")
    ids: list[int] = Field(default_factory=list, description="Numbers of rows, as `sluice quarantine list` shows them.")
    why: str = Field(default="", description="For the record.")
    dry_run: bool = Field(default=False, description="Judge and tell, change nothing.")


def replay_job(
    definitions: Iterable[Any], *, name: str = "replay_quarantine", warehouse: str = "warehouse"
) -> dg.JobDefinition:
    """A job that takes quarantined rows through the gate of their table again.

    Rows that pass are added to the published partition, once however often the job runs; the asset gets a
    materialization. Rows that do not stay open, with today's reasons. If nothing may be added to a partition because a
    ``block`` promise would break, the run fails and nothing has changed there.

    Args:
        definitions: The tables whose rows can be replayed; whatever else is among them is passed over.
        name: The job's name.
        warehouse: The key of the `WarehouseResource`.
    """
    tables = list(definitions)
    known = {str(address): declared for address, declared in declared_tables(tables).items()}

    @dg.op(name=f"{name}_rows", required_resource_keys={warehouse}, out=dg.Out(dg.Nothing))
    def replay_rows(context: dg.OpExecutionContext, config: ReplayConfig) -> None:
        with failures_told(allow_retries=False):
            _replay(context, config, tables, known, getattr(context.resources, warehouse).open())

    @dg.job(name=name, description="Takes quarantined rows through the gate again and publishes those that pass.")
    def job() -> None:
        replay_rows()

    return job


def _replay(
    context: dg.OpExecutionContext,
    config: ReplayConfig,
    tables: Sequence[Any],
    known: dict[str, Declared],
    warehouse: Any,
) -> None:
    from dagster_sluice.quarantine.promises import promises
    from dagster_sluice.quarantine.replaying import Replayer
    from dagster_sluice.quarantine.selection import Selection, table_address
    from dagster_sluice.quarantine.words import reason_text

    selection = Selection(
        ids=tuple(config.ids),
        address=table_address(config.table) if config.table else None,
        partition=config.partition,
    )
    replayer = Replayer(
        warehouse,
        promises(tables, warehouse),
        run_id=context.run_id,
        correlation_id=context.run.tags.get(CORRELATION_TAG, context.run_id),
    )
    blocked = []
    added = 0
    for found in replayer.replay(selection.rows(warehouse), why=config.why, dry_run=config.dry_run):
        place = f"{found.address}{'' if found.partition is None else f' [{found.partition}]'}"
        added += len(found.added)
        context.log.info("%s: %d rows pass, %d do not.", place, len(found.added), len(found.failed))
        for number, reasons in found.failed.items():
            context.log.warning("%s: row %d stays open: %s", place, number, "; ".join(map(reason_text, reasons)))
        if found.blocked:
            blocked.append(f"{place}: {' '.join(found.blocked)}")
        if found.publication is not None:
            context.log_event(materialization(known[str(found.address)], found))
            failpoint("replay.told")
    if not added and not blocked:
        context.log.info("No open row passed.")
    if blocked:
        raise dg.Failure(
            description="Blocked at the gate; there nothing has changed.\n" + "\n".join(blocked),
            metadata={"sluice/blocked": len(blocked)},
            allow_retries=False,
        )


def materialization(declared: Declared, found: Any) -> dg.AssetMaterialization:
    """What Dagster is told of a partition to which rows were added."""
    publication = found.publication
    metadata: dict[str, Any] = {
        "dagster/row_count": publication.rows_published,
        "dagster/table_name": str(publication.address),
        "sluice/rows_replayed": len(found.added),
        "sluice/publication": publication.id,
    }
    if found.partition is not None:
        metadata["dagster/partition_row_count"] = publication.rows_published
    return dg.AssetMaterialization(
        declared.key,
        partition=found.partition,
        metadata=metadata,
        tags={"dagster/data_version": publication.content_hash, "dagster/code_version": publication.code_version},
    )

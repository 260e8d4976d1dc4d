"""``freshness_checks``: an asset check for each table with a deadline, which says what is late since when."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from dagster_sluice.errors import SluiceError
from dagster_sluice.freshness.judging import Status
from dagster_sluice.freshness.reading import Evaluated, evaluate
from dagster_sluice.freshness.tables import Deadlines, Watched, partitions_of, watched_tables
from dagster_sluice.freshness.watching import declare_checks
from dagster_sluice.freshness.words import is_late, sentence
from dagster_sluice.freshness.zones import moment
from dagster_sluice.state import State

__all__ = ["CHECK", "evaluation", "freshness_checks"]

CHECK = "freshness"
"""The name of the check."""

_MOST_ROWS = 60


def freshness_checks(
    assets: Sequence[Any],
    *,
    deadlines: Deadlines | None = None,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
    name: str = CHECK,
    op_name: str = "freshness_checks",
) -> list[dg.AssetChecksDefinition]:
    """One check for each table that has a deadline or a recency.

    A check looks at all partitions that the deadlines look back on, and says which are late since when. All of them
    together take a constant number of queries: run them as one job.

    Args:
        assets: The assets; those without a deadline are passed over.
        deadlines: By the asset's key as the UI writes it: instead of what a contract says, or where there is none.
        severity: Of a check that fails.
        name: Of each check.
        op_name: Of the op that runs them; another one for each call.

    Raises:
        SettingError: A deadline is for an asset that is not among these, or does not fit its partitions.
    """
    tables = watched_tables(partitions_of(assets), assets, deadlines=deadlines)
    if not tables:
        return []
    declare_checks(name, deadlines)
    return [_checks(tables, severity, name, op_name)]


def _checks(
    tables: Sequence[Watched], severity: dg.AssetCheckSeverity, name: str, op_name: str
) -> dg.AssetChecksDefinition:
    resources = {table.declared.warehouse for table in tables if table.declared is not None}
    specs = [
        dg.AssetCheckSpec(name=name, asset=table.key, description=_promises(table), blocking=False) for table in tables
    ]

    @dg.multi_asset_check(name=op_name, specs=specs, can_subset=True, required_resource_keys=resources)
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        wanted = {key.asset_key for key in context.op_execution_context.selected_asset_check_keys}
        state = State()
        try:
            found = evaluate(
                [table for table in tables if table.key in wanted],
                instance=context.op_execution_context.instance,
                warehouse=lambda key: getattr(context.op_execution_context.resources, key).open(),
                now=dt.datetime.now(dt.timezone.utc),
                state=state,
            )
        except SluiceError as failure:
            raise dg.Failure(description=str(failure)) from failure
        finally:
            state.close()
        for one in found:
            yield dg.AssetCheckResult(
                asset_key=one.table.key,
                check_name=name,
                passed=not is_late(one),
                severity=severity,
                description=sentence(one),
                metadata=_metadata(one),
            )

    return check


def evaluation(found: Evaluated, name: str, severity: dg.AssetCheckSeverity) -> dg.AssetCheckEvaluation:
    """What a check would say, for whoever reports it without running it."""
    return dg.AssetCheckEvaluation(
        asset_key=found.table.key,
        check_name=name,
        passed=not is_late(found),
        severity=severity,
        description=sentence(found),
        metadata=_metadata(found),
    )


def _promises(table: Watched) -> str:
    told = [f"published by {one.due} ({one.timezone})" for one in table.deadlines]
    told += [f"the newest {one.column} within {one.within}" for one in table.recency]
    return f"Promised: {'; '.join(told)}."


def _metadata(found: Evaluated) -> dict[str, Any]:
    late = [(judged, place) for judged in found.judged for place in judged.places(Status.LATE)]
    due = [judged.left(place) for judged in found.judged for place in judged.places(Status.DUE)]
    told: dict[str, Any] = {"sluice/late": len(late) + sum(age.late for age in found.ages)}
    if late:
        told["sluice/late_since"] = dg.MetadataValue.timestamp(
            moment(min(int(judged.dues.limit[place]) for judged, place in late))
        )
        rows = [
            dg.TableRecord(
                {
                    "partition": judged.windows.keys[place],
                    "late since": f"{moment(int(judged.dues.limit[place]), judged.deadline.zone):%Y-%m-%d %H:%M %Z}",
                    "why": judged.notes.get(judged.windows.keys[place], ""),
                }
            )
            for judged, place in late[:_MOST_ROWS]
        ]
        columns = [dg.TableColumn(one) for one in ("partition", "late since", "why")]
        told["sluice/late_partitions"] = dg.MetadataValue.table(rows, schema=dg.TableSchema(columns=columns))
    if due:
        told["sluice/minutes_left"] = min(due) // 60_000_000
    return told

"""``nightly_backfill``: a schedule that finds the gaps, plans the night and launches a real Dagster backfill."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from pydantic import Field

from dagster_sluice.backfills.attempts import RetryRules
from dagster_sluice.backfills.budget import Budget, Hours, Order
from dagster_sluice.backfills.circuit import CircuitRules
from dagster_sluice.backfills.direct import settle_all
from dagster_sluice.backfills.memory import Nights
from dagster_sluice.backfills.night import Planner, Rules, new_backfill_id
from dagster_sluice.backfills.tables import TableRules, fillable_tables
from dagster_sluice.backfills.words import plan_rows, plan_words, settled_words
from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.state import State
from dagster_sluice.warehouse import Warehouse

__all__ = ["NightlyBackfill", "late_data_backfill", "nightly_backfill", "nightly_backfills"]

_MOST_ROWS = 500
_declared: dict[str, "NightlyBackfill"] = {}


@dataclass(frozen=True, kw_only=True)
class NightlyBackfill:
    """What a nightly backfill was declared to do, for the schedule and for the command line.

    Attributes:
        name: Of the schedule; the budget is counted by it.
        selection: The tables.
        rules: How it plans.
        tables: What counts as a gap, by asset key.
    """

    name: str
    selection: dg.AssetSelection
    rules: Rules = field(default_factory=Rules)
    tables: Mapping[str, TableRules] = field(default_factory=dict)

    def planner(
        self,
        repository: Any,
        instance: dg.DagsterInstance,
        warehouse: Callable[[str], Warehouse],
        state: State,
        *,
        nightly: bool = True,
    ) -> Planner:
        """A planner of the tables of a code location; see `Planner`.

        Raises:
            SettingError: The selection selects nothing, or a rule is for a table that it does not select.
        """
        graph, definitions = repository.asset_graph, repository.assets_defs_by_key.values()
        tables = fillable_tables(graph, definitions, selection=self.selection, rules=self.tables)
        if not tables:
            raise SettingError(
                f"The backfill {self.name} has nothing to fill.",
                culprits=[Culprit(where=str(self.selection), problem="selects no table.")],
            )
        return Planner(
            self.name,
            tables=tables,
            everything=fillable_tables(graph, definitions),
            graph=graph,
            instance=instance,
            warehouse=warehouse,
            nights=Nights(state),
            rules=self.rules,
            nightly=nightly,
        )


def nightly_backfills(names: Sequence[str]) -> list[NightlyBackfill]:
    """The declared ones among these schedules."""
    return [_declared[name] for name in names if name in _declared]


def nightly_backfill(
    selection: dg.AssetSelection | str | Sequence[Any],
    *,
    name: str = "nightly_backfill",
    cron: str = "0 2 * * *",
    timezone: str = "UTC",
    window: dt.timedelta | None = dt.timedelta(days=30),
    budget: Budget | None = None,
    hours: Hours | None = None,
    order: Order | str = Order.NEWEST,
    tables: Mapping[str, TableRules] | None = None,
    retry: RetryRules | None = None,
    breaker: CircuitRules | None = None,
    warehouses: Sequence[str] = ("warehouse",),
    description: str | None = None,
    default_status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.STOPPED,
) -> dg.ScheduleDefinition:
    """A schedule that fills what is missing, failed, late or out of date, within a budget.

    Each tick takes into memory how the earlier plans ended, finds the gaps, plans, and launches one asset backfill,
    which the UI shows and cancels like any other. What a backfill leaves undone is a gap again. If something was
    launched, a small run explains the plan: a table of partition, reason and decision.

    Args:
        selection: The tables: a selection, or what ``AssetSelection.assets`` takes.
        name: Of the schedule.
        cron: When it looks.
        timezone: Of ``cron``, by its IANA name.
        window: Partitions that began longer ago are not looked at; ``None`` for all.
        budget: What a night may cost.
        hours: When backfills may be launched; always by default.
        order: Which gaps come first: ``newest``, ``oldest`` or ``wanted``.
        tables: What counts as a gap, by the asset's key as the UI writes it.
        retry: When a partition that failed is tried again.
        breaker: When a table's circuit opens.
        warehouses: The keys of the warehouse resources that the tables use.
        description: Shown in the UI.
        default_status: As for ``@schedule``.
    """
    declared = _declare(selection, name, window, budget, hours, order, tables, retry, breaker)
    job = _explaining(name)

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=timezone,
        required_resource_keys=set(warehouses),
        default_status=default_status,
        description=description or "Fills what is missing, failed, late or out of date, within its budget.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Any:
        return _tick(context, declared)

    return schedule


def late_data_backfill(
    selection: dg.AssetSelection | str | Sequence[Any],
    *,
    name: str = "late_data_backfill",
    every: dt.timedelta = dt.timedelta(minutes=5),
    reasons: Sequence[str] = ("late_data", "requested"),
    window: dt.timedelta | None = dt.timedelta(days=30),
    budget: Budget | None = None,
    hours: Hours | None = None,
    order: Order | str = Order.NEWEST,
    retry: RetryRules | None = None,
    breaker: CircuitRules | None = None,
    warehouses: Sequence[str] = ("warehouse",),
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """A sensor that fills, all day long, what came late or was asked for; the rest waits for the night.

    Args:
        selection: The tables.
        name: Of the sensor.
        every: The least time between two looks.
        reasons: The reasons that count; other gaps are left alone.
        window: See `nightly_backfill`, as for the other arguments.
        budget: What a day may cost.
        hours: When backfills may be launched; always by default.
        order: Which gaps come first.
        retry: When a partition that failed is tried again.
        breaker: When a table's circuit opens.
        warehouses: The keys of the warehouse resources that the tables use.
        default_status: As for ``@sensor``.
    """
    declared = _declare(selection, name, window, budget, hours, order, None, retry, breaker)
    job = _explaining(name)

    @dg.sensor(
        name=name,
        job=job,
        minimum_interval_seconds=round(every.total_seconds()),
        required_resource_keys=set(warehouses),
        default_status=default_status,
        description="Fills what came late or was asked for.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> Any:
        return _tick(context, declared, reasons=tuple(reasons))

    return sensor


def _declare(
    selection: dg.AssetSelection | str | Sequence[Any],
    name: str,
    window: dt.timedelta | None,
    budget: Budget | None,
    hours: Hours | None,
    order: Order | str,
    tables: Mapping[str, TableRules] | None,
    retry: RetryRules | None,
    breaker: CircuitRules | None,
) -> NightlyBackfill:
    chosen = selection
    if isinstance(selection, str):
        chosen = dg.AssetSelection.from_string(selection)
    elif not isinstance(selection, dg.AssetSelection):
        chosen = dg.AssetSelection.assets(*selection)
    try:
        wanted = Order(order)
    except ValueError as failure:
        raise SettingError(
            f"The backfill {name} has an order that does not exist.",
            culprits=[Culprit(where=repr(order), problem=f"is none of {', '.join(one.value for one in Order)}.")],
        ) from failure
    declared = NightlyBackfill(
        name=name,
        selection=chosen,  # type: ignore[arg-type]
        rules=Rules(
            budget=budget or Budget(),
            hours=hours or Hours(),
            order=wanted,
            window=window,
            retry=retry or RetryRules(),
            breaker=breaker or CircuitRules(),
        ),
        tables=dict(tables or {}),
    )
    _declared[name] = declared
    return declared


def _tick(context: Any, declared: NightlyBackfill, reasons: tuple[str, ...] | None = None) -> Any:
    state = State()
    try:
        return _planned(context, declared, state, reasons)
    finally:
        state.close()


def _planned(context: Any, declared: NightlyBackfill, state: State, reasons: tuple[str, ...] | None) -> Any:
    now = dt.datetime.now(dt.timezone.utc)
    planner = declared.planner(
        context.repository_def, context.instance, lambda key: getattr(context.resources, key).open(), state
    )
    if reasons is not None:
        planner.only(reasons)
    _, over = settle_all(planner, now)
    told = [line for settled in over for line in settled_words(settled)]
    for line in told:
        context.log.info(line)
    draft = planner.draft(now)
    if draft is None:
        told.append(f"Nothing is launched now: {declared.rules.hours.why_not(now)}.")
        return dg.SkipReason("\n".join(told))
    told.append(plan_words(draft.plan))
    context.log.info(told[-1])
    backfill_id = new_backfill_id()
    correlation_id = f"{declared.name}-{backfill_id}"
    claimed = planner.claim(draft, backfill_id=backfill_id, correlation_id=correlation_id)
    if claimed is None:
        return dg.SkipReason("\n".join(told))
    planner.launch(claimed, backfill_id=backfill_id, correlation_id=correlation_id, at=now)
    told.append(f"Backfill {backfill_id} was launched: {claimed.count:,} partitions.")
    context.log.info(told[-1])
    rows = list(plan_rows(draft.plan))
    return dg.RunRequest(
        run_key=f"{declared.name}-{claimed.plan_id}",
        run_config={
            "ops": {
                f"explain_{declared.name}": {
                    "config": {"told": told, "rows": rows[:_MOST_ROWS], "more": max(0, len(rows) - _MOST_ROWS)}
                }
            }
        },
        # It explains, and takes no place from what it explains.
        tags={
            name: value
            for name, value in {**planner.tags(claimed, correlation_id), "sluice/backfill": backfill_id}.items()
            if name not in declared.rules.budget.tags
        },
    )


class _Explained(dg.Config):
    """A plan, told to a run so that it can be read in the UI."""

    told: list[str] = Field(default_factory=list, description="In words.")
    rows: list[dict[str, str]] = Field(default_factory=list, description="Partition × reason × decision.")
    more: int = Field(default=0, description="Rows that are left out.")


def _explaining(name: str) -> dg.JobDefinition:
    @dg.op(
        name=f"explain_{name}", out=dg.Out(dg.Nothing), description="Tells what was planned, and why the rest waits."
    )
    def explain(context: dg.OpExecutionContext, config: _Explained) -> None:
        for line in config.told:
            context.log.info(line)
        if config.more:
            context.log.info("%d more rows are left out; `sluice backfill plan` shows all.", config.more)
        columns = ["table", "partitions", "count", "reasons", "decision", "note"]
        context.add_output_metadata(
            {
                "plan": dg.MetadataValue.table(
                    [dg.TableRecord({column: row.get(column, "") for column in columns}) for row in config.rows],
                    schema=dg.TableSchema(columns=[dg.TableColumn(column) for column in columns]),
                )
            }
        )

    @dg.job(name=f"{name}_plan", executor_def=dg.in_process_executor, description=f"Explains a plan of {name}.")
    def job() -> None:
        explain()

    return job

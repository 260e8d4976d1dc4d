"""``freshness_sensor``: looks at all tables with deadlines, tells of late partitions, and keeps their checks up to date."""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from dagster_sluice.errors import SettingError
from dagster_sluice.freshness.checks import CHECK, evaluation
from dagster_sluice.freshness.memory import Told
from dagster_sluice.freshness.notices import Spot
from dagster_sluice.freshness.notifiers import LogNotifier, Notifier
from dagster_sluice.freshness.reading import Evaluated, evaluate
from dagster_sluice.freshness.tables import Deadlines
from dagster_sluice.freshness.telling import Outcome, tell
from dagster_sluice.freshness.watching import declare_sensor, project_tables, selection_of
from dagster_sluice.freshness.words import is_late, sentence
from dagster_sluice.state import State

__all__ = ["freshness_sensor", "look"]


def freshness_sensor(
    selection: dg.AssetSelection | str | Sequence[Any] | None = None,
    *,
    name: str = "freshness_sensor",
    notifiers: Sequence[Notifier] | None = None,
    deadlines: Deadlines | None = None,
    escalate_after: dt.timedelta | None = dt.timedelta(hours=4),
    every: dt.timedelta = dt.timedelta(minutes=1),
    check: str | None = CHECK,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
    warehouses: Sequence[str] = ("warehouse",),
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """A sensor that tells once of each partition that is late, again if it stays so, and once when it is over.

    A look takes a constant number of queries, whatever the number of tables. What was told is remembered in sluice's own
    state: a restart repeats nothing, and of two sensors at once one tells. Nothing is made anew: that is backfills'.

    Where a table has a freshness check (see `freshness_checks`), its result is reported whenever it changes, without a
    run.

    Args:
        selection: The tables: a selection, or what ``AssetSelection.assets`` takes; by default all with a deadline.
        name: Of the sensor.
        notifiers: Who is told; by default the log.
        deadlines: By the asset's key as the UI writes it: instead of what a contract says, or where there is none.
        escalate_after: What is late so long after it was told is told again, once; ``None`` for never.
        every: The least time between two looks.
        check: The name of the checks to be kept up to date; ``None`` for none.
        severity: Of these checks when they fail.
        warehouses: The keys of the warehouse resources that the tables use.
        default_status: As for ``@sensor``.

    Raises:
        SettingError: Two notifiers have one name.
    """
    told = tuple(notifiers) if notifiers is not None else (LogNotifier(),)
    names = [one.name for one in told]
    if len(set(names)) < len(names):
        raise SettingError(
            f"Two notifiers of the sensor {name} have one name.",
            mend="Give each a `name`: by it is remembered what it was told.",
        )
    chosen = selection_of(selection)
    declare_sensor(name, deadlines)

    @dg.sensor(
        name=name,
        minimum_interval_seconds=round(every.total_seconds()),
        required_resource_keys=set(warehouses),
        default_status=default_status,
        description="Tells of partitions that were not published in time.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> Any:
        repository: Any = context.repository_def
        state = State()
        try:
            found, outcome = look(
                repository,
                chosen,
                deadlines,
                notifiers=told,
                instance=context.instance,
                warehouse=lambda key: getattr(context.resources, key).open(),
                state=state,
                now=dt.datetime.now(dt.timezone.utc),
                escalate_after=escalate_after,
            )
        finally:
            state.close()
        for notifier, why in outcome.failed.items():
            context.log.error("%s could not be told: %s", notifier, why)
        keys = repository.asset_graph.asset_check_keys if check is not None else ()
        changed, cursor = _changed(found, {key for key in keys if key.name == check}, context.cursor)
        events = [evaluation(one, check or "", severity) for one in changed]
        reason = dg.SkipReason(_summary(found, outcome))
        return dg.SensorResult(skip_reason=reason, cursor=cursor, asset_events=events)

    return sensor


def look(
    repository: Any,
    selection: dg.AssetSelection | None,
    deadlines: Deadlines | None,
    *,
    notifiers: Sequence[Notifier],
    instance: dg.DagsterInstance,
    warehouse: Callable[[str], Any],
    state: State,
    now: dt.datetime,
    escalate_after: dt.timedelta | None,
) -> tuple[list[Evaluated], Outcome]:
    """One look: judge the tables, and tell what was not told.

    Args:
        repository: The code location.
        selection: The tables.
        deadlines: Beside those of contracts.
        notifiers: Who is told.
        instance: Dagster's instance.
        warehouse: Gives the warehouse of a resource key.
        state: Where is remembered what was told.
        now: The moment of looking, with a time zone.
        escalate_after: See `freshness_sensor`.
    """
    tables = project_tables(repository, selection=selection, deadlines=deadlines or {})
    told = Told(state)
    remembered = told.remembered([table.name for table in tables])
    found = evaluate(
        tables, instance=instance, warehouse=warehouse, now=now, state=state, also=_spots(remembered.values())
    )
    outcome = tell(found, notifiers, told, remembered=remembered, now=now, escalate_after=escalate_after)
    return found, outcome


def _spots(remembered: Any) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    spots: list[Spot] = [spot for one in remembered for spot in one]
    for table, _, partition in spots:
        found.setdefault(table, set()).add(partition)
    return found


def _changed(
    found: Sequence[Evaluated], keys: set[dg.AssetCheckKey], cursor: str | None
) -> tuple[list[Evaluated], str | None]:
    """The tables whose check says something else than the last time, and what is said now."""
    checked = {key.asset_key for key in keys}
    before: Mapping[str, str] = _read(cursor)
    now, changed = {}, []
    for one in found:
        if one.table.key in checked:
            # The time left runs on and is no news.
            said = sentence(one) if is_late(one) else "on time"
            now[one.table.name] = hashlib.sha256(said.encode("utf-8", "backslashreplace")).hexdigest()[:12]
            if before.get(one.table.name) != now[one.table.name]:
                changed.append(one)
    return changed, json.dumps(now) if checked else cursor


def _read(cursor: str | None) -> dict[str, str]:
    try:
        known = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}


def _summary(found: Sequence[Evaluated], outcome: Outcome) -> str:
    late = [one.table.name for one in found if is_late(one)]
    named = ", ".join(late[:10]) + (f" and {len(late) - 10:,} more" if len(late) > 10 else "")
    lines = [f"{len(found):,} tables have deadlines; {f'late: {named}' if late else 'none is late'}."]
    lines += [f"{notifier} was told {count:,} notices." for notifier, count in outcome.sent.items()]
    lines += [f"{notifier} could not be told: {why}" for notifier, why in outcome.failed.items()]
    return "\n".join(lines)

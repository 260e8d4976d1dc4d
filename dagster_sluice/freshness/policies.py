"""Dagster's own freshness policies, where they mean the same: for tables without partitions."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg
import numpy as np

from dagster_sluice.contracts.cron import Cron
from dagster_sluice.contracts.deadlines import Deadline, Due, Kind, read_due
from dagster_sluice.freshness.tables import Deadlines, deadlines_by_key
from dagster_sluice.freshness.ticks import ticks
from dagster_sluice.freshness.zones import MICROSECONDS
from dagster_sluice.tables.declared import declared_tables

__all__ = ["freshness_policy", "with_freshness"]

_DAY = 24 * 60


def freshness_policy(deadline: Deadline, timezone: str = "UTC") -> dg.FreshnessPolicy | None:
    """Dagster's policy that says what a deadline says of a table without partitions; ``None`` where none does.

    Dagster knows neither holidays nor exceptions, and no offset as a time zone.

    Args:
        deadline: The deadline.
        timezone: Where it has none.
    """
    zone = deadline.timezone or timezone
    if deadline.exceptions or deadline.business_days_only or zone[:1] in "+-" or zone.startswith(("UTC+", "UTC-")):
        return None
    due = read_due(deadline.due)
    if due.kind is Kind.AFTER:
        return dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(days=due.days) + due.rest + deadline.grace)
    cron, within = _cron(due, deadline.grace)
    if cron is None:
        return None
    wanted = deadline.within or within
    if wanted is None:
        return None
    return dg.FreshnessPolicy.cron(deadline_cron=cron, lower_bound_delta=wanted + deadline.grace, timezone=zone)


def with_freshness(assets: Iterable[Any], *, deadlines: Deadlines | None = None) -> list[Any]:
    """The same assets, with Dagster's freshness policy on those without partitions whose deadline it can tell.

    Of several deadlines the first that Dagster can tell counts. A policy that an asset has is left as it is.

    Args:
        assets: Definitions and specs; what is neither is passed through.
        deadlines: By the asset's key as the UI writes it: instead of what a contract says, or where there is none.
    """
    listed = list(assets)
    own = deadlines_by_key(deadlines)
    contracts = {one.key: one.contract for one in declared_tables(listed).values()}

    def mapped(spec: dg.AssetSpec) -> dg.AssetSpec:
        contract = contracts.get(spec.key)
        mine: Sequence[Deadline] = own.get(spec.key.to_user_string(), contract.deadlines if contract else ())
        if spec.partitions_def is not None or spec.freshness_policy is not None:
            return spec
        zone = contract.timezone if contract else "UTC"
        policies = (freshness_policy(one, zone) for one in mine)
        policy = next((one for one in policies if one is not None), None)
        return spec if policy is None else spec.replace_attributes(freshness_policy=policy)

    return [
        one.map_asset_specs(mapped)
        if isinstance(one, dg.AssetsDefinition)
        else mapped(one)
        if isinstance(one, dg.AssetSpec)
        else one
        for one in listed
    ]


def _cron(due: Due, grace: dt.timedelta) -> tuple[str | None, dt.timedelta | None]:
    """The cron expression of a deadline with its grace, and how long before it a publication counts."""
    if due.kind is Kind.CRON and due.cron is not None:
        return (None, None) if grace else (due.cron.text, _steady(due.cron))
    if due.kind is Kind.BUSINESS:
        return None, None
    minute = due.minute + grace // dt.timedelta(minutes=1)
    if minute >= _DAY or not due.minute:
        return None, None
    return f"{minute % 60} {minute // 60} * * *", dt.timedelta(minutes=due.minute)


def _steady(cron: Cron) -> dt.timedelta | None:
    """The time between two ticks, if it is always the same but for changes of the clock."""
    known = ticks(cron, dt.timezone.utc, 0, 400 * _DAY * 60 * MICROSECONDS)
    steps = np.unique(np.diff(known))
    return dt.timedelta(microseconds=int(steps[0])) if len(steps) == 1 else None

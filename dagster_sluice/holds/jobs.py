"""The decision as a Dagster job, so that it can be made from the UI."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from dagster_sluice.holds.assets import Asset, assets_of, refuse_strangers
from dagster_sluice.holds.deciding import Action, decide, named_holds, words
from dagster_sluice.tables.failing import failures_told
from dagster_sluice.warehouse import Address, Warehouse

__all__ = ["HoldConfig", "hold_job"]


class HoldConfig(dg.Config):
    """Which batches are released or rejected, by whom, and why."""

    ids: list[int] = Field(description="Numbers of holds, as `sluice hold list` and the failed runs show them.")
    action: Action = Field(description="RELEASE publishes what waits; REJECT gives it up.")
    by: str = Field(description="Who decides; kept with the hold.")
    why: str = Field(description="Why; kept with the hold.")


def hold_job(
    definitions: Iterable[Any], *, name: str = "hold_decisions", warehouse: str = "warehouse"
) -> dg.JobDefinition:
    """A job that releases or rejects batches that wait for a person.

    A release publishes what waits, and the asset gets its materialization and its checks. The run fails if one of the
    decisions is refused, because somebody else was faster or the partition was published meanwhile; the others stand.

    Args:
        definitions: The tables whose batches may wait; whatever else is among them is passed over.
        name: The job's name.
        warehouse: The key of the `WarehouseResource`.
    """
    assets = assets_of(definitions)

    @dg.op(name=f"{name}_decide", required_resource_keys={warehouse}, out=dg.Out(dg.Nothing))
    def decide_holds(context: dg.OpExecutionContext, config: HoldConfig) -> Iterator[Any]:
        with failures_told(allow_retries=False):
            yield from _decide(context, config, assets, getattr(context.resources, warehouse).open())
        yield dg.Output(None)

    @dg.job(name=name, description="Releases or rejects batches that wait for a person.")
    def job() -> None:
        decide_holds()

    return job


def _decide(
    context: dg.OpExecutionContext, config: HoldConfig, assets: Mapping[Address, Asset], warehouse: Warehouse
) -> Iterator[Any]:
    from dagster_sluice.holds.telling import release_events, untold_release
    from dagster_sluice.holds.words import place

    words(by=config.by, why=config.why)
    holds = named_holds(warehouse, config.ids)
    refused = []
    if config.action is Action.RELEASE:
        refuse_strangers(assets, holds)
    for hold in holds:
        if config.action is Action.RELEASE and (
            publication := untold_release(context.instance, warehouse, assets[hold.address], hold)
        ):
            context.log.info("Hold %d was released already; Dagster is told of it now.", hold.id)
            yield from release_events(assets[hold.address], hold, publication, context.instance)
            continue
        (decided,) = decide(warehouse, [hold], config.action, by=config.by, why=config.why)
        if decided.refused:
            refused.append(f"{place(hold)}: {decided.refused}")
            continue
        context.log.info("%s: hold %d is %s.", place(hold), hold.id, decided.hold.status)
        if decided.publication is not None:
            asset = assets[hold.address]
            yield from release_events(asset, decided.hold, decided.publication, context.instance)
    if refused:
        raise dg.Failure(
            description="Refused; there nothing has changed.\n" + "\n".join(refused),
            metadata={"sluice/refused": len(refused)},
            allow_retries=False,
        )

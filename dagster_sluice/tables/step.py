"""One step of a table: every partition asked for, each computed, audited and published by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from dagster_sluice.contracts import Contract
from dagster_sluice.errors import DatabaseUnreachable, PublishError, QueryError, SettingError, SluiceError
from dagster_sluice.failpoints import failpoint
from dagster_sluice.tables.context import TableContext
from dagster_sluice.tables.inputs import Needs, Reader, address_of
from dagster_sluice.tables.naming import CORRELATION_TAG
from dagster_sluice.warehouse import Address, Warehouse

__all__ = ["Step"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a table's step does.

    Attributes:
        function: The table's function.
        key: The table.
        contract: What it promises.
        needs: What the function's parameters ask for.
        code_version: Of the function and the contract together.
    """

    function: Callable[..., Any]
    key: dg.AssetKey
    contract: Contract
    needs: Needs
    code_version: str

    def run(self, context: dg.AssetExecutionContext, resource: Any) -> Iterator[Any]:
        """Yield what Dagster is to know. Failures of partitions are gathered and told at the end.

        Args:
            context: The step's, of Dagster.
            resource: The `WarehouseResource`.

        Raises:
            dagster.Failure: Something was blocked or held, or the function raised for a partition of a range.
        """
        from dagster_sluice.tables.event_log import open_event_log

        warehouse: Warehouse = resource.open()
        # A run over a range gives its partitions to steps without partitions too.
        partitioned = context.assets_def.partitions_def is not None
        partitions: list[str | None] = list(context.partition_keys) if partitioned else [None]
        in_range = not context.has_partition_key and partitioned
        with open_event_log(context.instance):
            if context.selected_asset_keys:
                yield from self._publish(context, resource, warehouse, partitions, in_range=in_range)
            else:
                yield from self._judge(context, warehouse, partitions, in_range=in_range)

    def _publish(
        self,
        context: dg.AssetExecutionContext,
        resource: Any,
        warehouse: Warehouse,
        partitions: Sequence[str | None],
        *,
        in_range: bool,
    ) -> Iterator[Any]:
        from dagster_sluice.tables import events
        from dagster_sluice.tables.gatekeeper import Origin, admit
        from dagster_sluice.tables.reporting import Reporter

        checks = {check.name for check in context.selected_asset_check_keys}
        reader = Reader(warehouse)
        address = address_of(self.key)
        standing = _standing(warehouse, address, partitions)
        reasons: dict[str | None, tuple[str, ...]] = {}
        raised: dict[str | None, Exception] = {}
        holds: dict[str | None, int] = {}
        reporter = Reporter(
            address=address,
            contract=self.contract,
            resource=resource,
            run_id=context.run.run_id,
            instance=context.instance,
            log=context.log,
        )
        for partition in partitions:
            started = time.perf_counter()
            told = _context(context, partition)
            try:
                frame = self.function(**self._arguments(context, told, reader, partition))
                failpoint("table.computed")
                judged = admit(
                    frame,
                    contract=self.contract,
                    warehouse=warehouse,
                    address=address,
                    partition=partition,
                    origin=Origin(
                        run_id=context.run.run_id,
                        correlation_id=told.correlation_id,
                        code_version=self.code_version,
                        base=standing.get(partition),
                        started=started,
                    ),
                    references=reader.sets(self.contract, address.schema),
                )
            except (PublishError, QueryError, DatabaseUnreachable, SettingError):
                # Nothing is wrong with the batch, and the next one would fare no better.
                raise
            except SluiceError as failure:
                reasons[partition] = (str(failure),)
                reporter.refused(partition, told.correlation_id, failure)
                continue
            except Exception as failure:
                if not in_range:
                    raise
                context.log.exception("%s [%s] raised.", self.key.to_user_string(), partition)
                raised[partition] = failure
                continue
            report = reporter.write(partition, told.correlation_id, judged)
            yield from events.batch_events(
                context,
                self.key,
                self.contract,
                judged,
                partition,
                self.code_version,
                in_range=in_range,
                checks=checks,
                report=report,
            )
            if judged.publication is None:
                reasons[partition] = judged.decision.reasons
            if judged.hold is not None:
                holds[partition] = judged.hold.id
        reports = reporter.summary()
        if raised:
            raise events.broken(self.key, reasons, raised, holds, reports) from next(iter(raised.values()))
        if reasons:
            raise events.blocked(self.key, reasons, holds, reports)
        if in_range:
            yield from events.handed_on(context)

    def _judge(
        self,
        context: dg.AssetExecutionContext,
        warehouse: Warehouse,
        partitions: Sequence[str | None],
        *,
        in_range: bool,
    ) -> Iterator[Any]:
        """Checks without their table: judge what is published, change nothing."""
        from dagster_sluice.tables import events
        from dagster_sluice.tables.approval import standing_release, waiting_for
        from dagster_sluice.tables.gatekeeper import judge
        from dagster_sluice.tables.memory import past_audits

        checks = {check.name for check in context.selected_asset_check_keys}
        reader = Reader(warehouse)
        address = address_of(self.key)
        names = [column.name for column in self.contract.columns]
        for partition in partitions:
            wanted = None if partition is None else [partition]
            rows = warehouse.read(address, columns=names, partitions=wanted)
            history = past_audits(warehouse, address, partition, self.contract)
            verdict, _, conformed = judge(rows, self.contract, reader.sets(self.contract, address.schema), history)
            hold = standing_release(warehouse, address, partition, self.contract.fingerprint)
            yield from events.check_events(
                context,
                self.key,
                self.contract,
                verdict,
                conformed.rows,
                partition,
                in_range=in_range,
                checks=checks,
                extra={"sluice/released_hold": hold.id} if hold else {},
                released=waiting_for(hold.audit) if hold else (),
            )
        if in_range:
            yield from events.handed_on(context)

    def _arguments(
        self, context: dg.AssetExecutionContext, told: TableContext, reader: Reader, partition: str | None
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = {name: getattr(context.resources, name) for name in self.needs.resources}
        if self.needs.context is not None:
            arguments[self.needs.context] = told
        for upstream in self.needs.upstreams:
            arguments[upstream.parameter] = reader.read(upstream, partition)
        return arguments


def _standing(warehouse: Warehouse, address: Address, partitions: Sequence[str | None]) -> dict[str | None, int]:
    keys = [partition for partition in partitions if partition is not None]
    found = warehouse.current(address, keys or None)
    return {partition: publication.id for partition, publication in found.items()}


def _context(context: dg.AssetExecutionContext, partition: str | None) -> TableContext:
    window = None
    definition = context.assets_def.partitions_def
    if partition is not None and isinstance(definition, dg.TimeWindowPartitionsDefinition):
        window = definition.time_window_for_partition_key(partition)
    return TableContext(
        partition_key=partition,
        time_window=window,
        run_id=context.run.run_id,
        correlation_id=context.run.tags.get(CORRELATION_TAG, context.run.root_run_id or context.run.run_id),
        dagster=context,
    )

"""Expectations as a user writes them: classes of Great Expectations, one of each kind, and some that are wrong."""

from typing import ClassVar

import great_expectations.expectations as gxe
import pandas as pd
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import (
    BatchExpectation,
    ColumnAggregateExpectation,
    ColumnMapExpectation,
)
from great_expectations.expectations.metrics import (
    ColumnAggregateMetricProvider,
    ColumnMapMetricProvider,
    column_aggregate_value,
    column_condition_partial,
)
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider


class ColumnValuesIata(ColumnMapMetricProvider):
    condition_metric_name = "column_values.iata"
    condition_value_keys = ("length",)

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(
        cls,  # noqa: N805 (as Great Expectations has it)
        column,
        length,
        **_,
    ):
        return column.str.fullmatch(f"[A-Z]{{{length}}}")


class ExpectColumnValuesToBeIata(ColumnMapExpectation):
    """Airports are three capital letters."""

    length: int = 3
    map_metric = "column_values.iata"
    success_keys = ("mostly", "length")


class ColumnRange(ColumnAggregateMetricProvider):
    metric_name = "column.range"

    @column_aggregate_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,  # noqa: N805 (as Great Expectations has it)
        column,
        **_,
    ):
        return column.max() - column.min()


class ExpectColumnRangeToBeBelow(ColumnAggregateExpectation):
    """The span of a column."""

    limit: float
    metric_dependencies = ("column.range",)
    success_keys = ("limit",)

    def _validate(self, metrics, runtime_configuration=None, execution_engine=None):
        found = metrics["column.range"]
        return {"success": bool(found < self.limit), "result": {"observed_value": found}}


class TableCells(TableMetricProvider):
    metric_name = "table.cells"

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,  # noqa: N805 (as Great Expectations has it)
        execution_engine,
        metric_domain_kwargs,
        metric_value_kwargs,
        metrics,
        runtime_configuration,
    ):
        frame, _, _ = execution_engine.get_compute_domain(metric_domain_kwargs, domain_type="table")
        return frame.size


class ExpectTableCellsToEqual(BatchExpectation):
    """How many cells there are."""

    cells: int
    metric_dependencies = ("table.cells",)
    success_keys = ("cells",)
    args_keys: ClassVar = ("cells",)

    def _validate(self, metrics, runtime_configuration=None, execution_engine=None):
        return {"success": metrics["table.cells"] == self.cells, "result": {"observed_value": metrics["table.cells"]}}


class ExpectPassengersToBeFew(gxe.ExpectColumnValuesToBeBetween):
    """A core expectation with arguments of its own."""

    column: str = "passengers"
    max_value: int = 6


class ExpectTableToCrash(BatchExpectation):
    """Raises while it judges."""

    metric_dependencies = ("table.row_count",)

    def _validate(self, metrics, runtime_configuration=None, execution_engine=None):
        raise ZeroDivisionError("of the class itself")


class NoExpectation:
    """Something else."""


FRAME = pd.DataFrame({"dest": ["SFO", "lax", None, "JFK"], "passengers": [1, 9, 3, 4]})

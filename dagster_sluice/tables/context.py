"""What a table's function is told about the batch it computes."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import dagster as dg

__all__ = ["TableContext"]


@dataclass(frozen=True, kw_only=True)
class TableContext:
    """The batch to compute: one partition, or the whole of a table that is not partitioned.

    In a run over a range of partitions the function is called once for each, with a context of its own.

    Attributes:
        partition_key: The partition; ``None`` for a table that is not partitioned.
        time_window: Start (inclusive) and end (exclusive) of a time partition, with time zone; else ``None``.
        run_id: The Dagster run.
        correlation_id: What caused the run: the tag ``sluice/correlation_id``, or the run itself.
        dagster: Dagster's own context, for its log and resources.
    """

    partition_key: str | None
    time_window: dg.TimeWindow | None
    run_id: str
    correlation_id: str
    dagster: dg.AssetExecutionContext

    @property
    def day(self) -> dt.date:
        """The calendar day on which a time partition starts, in the partitions' own time zone.

        Raises:
            ValueError: The table is not partitioned by time.
        """
        if self.time_window is None:
            raise ValueError("This table is not partitioned by time, so its batch has no day.")
        return self.time_window.start.date()

    @property
    def log(self) -> Any:
        """Dagster's log manager; what is logged appears in the run."""
        return self.dagster.log

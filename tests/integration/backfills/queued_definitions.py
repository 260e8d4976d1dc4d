"""Days whose runs last until a file is there, for a run queue to look at."""

import os
import time
from pathlib import Path

import dagster as dg

DAYS = dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-03-06")


def wait() -> None:
    while not Path(os.environ["QUEUED_UNTIL"]).exists():
        time.sleep(0.05)


@dg.asset(partitions_def=DAYS)
def days() -> None:
    wait()


@dg.asset(partitions_def=DAYS)
def others() -> None:
    wait()


@dg.asset
def by_hand() -> None:
    wait()


defs = dg.Definitions(assets=[days, others, by_hand], executor=dg.in_process_executor)

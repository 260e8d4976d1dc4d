"""Materializes an asset whose step is killed, in the Dagster instance of DAGSTER_HOME."""

import os
import signal

import dagster as dg


@dg.asset
def source() -> None:
    pass


@dg.asset(deps=[source])
def victim() -> None:
    if os.environ.get("KILL_ME"):
        os.kill(os.getpid(), signal.SIGKILL)


DEFS = dg.Definitions(assets=[source, victim])

if __name__ == "__main__":
    with dg.DagsterInstance.get() as instance:
        dg.materialize([source, victim], instance=instance)

"""``openlineage_sensor``: a code location's runs, steps and assets, told to whoever understands OpenLineage."""

import functools
import time
from typing import Any
from urllib.parse import urlsplit

import dagster as dg

from dagster_sluice.errors import SettingError

__all__ = ["openlineage_sensor"]

_PRODUCER = "https://pypi.org/project/dagster-sluice"


def openlineage_sensor(
    *,
    receiver: str | None = None,
    name: str = "openlineage",
    namespace: str = "dagster",
    warehouse: str | None = None,
    timeout: float = 5.0,
    history: bool = False,
    minimum_interval_seconds: int = 30,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.RUNNING,
) -> dg.SensorDefinition:
    """Make a sensor that tells of every run of this code location: its steps, what they read and write, their checks.

    It reads Dagster's event log from where it stood; the position moves only past what is delivered. So a run never waits
    for the receiver, and a receiver that was away is told all of it, in order, once it is back. An event may be delivered
    twice, and is then the same, letter by letter.

    Args:
        receiver: ``http://host:5000``, ``https://…``, ``file:/path/events.jsonl`` or ``console``; by default what
            OpenLineage's own settings say (``OPENLINEAGE_URL``, ``openlineage.yml``).
        name: The sensor's name.
        namespace: Of jobs and datasets.
        warehouse: ``postgres://db.example:5432/warehouse``, without a password: where published tables are known under
            their own names too, so that other tools' lineage meets ours.
        timeout: Seconds that a receiver has to answer.
        history: Whether the first evaluation begins with the oldest event that Dagster has, instead of with now.
        minimum_interval_seconds: Seconds between two evaluations.
        default_status: Whether it is on from the beginning.

    Raises:
        SettingError: ``warehouse`` is no URL with a host and a database.
        ImportError: openlineage-python is not installed.
    """
    try:
        from dagster_sluice.lineage.openlineage.compose import Physical
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] != "openlineage":
            raise
        raise ImportError(f"{missing}. OpenLineage is an extra: pip install 'dagster-sluice[openlineage]'") from missing

    physical = None if warehouse is None else Physical(**_place(warehouse))

    @functools.cache
    def delivering() -> Any:
        from dagster_sluice.lineage.openlineage.sending import receiver as opened

        return opened(receiver, timeout=timeout)

    @functools.lru_cache(maxsize=1)
    def assets_of(repository: dg.RepositoryDefinition) -> Any:
        from dagster_sluice.lineage.openlineage.assets import Assets

        return Assets(repository)

    @dg.sensor(
        name=name,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description="Tells of runs, steps and assets by OpenLineage.",
    )
    def openlineage(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from dagster_sluice.lineage.openlineage.position import Position
        from dagster_sluice.lineage.openlineage.reading import newest_record
        from dagster_sluice.lineage.openlineage.telling import tell

        if context.cursor:
            position = Position.read(context.cursor)
        else:
            position = Position(low=0 if history else newest_record(context.instance))
        if position.wait_until > time.time():
            return dg.SkipReason(f"The receiver did not take it {position.failures} times; it is tried again later.")
        if context.repository_def is None:
            raise SettingError("The sensor is evaluated without its code location.")
        told = tell(
            context.instance,
            assets_of(context.repository_def),
            _composer(namespace, physical),
            delivering(),
            position,
            owns=functools.partial(_is_here, context),
        )
        context.update_cursor(told.position.written())
        for number in told.refused:
            context.log.error("The receiver refuses the event of record %s of the event log; it is left out.", number)
        if told.failure is not None:
            context.log.warning("The receiver did not take an event, which will be sent again: %s", told.failure)
            return dg.SkipReason(f"{told.events} events sent; then: {told.failure}")
        return dg.SkipReason(f"{told.events} events sent." + (" There are more." if told.more else ""))

    return openlineage


def _composer(namespace: str, physical: Any) -> Any:
    from dagster_sluice import __version__
    from dagster_sluice.lineage.openlineage.compose import Composer

    return Composer(
        namespace=namespace,
        producer=_PRODUCER,
        engine_version=dg.__version__,
        adapter_version=__version__,
        physical=physical,
    )


def _is_here(context: dg.SensorEvaluationContext, run: dg.DagsterRun) -> bool:
    """Whether a run is of this code location; one that was started without a server says nothing, and is."""
    origin = run.remote_job_origin
    if origin is None:
        return True
    here = context.code_location_origin
    location = here.location_name if here is not None else None
    return location in (None, origin.repository_origin.code_location_origin.location_name)


def _place(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    database = parts.path.strip("/")
    if not parts.scheme or not parts.hostname or not database:
        raise SettingError(
            "openlineage_sensor(warehouse=…) is no URL with a host and a database.",
            mend="Write postgres://host:port/database.",
        )
    scheme = "postgres" if parts.scheme.startswith("postgres") else parts.scheme
    return {"namespace": f"{scheme}://{parts.hostname}:{parts.port or 5432}", "database": database}

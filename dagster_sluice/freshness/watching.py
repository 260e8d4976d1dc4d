"""What a project watches, found again in it: for the command line, which judges what its sensors and checks judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from dagster_sluice.contracts.deadlines import Deadline
from dagster_sluice.freshness.tables import Deadlines, Watched, deadlines_by_key, partitions_of, watched_tables

__all__ = ["declare_checks", "declare_sensor", "project_tables", "selection_of"]

_of_sensors: dict[str, dict[str, tuple[Deadline, ...]]] = {}
_of_checks: dict[dg.AssetCheckKey, tuple[Deadline, ...]] = {}


def declare_sensor(name: str, deadlines: Deadlines | None) -> None:
    """Write down what deadlines a sensor was given."""
    _of_sensors[name] = deadlines_by_key(deadlines)


def declare_checks(name: str, deadlines: Deadlines | None) -> None:
    """Write down what deadlines checks of this name were given."""
    for asset, own in deadlines_by_key(deadlines).items():
        _of_checks[dg.AssetCheckKey(dg.AssetKey.from_user_string(asset), name)] = own


def selection_of(given: dg.AssetSelection | str | Sequence[Any] | None) -> dg.AssetSelection | None:
    """A selection, as it may be written."""
    if isinstance(given, str):
        return dg.AssetSelection.from_string(given)
    if given is None or isinstance(given, dg.AssetSelection):
        return given
    return dg.AssetSelection.assets(*given)


def project_tables(
    repository: Any, *, selection: dg.AssetSelection | None = None, deadlines: Deadlines | None = None
) -> list[Watched]:
    """The tables of a code location that have deadlines.

    Args:
        repository: The code location.
        selection: Which of them; all by default.
        deadlines: Beside those of contracts; by default those that its sensors and checks were given.

    Raises:
        SettingError: A deadline is for an asset that is not there, or does not fit its partitions.
    """
    graph = repository.asset_graph
    definitions = list(repository.assets_defs_by_key.values())
    partitions = partitions_of(definitions)
    given: Deadlines = deadlines if deadlines is not None else _given(repository, graph)
    chosen = selection.resolve(graph) if selection is not None else None
    return watched_tables(partitions, definitions, chosen=chosen, deadlines=given)


def _given(repository: Any, graph: Any) -> dict[str, tuple[Deadline, ...]]:
    found: dict[str, tuple[Deadline, ...]] = {}
    for check in graph.asset_check_keys:
        if check in _of_checks:
            found[check.asset_key.to_user_string()] = _of_checks[check]
    for sensor in repository.sensor_defs:
        found |= _of_sensors.get(sensor.name, {})
    return found

"""Column lineage of dbt models, read off a manifest: pure, and without dbt."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster_sluice.errors import Culprit
from dagster_sluice.lineage.dbt_render import EPHEMERAL, Renderer
from dagster_sluice.lineage.select import Place, SelectSources, Unreadable, sources_of_select

__all__ = ["ManifestLineage", "lineage_of_manifest"]

_DIALECTS = {"postgres": "postgres", "duckdb": "duckdb", "redshift": "redshift", "snowflake": "snowflake"}


@dataclass(frozen=True, kw_only=True)
class ManifestLineage:
    """What the models of a dbt project are made of.

    Attributes:
        models: By dbt's unique id: the sources of each column, as (schema, table, column).
        places: By dbt's unique id: where each model, seed, snapshot and source is, as (schema, table).
        columns: The columns of each place that are known after all: also those of models that nobody lists.
        problems: Models that could not be read, and why.
    """

    models: dict[str, Mapping[str, frozenset[tuple[str, str, str]]]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    columns: dict[Place, tuple[str, ...]] = field(default_factory=dict)
    problems: list[Culprit] = field(default_factory=list)


def lineage_of_manifest(
    manifest: Mapping[str, Any],
    *,
    columns: Mapping[Place, Sequence[str]] | None = None,
    directory: Path | None = None,
    variables: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> ManifestLineage:
    """Read every model of a manifest.

    The compiled SQL is taken where the manifest has it (after ``dbt build`` or ``compile``); else the model is rendered
    as a full build would have it, from its text and the macros in the manifest.

    Args:
        manifest: dbt's manifest, as JSON has it.
        columns: The columns of tables that dbt does not build, by schema and table: from contracts.
        directory: The dbt project, for the headers of its seeds.
        variables: The project's ``vars``.
        environment: What ``env_var`` reads; nothing by default, so that defaults are taken.
    """
    found = ManifestLineage()
    nodes = manifest["nodes"]
    for key, node in (*manifest.get("sources", {}).items(), *nodes.items()):
        if node["resource_type"] in ("model", "seed", "snapshot", "source"):
            found.places[key] = _place(node)
    found.columns.update({place: tuple(names) for place, names in (columns or {}).items()})
    for key, node in nodes.items():
        if node["resource_type"] == "seed" and (header := _header(directory, node)):
            found.columns.setdefault(found.places[key], header)
    renderer = Renderer(manifest, variables=variables or {}, environment=environment or {})
    dialect = _DIALECTS.get(manifest["metadata"].get("adapter_type") or "", "postgres")
    inner: dict[str, Mapping[str, frozenset[tuple[str, str, str]]]] = {}
    for key in _in_order(nodes):
        node = nodes[key]
        try:
            text = node.get("compiled_code") or renderer.sql(node)
            read = sources_of_select(text, dialect=dialect, tables=found.columns)
        except Unreadable as failure:
            file = Path(node["original_file_path"])
            found.problems.append(
                Culprit(
                    where=f"dbt model {node['name']}",
                    problem=str(failure),
                    file=directory / file if directory else file,
                )
            )
            continue
        sources = _without_ephemeral(read, inner)
        found.columns.setdefault(found.places[key], tuple(read.columns))
        if node.get("config", {}).get("materialized") == "ephemeral":
            inner[f"{EPHEMERAL}{node['name']}"] = sources
        found.models[key] = sources
    return found


def _place(node: Mapping[str, Any]) -> Place:
    if node.get("config", {}).get("materialized") == "ephemeral":
        return ("", f"{EPHEMERAL}{node['name']}")
    return (node["schema"], node.get("identifier") or node.get("alias") or node["name"])


def _without_ephemeral(
    read: SelectSources, inner: Mapping[str, Mapping[str, frozenset[tuple[str, str, str]]]]
) -> Mapping[str, frozenset[tuple[str, str, str]]]:
    """An ephemeral model has no table: what it is made of stands in its stead."""
    return {
        name: frozenset(
            origin
            for schema, table, column in sources
            for origin in (inner[table].get(column, ()) if table in inner else ((schema, table, column),))
        )
        for name, sources in read.columns.items()
    }


def _in_order(nodes: Mapping[str, Any]) -> Iterator[str]:
    """Models and snapshots, each after what it reads: its columns are known by then."""
    done: set[str] = set()
    wanted = [key for key, node in nodes.items() if node["resource_type"] in ("model", "snapshot")]
    stack = list(reversed(wanted))
    open_: set[str] = set()
    while stack:
        key = stack[-1]
        if key in done:
            stack.pop()
            continue
        before = [
            other
            for other in nodes[key].get("depends_on", {}).get("nodes", ())
            if other in nodes
            and other not in done
            and other not in open_
            and nodes[other]["resource_type"] in ("model", "snapshot")
        ]
        open_.add(key)
        if before:
            stack.extend(before)
            continue
        stack.pop()
        done.add(key)
        if nodes[key].get("raw_code") and nodes[key].get("language", "sql") == "sql":
            yield key


def _header(directory: Path | None, seed: Mapping[str, Any]) -> tuple[str, ...]:
    if directory is None:
        return ()
    try:
        with (directory / seed["original_file_path"]).open(encoding="utf-8-sig", newline="") as file:
            return tuple(next(csv.reader(file, delimiter=seed.get("config", {}).get("delimiter") or ","), ()))
    except (OSError, UnicodeError):
        return ()

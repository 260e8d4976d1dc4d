"""Column lineage of a dbt project, kept beside its manifest: it is read anew only when something of it has changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dagster_sluice.errors import Culprit
from dagster_sluice.lineage.dbt_manifest import ManifestLineage, lineage_of_manifest
from dagster_sluice.lineage.select import Place

__all__ = ["project_lineage"]

_FORM = 1
"""Of the kept file, and of what is read off a model: to be raised with either."""
_FILE = "sluice_column_lineage.json"


def project_lineage(
    manifest: Mapping[str, Any], *, directory: Path | None, columns: Mapping[Place, Sequence[str]]
) -> ManifestLineage:
    """As `lineage_of_manifest`, from ``target/`` if it stands there for the same models, macros, variables and columns.

    Args:
        manifest: dbt's manifest, as JSON has it.
        directory: The dbt project; without it nothing is kept.
        columns: The columns of tables that dbt does not build.
    """
    variables = _variables(directory, manifest["metadata"].get("project_name") or "")
    seeds = {
        key: _stamp(directory / node["original_file_path"])
        for key, node in manifest["nodes"].items()
        if node["resource_type"] == "seed" and directory is not None
    }
    told = [_FORM, _essence(manifest), variables, seeds, sorted((*place, *names) for place, names in columns.items())]
    stamp = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
    file = directory / "target" / _FILE if directory is not None else None
    kept = _read(file, stamp)
    if kept is not None:
        return kept
    found = lineage_of_manifest(manifest, columns=columns, directory=directory, variables=variables)
    _write(file, stamp, found)
    return found


def _essence(manifest: Mapping[str, Any]) -> list[Any]:
    parts = ("resource_type", "name", "schema", "alias", "identifier", "raw_code", "compiled_code", "config", "version")
    nodes = {**manifest["nodes"], **manifest.get("sources", {})}
    return [
        {key: [node.get(part) for part in parts] for key, node in nodes.items()},
        {key: macro["macro_sql"] for key, macro in manifest.get("macros", {}).items()},
        manifest["metadata"].get("adapter_type"),
    ]


def _variables(directory: Path | None, project: str) -> dict[str, Any]:
    """The project's own ``vars``; those for it alone stand before those for all."""
    if directory is None:
        return {}
    try:
        read = yaml.safe_load((directory / "dbt_project.yml").read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError):
        return {}
    given = read.get("vars") if isinstance(read, dict) else None
    given = given if isinstance(given, dict) else {}
    own = given.get(project)
    return {**given, **(own if isinstance(own, dict) else {})}


def _stamp(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


def _read(file: Path | None, stamp: str) -> ManifestLineage | None:
    if file is None:
        return None
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["stamp"] != stamp:
            return None
        return ManifestLineage(
            models={
                key: {name: frozenset((s[0], s[1], s[2]) for s in sources) for name, sources in columns.items()}
                for key, columns in kept["models"].items()
            },
            places={key: (place[0], place[1]) for key, place in kept["places"].items()},
            columns={(schema, table): tuple(names) for schema, table, names in kept["columns"]},
            problems=[
                Culprit(where=where, problem=problem, file=Path(name) if name else None)
                for where, problem, name in kept["problems"]
            ],
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def _write(file: Path | None, stamp: str, found: ManifestLineage) -> None:
    if file is None:
        return
    text = json.dumps(
        {
            "stamp": stamp,
            "models": {
                key: {name: sorted(sources) for name, sources in columns.items()}
                for key, columns in found.models.items()
            },
            "places": found.places,
            "columns": [(*place, names) for place, names in found.columns.items()],
            "problems": [
                (problem.where, problem.problem, str(problem.file) if problem.file else None)
                for problem in found.problems
            ],
        }
    )
    # Where it cannot be kept, it is read anew next time.
    with contextlib.suppress(OSError):
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{_FILE}.")
        with os.fdopen(handle, "w", encoding="utf-8") as written:
            written.write(text)
        Path(name).replace(file)

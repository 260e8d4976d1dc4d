"""What was last deployed of a dbt project, and what has changed since: slim selection.

The manifest of a deployment is kept in the state; ``state:modified+`` is dbt's own selection against it. What dbt calls
modified, dbt decides: SQL, configuration, macros, contracts, seeds.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from dagster_sluice.dbt.building import PARTIAL_PARSE
from dagster_sluice.dbt.environment import surroundings
from dagster_sluice.dbt.project import dbt_command, prepared
from dagster_sluice.dbt.translation import Translator
from dagster_sluice.errors import Culprit, SettingError, TableError
from dagster_sluice.state import State
from dagster_sluice.state.schema import dbt_manifests

if TYPE_CHECKING:
    from dagster_dbt import DbtProject

__all__ = ["ENVIRONMENT", "MODIFIED", "Deployed", "Modified", "modified", "modified_assets", "remember"]

ENVIRONMENT = "production"
"""The environment that is meant where none is named."""

MODIFIED = "state:modified+"
"""What has changed, and what is made of it."""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What the state knows of a deployment.

    Attributes:
        project: dbt's name of it.
        environment: Where it was deployed.
        nodes: Models, seeds, snapshots and tests.
        dbt_version: Of the dbt that parsed it.
        deployed_at: When it was remembered.
    """

    project: str
    environment: str
    nodes: int
    dbt_version: str
    deployed_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class Modified:
    """A node that dbt selects against what was deployed.

    Attributes:
        id: dbt's unique id.
        name: As a person writes it.
        kind: ``model``, ``seed``, ``snapshot``, ``test``, …
        asset: The asset that it is, or whose check; ``None`` if it is neither.
    """

    id: str
    name: str
    kind: str
    asset: dg.AssetKey | None


def remember(
    directory: Path | str, *, environment: str = ENVIRONMENT, schema: str | None = None, state: State | None = None
) -> Deployed:
    """Remember the present manifest of a project as what is deployed; the one before is forgotten.

    Args:
        directory: The dbt project.
        environment: Where it is deployed.
        schema: As for `dbt_tables`.
        state: Where to keep it; the database in use by default.

    Raises:
        SettingError: There is no dbt project.
        TableError: dbt cannot parse it.
        DatabaseUnreachable: The state cannot be kept.
    """
    text = prepared(Path(directory), schema=schema).manifest_path.read_bytes()
    manifest = json.loads(text)
    row = {
        "project": _name(manifest),
        "environment": environment,
        "dbt_version": str(manifest["metadata"]["dbt_version"]),
        "nodes": len(manifest["nodes"]),
        "content": zlib.compress(text, 9),
        "deployed_at": dt.datetime.now(dt.timezone.utc),
    }
    with _opened(state) as opened, opened.transaction() as connection:
        statement = insert(dbt_manifests).values(row)
        new = {name: statement.excluded[name] for name in row if name not in ("project", "environment")}
        connection.execute(statement.on_conflict_do_update(index_elements=["project", "environment"], set_=new))
    return Deployed(**{name: value for name, value in row.items() if name != "content"})  # type: ignore[arg-type]


def modified(
    directory: Path | str,
    *,
    environment: str = ENVIRONMENT,
    select: str = MODIFIED,
    schema: str | None = None,
    state: State | None = None,
) -> list[Modified]:
    """What dbt selects of a project against the manifest of what was last deployed.

    Args:
        directory: The dbt project.
        environment: The deployment to compare with.
        select: dbt's selection.
        schema: As for `dbt_tables`.
        state: Where the manifest is kept; the database in use by default.

    Raises:
        SettingError: There is no dbt project, or no deployment of it is remembered.
        TableError: dbt cannot parse it, or refuses the selection.
        DatabaseUnreachable: The state does not answer.
    """
    project = prepared(Path(directory), schema=schema)
    manifest = json.loads(project.manifest_path.read_text(encoding="utf-8"))
    before = _remembered(_name(manifest), environment, state)
    with tempfile.TemporaryDirectory(prefix="sluice-dbt-") as scratch:
        folder = Path(scratch, "state")
        folder.mkdir()
        (folder / "manifest.json").write_bytes(before)
        ids = _selected(project, Path(scratch), folder, select)
    translator = Translator(None, None)
    return [_found(id_, manifest, translator) for id_ in ids]


def modified_assets(
    directory: Path | str,
    *,
    environment: str = ENVIRONMENT,
    schema: str | None = None,
    state: State | None = None,
) -> set[dg.AssetKey]:
    """The assets of a project that have changed since it was deployed, and those made of them.

    Args:
        directory: The dbt project.
        environment: The deployment to compare with.
        schema: As for `dbt_tables`.
        state: Where the manifest is kept; the database in use by default.

    Raises:
        SettingError: There is no dbt project, or no deployment of it is remembered.
        TableError: dbt cannot parse it.
        DatabaseUnreachable: The state does not answer.
    """
    found = modified(directory, environment=environment, schema=schema, state=state)
    return {one.asset for one in found if one.asset is not None}


def _opened(state: State | None) -> Any:
    import contextlib

    return contextlib.nullcontext(state) if state is not None else contextlib.closing(State())


def _remembered(project: str, environment: str, state: State | None) -> bytes:
    query = sa.select(dbt_manifests.c.content).where(
        dbt_manifests.c.project == project, dbt_manifests.c.environment == environment
    )
    with _opened(state) as opened, opened.transaction() as connection:
        content = connection.execute(query).scalar()
        others = connection.execute(
            sa.select(dbt_manifests.c.environment).where(dbt_manifests.c.project == project)
        ).scalars()
        known = sorted(others)
    if content is None:
        raise SettingError(
            f"No deployment of the dbt project {project} to {environment!r} is remembered.",
            mend="Run `sluice dbt deployed` after a deployment."
            + (f" Known are: {', '.join(known)}." if known else ""),
        )
    return zlib.decompress(content)


def _selected(project: DbtProject, scratch: Path, state: Path, select: str) -> list[str]:
    parsed = project.manifest_path.parent / PARTIAL_PARSE
    if parsed.is_file():
        shutil.copy(parsed, scratch / PARTIAL_PARSE)
    arguments = ["ls", "--select", select, "--state", str(state), "--output", "json", "--output-keys", "unique_id"]
    finished = subprocess.run(
        [*dbt_command(), "--quiet", *arguments],
        cwd=project.project_dir,
        env=surroundings(project.project_dir, project.profiles_dir or project.project_dir, scratch),
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise TableError(
            f"dbt cannot select {select!r} in {project.project_dir}.",
            culprits=[Culprit(problem=line.strip()) for line in finished.stdout.splitlines() if line.strip()],
        )
    return [json.loads(line)["unique_id"] for line in finished.stdout.splitlines() if line.startswith("{")]


def _found(id_: str, manifest: Mapping[str, Any], translator: Translator) -> Modified:
    kind = id_.partition(".")[0]
    props = manifest["nodes"].get(id_) or manifest["sources"].get(id_) or manifest.get("unit_tests", {}).get(id_) or {}
    about = id_ if kind in ("model", "seed", "snapshot", "source") else props.get("attached_node")
    if about is None and kind == "unit_test":
        about = next((one for one in props.get("depends_on", {}).get("nodes", ())), None)
    of = manifest["nodes"].get(about) or manifest["sources"].get(about)
    named = of is not None and (of.get("config") or {}).get("materialized") != "ephemeral"
    key = translator.get_asset_key(of) if of is not None and named else None
    return Modified(id=id_, name=str(props.get("name") or id_), kind=kind, asset=key)


def _name(manifest: Mapping[str, Any]) -> str:
    return str(manifest["metadata"]["project_name"])

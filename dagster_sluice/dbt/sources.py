"""``dbt source freshness`` as asset checks: the sources' own rules, judged by dbt, shown at the assets they are."""

import datetime as dt
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtProject

from dagster_sluice.dbt.building import Build
from dagster_sluice.dbt.environment import connection
from dagster_sluice.dbt.project import prepared
from dagster_sluice.dbt.translation import Translator
from dagster_sluice.errors import Culprit, SettingError
from dagster_sluice.tables.failing import failures_told

__all__ = ["CHECK", "dbt_source_checks"]

CHECK = "dbt_source_freshness"
"""The check's name at each source."""

_UNASKED = "runtime error"


def dbt_source_checks(
    directory: Path | str,
    *,
    name: str = "dbt_source_freshness",
    schema: str | None = None,
    warehouse: str = "warehouse",
    pool: str | None = None,
) -> dg.AssetChecksDefinition:
    """Make a check of each source of a dbt project that says how fresh it has to be.

    All of them are one dbt invocation. What dbt calls a warning is a failed check of severity ``WARN``, what it calls an
    error one of severity ``ERROR``; a source that dbt cannot ask is a failed check too, with dbt's words. The newest row
    is found as the project has it: by ``loaded_at_field`` or ``loaded_at_query``, with its ``filter``.

    Args:
        directory: The dbt project.
        name: The op's name.
        schema: As for `dbt_tables`.
        warehouse: The key of the `WarehouseResource`, for Postgres.
        pool: As for ``@asset``.

    Raises:
        SettingError: There is no dbt project, or none of its sources says how fresh it has to be.
        TableError: dbt cannot parse it.
    """
    project = prepared(Path(directory), schema=schema)
    manifest = json.loads(project.manifest_path.read_text(encoding="utf-8"))
    translator = Translator(None, None)
    ids = {
        translator.get_asset_key(source): id_
        for id_, source in manifest["sources"].items()
        if _criteria(source) is not None
    }
    if not ids:
        raise SettingError(
            "There is nothing to check of a dbt project.",
            culprits=[Culprit(file=Path(directory), problem="has no source with a freshness.")],
            mend="Say `freshness` and `loaded_at_field` of a source.",
        )

    @dg.multi_asset_check(
        name=name,
        specs=[
            dg.AssetCheckSpec(CHECK, asset=key, description=_description(manifest["sources"][id_]))
            for key, id_ in ids.items()
        ],
        can_subset=True,
        required_resource_keys={warehouse},
        pool=pool,
    )
    def freshness(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        chosen = {ids[check.asset_key]: check.asset_key for check in context.selected_asset_check_keys}
        address = getattr(context.resources, warehouse).address
        with failures_told():
            found, errors = _asked(project, manifest, address, [*chosen])
        if found is None:
            raise dg.Failure(description="dbt could not run.\n" + "\n".join(errors), allow_retries=True)
        for id_, key in chosen.items():
            yield _result(key, manifest["sources"][id_], found.get(id_))

    return freshness


def _asked(
    project: DbtProject, manifest: Mapping[str, Any], url: str, ids: list[str]
) -> tuple[dict[str, dict[str, Any]] | None, list[str]]:
    """What dbt found of each source, by id, and what it called an error."""
    sources = [manifest["sources"][id_] for id_ in ids]
    selected = [f"source:{one['package_name']}.{one['source_name']}.{one['name']}" for one in sources]
    with tempfile.TemporaryDirectory(prefix="sluice-dbt-") as scratch:
        build = Build(
            directory=Path(project.project_dir),
            profiles=Path(project.profiles_dir),
            arguments=["source", "freshness", "--select", *selected],
            variables=connection(url),
            parsed=project.manifest_path.parent,
            target=Path(scratch),
            staged={},
        )
        words: dict[str, str] = {}
        for event in build.run():
            # dbt leaves a source that it cannot ask, or the words, out of its file.
            if event["info"]["name"] == "RunResultError" and "node_info" in event["data"]:
                words[event["data"]["node_info"]["unique_id"]] = str(event["info"]["msg"])
        file = Path(scratch, "sources.json")
        if not file.is_file():
            return None, build.errors
        results = json.loads(file.read_text(encoding="utf-8"))["results"]
    unasked = {id_: {"status": _UNASKED, "error": text} for id_, text in words.items()}
    return {**unasked, **{one["unique_id"]: {**unasked.get(one["unique_id"], {}), **_said(one)} for one in results}}, (
        build.errors
    )


def _said(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if value is not None}


def _result(key: dg.AssetKey, source: Mapping[str, Any], found: Mapping[str, Any] | None) -> dg.AssetCheckResult:
    status = str(found["status"]) if found is not None else _UNASKED
    metadata: dict[str, Any] = {"dagster_dbt/unique_id": source["unique_id"], "status": status}
    description = _description(source)
    if found is None or "max_loaded_at" not in found:
        words = " ".join(str((found or {}).get("error") or "dbt did not come to it.").split())
        description = f"dbt cannot tell how fresh it is: {words}"
    else:
        age = dt.timedelta(seconds=round(found["max_loaded_at_time_ago_in_s"]))
        metadata["sluice/newest_row"] = dg.MetadataValue.timestamp(_moment(found["max_loaded_at"]))
        metadata["sluice/age_seconds"] = float(found["max_loaded_at_time_ago_in_s"])
        description = f"The newest row is {age} old. {description}"
    return dg.AssetCheckResult(
        passed=status == "pass",
        asset_key=key,
        check_name=CHECK,
        severity=dg.AssetCheckSeverity.WARN if status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata=metadata,
        description=description,
    )


def _criteria(source: Mapping[str, Any]) -> dict[str, str] | None:
    """How old it may be, in words; ``None`` if the project does not say it."""
    said = source.get("freshness") or {}
    found = {}
    for word in ("warn_after", "error_after"):
        rule = said.get(word) or {}
        if rule.get("count") is not None and rule.get("period"):
            plural = "" if rule["count"] == 1 else "s"
            found[word] = f"{rule['count']} {rule['period']}{plural}"
    return found or None


def _description(source: Mapping[str, Any]) -> str:
    rules = _criteria(source) or {}
    words = [f"{'warns' if word == 'warn_after' else 'fails'} after {age}" for word, age in rules.items()]
    kept = (source.get("freshness") or {}).get("filter")
    by = source.get("loaded_at_field") or source.get("loaded_at_query") or "the table's own record"
    return f"By {by}, {' and '.join(words)}" + (f", where {kept}." if kept else ".")


def _moment(text: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.timezone.utc)

"""Makes a `Contract` of one schema object of an ODCS document."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dagster_sluice.contracts.arguments import Columns, conform_arguments
from dagster_sluice.contracts.catalogue import ExpectationType, short_name
from dagster_sluice.contracts.contract import (
    Column,
    Contract,
    Expectation,
    LogicalType,
    Policy,
    Reference,
    Severity,
)
from dagster_sluice.contracts.custom import draft_custom, is_ours
from dagster_sluice.contracts.document import Document, Steps
from dagster_sluice.contracts.own import class_type
from dagster_sluice.contracts.promises import References, draft_column, draft_primary_key, draft_relationships
from dagster_sluice.contracts.quality import Draft, draft_rule
from dagster_sluice.contracts.settings import Settings, read_settings, read_severity, read_team, read_timezone
from dagster_sluice.contracts.sql_arguments import marks_rows
from dagster_sluice.contracts.sql_rules import draft_sql

__all__ = ["Table", "build_contract", "read_table"]


@dataclass(frozen=True, kw_only=True)
class _Property:
    element: Mapping[str, Any]
    steps: Steps
    column: Column
    settings: Settings
    broken: bool
    zone: str | None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A schema object with its columns read, its promises not yet.

    Attributes:
        name: Its ODCS name, by which relationships call it.
        contract: The contract so far, without expectations.
        columns: Its columns, for those who name them.
        element: The schema object.
        steps: Where it stands.
        settings: Its custom properties.
        properties: Its columns as written.
        references: Filled by `build_contract`: the sets its expectations take from other tables, and where.
    """

    name: str
    contract: Contract
    columns: Columns
    element: Mapping[str, Any]
    steps: Steps
    settings: Settings
    properties: tuple[_Property, ...]
    references: list[tuple[Reference, Steps]] = field(default_factory=list)


def read_table(document: Document, element: Mapping[str, Any], steps: Steps, whole: Settings) -> Table | None:
    """Read a schema object's name, columns and settings.

    Args:
        document: Takes the culprits.
        element: The schema object.
        steps: Where it stands.
        whole: The custom properties of the contract, which hold where the table says nothing.

    Returns:
        The table, or ``None`` when it has no usable name.
    """
    name = _text(element, "name")
    if name is None:
        return None
    root: Mapping[str, Any] = document.data
    settings = read_settings(document, element, steps, "table")
    policy = settings.policy or whole.policy
    limit = settings.quarantine_limit if settings.quarantine_limit is not None else whole.quarantine_limit
    timezone = settings.timezone or whole.timezone or "UTC"
    properties = tuple(_properties(document, element, steps))
    schema, _, bare = (_text(element, "physicalName") or name).rpartition(".")
    if not properties and not document.culprits:
        document.blame(steps, f"`{name}` has no columns.", "List them under `properties`.")
    contract = Contract(
        table=bare or name,
        schema=schema or _server_schema(root),
        columns=tuple(entry.column for entry in properties),
        version=_text(root, "version") or "0.0.0",
        description=_text(element, "description") or _purpose(root),
        owners=settings.owners or whole.owners or read_team(root.get("team")),
        tags=tuple(dict.fromkeys([*_tags(root), *_tags(element)])),
        timezone=timezone,
        file=document.file,
    )
    if limit is not None:
        contract = replace(contract, quarantine_limit=limit)
    columns = Columns(
        table=contract.table,
        by_name={entry.column.name: entry.column for entry in properties},
        aliases={
            alias: entry.column.name for entry in properties if (alias := _text(entry.element, "name")) is not None
        },
        timezone=timezone,
    )
    return Table(
        name=name,
        contract=contract,
        columns=columns,
        element=element,
        steps=steps,
        settings=replace(settings, policy=policy),
        properties=properties,
    )


def build_contract(
    document: Document, table: Table, types: Mapping[str, ExpectationType], known: References
) -> Contract:
    """The contract of a table, with every expectation checked and named.

    Args:
        document: Takes the culprits.
        table: The table, read.
        types: The expectation types there are.
        known: The tables of the same file, by ODCS name.
    """
    broken = {entry.column.name for entry in table.properties if entry.broken}
    expectations: list[Expectation] = []
    taken: set[str] = set()
    for draft in _drafts(document, table, types, known):
        column = draft.kwargs.get("column")
        if isinstance(column, str) and column in broken:
            continue
        expectation = _settle(document, table, draft, types)
        if expectation is None:
            continue
        name = expectation.name
        repeat = 1
        while name in taken:
            repeat += 1
            name = f"{expectation.name}_{repeat}"
        taken.add(name)
        expectations.append(replace(expectation, name=name))
        for argument, reference in expectation.references().items():
            table.references.append((reference, draft.argument_steps.get(argument, draft.steps)))
    return replace(table.contract, expectations=tuple(expectations))


def _properties(document: Document, element: Mapping[str, Any], steps: Steps) -> Iterator[_Property]:
    entries = element.get("properties")
    seen: dict[str, Steps] = {}
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        here: Steps = (*steps, "properties", index)
        if not isinstance(entry, dict):
            continue
        settings = read_settings(document, entry, here, "column")
        _nested(document, entry, here)
        name = _text(entry, "physicalName") or _text(entry, "name")
        if name is None:
            if "name" in entry and entry["name"] in ("", None):
                document.blame((*here, "name"), "The column has no name.")
            continue
        if entry.get("semanticType") == "measure":
            _measure(document, entry, here)
            continue
        doubled = [word for word in dict.fromkeys((name, _text(entry, "name") or name)) if word in seen]
        if doubled:
            line = document.place(seen[doubled[0]])[0]
            place: Steps = (*here, "physicalName" if doubled[0] == entry.get("physicalName") else "name")
            document.blame(place, f"There are two columns `{doubled[0]}`.", f"Rename one; the first is in line {line}.")
            continue
        seen[name] = seen[_text(entry, "name") or name] = here
        options = entry.get("logicalTypeOptions")
        options = options if isinstance(options, dict) else {}
        kind = _logical_type(document, entry, here, name)
        zone = options.get("defaultTimezone")
        column = Column(
            name=name,
            type=kind or LogicalType.STRING,
            physical_type=_text(entry, "physicalType"),
            description=_text(entry, "description") or "",
            required=entry.get("required") is True or entry.get("primaryKey") is True,
            classification=_text(entry, "classification"),
            tags=_tags(entry),
            timezone=options.get("timezone") is not False,
            sources=_sources(entry),
            logic=_text(entry, "transformLogic") or _text(entry, "transformDescription") or "",
        )
        yield _Property(
            element=entry,
            steps=here,
            column=column,
            settings=settings,
            broken=kind is None,
            zone=read_timezone(document, zone, (*here, "logicalTypeOptions", "defaultTimezone")) if zone else None,
        )


def _logical_type(document: Document, entry: Mapping[str, Any], here: Steps, name: str) -> LogicalType | None:
    said = entry.get("logicalType")
    if said in [kind.value for kind in LogicalType]:
        return LogicalType(said)
    if said in ("map", "vector"):
        document.blame(
            (*here, "logicalType"), f"Columns of type {said} are not supported.", "Use `object`, or `array` with items."
        )
    elif said is None:
        kinds = ", ".join(kind.value for kind in LogicalType)
        document.blame(here, f"The column `{name}` has no `logicalType`.", f"Add one of {kinds}.")
    return None


def _nested(document: Document, entry: Mapping[str, Any], steps: Steps) -> None:
    """Blame promises about what is inside a column: no expectation looks there."""
    inner: list[tuple[Any, Steps]] = []
    properties = entry.get("properties")
    if isinstance(properties, list):
        inner += [(part, (*steps, "properties", index)) for index, part in enumerate(properties)]
    if "items" in entry:
        inner.append((entry["items"], (*steps, "items")))
    for part, here in inner:
        if isinstance(part, dict):
            _unkept(document, part, here, "inside a column")
            _nested(document, part, here)


def _measure(document: Document, entry: Mapping[str, Any], steps: Steps) -> None:
    _unkept(document, entry, steps, "of a measure, which is no column of the table")


def _unkept(document: Document, part: Mapping[str, Any], here: Steps, where: str) -> None:
    kept = [key for key in ("required", "unique", "primaryKey") if part.get(key) is True]
    kept += [key for key in ("enum", "relationships") if part.get(key)]
    rules = part.get("quality")
    if isinstance(rules, list) and any(isinstance(rule, dict) and rule.get("type") != "text" for rule in rules):
        kept.append("quality")
    for key in kept:
        document.blame(
            (*here, key), f"`{key}` {where} cannot be checked.", "Remove it, or promise it of a column.", key=True
        )


def _drafts(
    document: Document, table: Table, types: Mapping[str, ExpectationType], known: References
) -> Iterator[Draft]:
    entries = [(entry.element, entry.steps, entry.column) for entry in table.properties]
    alone = sum(entry.element.get("primaryKey") is True for entry in table.properties) == 1
    inherited = table.settings.policy
    for entry in table.properties:
        policy = entry.settings.policy or inherited
        columns = replace(table.columns, timezone=entry.zone or table.columns.timezone)
        drafts = draft_column(document, entry.element, entry.steps, entry.column, alone_in_key=alone)
        drafts += draft_relationships(document, entry.element, entry.steps, columns, entry.column, known)
        drafts += _quality(document, entry.element, entry.steps, columns, entry.column, types)
        yield from (replace(draft, inherited=policy) for draft in drafts)
    drafts = draft_primary_key(entries)
    drafts += draft_relationships(document, table.element, table.steps, table.columns, None, known)
    drafts += _quality(document, table.element, table.steps, table.columns, None, types)
    yield from (replace(draft, inherited=inherited) for draft in drafts)


def _quality(
    document: Document,
    element: Mapping[str, Any],
    steps: Steps,
    columns: Columns,
    column: Column | None,
    types: Mapping[str, ExpectationType],
) -> list[Draft]:
    rules = element.get("quality")
    drafts: list[Draft] = []
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        here: Steps = (*steps, "quality", index)
        if not isinstance(rule, dict):
            continue
        settings = read_settings(document, rule, here, "rule")
        severity = read_severity(document, rule.get("severity"), (*here, "severity"))
        kind = rule.get("type", "library")
        found: list[Draft] = []
        if kind == "library":
            found = draft_rule(document, rule, here, columns, column)
        elif kind == "custom" and is_ours(document, rule, here):
            found = draft_custom(document, rule, here, column, types)
        elif kind == "sql":
            found = draft_sql(document, rule, here, column)
        name = _text(rule, "name") or _text(rule, "id")
        drafts += [
            replace(
                draft,
                name=name if name is None or len(found) == 1 else f"{name}__{short_name(draft.type)}",
                severity=severity or draft.severity,
                policy=settings.policy,
                policy_steps=settings.steps.get("policy", ()),
                description=_text(rule, "description") or draft.description,
                meta={**_meta(rule), **draft.meta},
            )
            for draft in found
        ]
    return drafts


def _meta(rule: Mapping[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = {key: rule[key] for key in ("dimension", "businessImpact") if isinstance(rule.get(key), str)}
    if tags := _tags(rule):
        meta["tags"] = list(tags)
    return meta


def _settle(document: Document, table: Table, draft: Draft, types: Mapping[str, ExpectationType]) -> Expectation | None:
    kind = types[draft.type] if draft.import_path is None else class_type(draft.type)
    zone = next((entry.zone for entry in table.properties if entry.column.name == draft.kwargs.get("column")), None)
    columns = replace(table.columns, timezone=zone or table.columns.timezone)
    kwargs, problems = conform_arguments(kind, draft.kwargs, columns)
    for problem in problems:
        argument, *rest = problem.steps or ("",)
        written = draft.argument_steps.get(str(argument), draft.argument_steps.get("", draft.steps))
        known = str(argument) in draft.argument_steps
        document.blame((*written, *rest), problem.problem, problem.mend, key=problem.key and known)
    points = kind.marks_rows or marks_rows(kwargs)
    policy = _policy(draft, points=points)
    unread = bool(problems) and "unexpected_rows_query" in kwargs
    if draft.policy is Policy.QUARANTINE and not points and not unread:
        document.blame(
            draft.policy_steps,
            f"A failure of `{kind.name}` points at no rows that could be quarantined.",
            "Set the policy to warn, hold or block.",
        )
    if problems:
        return None
    prefix = _slug(str(draft.kwargs.get("column") or draft.column or "table"))
    return Expectation(
        name=_slug(draft.name if draft.name is not None else f"{prefix}__{draft.short or short_name(kind.name)}"),
        type=kind.name,
        kwargs=kwargs,
        severity=draft.severity or Severity.CRITICAL,
        policy=policy,
        description=draft.description,
        meta=draft.meta,
        import_path=draft.import_path,
        file=document.file,
        line=document.place(draft.steps)[0],
    )


def _policy(draft: Draft, *, points: bool) -> Policy:
    """The rule's own; else warn, if its author called it less than critical; else what surrounds it; else block."""
    if draft.policy is not None:
        return draft.policy
    if draft.severity in (Severity.INFO, Severity.WARNING):
        return Policy.WARN
    if draft.inherited is not None and (draft.inherited is not Policy.QUARANTINE or points):
        return draft.inherited
    return Policy.BLOCK


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_]+", "_", plain.strip()).strip("_") or "unnamed"


def _text(element: Mapping[str, Any], key: str) -> str | None:
    value = element.get(key)
    return value.strip() if isinstance(value, str) and value.strip() else None


def _tags(element: Mapping[str, Any]) -> tuple[str, ...]:
    tags = element.get("tags")
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()


def _sources(element: Mapping[str, Any]) -> tuple[str, ...] | None:
    named = element.get("transformSourceObjects")
    return tuple(name for name in named if isinstance(name, str)) if isinstance(named, list) else None


def _purpose(root: Mapping[str, Any]) -> str:
    description = root.get("description")
    return (_text(description, "purpose") or "") if isinstance(description, dict) else ""


def _server_schema(root: Mapping[str, Any]) -> str | None:
    """The schema that the contract's servers agree on, if they do."""
    servers = root.get("servers")
    names = {
        name
        for server in (servers if isinstance(servers, list) else ())
        if isinstance(server, dict) and (name := _text(server, "schema")) is not None
    }
    return names.pop() if len(names) == 1 else None

"""What a column or table promises outside its quality rules, as drafts: keys, options, enumerations, relationships."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster_sluice.contracts.arguments import Columns
from dagster_sluice.contracts.contract import Column, LogicalType
from dagster_sluice.contracts.document import Document, Steps
from dagster_sluice.contracts.quality import Draft

__all__ = ["References", "draft_column", "draft_primary_key", "draft_relationships"]

_NOT_NULL = "expect_column_values_to_not_be_null"
_UNIQUE = "expect_column_values_to_be_unique"
_IN_SET = "expect_column_values_to_be_in_set"
_INEXPRESSIBLE = {
    LogicalType.OBJECT: ("minProperties", "maxProperties", "required"),
    LogicalType.ARRAY: ("minItems", "maxItems", "uniqueItems"),
    LogicalType.INTEGER: ("multipleOf",),
    LogicalType.NUMBER: ("multipleOf",),
}

References = Mapping[str, Columns]
"""The tables of the same file by their ODCS name, with their columns."""


def draft_column(
    document: Document, element: Mapping[str, Any], steps: Steps, column: Column, *, alone_in_key: bool
) -> list[Draft]:
    """What a column promises by itself.

    Args:
        document: Takes the culprits.
        element: The ODCS property.
        steps: Where it stands.
        column: The column made of it.
        alone_in_key: Whether it is the whole primary key.
    """
    drafts = []
    key = element.get("primaryKey") is True
    if element.get("required") is True or key:
        place = "required" if element.get("required") is True else "primaryKey"
        drafts.append(_draft(_NOT_NULL, column, (*steps, place)))
    if element.get("unique") is True or (key and alone_in_key):
        place = "unique" if element.get("unique") is True else "primaryKey"
        drafts.append(_draft(_UNIQUE, column, (*steps, place)))
    options = element.get("logicalTypeOptions")
    options = options if isinstance(options, dict) else {}
    here: Steps = (*steps, "logicalTypeOptions")
    drafts += _bounds(document, options, here, column)
    drafts += _lengths(options, here, column)
    if isinstance(options.get("pattern"), str):
        place_of = {"regex": (*here, "pattern")}
        drafts.append(
            _draft(
                "expect_column_values_to_match_regex", column, (*here, "pattern"), place_of, regex=options["pattern"]
            )
        )
    if "enum" in options:
        place_of = {"value_set": (*here, "enum")}
        drafts.append(_draft(_IN_SET, column, (*here, "enum"), place_of, value_set=options["enum"]))
    enum = element.get("enum")
    if isinstance(enum, list) and enum and all(isinstance(entry, dict) and "value" in entry for entry in enum):
        place_of = {"value_set": (*steps, "enum")}
        values = [entry["value"] for entry in enum]
        drafts.append(_draft(_IN_SET, column, (*steps, "enum"), place_of, value_set=values))
    for name in _INEXPRESSIBLE.get(column.type, ()):
        if options.get(name) not in (None, False):
            document.blame(
                (*here, name),
                f"Great Expectations has nothing for `{name}`.",
                "Remove it, or say it in a rule of `type: text`.",
                key=True,
            )
    return drafts


def _draft(
    kind: str, column: Column, steps: Steps, argument_steps: Mapping[str, Steps] | None = None, **kwargs: Any
) -> Draft:
    return Draft(
        type=kind,
        kwargs={"column": column.name, **kwargs},
        steps=steps,
        column=column.name,
        argument_steps=argument_steps or {},
    )


def _bounds(document: Document, options: Mapping[str, Any], here: Steps, column: Column) -> list[Draft]:
    kwargs: dict[str, Any] = {}
    places: dict[str, Steps] = {}
    for side, end in (("min", "Minimum"), ("max", "Maximum")):
        plain, exclusive = options.get(end.lower()), options.get(f"exclusive{end}")
        where: Steps = (*here, end.lower())
        if isinstance(exclusive, bool):
            # ODCS v3.0: a flag that sharpens the plain bound; since v3.1 a bound of its own.
            if exclusive and plain is None:
                problem = f"`exclusive{end}: true` needs a `{end.lower()}`."
                document.blame((*here, f"exclusive{end}"), problem, f"Add `{end.lower()}:`.")
            strict = exclusive
        elif exclusive is not None and plain is not None:
            document.blame(
                (*here, f"exclusive{end}"),
                f"`{end.lower()}` and `exclusive{end}` are both given.",
                "Keep one.",
                key=True,
            )
            return []
        else:
            strict = exclusive is not None
            if strict:
                plain, where = exclusive, (*here, f"exclusive{end}")
        if plain is not None:
            kwargs[f"{side}_value"], places[f"{side}_value"] = plain, where
            if strict:
                kwargs[f"strict_{side}"] = True
    if not kwargs:
        return []
    first = min(places.values(), key=document.place)
    return [_draft("expect_column_values_to_be_between", column, first, places, **kwargs)]


def _lengths(options: Mapping[str, Any], here: Steps, column: Column) -> list[Draft]:
    kwargs: dict[str, Any] = {}
    places: dict[str, Steps] = {}
    for side in ("min", "max"):
        value = options.get(f"{side}Length")
        if value is not None:
            kwargs[f"{side}_value"], places[f"{side}_value"] = value, (*here, f"{side}Length")
    if not kwargs:
        return []
    return [_draft("expect_column_value_lengths_to_be_between", column, next(iter(places.values())), places, **kwargs)]


def draft_primary_key(elements: list[tuple[Mapping[str, Any], Steps, Column]]) -> list[Draft]:
    """A primary key of several columns: they are unique together, in the order of ``primaryKeyPosition``."""
    key = [entry for entry in elements if entry[0].get("primaryKey") is True]
    if len(key) == 1 or not key:
        return []

    def position(entry: tuple[Mapping[str, Any], Steps, Column]) -> int:
        said = entry[0].get("primaryKeyPosition")
        return said if isinstance(said, int) and said > 0 else len(elements)

    ordered = sorted(key, key=position)
    return [
        Draft(
            type="expect_compound_columns_to_be_unique",
            kwargs={"column_list": [column.name for _, _, column in ordered]},
            steps=(*key[0][1], "primaryKey"),
            name="table__primary_key",
        )
    ]


def draft_relationships(
    document: Document,
    element: Mapping[str, Any],
    steps: Steps,
    columns: Columns,
    column: Column | None,
    known: References,
) -> list[Draft]:
    """Foreign keys: each value stands in another table's column.

    Args:
        document: Takes the culprits.
        element: A property, or a schema object with ``from`` in each relationship.
        steps: Where it stands.
        columns: The columns of the table.
        column: The property's column; ``None`` at the schema object.
        known: The tables of the same file.
    """
    entries = element.get("relationships")
    drafts = []
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict):
            continue
        here: Steps = (*steps, "relationships", index)
        source = column
        if column is None:
            source = _source(document, entry.get("from"), (*here, "from"), columns, known)
        elif "from" in entry:
            document.blame((*here, "from"), "A column's relationship has no `from`.", "Remove it.", key=True)
        target = _target(document, entry.get("to"), (*here, "to"), known)
        if source is not None and target is not None:
            place_of = {"value_set": (*here, "to")}
            drafts.append(_draft(_IN_SET, source, here, place_of, value_set={"from": target}))
    return drafts


def _single(document: Document, value: Any, steps: Steps) -> str | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list):
        document.blame(
            steps, "Great Expectations has nothing for a key of several columns.", "Remove it, or make one key column."
        )
        return None
    if isinstance(value, str) and "/" in value:
        document.blame(steps, "References by path are not read here.", "Write it as `table.column`.")
        return None
    if not isinstance(value, str):
        return None
    if not all(value.partition(".")):
        document.blame(steps, f"`{value}` names no column.", "Write it as `table.column`.")
        return None
    return value


def _source(document: Document, value: Any, steps: Steps, columns: Columns, known: References) -> Column | None:
    said = _single(document, value, steps)
    if said is None:
        return None
    table, _, name = said.rpartition(".")
    if table != columns.table and known.get(table) is not columns:
        document.blame(steps, f"`{said}` is not a column of `{columns.table}`.", "Move it to the table it is about.")
        return None
    found = columns.find(name)
    if found is None:
        document.blame(steps, *columns.unknown(name))
    return found


def _target(document: Document, value: Any, steps: Steps, known: References) -> str | None:
    said = _single(document, value, steps)
    if said is None:
        return None
    table, _, name = said.rpartition(".")
    other = known.get(table)
    if other is None:
        return said
    found = other.find(name)
    if found is None:
        document.blame(steps, *other.unknown(name))
        return None
    return f"{other.table}.{found.name}"

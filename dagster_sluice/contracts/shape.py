"""Holds a document against the JSON schema of the Open Data Contract Standard.

The pydantic models of ``open_data_contract_standard`` silently ignore unknown keys below the top level, which is where
typos live; the JSON schema that the package bundles forbids them. It is walked here, rather than by a general
validator, because a person needs one sentence at one place ("Unknown key `requird`. Did you mean `required`?"), where
a general validator answers with the failure of a whole ``allOf``.

Only what that schema uses is understood: ``$ref``, ``allOf``, ``if``/``then``, ``oneOf``, ``anyOf``, ``properties``,
``items``, ``required``, ``type``, ``enum``, ``const``, ``pattern``, ``minimum``, ``minItems``, ``maxItems``.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from dagster_sluice.contracts.document import Document, Steps, did_you_mean

__all__ = ["check_shape"]

_DATED = frozenset(
    {"contractCreatedTs", "dateIn", "dateOut", "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum"}
)
"""Keys whose value the schema calls a text although YAML reads an unquoted date there."""

_OWN_WORDS = frozenset({("apiVersion",), ("kind",)})
"""Judged by `dagster_sluice.contracts.odcs`, which knows which versions it reads."""

_ANYTHING = frozenset({"#/$defs/AnyType", "#/$defs/AnyNonCollectionType"})
"""They list every type that JSON has; YAML has dates as well."""

_TYPES: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "array": ("a list", (list,)),
    "boolean": ("true or false", (bool,)),
    "integer": ("a whole number", (int,)),
    "null": ("nothing", (type(None),)),
    "number": ("a number", (int, float)),
    "object": ("a mapping", (dict,)),
    "string": ("a text", (str,)),
}


@functools.cache
def _schema() -> dict[str, Any]:
    text = resources.files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def check_shape(document: Document) -> None:
    """Add a culprit for each key that ODCS does not know, each value of the wrong type, each part that is missing."""
    _check(document, document.data, _schema(), ())


def _check(document: Document, value: Any, schema: Mapping[str, Any], steps: Steps) -> None:
    if steps in _OWN_WORDS:
        return
    if isinstance(value, dict) and steps[-2:-1] == ("quality",) and "rule" in value:
        value = {"type": "library", **value}
    parts = list(_parts(schema, value))
    wanted = [part["type"] for part in parts if "type" in part]
    if any(not _is(value, kind, steps) for kind in wanted):
        document.blame(steps, *_mistyped(value, wanted[0], steps))
        return
    for part in parts:
        _check_scalar(document, value, part, steps)
        if not _some_branch(part, value):
            kinds = [_name(branch) for branch in (*part.get("oneOf", ()), *part.get("anyOf", ()))]
            expected = " or ".join(dict.fromkeys(kind for kind in kinds if kind))
            if expected:
                document.blame(steps, f"This must be {expected}, not {_said(value)}.")
    if isinstance(value, dict):
        _check_mapping(document, value, parts, steps)
    elif isinstance(value, list):
        for item_schema in [part["items"] for part in parts if "items" in part]:
            for place, item in enumerate(value):
                _check(document, item, item_schema, (*steps, place))


def _check_mapping(document: Document, value: dict[str, Any], parts: list[Mapping[str, Any]], steps: Steps) -> None:
    known = list(dict.fromkeys(key for part in parts for key in part.get("properties", ())))
    if steps[-1:] == ("logicalTypeOptions",):
        known.append("enum")
    closed = any(
        part.get("additionalProperties") is False or part.get("unevaluatedProperties") is False for part in parts
    )
    meant = ""
    for key in value:
        if closed and key not in known:
            problem, mend = _unknown(key, known, value, steps)
            document.blame((*steps, key), problem, mend, key=True)
            meant += "" if mend.startswith("It is one of") else mend
    for required in dict.fromkeys(key for part in parts for key in part.get("required", ())):
        if required not in value and f"`{required}`" not in meant and not _excused(required, value):
            document.blame(steps, f"`{required}` is missing.", f"Add `{required}:`.")
    for key, inner in value.items():
        for inner_schema in [part["properties"][key] for part in parts if key in part.get("properties", ())]:
            _check(document, inner, inner_schema, (*steps, key))


def _check_scalar(document: Document, value: Any, part: Mapping[str, Any], steps: Steps) -> None:
    if "enum" in part and value not in part["enum"]:
        document.blame(
            steps, f"Unknown word `{value}`.", did_you_mean(str(value), [str(word) for word in part["enum"]])
        )
    if isinstance(value, str) and "pattern" in part and not re.search(part["pattern"], value):
        document.blame(steps, f"`{value}` has a character that may not stand here.", _pattern_mend(part))
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in part and value < part["minimum"]:
            document.blame(steps, f"`{value}` is less than {part['minimum']}.")
        if "exclusiveMinimum" in part and value <= part["exclusiveMinimum"]:
            document.blame(steps, f"`{value}` is not more than {part['exclusiveMinimum']}.")
    if isinstance(value, list):
        if len(value) < part.get("minItems", 0):
            document.blame(steps, f"The list is too short: {len(value)} of {part['minItems']}.")
        if len(value) > part.get("maxItems", len(value)):
            document.blame(steps, f"The list is too long: {len(value)}, and {part['maxItems']} are the most.")


def _parts(schema: Mapping[str, Any], value: Any) -> Iterator[Mapping[str, Any]]:
    """All sub-schemas that bear on a value: its references, its ``allOf``, the conditions that hold, its branch."""
    if "$ref" in schema:
        if schema["$ref"] in _ANYTHING:
            return
        yield from _parts(_resolve(schema["$ref"]), value)
    yield schema
    for part in schema.get("allOf", ()):
        yield from _parts(part, value)
    if "if" in schema and _holds(schema["if"], value) and "then" in schema:
        yield from _parts(schema["then"], value)
    for branches in (schema.get("oneOf"), schema.get("anyOf")):
        if all("required" in branch and "properties" in branch for branch in branches or ()):
            # One of several keys is to be given: which ones were given is the caller's business, each is known here.
            yield from ({"properties": branch["properties"]} for branch in branches or ())
            continue
        for branch in branches or ():
            if _fits(branch, value):
                yield from _parts(branch, value)
                break


def _resolve(reference: str) -> Mapping[str, Any]:
    found: Any = _schema()
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    resolved: Mapping[str, Any] = found
    return resolved


def _holds(condition: Mapping[str, Any], value: Any) -> bool:
    """Whether an ``if`` holds. A key that is absent does not hold, so that nothing is demanded on a guess."""
    if not isinstance(value, dict):
        return False
    if "anyOf" in condition:
        return any(_holds(part, value) for part in condition["anyOf"])
    return all(
        key in value
        and ("const" not in wanted or value[key] == wanted["const"])
        and ("type" not in wanted or _is(value[key], wanted["type"], ()))
        for key, wanted in condition.get("properties", {}).items()
    )


def _fits(branch: Mapping[str, Any], value: Any) -> bool:
    """Whether a branch of ``oneOf`` is the one meant: by type, and for mappings by the keys it requires."""
    if "$ref" in branch:
        return _fits({**_resolve(branch["$ref"]), **{k: v for k, v in branch.items() if k != "$ref"}}, value)
    if "type" in branch and not _is(value, branch["type"], ()):
        return False
    if isinstance(value, str) and "pattern" in branch and not re.search(branch["pattern"], value):
        return False
    if isinstance(value, dict):
        if any(key not in value for key in branch.get("required", ())):
            return False
        typed = {key: inner for key, inner in branch.get("properties", {}).items() if key in value and "type" in inner}
        if "additionalProperties" not in branch and any(not _is(value[k], s["type"], (k,)) for k, s in typed.items()):
            return False
    for name in ("oneOf", "anyOf"):
        if name in branch and not any(_fits(inner, value) for inner in branch[name]):
            return False
    return True


def _some_branch(part: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, dict | list) and any("required" in b or "properties" in b for b in part.get("oneOf", ())):
        return True
    branches = [*part.get("oneOf", ()), *part.get("anyOf", ())]
    return not branches or any(_fits(branch, value) for branch in branches)


def _is(value: Any, kind: str | list[str], steps: Steps) -> bool:
    if isinstance(kind, list):
        return any(_is(value, one, steps) for one in kind)
    if kind == "string" and isinstance(value, dt.date) and steps and steps[-1] in _DATED:
        return True
    if "logicalTypeOptions" in steps and steps[-1] in _DATED and isinstance(value, bool):
        return str(steps[-1]).startswith("exclusive")
    if isinstance(value, bool) and kind in {"integer", "number"}:
        return False
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return True
    return isinstance(value, _TYPES[kind][1])


def _mistyped(value: Any, kind: str | list[str], steps: Steps) -> tuple[str, str]:
    first = kind if isinstance(kind, str) else kind[0]
    key = f"`{steps[-1]}`" if steps and isinstance(steps[-1], str) else "This" if steps else "The file"
    mend = ""
    if first == "string" and isinstance(value, bool | int | float | dt.date):
        mend = "Quote it."
    elif first == "array" and value is not None:
        mend = "Begin each entry with `- `."
    elif first == "object" and not steps:
        mend = "A data contract begins with `apiVersion:` and `kind: DataContract`."
    return f"{key} must be {_TYPES[first][0]}, not {_said(value)}.", mend


def _unknown(key: str, known: list[str], value: Mapping[str, Any], steps: Steps) -> tuple[str, str]:
    problem = f"Unknown key `{key}`."
    if "quality" in steps[-2:]:
        if key in {"validValues", "pattern", "missingValues", "properties"}:
            return problem, f"Put `{key}` under `arguments`."
        if key.startswith("must") and value.get("type") in ("text", "custom"):
            return f"`{key}` has no effect in a rule of type {value['type']}.", "Remove it."
    if "logicalTypeOptions" in steps[-1:] and key in {"required", "unique"}:
        return problem, f"Put `{key}` beside `logicalTypeOptions`."
    return problem, did_you_mean(key, known) or "What is not part of ODCS belongs into `customProperties`."


def _excused(required: str, value: Mapping[str, Any]) -> bool:
    return required == "metric" and "rule" in value


def _pattern_mend(part: Mapping[str, Any]) -> str:
    return "Use letters, digits, `-` and `_`." if part["pattern"] == "^[A-Za-z0-9_-]+$" else ""


def _name(branch: Mapping[str, Any]) -> str:
    if "$ref" in branch:
        return (
            "a reference such as `table.column`"
            if branch["$ref"].endswith("Reference")
            else _name(_resolve(branch["$ref"]))
        )
    if "type" in branch:
        kind = branch["type"]
        return _TYPES[kind if isinstance(kind, str) else kind[0]][0]
    names = [_name(inner) for inner in (*branch.get("oneOf", ()), *branch.get("anyOf", ()))]
    return " or ".join(dict.fromkeys(name for name in names if name))


def _said(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f"the text `{value}`" if len(value) < 60 else f"the text `{value[:57]}…`"
    if isinstance(value, dt.date):
        return f"the date {value}"
    return f"the number {value}"

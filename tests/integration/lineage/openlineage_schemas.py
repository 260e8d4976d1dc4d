"""Judges events by OpenLineage's own JSON schemas, each facet by the one that it names itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

_DIRECTORY = Path(__file__).with_name("schemas")
_REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema))
    for schema in (json.loads(file.read_text()) for file in sorted(_DIRECTORY.rglob("*.json")))
)


def complaints(event: dict[str, Any]) -> list[str]:
    """What is wrong with an event; nothing, if it is right."""
    return [
        f"{where}: {error.json_path}: {error.message}"
        for where, url, part in [("event", event["schemaURL"], event), *_facets(event, "event")]
        for error in _validator(url).iter_errors(part)
    ]


def _validator(url: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        {"$ref": url},
        registry=_REGISTRY,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


def _facets(part: Any, where: str) -> Iterator[tuple[str, str, Any]]:
    if isinstance(part, dict):
        if "_schemaURL" in part:
            yield where, part["_schemaURL"], part
        for name, value in part.items():
            yield from _facets(value, f"{where}.{name}")
    elif isinstance(part, list):
        for place, value in enumerate(part):
            yield from _facets(value, f"{where}[{place}]")

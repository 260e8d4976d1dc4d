"""Rules written as expectations: ``type: custom``, ``engine: greatExpectations`` or ``sluice``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from dagster_sluice.contracts.catalogue import ExpectationType, Kind
from dagster_sluice.contracts.contract import Column
from dagster_sluice.contracts.document import Document, Steps, did_you_mean
from dagster_sluice.contracts.own import class_type, type_of_class
from dagster_sluice.contracts.quality import Draft
from dagster_sluice.contracts.settings import read_severity

__all__ = ["draft_custom", "is_ours"]

_KEYS = (
    "type",
    "class",
    "expectation_type",
    "kwargs",
    "meta",
    "severity",
    "description",
    "notes",
    "id",
    "rendered_content",
)
_ENGINES = frozenset({"greatexpectations", "greatexpectation", "gx", "sluice", "dagstersluice"})


def is_ours(document: Document, rule: Mapping[str, Any], steps: Steps) -> bool:
    """Whether a custom rule is an expectation; rules for other engines are theirs to run."""
    engine = rule.get("engine")
    if not isinstance(engine, str):
        return False
    bare = re.sub(r"[^a-z]", "", engine.casefold())
    if bare in _ENGINES:
        return True
    if difflib.get_close_matches(bare, _ENGINES, n=1, cutoff=0.8):
        document.blame((*steps, "engine"), f"There is no engine `{engine}`.", "Did you mean `greatExpectations`?")
    return False


def draft_custom(
    document: Document,
    rule: Mapping[str, Any],
    steps: Steps,
    column: Column | None,
    types: Mapping[str, ExpectationType],
) -> list[Draft]:
    """The draft of an expectation given as Great Expectations writes it, as a mapping or as YAML or JSON text.

    Args:
        document: Takes the culprits.
        rule: One entry of ``quality``.
        steps: Where it stands.
        column: The column it stands under, which becomes its ``column``.
        types: The expectation types there are.
    """
    here: Steps = (*steps, "implementation")
    body = rule.get("implementation")
    if isinstance(body, str):
        before = len(document.culprits)
        body = document.embedded(here, body)
        if len(document.culprits) > before:
            return []
    if not isinstance(body, dict):
        if "implementation" in rule:
            document.blame(here, "The implementation must be a mapping with `type` and `kwargs`.")
        return []
    for key in body:
        if key not in _KEYS:
            mend = "Put it under `kwargs`." if _is_argument(key, body, types) else did_you_mean(key, _KEYS)
            document.blame((*here, key), f"Unknown key `{key}`.", mend, key=True)
    kind = _kind(document, body, here, types) if "class" not in body else _own(document, body, here)
    if kind is None:
        return []
    kwargs = body.get("kwargs")
    if kwargs is None:
        kwargs = {}
    if not isinstance(kwargs, dict):
        document.blame((*here, "kwargs"), "`kwargs` must be a mapping.")
        return []
    kwargs = dict(kwargs)
    several = kind.open and {"column_A", "column_B", "column_list"} & set(kwargs)
    if column is not None and "column" in kind.arguments and not several:
        named = kwargs.setdefault("column", column.name)
        if named != column.name and isinstance(named, str):
            document.blame(
                (*here, "kwargs", "column"),
                f"The rule stands under `{column.name}` but judges `{named}`.",
                f"Remove `column`, or move the rule to `{named}`.",
            )
            return []
    severity = read_severity(document, body.get("severity"), (*here, "severity")) if "severity" not in rule else None
    description = body.get("description")
    meta = body.get("meta")
    return [
        Draft(
            type=kind.name,
            kwargs=kwargs,
            steps=steps,
            column=column.name if column is not None else None,
            argument_steps={
                **{name: (*here, "kwargs", name) for name in kwargs if name != "column" or column is None},
                "": (*here, "kwargs") if "kwargs" in body else here,
            },
            severity=severity,
            description=description if isinstance(description, str) else "",
            meta=meta if isinstance(meta, dict) else {},
            import_path=body.get("class"),
        )
    ]


def _kind(
    document: Document, body: Mapping[str, Any], here: Steps, types: Mapping[str, ExpectationType]
) -> ExpectationType | None:
    key = "type" if "type" in body else "expectation_type"
    said = body.get(key)
    kind = _find(said, types) if isinstance(said, str) else None
    if said is None:
        document.blame(here, "The implementation names no expectation.", "Add `type: expect_...`.")
    elif kind is None:
        mend = did_you_mean(_snake(str(said)), types) or "Where it is your own, say `class: my.module:Class` instead."
        document.blame((*here, key), f"There is no expectation `{said}`.", mend)
    return kind


def _own(document: Document, body: Mapping[str, Any], here: Steps) -> ExpectationType | None:
    """An expectation of somebody's own. Its module is imported when it judges, not when a contract is read."""
    said = body["class"]
    name = type_of_class(said) if isinstance(said, str) else None
    if name is None:
        document.blame((*here, "class"), f"`{said}` is no class.", "Write it as `my.module:ExpectSomething`.")
        return None
    if "type" in body and body["type"] not in (name, said.partition(":")[2]):
        problem = f"The class is registered as `{name}`, not as `{body['type']}`."
        document.blame((*here, "type"), problem, "Remove `type`.")
        return None
    return class_type(name)


def _find(said: str, types: Mapping[str, ExpectationType]) -> ExpectationType | None:
    return types.get(said) or types.get(_snake(said))


def _snake(name: str) -> str:
    """The registered name of a class: ``ExpectColumnValuesToBeUnique`` is ``expect_column_values_to_be_unique``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _is_argument(key: str, body: Mapping[str, Any], types: Mapping[str, ExpectationType]) -> bool:
    said = body.get("type", body.get("expectation_type"))
    kind = _find(said, types) if isinstance(said, str) else None
    return kind is not None and (key in kind.arguments or (kind.kind is Kind.ROW and key == "column"))

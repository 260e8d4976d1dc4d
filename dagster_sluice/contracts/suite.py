"""Reads a suite of Great Expectations as it is: the JSON that 1.x stores, and that of 0.x with ``expectation_type``.

A suite knows no columns, so names and types of columns are taken as they come; everything else is checked as in a
contract, and every culprit is named with its index, and with line and column where it stands in a file.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagster_sluice.contracts.arguments import Columns, conform_arguments
from dagster_sluice.contracts.catalogue import Argument, ExpectationType, short_name
from dagster_sluice.contracts.contract import Column, Expectation, LogicalType, Policy, Severity
from dagster_sluice.contracts.document import Document, Steps, did_you_mean, read_document
from dagster_sluice.contracts.own import TYPES
from dagster_sluice.contracts.settings import read_severity
from dagster_sluice.errors import ContractError, Culprit

__all__ = ["expectations_from_suite", "is_suite"]

_KEYS = frozenset(
    {
        "type",
        "expectation_type",
        "kwargs",
        "meta",
        "notes",
        "severity",
        "description",
        "id",
        "ge_cloud_id",
        "expectation_context",
        "rendered_content",
        "success_on_last_run",
        "windows",
    }
)
_OF_THE_RUN = frozenset(
    {"result_format", "include_config", "catch_exceptions", "batch_id", "auto", "profiler_config", "meta"}
)
"""Arguments of 0.x that say how to run or to report, or how a bound was once found; they judge nothing."""

Suite = str | Path | Mapping[str, Any] | Sequence[Mapping[str, Any]]


class _AnyColumn(Mapping[str, Column]):
    """Every name is a column."""

    def __getitem__(self, name: str) -> Column:
        # Of an object, nothing is said about bounds or values, and nothing is converted.
        return Column(name=name, type=LogicalType.OBJECT)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def is_suite(path: str | Path) -> bool:
    """Whether a file is JSON that looks like a suite, good or not, rather than a contract."""
    path = Path(path)
    if path.suffix.casefold() != ".json":
        return False
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    try:
        root = json.loads(text)
    except ValueError:
        return '"expectations"' in text and '"apiVersion"' not in text
    if isinstance(root, list):
        return any(isinstance(entry, dict) and {"type", "expectation_type"} & set(entry) for entry in root)
    return isinstance(root, dict) and "expectations" in root and "apiVersion" not in root


def expectations_from_suite(suite: Suite, *, extra_types: Iterable[ExpectationType] = ()) -> tuple[Expectation, ...]:
    """The expectations of a suite, in its order.

    Args:
        suite: A JSON file, what it says as a mapping, or its list of expectations alone.
        extra_types: Expectation types beyond the core ones of Great Expectations.

    Returns:
        One expectation for each entry, named after its column and type (``fare__between``, ``fare__between_2``), with
        its arguments as they are written. ``severity`` is critical where the suite says none, as in Great
        Expectations; a critical one blocks, any other warns. ``meta`` is kept, ``notes`` stand in it and, where there
        is no ``description``, in the description too.

    Raises:
        ContractError: The file cannot be read, an entry is of an unknown type, or has wrong arguments; every culprit.
    """
    types = {**TYPES, **{kind.name: kind for kind in extra_types}}
    if isinstance(suite, str | Path):
        document = _read(Path(suite))
    else:
        document = Document(file=Path("suite"), data=suite if isinstance(suite, Mapping) else list(suite))
    found = _expectations(document, types) if document.data is not None else []
    if document.culprits:
        from_file = isinstance(suite, str | Path)
        number = "1 mistake" if len(document.culprits) == 1 else f"{len(document.culprits)} mistakes"
        raise ContractError(
            f"{number} in {document.file if from_file else 'the suite'}.",
            culprits=document.culprits if from_file else [_placeless(culprit) for culprit in document.culprits],
        )
    return tuple(found)


def _placeless(culprit: Culprit) -> Culprit:
    return Culprit(where=culprit.where, problem=culprit.problem, mend=culprit.mend)


def _read(path: Path) -> Document:
    """The file with a place for everything. JSON is read as JSON; only its places are YAML's."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError):
        return read_document(path)
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        if path.suffix.casefold() in {".yaml", ".yml"}:
            return read_document(path)
        document = Document(file=path)
        if not text.strip():
            document.blame_file("The file is empty.", "Save a suite of Great Expectations in it.")
        elif isinstance(error, json.JSONDecodeError):
            document.blame_place(error.lineno, error.colno, f"This is not valid JSON: {error.msg}.")
        else:
            document.blame_file(f"This is not valid JSON: {error}.")
        return document
    except RecursionError:
        document = Document(file=path)
        document.blame_file("The file is nested too deeply to be read.")
        return document
    places = Document(file=path, data=data, blocks={(): (1, 1)})
    # YAML takes no tabs and no halves of characters; neither moves a place when it is blanked.
    places.embedded((), re.sub(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}", r"\\u0020", text.replace("\t", " ")))
    if data is None:
        places.blame_file("The file says nothing.", "Save a suite of Great Expectations in it.")
    return places


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON; write null, or a number")


def _expectations(document: Document, types: Mapping[str, ExpectationType]) -> list[Expectation]:
    root = document.data
    steps: Steps = ()
    if isinstance(root, Mapping):
        if "expectations" not in root:
            document.blame((), "The suite has no `expectations`.", did_you_mean("expectations", root))
            return []
        root, steps = root["expectations"], ("expectations",)
    if not isinstance(root, list):
        document.blame(steps, "`expectations` must be a list.")
        return []
    found: list[Expectation] = []
    taken: set[str] = set()
    for index, entry in enumerate(root):
        inner = _Entry(document, (*steps, index), index)
        expectation = inner.read(entry, types, taken)
        if expectation is not None:
            found.append(expectation)
    return found


class _Entry:
    """One expectation of a suite, as it is being read."""

    def __init__(self, document: Document, steps: Steps, index: int) -> None:
        self.document, self.steps, self.index = document, steps, index

    def blame(self, problem: str, mend: str = "", *steps: str | int, key: bool = False) -> None:
        line, column = self.document.place((*self.steps, *steps), key=key)
        culprit = Culprit(
            file=self.document.file,
            line=line,
            column=column,
            where=f"expectation {self.index}",
            problem=problem,
            mend=mend,
        )
        if culprit not in self.document.culprits:
            self.document.culprits.append(culprit)

    def read(self, entry: Any, types: Mapping[str, ExpectationType], taken: set[str]) -> Expectation | None:
        if not isinstance(entry, Mapping):
            self.blame("It must be a mapping with `type` and `kwargs`.")
            return None
        before = len(self.document.culprits)
        for name in entry:
            if name not in _KEYS:
                self.blame(f"Unknown key `{name}`.", did_you_mean(str(name), _KEYS), str(name), key=True)
        kind = self.kind(entry, types)
        kwargs = self.mapping(entry, "kwargs")
        meta = self.mapping(entry, "meta")
        severity = self.severity(entry)
        if kind is None or kwargs is None or meta is None:
            return None
        kwargs = {
            name: _whole(value) if kind.arguments.get(name) is Argument.COUNT else value
            for name, value in kwargs.items()
            if name not in _OF_THE_RUN or name in kind.arguments
        }
        self.check(kind, kwargs)
        if len(self.document.culprits) > before:
            return None
        notes = entry.get("notes") or meta.get("notes")
        return Expectation(
            name=_name(kind, kwargs, taken),
            type=kind.name,
            kwargs=kwargs,
            severity=severity,
            policy=Policy.BLOCK if severity is Severity.CRITICAL else Policy.WARN,
            description=str(entry.get("description") or _plain(notes)),
            meta={**meta, **({"notes": entry["notes"]} if entry.get("notes") else {})},
            file=self.document.file if self.document.value_places else None,
            line=self.document.place(self.steps)[0] if self.document.value_places else None,
        )

    def kind(self, entry: Mapping[str, Any], types: Mapping[str, ExpectationType]) -> ExpectationType | None:
        key = "type" if "type" in entry else "expectation_type"
        said = entry.get(key)
        if said is None:
            self.blame("It names no expectation.", "Add `type`.")
            return None
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", str(said)).lower()
        kind = types.get(said) if isinstance(said, str) else None
        kind = kind or types.get(snake)
        if kind is None:
            self.blame(f"There is no expectation `{said}`.", did_you_mean(snake, types), key)
        return kind

    def mapping(self, entry: Mapping[str, Any], key: str) -> dict[str, Any] | None:
        value = entry.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.blame(f"`{key}` must be a mapping.", "", key)
            return None
        return dict(value)

    def severity(self, entry: Mapping[str, Any]) -> Severity:
        said = entry.get("severity")
        if said is None:
            return Severity.CRITICAL
        if isinstance(said, Severity):
            return said
        before = len(self.document.culprits)
        read = read_severity(self.document, said, (*self.steps, "severity"))
        if len(self.document.culprits) > before:
            culprit = self.document.culprits.pop()
            self.blame(culprit.problem, culprit.mend, "severity")
        elif read is None:
            self.blame("`severity` must be critical, warning or info.", "", "severity")
        return read or Severity.CRITICAL

    def check(self, kind: ExpectationType, kwargs: Mapping[str, Any]) -> None:
        bounds = {
            name
            for name, value in kwargs.items()
            if kind.arguments.get(name) is Argument.BOUND and value is not None and not _is_parameter(value)
        }
        columns = Columns(table="the suite", by_name=_AnyColumn())
        _, problems = conform_arguments(kind, kwargs, columns)
        for problem in problems:
            # What type of bound fits is the column's to say, and the column is not known here.
            if problem.steps[:1] and problem.steps[0] in bounds and not problem.key:
                continue
            at = ("kwargs", *problem.steps) if "kwargs" in self.written() else ()
            self.blame(problem.problem, problem.mend, *at, key=problem.key)
        for name in bounds:
            if isinstance(kwargs[name], bool | list | Mapping):
                self.blame(f"`{name}` must be {Argument.BOUND.value}.", "", "kwargs", name)
        low, high = _number(kwargs.get("min_value")), _number(kwargs.get("max_value"))
        if low is not None and high is not None and low > high:
            self.blame(f"No value lies between {low} and {high}.", "Swap or widen the bounds.", "kwargs", "min_value")

    def written(self) -> Any:
        value = self.document.data
        for step in self.steps:
            value = value[step]
        return value


def _is_parameter(value: Any) -> bool:
    return isinstance(value, Mapping) and "$PARAMETER" in value


def _whole(value: Any) -> Any:
    """Great Expectations stores the count 2 as 2.0 now and then."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _plain(notes: Any) -> str:
    """Notes as one text: a text, a list of texts, or the mapping with ``content`` that 0.x keeps in ``meta``."""
    if isinstance(notes, Mapping):
        notes = notes.get("content")
    if isinstance(notes, list | tuple):
        return " ".join(str(note) for note in notes)
    return str(notes or "")


def _name(kind: ExpectationType, kwargs: Mapping[str, Any], taken: set[str]) -> str:
    prefix = str(kwargs.get("column") or "table")
    text = unicodedata.normalize("NFKD", f"{prefix}__{short_name(kind.name)}").encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", text.strip()).strip("_") or "unnamed"
    name, number = plain, 1
    while name in taken:
        number += 1
        name = f"{plain}_{number}"
    taken.add(name)
    return name

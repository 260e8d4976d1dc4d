"""Puts what columns are made of into an ODCS file, and leaves every other character of it as it is."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from dagster_sluice.contracts import Contract, load_contract
from dagster_sluice.errors import ContractError, Culprit

__all__ = ["declare_sources", "with_sources"]

_KEY = "transformSourceObjects"


def declare_sources(contract: Contract, sources: Mapping[str, Sequence[str]]) -> None:
    """Write ``transformSourceObjects`` of some columns into the contract's own file.

    The file is replaced in one step, once the new one has been read and says the same but for these.

    Args:
        contract: Read from a YAML file.
        sources: For each column, its sources as ``schema.table.column``; what stands there is replaced.

    Raises:
        ContractError: The contract is in no YAML file, or the file is not as it was read.
    """
    file = contract.file
    if file is None or file.suffix.lower() == ".json":
        what = "is written in Python" if file is None else f"is a JSON file, {file}"
        raise ContractError(
            f"The contract of {contract.table} {what}: it is not edited.", mend="Write the sources there by hand."
        )
    text = file.read_text(encoding="utf-8")
    new = with_sources(text, contract.table, contract.schema, sources)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.stem}.", suffix=file.suffix)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as written:
            written.write(new)
        reread = load_contract(name, f"{contract.schema}.{contract.table}" if contract.schema else contract.table)
        wanted = [
            replace(column, sources=tuple(sources[column.name])) if column.name in sources else column
            for column in contract.columns
        ]
        if list(reread.columns) != wanted or reread.fingerprint != contract.fingerprint:
            raise ContractError(
                f"The contract of {contract.table} is not as it was read.",
                culprits=[Culprit(file=file, problem="has been changed, or has a form that cannot be edited.")],
                mend="Try again, or write the sources there by hand.",
            )
        os.chmod(name, file.stat().st_mode)  # noqa: PTH101 (one call on a name)
        Path(name).replace(file)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()


def with_sources(text: str, table: str, schema: str | None, sources: Mapping[str, Sequence[str]]) -> str:
    """The text of an ODCS file with the sources of some columns of one of its tables. Pure.

    Args:
        text: YAML.
        table: The table's name.
        schema: Its schema, if the file says one.
        sources: For each column, its sources.
    """
    edits: list[tuple[int, int, str]] = []
    for entry in _properties(yaml.compose(text, Loader=yaml.SafeLoader), table, schema):
        keys = {key.value: (key, value) for key, value in entry.value}
        named = keys.get("physicalName") or keys.get("name")
        if named is None or named[1].value not in sources:
            continue
        said = f"{_KEY}: [{', '.join(_scalar(source) for source in sources[named[1].value])}]"
        if _KEY in keys:
            key, value = keys[_KEY]
            edits.append((key.start_mark.index, _end(value), said))
        elif entry.flow_style:
            edits.append((_end(entry.value[-1][1]), _end(entry.value[-1][1]), f", {said}"))
        else:
            # After the last key that fits on its line, so that nothing is torn apart.
            after = [
                pair
                for pair in entry.value
                if isinstance(pair[1], yaml.ScalarNode) and pair[1].style in (None, "'", '"')
            ]
            last = _end(after[-1][1])
            line = text.find("\n", last)
            place = len(text) if line < 0 else line
            edits.append((place, place, f"\n{' ' * entry.value[0][0].start_mark.column}{said}"))
    for start, end, said in sorted(edits, reverse=True):
        text = text[:start] + said + text[end:]
    return text


def _properties(root: Any, table: str, schema: str | None) -> list[Any]:
    """The nodes of the columns of a table."""
    for element in _items(_value(root, "schema")):
        names = {
            value.value
            for key in ("name", "physicalName")
            if isinstance(value := _value(element, key), yaml.ScalarNode)
        }
        if names & {table, f"{schema}.{table}"}:
            return [entry for entry in _items(_value(element, "properties")) if isinstance(entry, yaml.MappingNode)]
    return []


def _value(node: Any, name: str) -> Any:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _items(node: Any) -> list[Any]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _end(node: Any) -> int:
    """Where a node ends; that of a block sequence is where its last item ends, not where the next thing begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _scalar(text: str) -> str:
    plain = all(letter.isalnum() or letter in "._-" for letter in text) and text[:1].isalpha()
    return text if plain else "'{}'".format(text.replace("'", "''"))

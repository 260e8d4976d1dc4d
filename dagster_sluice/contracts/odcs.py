"""Reads contracts from files of the Open Data Contract Standard (ODCS), v3.0 to v3.2.

Everything wrong with a file is found before anything is said: one `ContractError` carries every culprit of every file,
each with its line and column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_sluice.contracts.arguments import Columns
from dagster_sluice.contracts.catalogue import ExpectationType
from dagster_sluice.contracts.contract import Contract, Reference
from dagster_sluice.contracts.document import Document, Steps, did_you_mean, read_document
from dagster_sluice.contracts.own import TYPES
from dagster_sluice.contracts.settings import read_settings
from dagster_sluice.contracts.shape import check_shape
from dagster_sluice.contracts.sla import with_deadlines
from dagster_sluice.contracts.tables import Table, build_contract, read_table
from dagster_sluice.errors import ContractError, Culprit

__all__ = ["load_contract", "load_contracts"]


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    document: Document
    contracts: tuple[Contract, ...] = ()
    tables: tuple[Table, ...] = ()


def load_contract(
    path: str | Path, table: str | None = None, *, extra_types: Iterable[ExpectationType] = ()
) -> Contract:
    """Read one table's contract from an ODCS file.

    Args:
        path: The file, UTF-8 YAML or JSON.
        table: Which of the file's schema objects, by ``name`` or ``physicalName``; needed where it has several.
        extra_types: Expectation types beyond the core ones of Great Expectations.

    Raises:
        ContractError: The file is wrong, with every culprit; or it has no such table, or several and none was named.
    """
    loaded = _load(Path(path), _types(extra_types))
    _raise([loaded.document])
    names = [name for entry in loaded.tables for name in dict.fromkeys((entry.name, entry.contract.table))]
    found = [
        contract
        for contract, entry in zip(loaded.contracts, loaded.tables, strict=True)
        if table in (None, entry.name, contract.table, f"{contract.schema}.{contract.table}")
    ]
    if len(found) == 1:
        return found[0]
    if table is None:
        loaded.document.blame(
            ("schema",),
            f"The file describes {len(found)} tables: {', '.join(entry.name for entry in loaded.tables)}.",
            "Name the one you want: `load_contract(path, table=...)`; or use `load_contracts`.",
            key=True,
        )
    else:
        loaded.document.blame(("schema",), f"The file has no table `{table}`.", did_you_mean(table, names), key=True)
    _raise([loaded.document])
    raise AssertionError


def load_contracts(
    paths: str | Path | Iterable[str | Path], *, extra_types: Iterable[ExpectationType] = ()
) -> list[Contract]:
    """Read the contracts of every table in some ODCS files.

    Args:
        paths: The files; one path is a list of one.
        extra_types: Expectation types beyond the core ones of Great Expectations.

    Returns:
        The contracts, in the order of the files and of the tables in each.

    Raises:
        ContractError: Some file is wrong, or two describe the same table; every culprit of every file.
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    types = _types(extra_types)
    loaded = [_load(Path(path), types) for path in dict.fromkeys(Path(path) for path in files)]
    _across(loaded)
    _raise([entry.document for entry in loaded])
    return [contract for entry in loaded for contract in entry.contracts]


def _types(extra: Iterable[ExpectationType]) -> dict[str, ExpectationType]:
    return {**TYPES, **{kind.name: kind for kind in extra}}


def _load(path: Path, types: dict[str, ExpectationType]) -> _Loaded:
    document = read_document(path)
    if document.data is None:
        return _Loaded(document=document)
    if not isinstance(document.data, dict):
        check_shape(document)
        return _Loaded(document=document)
    if not _header(document, document.data):
        return _Loaded(document=document)
    check_shape(document)
    shape = {(culprit.line, culprit.column) for culprit in document.culprits}
    before = len(document.culprits)
    tables = _tables(document, document.data)
    known = {entry.name: entry.columns for entry in tables}
    built = tuple(build_contract(document, entry, types, known) for entry in tables)
    contracts = with_deadlines(document, tables, built)
    later = [culprit for culprit in document.culprits[before:] if (culprit.line, culprit.column) not in shape]
    document.culprits[before:] = later
    return _Loaded(document=document, contracts=contracts, tables=tables)


def _header(document: Document, root: dict[str, Any]) -> bool:
    """Whether this is a contract that can be read at all; adds culprits where not."""
    version, kind = root.get("apiVersion"), root.get("kind")
    good = True
    if version is None:
        mend = "Add `apiVersion: v3.1.0`."
        if "dataContractSpecification" in root:
            mend = "This is a Data Contract Specification file; export it to ODCS v3."
        document.blame((), "`apiVersion` is missing.", mend)
        good = False
    elif not isinstance(version, str) or not re.fullmatch(r"v3\.[0-2]\.\d+", version):
        said = str(version)
        fixed = re.fullmatch(r"v?3\.([0-2])(\.\d+)?", said)
        mend = f"Write `v3.{fixed[1]}{fixed[2] or '.0'}`." if fixed else "Versions v3.0 to v3.2 are read here."
        document.blame(("apiVersion",), f"`{said}` is no version of ODCS that can be read.", mend)
        good = fixed is not None
    if kind is None:
        document.blame((), "`kind` is missing.", "Add `kind: DataContract`.")
        good = False
    elif kind != "DataContract":
        document.blame(("kind",), f"The kind `{kind}` is no data contract.", "Write `DataContract`.")
        good = good and str(kind).casefold() == "datacontract"
    return good


def _tables(document: Document, root: dict[str, Any]) -> tuple[Table, ...]:
    elements = root.get("schema")
    if elements is None or elements == []:
        if not any(culprit.mend.endswith("`schema`?") for culprit in document.culprits):
            document.blame(("schema",), "The contract describes no table.", "Add `schema:` with a table.", key=True)
        return ()
    whole = read_settings(document, root, (), "contract")
    tables: list[Table] = []
    for index, element in enumerate(elements if isinstance(elements, list) else ()):
        here: Steps = ("schema", index)
        if not isinstance(element, dict):
            continue
        entry = read_table(document, element, here, whole)
        if entry is None:
            continue
        if any(entry.name == other.name or _place(entry) == _place(other) for other in tables):
            document.blame((*here, "name"), f"There are two tables `{entry.name}`.", "Rename one.")
            continue
        tables.append(entry)
    return tuple(tables)


def _place(entry: Table) -> tuple[str | None, str]:
    return entry.contract.schema, entry.contract.table


def _across(loaded: Sequence[_Loaded]) -> None:
    """Culprits that only show when several files are seen together."""
    owners: dict[tuple[str | None, str], Document] = {}
    columns: dict[str, Columns] = {}
    for entry in loaded:
        for table in entry.tables:
            place = _place(table)
            if place in owners:
                entry.document.blame(
                    (*table.steps, "name"),
                    f"`{table.contract.table}` has a contract already, in {owners[place].file}.",
                    "Keep one.",
                )
            owners.setdefault(place, entry.document)
            columns.setdefault(table.contract.table, table.columns)
            if table.contract.schema:
                columns.setdefault(f"{table.contract.schema}.{table.contract.table}", table.columns)
    for entry in loaded:
        for table in entry.tables:
            for reference, steps in table.references:
                _check_reference(entry.document, reference, steps, columns)


def _check_reference(document: Document, reference: Reference, steps: Steps, columns: dict[str, Columns]) -> None:
    known = columns.get(reference.table)
    if known is not None and reference.column not in known.by_name:
        document.blame(steps, *known.unknown(reference.column))


def _raise(documents: Sequence[Document]) -> None:
    culprits: list[Culprit] = []
    for document in documents:
        culprits += sorted(document.culprits, key=lambda culprit: (culprit.line or 0, culprit.column or 0))
    if culprits:
        wrong = [str(document.file) for document in documents if document.culprits]
        where = wrong[0] if len(wrong) == 1 else f"{len(wrong)} contracts"
        number = "1 mistake" if len(culprits) == 1 else f"{len(culprits)} mistakes"
        raise ContractError(f"{number} in {where}.", culprits=culprits)

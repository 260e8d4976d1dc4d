"""``sluice contract``: check contracts, compare them, write a first one."""

import glob
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_sluice.cli import display
from dagster_sluice.contracts import Contract, Policy
from dagster_sluice.errors import ContractError, Culprit, SettingError

if TYPE_CHECKING:
    from dagster_sluice.contracts.diff import TableDiff
    from dagster_sluice.contracts.profile import Profile

__all__ = ["app"]

app = typer.Typer(help="What tables promise.", no_args_is_help=True)

_SUFFIXES = (".yaml", ".yml", ".json")
_LOOKS_LIKE_ONE = re.compile(
    rb"datacontract|^\s*[\"']?apiVersion[\"']?\s*:\s*[\"']?v?3\.|\"expectations\"", re.IGNORECASE | re.MULTILINE
)


@app.callback()
def _contract() -> None:
    pass


@app.command("check")
def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Contracts, suites, directories or globs.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check contracts (ODCS) and suites (Great Expectations): every mistake of every file, with line and column."""
    from dagster_sluice.contracts.odcs import load_contracts
    from dagster_sluice.contracts.suite import expectations_from_suite, is_suite

    paths, left_out, culprits = _files(files)
    suites = [path for path in paths if is_suite(path)]
    written = [path for path in paths if path not in suites]
    contracts: list[Contract] = []
    expectations = 0
    try:
        contracts = load_contracts(written)
    except ContractError as wrong:
        culprits.extend(wrong.culprits)
    culprits.extend(_classes(contracts))
    for path in suites:
        try:
            expectations += len(expectations_from_suite(path))
        except ContractError as wrong:
            culprits.extend(wrong.culprits)
    expectations += sum(len(contract.expectations) for contract in contracts)
    if left_out:
        named = ", ".join(map(str, left_out[:5])) + (", …" if len(left_out) > 5 else "")
        display.note(f"Left out {_count(len(left_out), 'file')} that say nothing of contracts: {named}.")
    if as_json:
        print(
            json.dumps(
                {
                    "good": not culprits,
                    "contracts": len(written),
                    "tables": len(contracts),
                    "suites": len(suites),
                    "expectations": expectations,
                    "files": [str(path) for path in paths],
                    "errors": [_culprit(culprit) for culprit in culprits],
                },
                indent=2,
            )
        )
        if culprits:
            raise typer.Exit(2)
        return
    if culprits:
        raise _wrong(culprits)
    counts = [(len(written), "contract"), (len(contracts), "table"), (len(suites), "suite")]
    said = [_count(number, word) for number, word in counts if number]
    print(f"{', '.join([*said, _count(expectations, 'expectation')])}: good")


@app.command("diff")
def diff(
    old: Annotated[str, typer.Argument(help="The contract as it was, or a directory of contracts.")],
    new: Annotated[str, typer.Argument(help="As it is to be.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two contracts for those who read the table. Exits with 1 on a breaking change without a major version."""
    from dagster_sluice.contracts.diff import diff_contracts

    (before, ids), (after, more) = _contracts(old), _contracts(new)
    diffs = [found for found in diff_contracts(before, after, ids={**ids, **more}) if found.changes]
    broken = any(found.broken for found in diffs)
    if as_json:
        print(json.dumps(_as_json(diffs, broken=broken), indent=2))
    else:
        _show(diffs)
    if broken:
        raise typer.Exit(1)


@app.command("init")
def init(
    source: Annotated[
        str, typer.Argument(metavar="TABLE|FILE", help="A published schema.table, a CSV or a Parquet file.")
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write there, not to the terminal.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    table: Annotated[
        str | None, typer.Option("--table", help="The table's name; that of the source by default.")
    ] = None,
    policy: Annotated[Policy, typer.Option(help="What a broken observation does.")] = Policy.WARN,
) -> None:
    """Write a first contract from what a table or a file holds: bounds exactly as observed."""
    from dagster_sluice.contracts.profile_file import first_contract

    if output is not None and output.exists() and not force:
        raise SettingError(
            "The contract would overwrite a file.",
            culprits=[Culprit(file=output, problem="is there already.")],
            mend="Give another -o, or --force.",
        )
    if table is not None and not table.strip(". "):
        raise SettingError("A table needs a name.", culprits=[Culprit(where="--table", problem="is empty.")])
    seen, schema, name, origin = _observed(source)
    if table is not None:
        schema, _, name = table.strip().rpartition(".")
    text = first_contract(seen, table=name, schema=schema or None, source=origin, policy=policy)
    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as failure:
        problem = f"{failure.strerror or failure}."
        raise SettingError(
            "The contract cannot be written.", culprits=[Culprit(file=output, problem=problem)]
        ) from failure
    display.note(f"Wrote {output}: {_count(len(seen.columns), 'column')}, observed in {_count(seen.rows, 'row')}.")


def _classes(contracts: Iterable[Contract]) -> list[Culprit]:
    """What is wrong with the classes that contracts name; only they need Great Expectations."""
    named = [item for contract in contracts for item in contract.expectations if item.import_path is not None]
    if not named:
        return []
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    from dagster_sluice.gates.classes import unusable

    return unusable(named)


def _files(named: Iterable[str]) -> tuple[list[Path], list[Path], list[Culprit]]:
    """The files meant, what was left out of directories because it is no contract, and what is not there."""
    found: dict[Path, Path] = {}
    left_out: list[Path] = []
    culprits = []
    for text in named:
        path = Path(text)
        if path.is_dir():
            inner = _below(path)
            good = [file for file in inner if _LOOKS_LIKE_ONE.search(file.read_bytes())]
            left_out.extend(file for file in inner if file not in good)
            if not good:
                culprits.append(Culprit(file=path, problem="There is no contract in this directory."))
        elif not path.exists() and re.search(r"[*?\[]", text):
            good = [Path(file) for file in sorted(glob.glob(text, recursive=True)) if Path(file).is_file()]  # noqa: PTH207 (absolute patterns too)
            if not good:
                culprits.append(Culprit(where=text, problem="No file matches."))
        else:
            good = [path]
        for file in good:
            found.setdefault(file.resolve(), file)
    return list(found.values()), left_out, culprits


def _below(directory: Path) -> list[Path]:
    files = (file for file in directory.rglob("*") if file.suffix.casefold() in _SUFFIXES and file.is_file())
    shown = (file for file in files if not any(part.startswith(".") for part in file.relative_to(directory).parts))
    return sorted(shown)


def _contracts(named: str) -> tuple[list[Contract], dict[Path, str]]:
    """The contracts of a file or a directory, and the id of each file."""
    from dagster_sluice.contracts.document import read_document
    from dagster_sluice.contracts.odcs import load_contracts
    from dagster_sluice.contracts.suite import is_suite

    paths, _, culprits = _files([named])
    suites = [path for path in paths if is_suite(path)]
    if Path(named).is_dir():
        paths = [path for path in paths if path not in suites]
    else:
        culprits += [Culprit(file=path, problem="A suite has no columns to compare.") for path in suites]
    if culprits:
        raise _wrong(culprits)
    contracts = load_contracts(paths)
    ids = {}
    for path in paths:
        root: Any = read_document(path).data
        ids[path] = str(root.get("id"))
    return contracts, ids


def _wrong(culprits: Sequence[Culprit]) -> ContractError:
    files = list(dict.fromkeys(str(culprit.file or culprit.where) for culprit in culprits))
    where = files[0] if len(files) == 1 else f"{len(files)} contracts"
    return ContractError(f"{_count(len(culprits), 'mistake')} in {where}.", culprits=culprits)


def _culprit(culprit: Culprit) -> dict[str, Any]:
    return {
        "file": str(culprit.file) if culprit.file is not None else None,
        "line": culprit.line,
        "column": culprit.column,
        "where": culprit.where,
        "problem": culprit.problem,
        "mend": culprit.mend,
    }


def _show(diffs: Sequence["TableDiff"]) -> None:
    rows = [
        {
            "table": found.table,
            "impact": change.impact.value + (" (announced)" if change.announced else ""),
            "what": change.subject,
            "change": change.what,
            "therefore": change.why or None,
        }
        for found in diffs
        for change in found.changes
    ]
    display.listing(rows, as_json=False, empty="They promise the same.")
    if rows:
        counts = Counter(change.impact.value for found in diffs for change in found.changes)
        said = ", ".join(f"{counts[impact]} {impact}" for impact in ("breaking", "compatible", "cosmetic"))
        print(f"{said} in {_count(len(diffs), 'table')}.")
    for found in diffs:
        if found.wanted_version is not None:
            display.note(
                f"{found.table}: breaking without a new major version. Take the change back, or raise the version"
                f" {found.new_version} to {found.wanted_version}."
            )


def _as_json(diffs: Sequence["TableDiff"], *, broken: bool) -> dict[str, Any]:
    counts = Counter(change.impact.value for found in diffs for change in found.changes)
    return {
        "good": not broken,
        **{impact: counts[impact] for impact in ("breaking", "compatible", "cosmetic")},
        "tables": [
            {
                "table": found.table,
                "old_version": found.old_version,
                "new_version": found.new_version,
                "wanted_version": found.wanted_version,
                "changes": [
                    {
                        "impact": change.impact.value,
                        "announced": change.announced,
                        "subject": change.subject,
                        "what": change.what,
                        "why": change.why,
                    }
                    for change in found.changes
                ],
            }
            for found in diffs
        ],
    }


def _observed(source: str) -> tuple["Profile", str | None, str, str]:
    """What a source holds, with the schema and name of its table, and what to call it."""
    from dagster_sluice.contracts.profile import profile
    from dagster_sluice.contracts.profile_source import is_readable, read_rows

    path = Path(source)
    if path.exists() or is_readable(path) or "/" in source:
        seen = profile(read_rows(path))
        stem = path.name.split(".", maxsplit=1)[0]
        return seen, None, re.sub(r"\W+", "_", stem).strip("_") or "table", path.name
    schema, _, name = source.rpartition(".")
    if not schema:
        raise SettingError(
            "A table is named by schema and table, a file by its path.",
            culprits=[Culprit(where=source, problem="is neither a file nor has it a schema.")],
            mend="`sluice tables` lists the locations.",
        )
    return _published(schema, name), schema, name, source


def _published(schema: str, name: str) -> "Profile":
    from dagster_sluice.contracts import Column
    from dagster_sluice.contracts.profile import profile
    from dagster_sluice.warehouse import PARTITION_COLUMN, Address
    from dagster_sluice.warehouse.opening import open_warehouse
    from dagster_sluice.warehouse.types import postgres_type

    address = Address(schema=schema, table=name)
    warehouse = open_warehouse()
    try:
        types = warehouse.columns(address)
        rows = warehouse.read(address, columns=list(types) or None)
    finally:
        warehouse.close()
    partitioned = PARTITION_COLUMN if PARTITION_COLUMN in types else None
    seen = profile(rows, partition_column=partitioned)

    def physical(name: str, column: Column) -> str | None:
        return types[name] if types[name] != postgres_type(column) else None

    columns = (
        replace(
            column,
            physical_type=physical(column.name, Column(name=column.name, type=column.type, timezone=column.timezone)),
        )
        for column in seen.columns
    )
    return replace(seen, columns=tuple(columns))


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"

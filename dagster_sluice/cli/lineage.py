"""``sluice lineage``: what a column is made of, and what is made of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_sluice.cli import display
from dagster_sluice.errors import SettingError

if TYPE_CHECKING:
    from dagster_sluice.lineage.columns import Hop, LineageGraph
    from dagster_sluice.lineage.tracing import TracedTable

__all__ = ["app"]

app = typer.Typer(help="Where columns come from, and what becomes of them.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _lineage() -> None:
    pass


@app.command()
def column(
    name: Annotated[str, typer.Argument(metavar="TABLE.COLUMN", help="As flights.flights.carrier.")],
    up: Annotated[bool, typer.Option("--up", help="Only what it is made of.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what is made of it.")] = False,
    as_json: _Json = False,
) -> None:
    """Walk a column up to what it is made of and down to what is made of it, through Python, SQL and dbt alike."""
    from dagster_sluice.lineage.columns import Direction

    graph = _graph()
    start = graph.column(name)
    ways = [way for way, asked in ((Direction.UP, up), (Direction.DOWN, down)) if asked or up == down]
    found = {way: list(graph.walk(start, way)) for way in ways}
    if as_json:
        told: dict[str, Any] = {"column": str(start)}
        told |= {way.value: [_line(hop) for hop in hops] for way, hops in found.items()}
        print(json.dumps({**told, "problems": [str(problem) for problem in graph.problems]}, indent=2))
        return
    for way, hops in found.items():
        title = f"What {start} is made of" if way is Direction.UP else f"What is made of {start}"
        display.listing([_line(hop) for hop in hops], as_json=False, title=title, empty=_nothing(graph, start, way))
    _warn(graph)


@app.command()
def table(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="schema.table.")],
    as_json: _Json = False,
) -> None:
    """Show what each column of a table is made of, and the tables before and after it."""
    graph = _graph()
    named = graph.table(name)
    known = graph.of_table(named)
    columns = [
        {
            "column": column,
            "made_of": [str(source) for source in sorted(known[column].sources)] if column in known else None,
            "known_from": known[column].origin.value if column in known else None,
            "logic": known[column].logic if column in known else "",
        }
        for column in dict.fromkeys([*graph.columns.get(named, ()), *known])
    ]
    before = [other.replace("/", ".") for other in graph.upstream(named)]
    after = [other.replace("/", ".") for other in graph.downstream(named)]
    if as_json:
        print(
            json.dumps(
                {"table": named.replace("/", "."), "upstream": before, "downstream": after, "columns": columns},
                indent=2,
            )
        )
        return
    rows = [
        {
            "column": row["column"],
            "made_of": _words(row["made_of"]),
            "known_from": row["known_from"],
            "logic": row["logic"],
        }
        for row in columns
    ]
    display.listing(rows, as_json=False, title=named.replace("/", "."), empty="Its columns are not known.")
    display.note(f"Made of: {', '.join(before) or 'no table'}. Made of it: {', '.join(after) or 'no table'}.")
    _warn(graph)


@app.command()
def trace(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="schema.table of a @table.")],
    partition: Annotated[
        str | None, typer.Option(help="Whose inputs are taken; the latest that all of them have by default.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="At most so many rows of each input.")] = 200,
    write: Annotated[bool, typer.Option("--write", help="Put what was found into the contract's file.")] = False,
    as_json: _Json = False,
) -> None:
    """Find out what a Python table's columns are made of: run its function on a sample, changing one column at a time.

    Nothing is published. What the contract says already is replaced by --write; see it first without.
    """
    from dagster_sluice.cli.database import opened_warehouse
    from dagster_sluice.cli.location import load_location
    from dagster_sluice.lineage.declaring import declare_sources
    from dagster_sluice.lineage.definitions import lineage_of, step_of
    from dagster_sluice.lineage.tracing import trace_table

    definitions = load_location(Path.cwd()).repository.assets_defs_by_key
    named = lineage_of(definitions.values()).table(name)
    definition = next((one for key, one in definitions.items() if "/".join(key.path) == named), None)
    step = step_of(definition)
    if definition is None or step is None:
        raise SettingError(f"{name} is no @table of this project.", mend="Only a @table can be traced.")
    with opened_warehouse() as warehouse, display.progress("percent", 100) as bar:
        found = trace_table(
            definition, warehouse, partition=partition, rows=rows, told=lambda done, of: bar.reach(100 * done // of)
        )
    sources = {one.column.column: [str(source) for source in sorted(one.sources)] for one in found.lineages}
    if as_json:
        print(json.dumps(_traced(found, sources), indent=2))
    else:
        display.listing(
            [{"column": column, "made_of": _words(made_of)} for column, made_of in sources.items()],
            as_json=False,
            title=named.replace("/", "."),
            empty="Nothing can be said of its columns.",
        )
        _tell(found)
    if write:
        declare_sources(step.contract, sources)
        display.note(f"Written to {step.contract.file}.")
    elif not as_json:
        display.note("Read it, then put it into the contract with --write.")


def _traced(found: "TracedTable", sources: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "table": found.table.replace("/", "."),
        "partition": found.partition,
        "rows": {table.replace("/", "."): count for table, count in found.sampled.items()},
        "columns": sources,
        "unstable": sorted(found.found.unstable),
        "without_effect": [f"{table.replace('/', '.')}.{column}" for table, column in found.found.silent],
        "refused": {".".join(place): said for place, said in found.found.refused.items()},
        "calls": found.found.runs,
    }


def _tell(found: "TracedTable") -> None:
    sampled = ", ".join(f"{count:,} rows of {table.replace('/', '.')}" for table, count in found.sampled.items())
    display.note(f"Called {found.found.runs:,} times over {sampled}; nothing is published.")
    if found.found.unstable:
        names = ", ".join(sorted(found.found.unstable))
        display.note(f"Not told, as they differ from one call to the next: {names}.")
    if found.found.silent:
        names = ", ".join(f"{table.replace('/', '.')}.{column}" for table, column in found.found.silent)
        display.note(f"No value changes with: {names}.")
    for place, said in found.found.refused.items():
        display.note(f"The function raises at every change of {'.'.join(place)}: {said}")


def _graph() -> "LineageGraph":
    from dagster_sluice.cli.location import load_location
    from dagster_sluice.lineage.definitions import lineage_of

    return lineage_of(load_location(Path.cwd()).repository.assets_defs_by_key.values())


def _line(hop: "Hop") -> dict[str, Any]:
    return {
        "step": hop.depth,
        "column": str(hop.target),
        "made_of": str(hop.source),
        "known_from": hop.origin.value,
        "logic": hop.logic,
    }


def _words(sources: Sequence[str] | None) -> str:
    if sources is None:
        return "not known"
    return ", ".join(sources) or "no column"


def _nothing(graph: "LineageGraph", start: Any, way: Any) -> str:
    if way.value == "down":
        return f"Nothing is known to be made of {start}."
    if start in graph.lineages:
        return f"{start} is made of no column."
    return (
        f"Nothing is known of what {start} is made of: declare it in the contract, or `sluice lineage trace` its table."
    )


def _warn(graph: "LineageGraph") -> None:
    for problem in graph.problems:
        display.note(f"Not read: {problem}")

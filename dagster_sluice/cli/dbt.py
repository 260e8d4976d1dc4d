"""``sluice dbt``: what is deployed of a dbt project, and what has changed since."""

from pathlib import Path
from typing import Annotated

import typer

from dagster_sluice.cli import display

__all__ = ["app"]

app = typer.Typer(help="dbt projects: what is deployed, and what has changed since.", no_args_is_help=True)

_Directory = Annotated[Path, typer.Argument(help="The dbt project.")]
_Environment = Annotated[str, typer.Option("--environment", "-e", help="Where it is deployed.")]
_Schema = Annotated[str | None, typer.Option("--schema", help="As dbt_tables(schema=…) has it.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def deployed(
    directory: _Directory = Path(),
    environment: _Environment = "production",
    schema: _Schema = None,
    as_json: _Json = False,
) -> None:
    """Remember the project as it is now as what is deployed; run it at the end of a deployment."""
    from dagster_sluice.dbt.deployed import remember

    found = remember(directory.resolve(), environment=environment, schema=schema)
    row = {
        "project": found.project,
        "environment": found.environment,
        "nodes": found.nodes,
        "dbt": found.dbt_version,
        "deployed_at": found.deployed_at.isoformat(timespec="seconds"),
    }
    display.listing([row], as_json=as_json, empty="")


@app.command()
def modified(
    directory: _Directory = Path(),
    environment: _Environment = "production",
    select: Annotated[str, typer.Option("--select", "-s", help="dbt's selection.")] = "state:modified+",
    schema: _Schema = None,
    as_json: _Json = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if anything is selected.")] = False,
) -> None:
    """List what dbt selects against what was last deployed: what has changed, and what is made of it.

    Exits with 0, with --exit-code with 1 if something is selected, and with 2 if no deployment is remembered.
    """
    from dagster_sluice.dbt.deployed import modified as selected

    found = selected(directory.resolve(), environment=environment, select=select, schema=schema)
    rows = [
        {"kind": one.kind, "name": one.name, "asset": one.asset.to_user_string() if one.asset else None, "id": one.id}
        for one in found
    ]
    display.listing(rows, as_json=as_json, empty="Nothing has changed.")
    if rows and exit_code:
        raise typer.Exit(1)

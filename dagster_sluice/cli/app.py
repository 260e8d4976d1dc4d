"""The commands, and the one place where an error becomes a line of text and an exit code."""

import importlib
import os
import signal
import sys
import traceback
from typing import Any

import typer

from dagster_sluice.errors import SluiceError

__all__ = ["app", "main"]

app = typer.Typer(
    name="sluice",
    help="Bad data stops at the gate: audit before publish, for Dagster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_COMMANDS = (
    "run",
    "ui",
    "tables",
    "backfill",
    "freshness",
    "quarantine",
    "hold",
    "contract",
    "gate",
    "db",
    "dbt",
    "report",
    "lineage",
    "doctor",
)
_MODULES = {"db": "database"}


def _assemble(asked: str | None = None) -> None:
    """Add the commands: the one that is asked for, so that no command waits for the imports of the others, else all."""
    for name in (asked,) if asked in _COMMANDS else _COMMANDS:
        module = importlib.import_module(f"dagster_sluice.cli.{_MODULES.get(name, name)}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from dagster_sluice import __version__

        typer.echo(f"sluice {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line. Exits with 0 (done), 1 (a promise was broken), 2 (usage or setting), 130 (Ctrl-C)."""
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    import warnings

    warnings.simplefilter("ignore")
    # Without a handler Python would skip what it does at exit, the release of the embedded server among it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _assemble(next(iter(sys.argv[1:]), None))
    try:
        # Without its standalone mode, typer hands back the exit code that a command asked for; 130 is Ctrl-C.
        code = app(standalone_mode=False)
        if code == 130:
            _say("Stopped.")
        sys.exit(code if isinstance(code, int) else 0)
    except SluiceError as failure:
        _say(str(failure))
        sys.exit(2)
    except KeyboardInterrupt:
        _say("Stopped.")
        sys.exit(130)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except BrokenPipeError:
        # The reader has gone, as in `sluice tables | head`; closing stdout again must not raise once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as failure:  # noqa: BLE001 (the last boundary before a person)
        _exit_as_click_would(failure)
        _say(f"{type(failure).__name__}: {failure}\n{_kept()}")
        sys.exit(3)


def _exit_as_click_would(failure: Exception) -> None:
    """Usage errors know how to show themselves; typer ships its own copy of click, so they are told by their looks."""
    show: Any = getattr(failure, "show", None)
    code = getattr(failure, "exit_code", None)
    if callable(show) and isinstance(code, int):
        show()
        sys.exit(code)
    if type(failure).__name__ == "Abort":
        sys.exit(130)


def _say(text: str) -> None:
    print(f"sluice: {text}", file=sys.stderr)


def _kept() -> str:
    """Keep the traceback of what nobody foresaw in a file, and say where."""
    try:
        from dagster_sluice.embedded import sluice_home

        kept = sluice_home() / "logs" / "last-error.log"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(traceback.format_exc(), encoding="utf-8")
    except (OSError, SluiceError):
        return "This was not foreseen; please report it."
    return f"This was not foreseen; please report it with {kept}."

"""Every command in the documentation exists, with its options; every piece of Python compiles."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from dagster_sluice.cli import app as cli

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>\w+)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
_SHELLS = {"console", "bash", "sh", "shell"}


def pages() -> list[Path]:
    found = [page for name in ("README.md", "CONTRIBUTING.md") if (page := ROOT / name).is_file()]
    return [*found, *sorted((ROOT / "docs").rglob("*.md"))]


def fences(*kinds: str) -> list[tuple[str, str]]:
    """Fenced blocks of these kinds as (place, text)."""
    found = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            if match["kind"] in kinds:
                line = text.count("\n", 0, match.start()) + 1
                found.append((f"{page.relative_to(ROOT)}:{line}", match["body"]))
    return found


def commands() -> list[tuple[str, list[str]]]:
    """Each command of a shell block as (place, words), without its comment."""
    found = []
    for place, body in fences(*_SHELLS):
        for line in body.splitlines():
            text = line.strip().removeprefix("$ ")
            for part in re.split(r"\s(?:&&|\|\|?|;|>)\s", text):
                words = shlex.split(part, comments=True) if part.split(" ", 1)[0] in ("make", "sluice", "dg") else []
                if words:
                    found.append((place, words))
    return found


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z_-]*):(?!=)", makefile, re.MULTILINE))


def tree() -> Any:
    if not cli.app.registered_commands:
        cli._assemble()
    return typer.main.get_command(cli.app)


def wrong(words: list[str]) -> str | None:
    """Why a ``sluice`` command does not exist, if it does not."""
    command = tree()
    rest = words[1:]
    while getattr(command, "commands", None):
        options = {name for parameter in command.params for name in parameter.opts}
        while rest and rest[0] in options | {"--help", "-h"}:
            rest = rest[1:]
        if not rest:
            return None
        if rest[0] not in command.commands:
            return f"there is no `sluice {rest[0]}`"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        if word.startswith("-") and word.partition("=")[0] not in known | {"--help", "-h"}:
            return f"`{command.name}` has no option {word}"
    return None


def test_there_is_something_to_test() -> None:
    assert fences("python")


def test_make_targets_exist() -> None:
    known = targets()
    assert {"run", "test", "ui", "lint", "types", "bench", "clean"} <= known
    missing = [
        (place, word)
        for place, words in commands()
        if words[0] == "make"
        for word in words[1:]
        if "=" not in word and not word.startswith("-") and word not in known
    ]
    assert not missing


def test_sluice_commands_exist() -> None:
    faults = [(place, why) for place, words in commands() if words[0] == "sluice" and (why := wrong(words))]
    assert not faults


def test_dg_commands_exist() -> None:
    from dagster_dg_cli.cli import create_dg_cli

    dg = create_dg_cli()
    faults = []
    for place, words in commands():
        if words[0] != "dg":
            continue
        command: Any = dg
        for word in words[1:]:
            inner = getattr(command, "commands", None)
            if inner and not word.startswith("-"):
                if word not in inner:
                    faults.append((place, words))
                    break
                command = inner[word]
    assert not faults


@pytest.mark.parametrize("words", ["sluice rnu", "sluice run --lst 3", "sluice db", "sluice quarantine list --json"])
def test_this_test_sees_faults(words: str) -> None:
    assert (wrong(words.split()) is not None) == (words in ("sluice rnu", "sluice run --lst 3"))


def test_python_compiles() -> None:
    for place, body in fences("python", "py"):
        compile(body, place, "exec", dont_inherit=True)


def test_every_command_is_documented_in_its_help() -> None:
    def walk(command: Any, path: str) -> list[str]:
        inner = getattr(command, "commands", None)
        if inner:
            return [fault for name, found in inner.items() for fault in walk(found, f"{path} {name}")]
        return [] if command.help else [path]

    assert not walk(tree(), "sluice")

"""YAML with a place for everything: each key and each value remembers its line and column.

Reading stops at nothing it can step over: a duplicate key, a broken date or an unknown tag is one finding among
others, so that a person sees all that is wrong with a file at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_sluice.errors import Culprit

if TYPE_CHECKING:
    import yaml

__all__ = ["Document", "Steps", "did_you_mean", "read_document"]

Steps = tuple[str | int, ...]
"""The way from a document's root to one of its values: ``("schema", 0, "properties", 2, "name")``."""

_MOST_NODES = 200_000
"""More values than any contract has; YAML aliases can make a short file expand to billions."""
_LARGEST = 2**127
"""No warehouse has wider integers."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``Did you mean `x`?`` for the nearest known word; else the known words, if they are few; else nothing."""
    words = list(dict.fromkeys(known))
    folded = {other.casefold(): other for other in reversed(words)}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if near:
        return f"Did you mean `{folded[near[0]]}`?"
    few = 12
    if words and len(words) <= few:
        return f"It is one of {', '.join(f'`{other}`' for other in words)}."
    return ""


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a file says, with the place of each value and the culprits found so far.

    Attributes:
        file: The file as it was named.
        data: Mappings, lists and scalars, as YAML reads them; ``None`` where nothing could be read.
        culprits: What is wrong so far; grows while the document is being judged.
        value_places: Line and column of each value.
        key_places: Line and column of each key.
        blocks: Where the text of each literal block begins: its first line, and the column of its indent.
    """

    file: Path
    data: Any = None
    culprits: list[Culprit] = field(default_factory=list)
    value_places: dict[Steps, tuple[int, int]] = field(default_factory=dict)
    key_places: dict[Steps, tuple[int, int]] = field(default_factory=dict)
    blocks: dict[Steps, tuple[int, int]] = field(default_factory=dict)

    def place(self, steps: Steps, *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of the value at ``steps`` or of its key; if absent, of what is nearest around it."""
        table = self.key_places if key else self.value_places
        while steps:
            if steps in table:
                return table[steps]
            steps, table = steps[:-1], self.value_places
        return self.value_places.get((), (1, 1))

    def blame(self, steps: Steps, problem: str, mend: str = "", *, key: bool = False) -> None:
        """Add a culprit at ``steps``. The same sentence about the same place is said once."""
        line, column = self.place(steps, key=key)
        culprit = Culprit(problem=problem, mend=mend, file=self.file, line=line, column=column)
        if culprit not in self.culprits:
            self.culprits.append(culprit)

    def blame_place(self, line: int, column: int, problem: str, mend: str = "") -> None:
        """Add a culprit at a line and column, both from 1."""
        self.culprits.append(Culprit(problem=problem, mend=mend, file=self.file, line=line, column=column))

    def blame_file(self, problem: str, mend: str = "") -> None:
        """Add a culprit about the file as a whole."""
        self.culprits.append(Culprit(problem=problem, mend=mend, file=self.file, line=1, column=1))

    def embedded(self, steps: Steps, text: str) -> Any:
        """The YAML or JSON written inside the text at ``steps``; its places become this document's.

        Returns:
            What the text says; ``None`` when it cannot be read, with culprits added.
        """
        line, column = self.place(steps)
        start = self.blocks.get(steps)
        inner = Document(file=self.file)
        data = _parse(inner, text, above=start[0] - 1 if start else line - 1)
        for table, own in ((inner.value_places, self.value_places), (inner.key_places, self.key_places)):
            for inner_steps, (inner_line, inner_column) in table.items():
                if inner_steps or table is inner.key_places:
                    own[steps + inner_steps] = (
                        (start[0] + inner_line - 1, start[1] + inner_column - 1) if start else (line, column)
                    )
        for culprit in inner.culprits:
            if start and culprit.line and culprit.column:
                self.blame_place(
                    start[0] + culprit.line - 1, start[1] + culprit.column - 1, culprit.problem, culprit.mend
                )
            else:
                self.blame(steps, culprit.problem, culprit.mend)
        return data


def read_document(path: str | Path) -> Document:
    """Read a YAML file. Never raises for what the file is or says; that becomes culprits.

    Args:
        path: The file, UTF-8.
    """
    document = Document(file=Path(path))
    text = _text(document)
    if text is None:
        return document
    data = _parse(document, text)
    if data is None and not document.culprits:
        document.blame_file("The file is empty.", "Write a data contract (ODCS v3) into it.")
    return Document(
        file=document.file,
        data=data,
        culprits=document.culprits,
        value_places=document.value_places,
        key_places=document.key_places,
        blocks=document.blocks,
    )


def _text(document: Document) -> str | None:
    try:
        raw = document.file.read_bytes()
    except FileNotFoundError:
        document.blame_file("There is no such file.", "Check the path; it is taken from the working directory.")
    except IsADirectoryError:
        document.blame_file("This is a directory, not a file.", "Name the contract files in it one by one.")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        document.blame_file(f"The file cannot be read: {reason}.")
    else:
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            document.blame_file("The file is encoded as UTF-16.", "Save it as UTF-8.")
            return None
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = raw[: error.start].decode("utf-8", errors="replace").splitlines(keepends=True) or [""]
            fresh = before[-1].endswith(("\n", "\r"))
            document.blame_place(
                len(before) + fresh,
                1 if fresh else len(before[-1]) + 1,
                f"The file is not UTF-8: byte 0x{raw[error.start]:02x} stands for no character.",
                "Save it as UTF-8.",
            )
    return None


def _parse(document: Document, text: str, *, above: int = 0) -> Any:
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if error.context_mark is not None and re.search("stream end|end of stream", error.problem or ""):
            mark = error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        document.blame_place(line, column, f"This is not valid YAML: {what}.", _yaml_mend(text, line, error))
        return None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        column = error.position - (before.rfind("\n") + 1) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character[:1] or "?")
        document.blame_place(
            before.count("\n") + 1,
            column,
            f"This is not valid YAML: the character U+{code:04X} may not stand in it.",
            "Remove it, or write it as an escape within double quotes.",
        )
        return None
    except RecursionError:
        document.blame_file("The file is nested too deeply to be read.")
        return None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        document.blame_file(f"This is not valid YAML: {error}.")
        return None
    if node is None:
        return None
    try:
        return _Builder(document, text, above).value(node, (), ())
    except RecursionError:
        document.blame_file("The file is nested too deeply to be read.")
    except _TooManyNodes:
        document.blame_file("Its aliases expand to more values than can be read.", "Write the values out.")
    return None


def _yaml_mend(text: str, line: int, error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or ""
    lines = text.splitlines()
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    if "'\\t'" in problem or "\t" in here[: len(here) - len(here.lstrip())]:
        return "Indent with spaces; YAML takes no tabs."
    if "quoted scalar" in (error.context or ""):
        return "Close the quote."
    if "mapping values are not allowed" in problem:
        return "Quote a text that has a colon in it, or mend the indent."
    if "but found another document" in problem:
        return "Keep one contract to a file; remove the `---` between them."
    return ""


class _TooManyNodes(Exception):  # noqa: N818  # never leaves this module
    pass


class _Builder:
    """Makes plain values of YAML nodes and notes where each stands."""

    def __init__(self, document: Document, text: str, lines_above: int) -> None:
        from yaml.constructor import SafeConstructor

        self.document = document
        self.lines = text.splitlines()
        self.constructor = SafeConstructor()
        self.nodes = 0
        self.lines_above = lines_above

    def value(self, node: yaml.Node, steps: Steps, above: tuple[int, ...]) -> Any:
        import yaml

        self.nodes += 1
        if self.nodes > _MOST_NODES:
            raise _TooManyNodes
        document, mark = self.document, node.start_mark
        document.value_places.setdefault(steps, (mark.line + 1, mark.column + 1))
        if id(node) in above:
            document.blame(steps, "This value contains itself.", "Remove the alias, or write the value out.")
            return None
        above = (*above, id(node))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, steps, above)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*steps, place), above) for place, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.style == "|":
            below = mark.line + 1
            first = next((line for line in self.lines[below:] if line.strip()), "")
            document.blocks[steps] = (below + 1, len(first) - len(first.lstrip(" ")) + 1)
        return self.scalar(node, steps)

    def scalar(self, node: yaml.Node, steps: Steps) -> Any:
        import yaml

        try:
            value = self.constructor.construct_object(node)
        except yaml.constructor.ConstructorError:
            self.document.blame(steps, f"The tag `{node.tag}` is not known here.", "Remove it.")
            return None
        except (ValueError, OverflowError, KeyError, AttributeError, TypeError, RecursionError) as error:
            self.document.blame(steps, f"`{node.value}` cannot be read: {error}.", "Quote it if it is meant as a text.")
            return None
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            self.document.blame(steps, "The text has half of a character in it.", "Write the character itself.")
            return None
        if isinstance(value, int) and abs(value) >= _LARGEST:
            self.document.blame(steps, "The number is too large.", "Quote it if it is meant as a text.")
            return None
        return value

    def mapping(self, node: yaml.MappingNode, steps: Steps, above: tuple[int, ...]) -> dict[str, Any]:
        import yaml

        document = self.document
        found: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                parts = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                merged.extend(parts)
                continue
            line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
                said = key_node.value if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
                document.blame_place(line, column, f"A key must be a text, not {said or 'nothing'}.", "Quote it.")
                continue
            key = self.scalar(key_node, steps)
            if not isinstance(key, str):
                continue
            if key in first_lines:
                document.blame_place(
                    line,
                    column,
                    f"The key `{key}` stands twice; YAML would silently keep one of the two.",
                    f"Keep one; the first is in line {first_lines[key] + self.lines_above}.",
                )
                continue
            first_lines[key] = line
            document.key_places[(*steps, key)] = (line, column)
            found[key] = self.value(value_node, (*steps, key), above)
        for part in merged:
            if not isinstance(part, yaml.MappingNode):
                mark = part.start_mark
                document.blame_place(mark.line + 1, mark.column + 1, "Only a mapping can be merged with `<<`.")
                continue
            inner = self.value(part, steps, above)
            if isinstance(inner, dict):
                found = {**inner, **found}
        return found

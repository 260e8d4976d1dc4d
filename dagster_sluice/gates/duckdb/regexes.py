r"""Which regular expressions mean the same in Python, in Arrow and in DuckDB.

Great Expectations calls ``Series.str.contains``, which is Python's ``re`` on pandas 2 and on object columns, and
Arrow's RE2 on the string columns of pandas 3. DuckDB is RE2 too. A pattern is taken only if both read it alike, and if
what they still see differently (Unicode in ``\d``, ``$`` before a final newline…) does not occur in the column.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

from dagster_sluice.gates.duckdb.columns import NotEligible, Text

__all__ = ["check_regex"]

_PARSER: Any = importlib.import_module("re._parser" if hasattr(re, "_parser") else "sre_parse")
_SAME = frozenset(
    {"LITERAL", "NOT_LITERAL", "ANY", "IN", "RANGE", "NEGATE", "MAX_REPEAT", "MIN_REPEAT", "BRANCH", "SUBPATTERN"}
)
_CLASSES = {"CATEGORY_DIGIT", "CATEGORY_NOT_DIGIT", "CATEGORY_WORD", "CATEGORY_NOT_WORD"}
_SPACES = {"CATEGORY_SPACE", "CATEGORY_NOT_SPACE"}
_NESTED = {"MAX_REPEAT", "MIN_REPEAT", "SUBPATTERN"}
# Escapes that both read alike: classes, boundaries, white space, and punctuation standing for itself.
_ESCAPES = frozenset("dDwWsSbBAtnrf") | frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ")
_MOST_REPEATS = 1000


def check_regex(pattern: str, text: Text) -> str:
    """The pattern, if it means the same to all on a column of such characters.

    Raises:
        NotEligible: It may not, with the reason.
    """
    if "\x00" in pattern or not pattern.isascii():
        raise NotEligible(f"the pattern {pattern!r} is not plain ASCII")
    _check_spelling(pattern)
    try:
        tree = _PARSER.parse(pattern)
    except (re.error, OverflowError, RecursionError) as failure:
        raise NotEligible(f"the pattern {pattern!r} is not one to Python: {failure}") from None
    if tree.state.flags & ~re.UNICODE:
        raise NotEligible(f"the pattern {pattern!r} sets flags")
    needs: set[str] = set()
    _walk(tree, needs, 1)
    if "ascii" in needs and not text.ascii:
        raise NotEligible(f"the pattern {pattern!r} depends on Unicode classes, and the column is not ASCII")
    if "newline" in needs and text.newline:
        raise NotEligible(f"the pattern {pattern!r} treats newlines differently, and the column has some")
    if "control" in needs and text.control:
        raise NotEligible(f"the pattern {pattern!r} depends on white space, and the column has control characters")
    return pattern


def _check_spelling(pattern: str) -> None:
    """What the two spell differently and Python's parser does not tell."""
    for marker in ("{,", "[[", "[:", "[.", "[=", "--", "&&", "||", "~~"):
        if marker in pattern:
            raise NotEligible(f"the pattern {pattern!r} has {marker!r}, which not all read alike")
    if re.search(r"\(\?(?!:)", pattern):
        raise NotEligible(f"the pattern {pattern!r} has a group that not all know")
    # An unescaped brace that is no repeat is literal in one of them only, depending on what follows.
    if re.search(r"(?<!\\)\{(?!\d+(,\d*)?\})", pattern) or re.search(r"[*+?}][*+{]", pattern):
        raise NotEligible(f"the pattern {pattern!r} has a repeat that not all read alike")
    escaped = False
    for character in pattern:
        if escaped and character not in _ESCAPES:
            raise NotEligible(f"the pattern {pattern!r} has the escape '\\{character}', which not all know")
        escaped = character == "\\" and not escaped


def _walk(tree: Any, needs: set[str], repeats: int) -> None:
    for code, value in tree:
        name = str(code)
        if name == "AT":
            _at(str(value), needs)
        elif name == "CATEGORY":
            _category(str(value), needs)
        elif name not in _SAME:
            raise NotEligible(f"patterns with {name.lower().replace('_', ' ')} are left to Great Expectations")
        elif name == "ANY":
            needs.add("newline")
        elif name == "IN":
            _walk(value, needs, repeats)
        elif name == "BRANCH":
            for branch in value[1]:
                _walk(branch, needs, repeats)
        elif name in _NESTED:
            most = repeats
            if name != "SUBPATTERN":
                highest = value[0] if value[1] == _PARSER.MAXREPEAT else value[1]
                most = repeats * max(int(highest), 1)
                if most > _MOST_REPEATS:
                    raise NotEligible("patterns with more than 1000 repeats are left to Great Expectations")
            _walk(value[-1], needs, most)


def _at(name: str, needs: set[str]) -> None:
    if name == "AT_END":
        needs.add("newline")
    elif name in ("AT_BOUNDARY", "AT_NON_BOUNDARY"):
        needs.add("ascii")
    elif name not in ("AT_BEGINNING", "AT_BEGINNING_STRING"):
        raise NotEligible(f"patterns with {name} are left to Great Expectations")


def _category(name: str, needs: set[str]) -> None:
    needs.add("ascii")
    if name in _SPACES:
        needs.add("control")
    elif name not in _CLASSES:
        raise NotEligible(f"patterns with {name} are left to Great Expectations")

"""Which patterns the fast engine takes, and on which texts."""

import re

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_sluice.gates.duckdb.columns import NotEligible, Text
from dagster_sluice.gates.duckdb.regexes import check_regex

PLAIN = Text(ascii=True, newline=False, control=False)
ANY = Text(ascii=False, newline=True, control=True)


@pytest.mark.parametrize(
    "pattern", ["", "a", "^a+?b*$", "[^a-z]", "(?:ab|c){2,3}", r"\d\.\w\s\b", r"\A[A-Z]{2}-", "(a)"]
)
def test_what_all_read_alike_is_taken(pattern):
    assert check_regex(pattern, PLAIN) == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)", "(?<=a)b", "(?i)a", "(?P<n>a)", r"(a)\1", "a++", "(?>a)", "[[:alpha:]]", "a{,2}", "{", "a{x", r"\Z",
        r"\pL", r"\x41", r"\0", "é", "(", "a**", "(?:a{600}){2}", "a\x00",
    ],
)  # fmt: skip
def test_what_is_read_differently_is_left(pattern):
    with pytest.raises(NotEligible):
        check_regex(pattern, PLAIN)


@pytest.mark.parametrize("pattern", [r"\d", r"\w", r"\b", r"\s", ".", "$", r"[\d]", "(?:a|.)"])
def test_what_depends_on_the_texts_is_left_where_they_are_not_plain(pattern):
    assert check_regex(pattern, PLAIN) == pattern
    with pytest.raises(NotEligible):
        check_regex(pattern, ANY)


PIECES = st.sampled_from(
    ["a", "b", "[a-c]", "[^b]", "(?:a|bc)", r"\d", ".", "^", "$", r"\w", r"\s", "x?", "a*", "b{2}", "-"]
)


@given(st.lists(PIECES, max_size=5).map("".join), st.lists(st.text("abcx1- é\t", max_size=6), max_size=8))
def test_python_and_duckdb_find_the_same(pattern, texts):
    text = Text(ascii="".join(texts).isascii(), newline=False, control=False)
    try:
        check_regex(pattern, text)
    except NotEligible:
        return
    with duckdb.connect() as connection:
        for value in texts:
            (found,) = connection.execute("SELECT regexp_matches(?, ?)", [value, pattern]).fetchall()[0]
            assert found == (re.search(pattern, value) is not None)

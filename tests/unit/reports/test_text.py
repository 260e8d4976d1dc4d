"""Foreign text and numbers on a page."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_sluice.reports.text import clean, joined, listed, number, percent, spelled, visible


@settings(deadline=None)
@given(st.text(st.characters()))
def test_nothing_unseen_is_left(text):
    told = visible(text)
    assert not any(unicodedata.category(letter) in {"Cc", "Cs"} and letter not in "\t\n" for letter in told)
    assert not set(told) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\ufeff")
    told.encode()


def test_what_is_visible_stays():
    for text in ("Grüße", "☕ 👩‍🚀", "عربى", "a\tb\nc", "নমস্কার"):
        assert visible(text) == text


def test_what_is_long_is_cut_and_the_cut_is_told():
    assert clean("x" * 160) == "x" * 160
    assert clean("x" * 5000) == "x" * 160 + "… (5,000 characters)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1500, "1,500"),
        (-60, "-60"),
        (2**62, "4,611,686,018,427,387,904"),
        (0.1, "0.1"),
        (48.976912, "48.9769"),
        (1234567.891, "1,234,568"),
        (1e300, "1e+300"),
        (1e-9, "1e-09"),
        (float("nan"), "not a number"),
        (float("-inf"), "-infinite"),
        (10**400, "very large"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


@settings(deadline=None)
@given(st.integers() | st.floats())
def test_any_number_is_told(value):
    assert number(value)
    assert number(value, digits=4, grouped=False)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (0.014, "1.4%"), (0.5, "50%"), (1, "100%"), (0.0000001, "<0.1%"), (0.99999, ">99.9%")],
)
def test_a_share_is_never_rounded_to_none_or_all(share, text):
    assert percent(share) == text


def test_lists():
    assert joined([]) == ""
    assert joined(["a"]) == "a"
    assert joined(["a", "b"]) == "a and b"
    assert listed([1, 2, 3], 2) == "1, 2 or 1 more"
    assert spelled(None) == "nothing"
    assert spelled("  ") == "“  ”"
    assert spelled({"a": [True, 1.5]}) == "a (true, 1.5)"

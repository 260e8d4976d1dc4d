"""RowMask: which rows fail which expectations."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_sluice.gates import RowMask


@st.composite
def failures(draw):
    """A length, and for some expectations the rows that fail them, in any order and with repeats."""
    length = draw(st.integers(0, 30))
    rows = st.lists(st.integers(0, max(length - 1, 0)), max_size=40 if length else 0)
    return length, draw(st.dictionaries(st.integers(0, 5), rows, max_size=4))


def plainly(length, found):
    """The same mask by the plainest means."""
    return [tuple(sorted(index for index, rows in found.items() if row in rows)) for row in range(length)]


@given(failures())
def test_it_is_a_sequence_of_the_expectations_each_row_fails(case):
    length, found = case
    mask = RowMask(length, found)
    wanted = plainly(length, found)
    assert len(mask) == length
    assert list(mask) == wanted
    assert [mask[row] for row in range(length)] == wanted
    assert [mask[row - length] for row in range(length)] == wanted
    assert mask[1:-1] == wanted[1:-1]
    assert mask[::-2] == wanted[::-2]


@given(failures(), st.sets(st.integers(0, 6)))
def test_rows_are_a_union_ascending_and_without_repeats(case, asked):
    length, found = case
    mask = RowMask(length, found)
    wanted = sorted({row for index, rows in found.items() if index in asked for row in rows})
    assert mask.rows(asked).tolist() == wanted
    assert mask.rows().tolist() == sorted({row for rows in found.values() for row in rows})
    assert mask.rows(asked).dtype == np.int64


@given(failures())
def test_equal_means_the_same_rows_for_the_same_expectations(case):
    length, found = case
    mask = RowMask(length, found)
    again = RowMask(length, {index: np.array(rows[::-1], dtype=np.int64) for index, rows in reversed(found.items())})
    assert mask == again
    assert mask == pickle.loads(pickle.dumps(mask))
    assert mask != RowMask(length + 1, found)
    assert (mask == RowMask(length, {})) == (not any(found.values()))


@given(failures(), st.data())
def test_one_more_expectation_in_front(case, data):
    length, found = case
    rows = data.draw(st.lists(st.integers(0, max(length - 1, 0)), max_size=5 if length else 0))
    mask = RowMask(length, found).preceded_by(rows)
    assert mask.rows([0]).tolist() == sorted(set(rows))
    for index, failing in found.items():
        assert mask.rows([index + 1]).tolist() == sorted(set(failing))


@pytest.mark.parametrize("row", [-1, 3, 2**40])
def test_a_position_outside_the_batch_is_refused(row):
    with pytest.raises(ValueError, match="outside"):
        RowMask(3, {0: [0, row]})


def test_a_row_outside_the_batch_is_no_row():
    mask = RowMask(3, {0: [1]})
    for row in (3, -4):
        with pytest.raises(IndexError):
            mask[row]


def test_it_says_what_it_holds():
    assert repr(RowMask(5, {2: [1, 1, 3], 4: []})) == "RowMask(length=5, failing={2: 2})"


def test_a_clean_batch_of_any_size_costs_nothing():
    mask = RowMask(10**12, {})
    assert len(mask) == 10**12
    assert mask.rows().tolist() == []
    assert mask[10**11] == ()

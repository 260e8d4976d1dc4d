"""content_hash(): what a table holds, whatever the order of its rows."""

import pyarrow as pa
import pytest
import scenario
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_sluice.tables.content import content_hash

SCHEMA = pa.schema({"a": pa.int64(), 'b"': pa.string(), "c": pa.float64()})
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.none() | st.integers(-2, 2),
            'b"': st.none() | st.sampled_from(["", "x", "🦆"]),
            "c": st.none() | st.sampled_from([0.5, float("nan"), float("inf")]),
        }
    ),
    max_size=8,
)


def table(rows):
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def multiset(rows):
    return sorted(repr(sorted(row.items())) for row in rows)


@settings(max_examples=60)
@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 3))
def test_neither_order_nor_chunks_count(rows, random, size):
    shuffled = random.sample(rows, len(rows))
    chunked = pa.Table.from_batches(table(shuffled).to_batches(max_chunksize=size), schema=SCHEMA)
    assert content_hash(chunked) == content_hash(table(rows))


@settings(max_examples=60)
@given(ROWS, ROWS)
def test_other_rows_have_another_hash(one, other):
    assert (content_hash(table(one)) == content_hash(table(other))) == (multiset(one) == multiset(other))


@pytest.mark.parametrize("times", [2, 3, 4])
def test_repeats_count(times):
    assert content_hash(pa.concat_tables([scenario.rows()] * times)) != content_hash(scenario.rows())
    one, other = pa.table({"a": [1] * times}), pa.table({"a": [2] * times})
    assert content_hash(one) != content_hash(other)


def test_names_types_and_the_columns_in_which_values_stand_count():
    hashes = [
        content_hash(pa.table({"a": [1, 2], "b": [3, 4]})),
        content_hash(pa.table({"a": [1, 2], "c": [3, 4]})),
        content_hash(pa.table({"a": [3, 4], "b": [1, 2]})),
        content_hash(pa.table({"b": [1, 2], "a": [3, 4]})),
        content_hash(pa.table({"a": [1, 2], "b": [4, 3]})),
        content_hash(pa.table({"a": pa.array([1, 2], pa.int32()), "b": [3, 4]})),
        content_hash(pa.table({"a": ["1", "2"], "b": ["3", "4"]})),
        content_hash(pa.table({"a": [1, None], "b": [3, 4]})),
        content_hash(pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.int64())})),
        content_hash(pa.table({"a": pa.array([], pa.int64())})),
    ]
    assert len(set(hashes)) == len(hashes)


def test_none_and_nan_and_the_empty_text_are_three_things():
    numbers = [content_hash(pa.table({"a": pa.array([value], pa.float64())})) for value in (None, float("nan"), 0.0)]
    assert len(set(numbers)) == 3
    assert content_hash(pa.table({"a": pa.array([None], pa.string())})) != content_hash(pa.table({"a": [""]}))


def test_it_is_the_same_in_every_process_and_short():
    assert content_hash(scenario.rows()) == content_hash(scenario.rows())
    assert len(content_hash(scenario.empty())) == 32
    assert content_hash(scenario.rows().select([])) != content_hash(scenario.rows())


@pytest.mark.parametrize("name", scenario.AWKWARD_NAMES)
def test_names_that_look_like_code(name):
    assert content_hash(pa.table({name: [1, 2]})) == content_hash(pa.table({name: [2, 1]}))


@pytest.mark.parametrize("name", ["", "nul\0", 'a:int64","b'])
def test_names_that_are_no_names_in_sql(name):
    assert content_hash(pa.table({name: [1]})) == content_hash(pa.table({name: [1]}))


def test_names_do_not_run_together():
    one = pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.int64())})
    assert content_hash(one) != content_hash(pa.table({"a:int64,b": pa.array([], pa.int64())}))

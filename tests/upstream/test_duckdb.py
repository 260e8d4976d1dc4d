"""What the fast engine leans on in DuckDB."""

import duckdb
import numpy as np
import pyarrow as pa


def test_equal_values_have_equal_hashes():
    """``records.py`` and ``rows.py`` compare only rows whose hash repeats."""
    with duckdb.connect() as connection:
        (same,) = connection.execute(
            "SELECT hash(0.0::DOUBLE) = hash(-0.0::DOUBLE) AND hash(NULL::INT, 'a') = hash(NULL::INT, 'a')"
        ).fetchall()[0]

    assert same


def test_a_count_where_every_condition_is_null_is_none_or_nothing():
    """``scan.py`` reads both as 0."""
    with duckdb.connect() as connection:
        (count,) = connection.execute("SELECT count_if(x > 1) FROM (VALUES (NULL::INT)) t(x)").fetchall()[0]

    assert not count


def test_text_compares_and_counts_by_code_points():
    with duckdb.connect() as connection:
        found = connection.execute("SELECT length('🦆👩‍👩‍👧'), length('e\u0301'), length(chr(0) || 'a')").fetchall()[0]

    assert found == (6, 2, 2)


def test_whole_numbers_become_doubles_as_in_numpy():
    numbers = np.array([2**53 + 1, 2**62 + 1, 2**63 - 1, -(2**63)], dtype="int64")
    with duckdb.connect() as connection:
        connection.register("numbers", pa.table({"n": numbers}))
        found = connection.execute("SELECT CAST(n AS DOUBLE) FROM numbers").fetchall()

    assert [value for (value,) in found] == numbers.astype("float64").tolist()

"""What the fast engine leans on in DuckDB."""

import json

import duckdb
import numpy as np
import pyarrow as pa
import pytest


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


def test_a_select_becomes_a_tree_and_a_tree_a_select():
    """``contracts/sql.py`` checks the tree and runs what is written from it."""
    text = "WITH q AS (SELECT 1 AS n) SELECT b.* FROM batch AS b WHERE (b.n = 1) ORDER BY b.n"
    with duckdb.connect() as connection:
        (told,) = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
        (back,) = connection.execute("SELECT json_deserialize_sql(?)", [told]).fetchone()

    node = json.loads(told)["statements"][0]["node"]
    assert (node["type"], node["aggregate_handling"]) == ("SELECT_NODE", "STANDARD_HANDLING")
    assert [item["type"] for item in node["modifiers"]] == ["ORDER_MODIFIER"]
    assert node["select_list"][0]["class"] == "STAR"
    assert node["select_list"][0]["relation_name"] == "b"
    assert (node["from_table"]["type"], node["from_table"]["table_name"]) == ("BASE_TABLE", "batch")
    assert [entry["key"] for entry in node["cte_map"]["map"]] == ["q"]
    # Versions differ in the blanks they write.
    assert "".join(back.split()) == "".join(text.split())


@pytest.mark.parametrize("text", ["DELETE FROM batch", "COPY batch TO 'x'", "PIVOT batch ON a", "selec", "SET a = 1"])
def test_what_is_no_select_becomes_no_tree(text):
    with duckdb.connect() as connection:
        (told,) = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchone()

    assert json.loads(told)["error"] is True

"""What a SELECT makes its columns of, read off its text."""

import pytest

from dagster_sluice.lineage.select import Unreadable, sources_of_select

TABLES = {
    ("shop", "raw"): ["Upper", "x", "id"],
    ("shop", "other"): ["id", "q"],
    ("shop", "third"): ["k", "id"],
    ("", "bare"): ["a"],
}


def read(text, dialect="postgres"):
    found = sources_of_select(text, dialect=dialect, tables=TABLES)
    return {name: {".".join(source) for source in sources} for name, sources in found.columns.items()}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            'SELECT * FROM shop.raw AS "R"',
            {"Upper": {"shop.raw.Upper"}, "x": {"shop.raw.x"}, "id": {"shop.raw.id"}},
        ),
        (
            "SELECT x + id AS s, CASE WHEN id > 3 THEN x END AS c FROM shop.raw WHERE x > 3",
            {"s": {"shop.raw.x", "shop.raw.id"}, "c": {"shop.raw.x", "shop.raw.id"}},
        ),
        ("SELECT count(*) AS n, 1 AS one FROM shop.raw", {"n": set(), "one": set()}),
        ("SELECT sum(x) FILTER (WHERE id = 1) AS s FROM shop.raw", {"s": {"shop.raw.x", "shop.raw.id"}}),
        (
            'SELECT row_number() OVER (PARTITION BY id ORDER BY "Upper") AS w FROM shop.raw',
            {"w": {"shop.raw.id", "shop.raw.Upper"}},
        ),
        (
            "SELECT id, q FROM shop.raw JOIN shop.other USING (id)",
            {"id": {"shop.raw.id", "shop.other.id"}, "q": {"shop.other.q"}},
        ),
        ("SELECT q FROM shop.other UNION ALL SELECT k FROM shop.third", {"q": {"shop.other.q", "shop.third.k"}}),
        ("SELECT (SELECT max(k) FROM shop.third) AS m FROM shop.raw", {"m": {"shop.third.k"}}),
        ('SELECT q FROM "db"."shop"."other"', {"q": {"shop.other.q"}}),
        (
            "WITH RECURSIVE r AS (SELECT id FROM shop.raw UNION ALL SELECT r.id FROM r) SELECT id FROM r",
            {"id": {"shop.raw.id"}},
        ),
        ("SELECT j FROM shop.raw t CROSS JOIN LATERAL (SELECT t.id + 1 AS j) l", {"j": {"shop.raw.id"}}),
        # A name of WITH that is a table's too.
        ("WITH raw AS (SELECT x FROM shop.raw) SELECT raw.x FROM raw", {"x": {"shop.raw.x"}}),
        # Tables whose columns nobody knows.
        ("SELECT a FROM shop.unknown WHERE b", {"a": {"shop.unknown.a"}}),
        ("SELECT amount / 100 AS amount FROM shop.unknown WHERE amount > 3", {"amount": {"shop.unknown.amount"}}),
        (
            (
                "WITH a AS (SELECT q FROM shop.other), u AS (SELECT f(y::int) AS d, z FROM odd.u GROUP BY 1, 2)\n"
                "SELECT a.q, u.d, u.z FROM a JOIN u ON true"
            ),
            {"q": {"shop.other.q"}, "d": {"odd.u.y"}, "z": {"odd.u.z"}},
        ),
        # One that cannot be placed is left out, and its neighbours are not.
        ("SELECT mystery, q FROM shop.unknown JOIN shop.other ON true", {"q": {"shop.other.q"}}),
    ],
)
def test_columns_of_a_select(text, wanted) -> None:
    assert read(text) == wanted


def test_tables_that_give_no_column_are_read_too() -> None:
    found = sources_of_select(
        "SELECT q FROM shop.other WHERE EXISTS (SELECT 1 FROM shop.third)", dialect="postgres", tables=TABLES
    )
    assert found.tables == {("shop", "other"), ("shop", "third")}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("DELETE FROM shop.raw", "DELETE"),
        ("SELECT * FROM shop.unknown", "not known"),
        ("SELECT ((", "line 1"),
    ],
)
def test_what_cannot_be_read_says_why(text, why) -> None:
    with pytest.raises(Unreadable, match=why):
        sources_of_select(text, dialect="postgres", tables=TABLES)


def test_a_dialect_of_its_own() -> None:
    assert read("SELECT * EXCLUDE (id) FROM shop.other", "duckdb") == {"q": {"shop.other.q"}}

"""A function is traced by changing its inputs; what it does with them is known here, so what is found can be judged."""

import datetime as dt

import duckdb
import pyarrow as pa
import pytest

from dagster_sluice.lineage.marks import changed, trace

ORDERS = pa.table(
    {
        "id": pa.array(range(12), pa.int64()),
        "customer": ["a", "b", "c"] * 4,
        "amount": [float(number * 3 + 1) for number in range(12)],
        "status": ["paid", "open"] * 6,
        "day": [dt.date(2026, 3, 1 + number % 5) for number in range(12)],
        "note": pa.array([None if number % 3 else "text" for number in range(12)], pa.string()),
        "unused": list(range(12)),
    }
)
CUSTOMERS = pa.table({"code": ["a", "b", "d"], "name": ["Ann", "Ben", "Dee"], "born": [1990, 2000, 2010]})


def traced(sql: str, **more):
    def function(given):
        with duckdb.connect() as session:
            for name, table in given.items():
                session.register(name, table)
            made = session.sql(sql).to_arrow_table()
        return {name: made.column(name).to_pylist() for name in made.column_names}

    inputs = {"orders": ORDERS, "customers": CUSTOMERS}
    found = trace(function, inputs, outputs=more.get("outputs") or list(function(inputs)))
    return found, {name: {".".join(source) for source in sources} for name, sources in found.sources.items()}


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        (
            "SELECT id, upper(customer) AS c, amount * 2 AS double FROM orders",
            {"id": {"orders.id"}, "c": {"orders.customer"}, "double": {"orders.amount"}},
        ),
        # What only keeps or drops rows is no source, whatever comes in their stead.
        (
            "SELECT id, amount FROM orders WHERE status = 'paid'",
            {"id": {"orders.id"}, "amount": {"orders.amount"}},
        ),
        (
            "SELECT id, amount FROM orders WHERE status = 'paid' ORDER BY amount DESC",
            {"id": {"orders.id"}, "amount": {"orders.amount"}},
        ),
        # The key by which something is looked up decides what is found.
        (
            "SELECT id, name FROM orders LEFT JOIN customers ON code = customer",
            {"id": {"orders.id"}, "name": {"orders.customer", "customers.code", "customers.name"}},
        ),
        (
            "SELECT customer, sum(amount) AS total FROM orders GROUP BY ALL ORDER BY 1",
            {"customer": {"orders.customer"}, "total": {"orders.customer", "orders.amount"}},
        ),
        # Rows are added.
        (
            "SELECT id, unnest([amount, amount + 1]) AS part FROM orders",
            {"id": {"orders.id"}, "part": {"orders.amount"}},
        ),
        ("SELECT id, note IS NULL AS empty FROM orders", {"id": {"orders.id"}, "empty": {"orders.note"}}),
        ("SELECT id, amount > 20 AS big FROM orders", {"id": {"orders.id"}, "big": {"orders.amount"}}),
        (
            "SELECT id, 1 AS one, day + 1 AS next FROM orders",
            {"id": {"orders.id"}, "one": set(), "next": {"orders.day"}},
        ),
        # One output, made of one input.
        ("SELECT amount FROM orders", {"amount": {"orders.amount"}}),
        ("SELECT max(amount) AS most FROM orders", {"most": {"orders.amount"}}),
        (
            "SELECT min(amount) AS least, max(amount) AS most FROM orders",
            {"least": {"orders.amount"}, "most": {"orders.amount"}},
        ),
    ],
)
def test_what_is_found_is_what_it_does(sql, wanted) -> None:
    found, sources = traced(sql)
    assert sources == wanted
    assert ("orders", "unused") in found.silent


def test_what_differs_from_call_to_call_is_not_told() -> None:
    found, sources = traced("SELECT id, random() AS luck FROM orders")
    assert found.unstable == {"luck"}
    assert sources == {"id": {"orders.id"}}


def test_a_function_that_raises_at_a_change() -> None:
    def function(given):
        if given["orders"].column("status").to_pylist() != ORDERS.column("status").to_pylist():
            raise ValueError("no such status")
        return {"id": given["orders"].column("id").to_pylist()}

    found = trace(function, {"orders": ORDERS}, outputs=["id"])
    assert found.refused == {("orders", "status"): "ValueError: no such status"}
    assert found.sources == {"id": {("orders", "id")}}


def test_a_column_that_the_function_does_not_return_has_no_source() -> None:
    found, sources = traced("SELECT id FROM orders", outputs=["id", "absent"])
    assert sources == {"id": {"orders.id"}, "absent": set()}
    assert found.rows == 12


def test_a_column_without_any_value_is_given_one() -> None:
    empty = pa.table({"id": [1, 2], "gone": pa.array([None, None], pa.float64())})
    found = trace(
        lambda given: {
            "id": given["t"].column("id").to_pylist(),
            "x": [value or 0 for value in given["t"].column("gone").to_pylist()],
        },
        {"t": empty},
        outputs=["id", "x"],
    )
    assert found.sources["x"] == {("t", "gone")}


def test_an_order_of_rows_says_nothing() -> None:
    rows = [("1", "a"), ("2", "b"), ("3", "c")]
    assert changed(rows, rows[::-1], ["x", "y"], whole=True) == set()
    assert changed(rows, [("3", "c"), ("1", "z"), ("2", "b")], ["x", "y"], whole=False) == {"y"}
    assert changed(rows, rows[:2], ["x", "y"], whole=False) == set()

"""``sluice gate verify`` as a person or a CI job calls it."""

import json
import time
from dataclasses import replace

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from dagster_sluice.cli import gate
from dagster_sluice.contracts import load_contract
from dagster_sluice.errors import SluiceError
from dagster_sluice.gates.duckdb import engine
from dagster_sluice.tables.gatekeeper import Origin, admit
from dagster_sluice.warehouse import Address

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: shop-orders
version: 1.0.0
status: active
schema:
  - name: orders
    physicalName: shop.orders
    properties:
      - name: order_id
        logicalType: integer
        unique: true
        logicalTypeOptions: {minimum: 1, maximum: 3}
      - name: country
        logicalType: string
        logicalTypeOptions: {pattern: '^(?!XX)'}
    quality:
      - {name: late, type: sql, query: 'SELECT count(*) FROM {object}', mustBeGreaterThan: 0}
"""
ROWS = pa.table({"order_id": [1, 2, 3, 4], "country": ["AT", None, "DE", "XX"]})


@pytest.fixture
def contract(tmp_path):
    path = tmp_path / "orders.yaml"
    path.write_text(CONTRACT)
    return path


@pytest.fixture
def sluice(capsys):
    def sluice(*arguments):
        capsys.readouterr()
        error = ""
        try:
            code = gate.app([*map(str, arguments)], standalone_mode=False) or 0
        except SluiceError as failure:
            code, error = 2, str(failure)
        out, err = capsys.readouterr()
        return code, out, err + error

    return sluice


def publish(warehouse, path, *keys):
    promised = load_contract(path)
    for key in keys:
        admit(
            ROWS.slice(0, 3),
            contract=replace(promised, expectations=()),
            warehouse=warehouse,
            address=Address(schema="shop", table="orders"),
            partition=key,
            origin=Origin(run_id="r", correlation_id="c", code_version="1", base=None, started=time.perf_counter()),
            references={},
        )


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_file_is_judged_by_both_engines(sluice, contract, tmp_path, kind):
    file = tmp_path / f"orders.{kind}"
    (pq.write_table if kind == "parquet" else pyarrow.csv.write_csv)(ROWS, file)

    code, out, err = sluice("verify", "shop.orders", "--file", file, "--contract", contract)

    assert (code, err) == (0, "")
    assert "2 of 4 judged alike by both, 0 apart, 2 by one alone; 1 batch." in out
    assert "Great Expectations has no SQL on pandas" in out
    assert "country__match_regex" in out


def test_every_partition_of_a_table_is_judged(sluice, contract, warehouse):
    publish(warehouse, contract, "2024-01-01", "2024-01-02")

    code, out, _ = sluice("verify", "shop.orders", "--contract", contract)
    assert code == 0
    assert "4 of 8 judged alike by both, 0 apart, 4 by one alone; 2 batches." in out

    code, out, _ = sluice("verify", "shop.orders", "--contract", contract, "--partition", "2024-01-02", "--json")
    found = json.loads(out)
    assert (code, [row["judge"] for row in found]) == (0, ["both", "both", "gx", "duckdb"])
    assert {row["partition"] for row in found} == {"2024-01-02"}


def test_a_fault_of_the_fast_engine_is_told_and_ends_with_1(sluice, contract, tmp_path, monkeypatch):
    right = engine.RULES["expect_column_values_to_be_between"]

    def faulty(arguments):
        rule = right(arguments)
        return replace(rule, unexpected=replace(rule.unexpected, text=f"NOT ({rule.unexpected.text})"))

    monkeypatch.setitem(engine.RULES, "expect_column_values_to_be_between", faulty)
    pq.write_table(ROWS, tmp_path / "orders.parquet")

    code, out, _ = sluice("verify", "shop.orders", "--file", tmp_path / "orders.parquet", "--contract", contract)

    assert code == 1
    assert "unexpected_count is 3 by duckdb and 1 by gx." in " ".join(out.split())
    assert "1 of 4 judged alike by both, 1 apart, 2 by one alone" in out


def test_values_that_do_not_fit_are_told(sluice, contract, tmp_path):
    (tmp_path / "orders.csv").write_text("order_id,country\n1,AT\nmany,DE\n")

    code, _, err = sluice("verify", "shop.orders", "--file", tmp_path / "orders.csv", "--contract", contract)

    assert code == 0
    assert "1 value of other types than the contract's judged as NULL" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["orders"], "has no schema"),
        (["shop.orders", "--partition", "x", "--file", "f.csv"], "--partition"),
        (["shop.orders", "--file", "gone.csv"], "There is no such file"),
        (["shop.gone"], "Nothing is in shop.gone"),
    ],
)
def test_what_cannot_be_judged_is_one_error(sluice, contract, warehouse, arguments, told):
    code, out, err = sluice("verify", *arguments, "--contract", contract)
    assert (code, out, told in err) == (2, "", True)


def test_without_a_contract_the_project_is_asked(sluice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = sluice("verify", "shop.orders")
    assert (code, "There is no Dagster project here" in err) == (2, True)

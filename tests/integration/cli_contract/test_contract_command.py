"""``sluice contract`` as a person or a CI job calls it: what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pyarrow.csv
import pytest

from dagster_sluice.cli import contract
from dagster_sluice.contracts import load_contract
from dagster_sluice.errors import SluiceError
from dagster_sluice.gates import audit
from dagster_sluice.tables.conform import conform
from dagster_sluice.warehouse import Address
from dagster_sluice.warehouse.postgres import PostgresWarehouse
from dagster_sluice.warehouse.types import postgres_type

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
        required: true
        logicalTypeOptions: {minimum: 1}
      - name: country
        logicalType: string
"""
SUITE = {"expectations": [{"type": "expect_column_values_to_be_unique", "kwargs": {"column": "order_id"}}]}


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def process(*arguments: str | Path, cwd: Path | None = None) -> Done:
    """The command as it is: slow, so only where the process itself matters."""
    command = [sys.executable, "-m", "dagster_sluice", "contract", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, timeout=280)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def sluice(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """The command in this process, its errors told as `dagster_sluice.cli.main` does."""

    def sluice(*arguments: str | Path, cwd: Path | None = None) -> Done:
        if cwd is not None:
            monkeypatch.chdir(cwd)
        capsys.readouterr()
        error = ""
        try:
            code = contract.app([*map(str, arguments)], standalone_mode=False) or 0
        except SluiceError as failure:
            code, error = 2, f"sluice: {failure}\n"
        out, err = capsys.readouterr()
        return Done(code, out, err + error)

    return sluice


Sluice = Callable[..., Done]


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_good_files_are_counted(sluice: Sluice, tmp_path: Path) -> None:
    put(tmp_path / "contracts" / "orders.yaml", CONTRACT)
    put(tmp_path / "contracts" / "deep" / "customers.odcs.yml", CONTRACT.replace("orders", "customers"))
    put(tmp_path / "contracts" / "suite.json", json.dumps(SUITE))
    put(tmp_path / "contracts" / "dbt_project.yml", "models: {}\n")
    put(tmp_path / "contracts" / ".cache" / "broken.yaml", "kind: DataContract")
    done = sluice("check", "contracts", "contracts/orders.yaml", "contracts/**/*.odcs.yml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "2 contracts, 2 tables, 1 suite, 5 expectations: good\n")
    assert done.stderr == "Left out 1 file that say nothing of contracts: contracts/dbt_project.yml.\n"


def test_every_mistake_of_every_file_is_told_at_once(sluice: Sluice, tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", CONTRACT.replace("minimum: 1", "minimun: one").replace("string", "text"))
    put(tmp_path / "b.yaml", "kind: [\n")
    put(tmp_path / "c.json", json.dumps({"expectations": [{"type": "nope"}]}))
    named = ["a.yaml", "b.yaml", "c.json", "gone.yaml", "*.toml"]
    done = process("check", *named, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "sluice: 6 mistakes in 5 contracts."
    places = ["*.toml:", "a.yaml:13:30:", "a.yaml:15:22:", "b.yaml:2:1:", "gone.yaml:1:1:", "c.json:1:28"]
    assert [line.strip("- ").startswith(place) for line, place in zip(lines[1:], places, strict=True)] == [True] * 6

    told = sluice("check", *named, "--json", cwd=tmp_path)
    assert (told.returncode, told.stderr) == (2, "")
    answer = json.loads(told.stdout)
    assert answer["good"] is False
    assert [(error["file"], error["line"], error["column"]) for error in answer["errors"]] == [
        (None, None, None),
        ("a.yaml", 13, 30),
        ("a.yaml", 15, 22),
        ("b.yaml", 2, 1),
        ("gone.yaml", 1, 1),
        ("c.json", 1, 28),
    ]


def test_a_breaking_change_ends_with_one_until_it_is_announced(sluice: Sluice, tmp_path: Path) -> None:
    old = put(tmp_path / "old.yaml", CONTRACT)
    changed = CONTRACT.replace("minimum: 1", "minimum: 0").replace("name: country", "name: country_code")
    done = process("diff", old, put(tmp_path / "new.yaml", changed))
    assert done.returncode == 1
    assert "removed country, added country_code (renamed?)" in done.stdout
    assert "minimum 1 → 0" in done.stdout
    assert "2 breaking, 0 compatible, 0 cosmetic in 1 table." in done.stdout
    assert "raise the version 1.0.0 to 2.0.0" in " ".join(done.stderr.split())

    announced = put(tmp_path / "new.yaml", changed.replace("version: 1.0.0", "version: 2.0.0"))
    done = sluice("diff", old, announced, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert (answer["good"], answer["breaking"]) == (True, 2)
    assert [change["announced"] for change in answer["tables"][0]["changes"]] == [True, True]


def test_directories_are_compared_table_by_table(sluice: Sluice, tmp_path: Path) -> None:
    put(tmp_path / "old" / "orders.yaml", CONTRACT)
    put(tmp_path / "old" / "customers.yaml", CONTRACT.replace("orders", "customers"))
    put(tmp_path / "new" / "sales.yaml", CONTRACT)
    put(tmp_path / "new" / "people.yaml", CONTRACT.replace("shop-orders", "shop-customers").replace("orders", "people"))
    done = sluice("diff", tmp_path / "old", tmp_path / "new", "--json")
    assert done.returncode == 1
    [table] = json.loads(done.stdout)["tables"]
    assert (table["table"], [change["what"] for change in table["changes"]]) == (
        "shop.customers",
        ["is shop.people now"],
    )
    same = sluice("diff", tmp_path / "old", tmp_path / "old")
    assert (same.returncode, same.stdout) == (0, "They promise the same.\n")


def test_a_wrong_file_cannot_be_compared(sluice: Sluice, tmp_path: Path) -> None:
    good, suite = put(tmp_path / "good.yaml", CONTRACT), put(tmp_path / "suite.json", json.dumps(SUITE))
    done = sluice("diff", good, suite)
    assert (done.returncode, done.stdout) == (2, "")
    assert "A suite has no columns to compare." in done.stderr
    assert sluice("diff", good, put(tmp_path / "bad.yaml", "kind: x\n")).returncode == 2


def test_a_first_contract_of_a_file_is_written_once(sluice: Sluice, tmp_path: Path) -> None:
    rows = put(tmp_path / "orders.csv", "order_id,country\n1,AT\n2,\n3,DE\n")
    path = tmp_path / "orders.yaml"
    done = sluice("init", rows, "-o", path, "--table", "shop.orders")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"Wrote {path}: 2 columns, observed in 3 rows." in done.stderr.replace("\n", " ")
    loaded = load_contract(path)
    assert (loaded.schema, loaded.table) == ("shop", "orders")
    conformed = conform(
        pyarrow.csv.read_csv(rows, convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True)), loaded
    )
    assert audit(conformed.rows, loaded, engine="gx").success

    path.write_text("mine")
    again = sluice("init", rows, "-o", path)
    assert (again.returncode, path.read_text()) == (2, "mine")
    assert "is there already" in again.stderr
    assert sluice("init", rows, "-o", path, "--force").returncode == 0
    assert load_contract(path).table == "orders"
    assert sluice("init", rows, "-o", tmp_path / "no" / "such.yaml").returncode == 2


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("gone.csv", "There is no such file."),
        ("orders", "is neither a file nor has it a schema."),
        ("empty.csv", "Empty CSV file"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_clear_error(
    sluice: Sluice, tmp_path: Path, source: str, said: str
) -> None:
    put(tmp_path / "empty.csv", "")
    done = sluice("init", source, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_first_contract_of_a_published_table(sluice: Sluice, database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("CREATE SCHEMA shop")
        session.execute(
            "CREATE TABLE shop.orders (order_id integer, price numeric(12,2), code varchar(3), id uuid, tags jsonb,"
            ' "a ""b""" real, at timestamptz, naive timestamp(3), hour time, good boolean, _partition text)'
        )
        session.execute(
            "INSERT INTO shop.orders SELECT i, i / 4.0, 'c' || i % 2, gen_random_uuid(), '{}', i * 0.1, now(), now(),"
            " '08:00', i > 3, CASE WHEN i < 10 THEN 'mon' ELSE 'tue' END FROM generate_series(0, 49) i"
        )
        session.execute("UPDATE shop.orders SET code = NULL WHERE order_id < 5")
    done = sluice("init", "shop.orders")
    assert (done.returncode, done.stderr) == (0, "")
    loaded = load_contract(put(tmp_path / "orders.yaml", done.stdout))
    assert (loaded.schema, loaded.table) == ("shop", "orders")
    assert {column.name: (column.type.value, postgres_type(column)) for column in loaded.columns} == {
        "order_id": ("integer", "integer"),
        "price": ("number", "numeric(12,2)"),
        "code": ("string", "character varying(3)"),
        "id": ("string", "uuid"),
        "tags": ("object", "jsonb"),
        'a "b"': ("number", "real"),
        "at": ("timestamp", "timestamp with time zone"),
        "naive": ("timestamp", "timestamp(3) without time zone"),
        "hour": ("time", "time without time zone"),
        "good": ("boolean", "boolean"),
    }
    promised = {expectation.name: dict(expectation.kwargs) for expectation in loaded.expectations}
    assert promised["row_count"] == {"min_value": 10, "max_value": 40}
    assert promised["code__not_null"] == {"column": "code", "mostly": 0.5}
    assert promised["price__between"] == {"column": "price", "min_value": 0.0, "max_value": 12.25}
    assert "order_id" in {e.kwargs["column"] for e in loaded.expectations if e.name.endswith("__unique")}

    warehouse = PostgresWarehouse(database_url)
    for day in ("mon", "tue"):
        conformed = conform(warehouse.read(Address(schema="shop", table="orders"), partitions=[day]), loaded)
        assert conformed.misfits == ()
        verdict = audit(conformed.rows, loaded, engine="gx")
        assert [result.name for result in verdict.results if not result.success] == []
    warehouse.close()
    gone = sluice("init", "shop.nothing")
    assert (gone.returncode, gone.stdout) == (2, "")
    assert "shop.nothing" in gone.stderr

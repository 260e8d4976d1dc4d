"""``sluice lineage`` as a person calls it, in a project on a real database."""

import json
import subprocess
import sys

import dagster as dg
import pytest

from dagster_sluice.cli import lineage
from dagster_sluice.cli.location import load_location
from dagster_sluice.contracts import load_contract
from dagster_sluice.errors import SluiceError

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
      - name: id  # the number
        logicalType: integer
      - {name: name, logicalType: string}
      - name: big
        logicalType: boolean
"""
PROJECT = """\
import pathlib

import dagster as dg
import pandas as pd
import pyarrow as pa

from dagster_sluice import Column, Contract, TableContext, WarehouseResource, table, table_from_sql

DAYS = dg.DailyPartitionsDefinition(start_date="2026-03-06", end_date="2026-03-10")
HERE = pathlib.Path(__file__).parent


class Greeting(dg.ConfigurableResource):
    word: str


def columns(**types):
    return tuple(Column(name=name, type=kind) for name, kind in types.items())


@table(
    contract=Contract(
        table="raw_orders", schema="shop", columns=columns(id="integer", customer="string", amount="number", note="string")
    ),
    partitions_def=DAYS,
)
def raw_orders(context: TableContext) -> pa.Table:
    first = context.day.day * 10
    return pa.table({
        "id": list(range(first, first + 8)),
        "customer": ["a", "b"] * 4,
        "amount": [float(number) for number in range(8)],
        "note": ["x"] * 8,
    })


@table(contract=Contract(table="customers", schema="shop", columns=columns(code="string", name="string")))
def customers() -> pa.Table:
    return pa.table({"code": ["a", "b"], "name": ["Ann", "Ben"]})


@table(contract=HERE / "orders.yaml", partitions_def=DAYS)
def orders(
    context: TableContext, greeting: Greeting, raw_orders: pd.DataFrame, customers: pa.Table
) -> pd.DataFrame:
    joined = raw_orders.merge(customers.to_pandas(), left_on="customer", right_on="code", how="left")
    joined["big"] = joined["amount"] > 4
    joined["name"] = greeting.word + " " + joined["name"] + context.partition_key[:0]
    return joined[["id", "name", "big"]]


totals = table_from_sql(
    "shop.totals",
    sql="SELECT name, count(*) FILTER (WHERE big) AS bigs FROM shop.orders WHERE {partition} <> '' GROUP BY name",
    contract=Contract(table="totals", schema="shop", columns=columns(name="string", bigs="integer")),
    deps=[orders],
    partitions_def=DAYS,
)
defs = dg.Definitions(
    assets=[raw_orders, customers, orders, totals],
    resources={"warehouse": WarehouseResource(), "greeting": Greeting(word="Dear")},
    executor=dg.in_process_executor,
)
"""


@pytest.fixture
def project(tmp_path, database_url, monkeypatch):
    (tmp_path / "orders.yaml").write_text(CONTRACT)
    module = f"shop_of_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{module}.py").write_text(PROJECT)
    (tmp_path / "workspace.yaml").write_text(
        f"load_from:\n  - python_file:\n      relative_path: {module}.py\n      working_directory: .\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def sluice(capsys):
    def sluice(*arguments):
        capsys.readouterr()
        error = ""
        try:
            code = lineage.app([*map(str, arguments)], standalone_mode=False) or 0
        except SluiceError as failure:
            code, error = 2, str(failure)
        out, err = capsys.readouterr()
        return code, out, err + error

    return sluice


@pytest.fixture
def fresh(project):
    """The command in a process of its own, which loads the project anew."""

    def fresh(*arguments):
        ended = subprocess.run(
            [sys.executable, "-m", "dagster_sluice", "lineage", *arguments],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr

    return fresh


def publish(project) -> None:
    repository = load_location(project).repository
    job = repository.get_implicit_global_asset_job_def()
    keys = [dg.AssetKey(["shop", name]) for name in ("raw_orders", "customers")]
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance, partition_key="2026-03-07", asset_selection=keys).success


def test_trace_then_write_then_walk(project, sluice, fresh, warehouse) -> None:
    publish(project)
    before = {status.address: status.rows for status in warehouse.tables()}
    code, out, err = sluice("trace", "shop.orders", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["columns"] == {
        "id": ["shop.raw_orders.id"],
        "name": ["shop.customers.code", "shop.customers.name", "shop.raw_orders.customer"],
        "big": ["shop.raw_orders.amount"],
    }
    assert told["partition"] == "2026-03-07"
    assert told["without_effect"] == ["shop.raw_orders.note"]
    # Nothing is published, and without --write nothing is written.
    assert {status.address: status.rows for status in warehouse.tables()} == before
    assert (project / "orders.yaml").read_text() == CONTRACT
    assert "not known" in sluice("table", "orders")[1]

    code, out, err = sluice("trace", "shop.orders", "--write")
    assert code == 0, err
    assert "No value changes with: shop.raw_orders.note" in " ".join(err.split())
    text = (project / "orders.yaml").read_text()
    assert "      - name: id  # the number\n" in text
    assert load_contract(project / "orders.yaml").columns[2].sources == ("shop.raw_orders.amount",)

    code, out, _ = fresh("column", "shop.totals.bigs", "--up", "--json")
    told = json.loads(out)
    assert [(hop["step"], hop["made_of"], hop["column"], hop["known_from"]) for hop in told["up"]] == [
        (1, "shop.orders.big", "shop.totals.bigs", "sql"),
        (2, "shop.raw_orders.amount", "shop.orders.big", "contract"),
    ]
    assert "down" not in told
    _, out, _ = fresh("column", "raw_orders.amount", "--down", "--json")
    assert [hop["column"] for hop in json.loads(out)["down"]] == ["shop.orders.big", "shop.totals.bigs"]
    _, out, _ = fresh("column", "raw_orders.amount")
    assert "What is made of shop.raw_orders.amount" in out
    assert "Nothing is known of what shop.raw_orders.amount is made of" in out
    _, out, err = fresh("table", "orders")
    assert "shop.customers.code, shop.customers.name, shop.raw_orders.customer" in " ".join(out.split())
    assert "Made of it: shop.totals" in " ".join(err.split())
    told = json.loads(fresh("table", "orders", "--json")[1])
    assert told["upstream"] == ["shop.customers", "shop.raw_orders"]
    assert told["columns"][0] == {
        "column": "id",
        "made_of": ["shop.raw_orders.id"],
        "known_from": "contract",
        "logic": "",
    }


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["trace", "orders"], "Nothing is published in shop.raw_orders"),
        (["trace", "totals"], "is a SELECT"),
        (["trace", "customers"], "reads no published table"),
        (["trace", "nothing"], "no table 'nothing'"),
        (["column", "orders.nope"], "no column 'orders.nope'"),
        (["column", "orders"], "Name both"),
        (["table", "order"], "Did you mean"),
    ],
)
def test_what_cannot_be_done_is_said(project, sluice, arguments, why) -> None:
    code, _, err = sluice(*arguments)
    assert code == 2
    assert why in err


def test_a_partition_that_is_not_published(project, sluice) -> None:
    publish(project)
    code, _, err = sluice("trace", "orders", "--partition", "2026-03-08")
    assert code == 2
    assert "no published partition 2026-03-08" in err


def test_a_function_that_raises_over_the_sample(project, fresh) -> None:
    publish(project)
    (source,) = project.glob("shop_of_*.py")
    source.write_text(PROJECT.replace('joined["big"] =', 'joined["nope"]; joined["big"] ='))
    code, _, err = fresh("trace", "orders")
    assert code == 2
    assert "raises over the sample" in err
    assert "KeyError: 'nope'" in err

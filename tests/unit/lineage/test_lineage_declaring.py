"""Sources are put into a contract's file, and nothing else of it changes."""

import pytest

from dagster_sluice.contracts import Column, Contract, load_contract
from dagster_sluice.errors import ContractError
from dagster_sluice.lineage.declaring import declare_sources, with_sources

TEXT = """\
# Orders, as we promise them.
apiVersion: v3.1.0
kind: DataContract
id: shop-orders
version: 1.0.0
status: active
schema:
  - name: other
    physicalName: shop.other
    properties:
      - name: id
        logicalType: integer
  - name: orders
    physicalName: shop.orders
    properties:
      - name: id   # the number
        logicalType: integer
        required: true

      - {name: amount, logicalType: number}   # money
      - name: note
        description: >-
          Free text, over
          two lines.
        logicalType: string
        transformSourceObjects:
          - shop.old.note
        transformLogic: trim(note)
      - name: kept
        logicalType: string
        transformSourceObjects: [shop.raw.kept]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "orders.yaml"
    path.write_text(TEXT)
    return path


def test_sources_are_read(file) -> None:
    columns = {column.name: column for column in load_contract(file, "orders").columns}
    assert columns["id"].sources is None
    assert columns["note"].sources == ("shop.old.note",)
    assert columns["note"].logic == "trim(note)"


def test_sources_are_written_beside_what_stands_there(file) -> None:
    contract = load_contract(file, "orders")
    wanted = {"id": ["shop.raw.id"], "amount": ["shop.raw.price", "shop.raw.tax"], "note": [], "unknown": ["a.b.c"]}
    declare_sources(contract, wanted)
    text = file.read_text()
    again = load_contract(file, "orders")
    assert [column.sources for column in again.columns] == [
        ("shop.raw.id",),
        ("shop.raw.price", "shop.raw.tax"),
        (),
        ("shop.raw.kept",),
    ]
    assert load_contract(file, "other").columns[0].sources is None
    assert again.fingerprint == contract.fingerprint
    # Comments, order and the folded text stand as they stood; only lines with sources differ.
    new, old = text.splitlines(), TEXT.splitlines()
    assert [line for line in old if line not in new] == [
        "      - {name: amount, logicalType: number}   # money",
        "        transformSourceObjects:",
        "          - shop.old.note",
    ]
    assert "      - name: id   # the number" in new
    assert [line for line in new if line not in old] == [
        "        transformSourceObjects: [shop.raw.id]",
        "      - {name: amount, logicalType: number, transformSourceObjects: [shop.raw.price, shop.raw.tax]}   # money",
        "        transformSourceObjects: []",
    ]
    before = text
    declare_sources(again, wanted)
    assert file.read_text() == before
    assert [path.name for path in file.parent.iterdir()] == ["orders.yaml"]


def test_odd_names_are_quoted() -> None:
    text = with_sources(TEXT, "orders", "shop", {"id": ["shop.raw.it's: [odd]"]})
    assert "transformSourceObjects: ['shop.raw.it''s: [odd]']" in text


def test_a_file_that_was_changed_meanwhile_is_left_alone(file) -> None:
    contract = load_contract(file, "orders")
    file.write_text(TEXT.replace("logicalType: number", "logicalType: integer"))
    before = file.read_text()
    with pytest.raises(ContractError, match="not as it was read"):
        declare_sources(contract, {"id": ["shop.raw.id"]})
    assert file.read_text() == before


def test_a_contract_in_python_is_not_edited() -> None:
    contract = Contract(table="t", columns=(Column(name="id", type="integer"),))
    with pytest.raises(ContractError, match="written in Python"):
        declare_sources(contract, {"id": []})

"""Dagster copies an asset's definition again and again, and each copy keeps the step's own function.

`dagster_sluice.tables.declared` writes a table's contract on that function, and a replay finds it there.
"""

import dagster as dg

from dagster_sluice import Column, Contract, WarehouseResource, table
from dagster_sluice.contracts.contract import LogicalType
from dagster_sluice.tables.declared import declared_tables
from dagster_sluice.warehouse import Address

CONTRACT = Contract(table="orders", columns=(Column(name="id", type=LogicalType.INTEGER),))


@table(contract=CONTRACT, key=["shop", "orders"])
def orders():
    raise AssertionError


def found(definitions):
    (declared,) = declared_tables(definitions).values()
    return declared.address, declared.contract is CONTRACT


WANTED = (Address(schema="shop", table="orders"), True)


def test_a_definition_and_its_copies():
    assert found([orders]) == WANTED
    assert found([orders.map_asset_specs(lambda spec: spec.merge_attributes(metadata={"x": 1}))]) == WANTED
    assert (
        found([dg.with_resources([orders], {"warehouse": WarehouseResource().get_resource_definition()})[0]]) == WANTED
    )


def test_what_a_repository_hands_out():
    defs = dg.Definitions(
        assets=[orders, dg.AssetSpec("other")],
        resources={"warehouse": WarehouseResource()},
        executor=dg.in_process_executor,
    )
    assert found(defs.get_repository_def().assets_defs_by_key.values()) == WANTED


def test_what_is_no_table_is_passed_over():
    @dg.asset
    def plain():
        return None

    assert declared_tables([plain, dg.AssetSpec("other"), None, 5]) == {}

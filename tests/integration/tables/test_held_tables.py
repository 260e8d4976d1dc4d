"""A batch that waits for a person, through Dagster: what the run says, what the checks show, what a decision does."""

from typing import Any

import dagster as dg
import pytest
from shop import Shop, failure, good, orders, promise

from dagster_sluice import Expectation, Policy, WarehouseResource, table
from dagster_sluice.contracts import Column, Contract, LogicalType
from dagster_sluice.holds import hold_job
from dagster_sluice.warehouse import Result

FIRST, SECOND, THIRD = "2026-03-07", "2026-03-08", "2026-03-09"
FEW = Expectation(
    name="not_many", type="expect_table_row_count_to_be_between", kwargs={"max_value": 3}, policy=Policy.HOLD
)


def careful(**changes: Any) -> Contract:
    """The shop's contract; more than three orders a day are for a person to look at."""
    usual = promise()
    return promise(expectations=(*usual.expectations, FEW), **changes)


CAREFUL = careful()


def many(bad: int = 0) -> Any:
    return orders(*((number, -1.0 if number <= bad else 5.0, "private") for number in range(1, 6)))


@pytest.fixture
def asset(shop: Shop) -> dg.AssetsDefinition:
    return shop.orders(contract=careful(), retry_policy=dg.RetryPolicy(max_retries=3))


def bills(shop: Shop, calls: list[str]) -> dg.AssetsDefinition:
    """A table that is built on the orders."""
    contract = Contract(table="bills", columns=(Column(name="id", type=LogicalType.INTEGER),))

    @table(
        contract=contract,
        key=[shop.schema, "bills"],
        deps=[shop.key],
        partitions_def=shop.orders().partitions_def,
    )
    def bills() -> Any:
        calls.append("bills")
        return orders((1, 1.0, "x")).select(["id"])

    return bills


def only(shop: Shop) -> Any:
    (hold,) = shop.warehouse.holds(shop.address)
    return hold


def decide(shop: Shop, asset: dg.AssetsDefinition, **config: Any) -> dg.ExecuteInProcessResult:
    settings = {"action": "RELEASE", "by": "ann", "why": "a busy day", **config}
    return hold_job([asset]).execute_in_process(
        run_config={"ops": {"hold_decisions_decide": {"config": settings}}},
        resources={"warehouse": WarehouseResource(url=shop.url)},
        instance=shop.instance,
        raise_on_error=False,
    )


# Held


def test_a_held_partition_stops_the_run_and_says_what_to_do(shop: Shop, asset: dg.AssetsDefinition) -> None:
    assert shop.run(asset, day=FIRST).success
    calls: list[str] = []
    shop.calls.clear()
    shop.batches[FIRST] = many()
    result = shop.run(asset, bills(shop, calls), day=FIRST)
    hold = only(shop)
    assert not result.success
    assert shop.calls == [FIRST]
    assert calls == []
    said = failure(result)
    assert said.startswith("Held for a person at the gate; what was published before stands.")
    assert "not_many failed: observed 5." in said
    for command in ("show", "release", "reject"):
        assert f"sluice hold {command} {hold.id}" in said
    (event,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    told = event.step_failure_data.user_failure_data
    assert told is not None
    assert told.metadata["sluice/hold"].value == hold.id
    assert told.metadata["sluice/blocked"].value == 0
    assert shop.rows(FIRST) == good().to_pylist()
    assert hold.audit.run_id == result.run_id


def test_the_checks_show_what_failed_and_the_hold(shop: Shop, asset: dg.AssetsDefinition) -> None:
    shop.batches[FIRST] = many(bad=1)
    result = shop.run(asset, day=FIRST)
    told = shop.evaluations(result.run_id)
    assert {name for (name, _), check in told.items() if not check.passed} == {"not_many", "amount_possible"}
    held = told["not_many", FIRST]
    assert held.severity is dg.AssetCheckSeverity.ERROR
    assert held.metadata["policy"].value == "hold"
    assert {check.metadata["sluice/hold"].value for check in told.values()} == {only(shop).id}
    assert not shop.materializations()


def test_one_held_day_of_a_range_does_not_stop_the_others(shop: Shop, asset: dg.AssetsDefinition) -> None:
    shop.batches[SECOND] = many()
    result = shop.run(asset, days=(FIRST, THIRD))
    assert not result.success
    assert shop.published() == {FIRST, THIRD}
    assert only(shop).partition == SECOND
    told = shop.evaluations(result.run_id)
    assert told["not_many", SECOND].metadata["sluice/hold"].value == only(shop).id
    assert [made.partition for made in shop.materializations()] == [FIRST, THIRD]


def test_held_and_blocked_and_raised_days_of_a_range_are_all_told(shop: Shop, asset: dg.AssetsDefinition) -> None:
    shop.batches[FIRST] = many()
    shop.batches[SECOND] = orders((7, 1.0, "twice"), (7, 2.0, "twice"))
    said = failure(shop.run(asset, days=(FIRST, SECOND)))
    assert "Blocked, or held for a person," in said
    assert "id_once failed" in said
    assert f"hold release {only(shop).id}" in said
    shop.batches[SECOND] = KeyError("price")
    said = failure(shop.run(asset, days=(FIRST, SECOND)))
    assert "KeyError" in said
    assert f"hold release {only(shop).id}" in said


def test_a_run_that_is_repeated_asks_for_the_same_decision(shop: Shop, asset: dg.AssetsDefinition) -> None:
    shop.batches[FIRST] = many()
    shop.run(asset, day=FIRST)
    first = only(shop)
    assert f"hold release {first.id}" in failure(shop.run(asset, day=FIRST))
    assert only(shop) == first


def test_a_later_run_that_passes_makes_the_decision_needless(shop: Shop, asset: dg.AssetsDefinition) -> None:
    shop.batches[FIRST] = many()
    shop.run(asset, day=FIRST)
    number = only(shop).id
    shop.batches.clear()
    assert shop.run(asset, day=FIRST).success
    assert shop.warehouse.holds(shop.address) == []
    result = decide(shop, asset, ids=[number])
    assert not result.success
    assert "superseded" in failure(result)
    assert len(shop.materializations()) == 1


# Released


@pytest.mark.parametrize("first", [True, False])
def test_a_release_shows_in_the_asset_and_its_checks_stand(shop: Shop, asset: dg.AssetsDefinition, first: bool) -> None:
    if not first:
        shop.run(asset, day=FIRST)
    shop.batches[FIRST] = many(bad=1)
    shop.run(asset, day=FIRST)
    hold = only(shop)
    result = decide(shop, asset, ids=[hold.id])
    assert result.success
    publication = shop.publication(FIRST)
    made = shop.materializations()[-1]
    assert made.partition == FIRST
    assert made.metadata["dagster/row_count"].value == 4
    assert made.metadata["dagster/partition_row_count"].value == 4
    assert made.metadata["sluice/rows_in"].value == 5
    assert made.metadata["sluice/rows_quarantined"].value == 1
    assert made.metadata["sluice/publication"].value == publication.id
    assert made.metadata["sluice/released_hold"].value == hold.id
    assert (made.metadata["sluice/released_by"].value, made.metadata["sluice/why"].value) == ("ann", "a busy day")
    assert made.tags is not None
    assert made.tags["dagster/data_version"] == publication.content_hash == hold.content_hash
    assert [row["id"] for row in shop.rows(FIRST)] == [2, 3, 4, 5]
    for name in ("not_many", "id_once", "conforms"):
        (info,) = shop.checked(name).values()
        assert info.partition_key == FIRST
        assert info.is_current
    told = shop.evaluations(result.run_id)
    assert {name for (name, _), check in told.items() if not check.passed} == {"not_many", "amount_possible"}
    accepted = told["not_many", FIRST]
    assert (accepted.severity, accepted.blocking) == (dg.AssetCheckSeverity.WARN, False)
    assert accepted.metadata["observed_value"].value == 5
    assert accepted.description == "not_many failed: observed 5."


@pytest.mark.parametrize("in_range", [False, True])
def test_what_was_released_is_released_for_the_next_run_too(
    shop: Shop, asset: dg.AssetsDefinition, in_range: bool
) -> None:
    """What is built on it is built, though the promise is still broken; nobody is asked a second time."""
    shop.batches[FIRST] = many()
    shop.run(asset, day=FIRST)
    hold = only(shop)
    assert decide(shop, asset, ids=[hold.id]).success
    calls: list[str] = []
    where: dict[str, Any] = {"days": (FIRST, FIRST)} if in_range else {"day": FIRST}
    result = shop.run(asset, bills(shop, calls), **where)
    assert result.success
    assert calls == ["bills"]
    assert shop.warehouse.holds(shop.address) == []
    made = shop.materializations()[-1]
    assert made.metadata["sluice/result"].value == Result.UNCHANGED.value
    assert made.metadata["sluice/released_hold"].value == hold.id
    told = shop.evaluations(result.run_id)["not_many", FIRST]
    assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_the_checks_of_what_was_released_can_be_judged_alone(shop: Shop, asset: dg.AssetsDefinition) -> None:
    shop.batches[FIRST] = many()
    shop.run(asset, day=FIRST)
    decide(shop, asset, ids=[only(shop).id])
    selected = dg.AssetSelection.checks_for_assets(shop.key)
    result = shop.run(asset, days=(FIRST, FIRST), selection=selected)
    assert result.success
    told = shop.evaluations(result.run_id)["not_many", FIRST]
    assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_a_table_without_partitions_waits_and_is_released(shop: Shop) -> None:
    asset = shop.orders(contract=careful(), partitions_def=None)
    shop.batches[None] = many()
    assert not shop.run(asset).success
    assert decide(shop, asset, ids=[only(shop).id]).success
    assert len(shop.rows()) == 5
    assert shop.run(asset).success


def test_several_at_once_and_one_that_is_refused(shop: Shop, asset: dg.AssetsDefinition) -> None:
    shop.batches |= dict.fromkeys((FIRST, SECOND, THIRD), many())
    shop.run(asset, days=(FIRST, THIRD))
    third, second, first = shop.warehouse.holds(shop.address)
    shop.warehouse.reject(second.id, by="bob", why="faster")
    result = decide(shop, asset, ids=[first.id, second.id, third.id])
    assert not result.success
    assert f"[{SECOND}]: Hold {second.id} is not open any more: it was rejected by bob" in failure(result)
    assert shop.published() == {FIRST, THIRD}
    assert {made.partition for made in shop.materializations()} == {FIRST, THIRD}


# Rejected, and decisions that cannot be


def test_a_reject_keeps_what_is_published(shop: Shop, asset: dg.AssetsDefinition) -> None:
    shop.run(asset, day=FIRST)
    shop.batches[FIRST] = many()
    shop.run(asset, day=FIRST)
    hold = only(shop)
    assert decide(shop, asset, ids=[hold.id], action="REJECT").success
    assert shop.rows(FIRST) == good().to_pylist()
    assert len(shop.materializations()) == 1
    (after,) = shop.warehouse.numbered_holds([hold.id])
    assert (after.status, after.decided_by, after.why) == ("rejected", "ann", "a busy day")


def test_a_decision_is_made_once(shop: Shop, asset: dg.AssetsDefinition) -> None:
    shop.batches[FIRST] = many()
    shop.run(asset, day=FIRST)
    number = only(shop).id
    assert decide(shop, asset, ids=[number, number]).success
    result = decide(shop, asset, ids=[number])
    assert not result.success
    assert "released by ann" in failure(result)
    assert len(shop.materializations()) == 1


def test_a_release_of_which_dagster_has_not_heard_is_told_when_it_is_repeated(
    shop: Shop, asset: dg.AssetsDefinition
) -> None:
    """As after a kill between the commit and the event."""
    shop.batches[FIRST] = many()
    shop.run(asset, day=FIRST)
    hold = only(shop)
    shop.warehouse.release(hold.id, by="ann", why="killed after this")
    assert decide(shop, asset, ids=[hold.id]).success
    (made,) = shop.materializations()
    assert made.metadata["sluice/why"].value == "killed after this"
    assert not decide(shop, asset, ids=[hold.id]).success
    assert len(shop.materializations()) == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"ids": []}, "No hold is named"),
        ({"ids": [10**9]}, "hold 1000000000: is not there"),
        ({"why": " "}, "why: is empty"),
        ({"by": ""}, "by: is empty"),
        ({"why": "a\0b"}, "cannot be kept as text"),
    ],
)
def test_a_decision_that_cannot_be_meant_changes_nothing(
    shop: Shop, asset: dg.AssetsDefinition, config: dict[str, Any], said: str
) -> None:
    shop.batches[FIRST] = many()
    shop.run(asset, day=FIRST)
    hold = only(shop)
    result = decide(shop, asset, **{"ids": [hold.id], **config})
    assert not result.success
    assert said in failure(result)
    assert only(shop) == hold


def test_a_table_of_another_project_is_not_released(shop: Shop, asset: dg.AssetsDefinition) -> None:
    shop.batches[FIRST] = many()
    shop.run(asset, day=FIRST)
    hold = only(shop)
    result = decide(shop, bills(shop, []), ids=[hold.id])
    assert "is published by another project" in failure(result)
    assert only(shop) == hold


def test_what_an_ordinary_asset_returns_can_wait_too(shop: Shop) -> None:
    """The IO manager takes it through the same gate."""
    from dagster_sluice import WarehouseIOManager

    @dg.asset(
        key=[shop.schema, "orders"], io_manager_key="tables", metadata={"sluice/contract": "test_held_tables:CAREFUL"}
    )
    def orders_of_the_day() -> Any:
        return many()

    io_manager = WarehouseIOManager(url=shop.url)
    result = shop.run(orders_of_the_day, resources={"tables": io_manager})
    assert not result.success
    hold = only(shop)
    assert f"sluice hold release {hold.id}" in failure(result)
    assert decide(shop, orders_of_the_day, ids=[hold.id]).success
    (made,) = shop.materializations()
    assert made.metadata["dagster/row_count"].value == 5

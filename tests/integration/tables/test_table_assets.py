"""``@table`` through Dagster, in one process, on Dagster's own Postgres storage."""

import dagster as dg
import pandas as pd
import psycopg
import pyarrow as pa
import pytest
from shop import DAYS, Shop, failure, good, orders, promise

from dagster_sluice import Column, Contract, Expectation, Policy, SluiceError, TableContext, table
from dagster_sluice.contracts.contract import LogicalType
from dagster_sluice.tables.content import content_hash
from dagster_sluice.warehouse import Address

CHECKS = {"conforms", "id_present", "id_once", "amount_possible", "note_present"}
FIRST, SECOND, THIRD = "2026-03-07", "2026-03-08", "2026-03-09"


def test_one_partition_is_published_and_every_check_is_told(shop: Shop) -> None:
    shop.batches[FIRST] = orders((1, 5.0, "é"), (2, 1e-300, None), (2**62, 1000.0, "x"))
    asset = shop.orders()
    result = shop.run(asset, day=FIRST)
    assert result.success
    assert shop.calls == [FIRST]
    assert shop.rows(FIRST) == shop.batches[FIRST].to_pylist()
    told = shop.evaluations(result.run_id)
    assert {name for name, _ in told} == CHECKS
    assert {day for _, day in told} == {FIRST}
    assert [name for (name, _), check in told.items() if not check.passed] == ["note_present"]
    warned = told["note_present", FIRST]
    assert warned.severity is dg.AssetCheckSeverity.WARN
    assert warned.metadata["failing_rows"].value == 1
    assert warned.metadata["rows"].value == 3
    for name in CHECKS:
        (info,) = shop.checked(name).values()
        assert info.partition_key == FIRST
        assert info.is_current


def test_the_sample_of_failing_rows_masks_what_is_personal(shop: Shop) -> None:
    shop.batches[FIRST] = orders((1, 5.0, "secret"), (2, -5.0, "secret too"))
    result = shop.run(shop.orders(), day=FIRST)
    (record,) = shop.evaluations(result.run_id)["amount_possible", FIRST].metadata["failing_sample"].records
    assert record.data == {"id": 2, "amount": -5.0, "note": "•••"}


def test_a_materialization_says_what_was_published(shop: Shop) -> None:
    shop.batches[FIRST] = orders((1, 5.0, "a"), (2, -5.0, "b"))
    result = shop.run(shop.orders(), day=FIRST)
    (made,) = shop.materializations()
    publication = shop.publication(FIRST)
    assert made.partition == FIRST
    assert made.metadata["dagster/row_count"].value == 1
    assert made.metadata["dagster/partition_row_count"].value == 1
    assert made.metadata["sluice/rows_in"].value == 2
    assert made.metadata["sluice/rows_quarantined"].value == 1
    assert made.metadata["sluice/publication"].value == publication.id
    assert made.tags is not None
    assert made.tags["dagster/data_version"] == publication.content_hash
    assert publication.content_hash == content_hash(shop.batches[FIRST].slice(0, 1))
    assert publication.run_id == result.run_id


def test_the_asset_node_shows_the_contract(shop: Shop) -> None:
    asset = shop.orders(group_name="shop", kinds=["python"], tags={"tier": "gold"})
    spec = asset.specs_by_key[shop.key]
    assert spec.owners == ["team:orders"]
    assert spec.tags == {
        "money": "",
        "every-day": "",
        "tier": "gold",
        "dagster/kind/postgres": "",
        "dagster/kind/python": "",
    }
    assert spec.description == "What was ordered."
    assert spec.metadata["dagster/table_name"] == f"{shop.schema}.orders"
    columns = {column.name: column for column in spec.metadata["dagster/column_schema"].columns}
    assert {name: column.type for name, column in columns.items()} == {
        "id": "integer",
        "amount": "number",
        "note": "string",
    }
    assert not columns["id"].constraints.nullable
    assert columns["id"].description == "Number of the order."
    assert {check.name for check in asset.check_specs} == CHECKS
    assert all(check.partitions_def == DAYS for check in asset.check_specs)


def test_a_table_without_partitions(shop: Shop) -> None:
    shop.batches[None] = good(4)
    asset = shop.orders(partitions_def=None)
    result = shop.run(asset)
    assert result.success
    assert len(shop.rows()) == 4
    (made,) = shop.materializations()
    assert made.partition is None
    assert {day for _, day in shop.evaluations(result.run_id)} == {None}
    shop.batches[None] = good(2)
    assert shop.run(asset).success
    assert len(shop.rows()) == 2


def test_a_range_publishes_each_partition_by_itself(shop: Shop) -> None:
    for count, day in enumerate((FIRST, SECOND, THIRD), start=1):
        shop.batches[day] = good(count)
    result = shop.run(shop.orders(), days=(FIRST, THIRD))
    assert result.success
    assert shop.calls == [FIRST, SECOND, THIRD]
    assert shop.instance.get_materialized_partitions(shop.key) == {FIRST, SECOND, THIRD}
    made = shop.materializations()
    assert [event.partition for event in made] == [FIRST, SECOND, THIRD]
    assert [event.metadata["dagster/row_count"].value for event in made] == [1, 2, 3]
    assert len({event.tags["dagster/data_version"] for event in made if event.tags}) == 3
    told = shop.evaluations(result.run_id)
    assert set(told) == {(name, day) for name in CHECKS for day in (FIRST, SECOND, THIRD)}
    for name in CHECKS:
        infos = shop.checked(name)
        assert set(infos) == {FIRST, SECOND, THIRD}
        assert all(info.is_current for info in infos.values())
        assert {info.latest_execution_status.value for info in infos.values()} == {"SUCCEEDED"}
    versions = {event.tags["dagster/code_version"] for event in made if event.tags}
    assert versions == {shop.publication(FIRST).code_version}


def test_one_blocked_day_of_a_range_stops_only_itself_and_what_reads_it(shop: Shop) -> None:
    asset = shop.orders()
    below: list[str] = []

    @table(contract=promise(table="totals"), key=[shop.schema, "totals"], partitions_def=DAYS)
    def totals(context: TableContext, orders: pa.Table) -> pa.Table:
        below.append(str(context.partition_key))
        return orders

    assert shop.run(asset, day=SECOND).success
    before = shop.publication(SECOND)
    shop.calls.clear()
    shop.batches[SECOND] = orders((7, 1.0, "twice"), (7, 2.0, "twice"))
    result = shop.run(asset, totals, days=(FIRST, THIRD))
    assert not result.success
    assert shop.calls == [FIRST, SECOND, THIRD]
    assert shop.published() == {FIRST, SECOND, THIRD}
    assert shop.publication(SECOND) == before
    assert shop.rows(SECOND) == good().to_pylist()
    assert below == []
    said = failure(result)
    assert f"{SECOND}: id_once failed: 2 of 2 rows." in said.replace("]", "")
    assert "what was published before stands" in said
    assert FIRST not in said
    made = shop.materializations(result.run_id)
    assert [event.partition for event in made] == [FIRST, THIRD]
    told = shop.evaluations(result.run_id)
    assert {day for (name, day), check in told.items() if name == "id_once" and not check.passed} == {SECOND}
    assert told["id_once", SECOND].severity is dg.AssetCheckSeverity.ERROR
    assert shop.checked("id_once")[SECOND].latest_execution_status.value == "FAILED"
    assert shop.checked("id_once")[FIRST].latest_execution_status.value == "SUCCEEDED"


def test_a_blocked_batch_is_not_tried_again(shop: Shop) -> None:
    shop.batches[FIRST] = orders((7, 1.0, "twice"), (7, 2.0, "twice"))
    result = shop.run(shop.orders(retry_policy=dg.RetryPolicy(max_retries=3)), day=FIRST)
    assert not result.success
    assert shop.calls == [FIRST]
    assert not shop.published()
    assert not shop.materializations()


def test_a_function_that_raises_for_one_day_of_a_range(shop: Shop) -> None:
    shop.batches[SECOND] = RuntimeError("the supplier's server said 503")
    result = shop.run(shop.orders(), days=(FIRST, THIRD))
    assert not result.success
    assert shop.published() == {FIRST, THIRD}
    assert shop.instance.get_materialized_partitions(shop.key) == {FIRST, THIRD}
    said = failure(result)
    assert SECOND in said
    assert "RuntimeError: the supplier's server said 503" in said
    shop.batches.clear()
    assert shop.run(shop.orders(), day=SECOND).success
    assert shop.published() == {FIRST, SECOND, THIRD}


def test_a_function_that_raises_for_a_single_day_raises_as_in_dagster(shop: Shop) -> None:
    shop.batches[FIRST] = RuntimeError("the supplier's server said 503")
    asset = shop.orders(retry_policy=dg.RetryPolicy(max_retries=1))
    result = shop.run(asset, day=FIRST)
    assert not result.success
    assert shop.calls == [FIRST, FIRST]
    assert "the supplier's server said 503" in failure(result)


def test_blocked_and_raised_days_of_a_range_are_both_told(shop: Shop) -> None:
    shop.batches[FIRST] = orders((7, 1.0, "twice"), (7, 2.0, "twice"))
    shop.batches[SECOND] = KeyError("price")
    said = failure(shop.run(shop.orders(), days=(FIRST, THIRD)))
    assert "KeyError" in said
    assert "id_once failed" in said
    assert shop.published() == {THIRD}


def test_bad_rows_are_kept_with_their_reasons(shop: Shop) -> None:
    shop.batches[FIRST] = orders((1, 5.0, "a"), (None, 5.0, "b"), (3, -1.0, "c"), (4, float("nan"), "d"), (5, 9.0, "e"))
    result = shop.run(shop.orders(contract=promise(quarantine_limit=0.9)), day=FIRST)
    assert result.success
    kept = shop.warehouse.quarantined(shop.address, FIRST)
    by_id = {row.payload["id"]: row for row in kept}
    assert {1, 5} <= {row["id"] for row in shop.rows(FIRST)}
    assert len(kept) + len(shop.rows(FIRST)) == 5
    assert {reason["expectation"] for reason in by_id[None].reasons} == {"id_present"}
    assert by_id[3].reasons == [{"expectation": "amount_possible", "column": "amount", "value": -1.0}]
    assert {row.run_id for row in kept} == {result.run_id}
    assert {row.status for row in kept} == {"open"}
    assert shop.publication(FIRST).rows_quarantined == len(kept)


def test_mended_rows_leave_the_quarantine(shop: Shop) -> None:
    asset = shop.orders()
    shop.batches[FIRST] = orders((1, 5.0, "a"), (2, -1.0, "b"), (3, 1.0, "c"))
    assert shop.run(asset, day=FIRST).success
    assert shop.run(asset, day=FIRST).success
    assert len(shop.warehouse.quarantined(shop.address, FIRST)) == 1
    shop.batches[FIRST] = orders((1, 5.0, "a"), (2, 1.0, "b"), (3, 1.0, "c"))
    assert shop.run(asset, day=FIRST).success
    assert not shop.warehouse.quarantined(shop.address, FIRST)
    assert [row.status for row in shop.warehouse.quarantined(shop.address, FIRST, status=None)] == ["passed"]
    assert len(shop.rows(FIRST)) == 3


@pytest.mark.parametrize(
    ("bad", "limit", "why"),
    [(4, 1.0, "All 4 rows would be quarantined"), (3, 0.5, "3 of 4 rows (75.0%) would be quarantined")],
)
def test_too_much_quarantine_is_a_block(shop: Shop, bad: int, limit: float, why: str) -> None:
    asset = shop.orders(contract=promise(quarantine_limit=limit))
    assert shop.run(asset, day=FIRST).success
    shop.batches[FIRST] = orders(*((number, -1.0 if number < bad else 1.0, "x") for number in range(4)))
    result = shop.run(asset, day=FIRST)
    assert not result.success
    assert why in failure(result)
    assert shop.rows(FIRST) == good().to_pylist()
    assert not shop.warehouse.quarantined(shop.address, FIRST)


def test_a_value_of_another_type_is_quarantined_as_it_came(shop: Shop) -> None:
    shop.batches[FIRST] = pd.DataFrame(
        {"id": ["1", "two", "3"], "amount": [1.0, 2.0, 3.0], "note": ["a", "b\0", "c"]}, dtype=object
    )
    result = shop.run(shop.orders(), day=FIRST)
    assert result.success
    assert [row["id"] for row in shop.rows(FIRST)] == [1, 3]
    (kept,) = shop.warehouse.quarantined(shop.address, FIRST)
    assert kept.payload["id"] == "two"
    assert {reason["column"] for reason in kept.reasons if reason["expectation"] == "conforms"} == {"id", "note"}
    assert not shop.evaluations(result.run_id)["conforms", FIRST].passed


def test_a_frame_with_other_columns_is_blocked_and_told(shop: Shop) -> None:
    shop.batches[FIRST] = good().rename_columns(["id", "amuont", "note"])
    result = shop.run(shop.orders(), day=FIRST)
    assert not result.success
    said = failure(result)
    assert "column 'amount': is promised and missing. The frame has 'amuont': rename it." in said
    assert not shop.published()


def test_an_upstream_partition_that_is_missing_is_named(shop: Shop) -> None:
    asset = shop.orders()

    @table(contract=promise(table="totals"), key=[shop.schema, "totals"], partitions_def=DAYS)
    def totals(orders: pa.Table) -> pa.Table:
        return orders

    result = shop.run(totals, asset, day=FIRST, selection=[totals])
    assert f"Nothing is published in {shop.schema}.orders." in failure(result)
    assert shop.run(asset, day=FIRST).success
    result = shop.run(totals, asset, day=SECOND, selection=[totals])
    assert not result.success
    assert f"{shop.schema}.orders has no published partition {SECOND}." in failure(result)
    assert "Materialize that one first" in failure(result)
    result = shop.run(totals, asset, days=(FIRST, SECOND), selection=[totals])
    assert not result.success
    assert set(shop.warehouse.current(Address(schema=shop.schema, table="totals"))) == {FIRST}


def test_checks_alone_judge_what_is_published_and_publish_nothing(shop: Shop) -> None:
    asset = shop.orders()
    shop.batches[FIRST] = orders((1, 5.0, None), (2, 6.0, "b"))
    assert shop.run(asset, days=(FIRST, SECOND)).success
    before = shop.publication(FIRST)
    with psycopg.connect(shop.url) as session:
        session.execute(f'UPDATE "{shop.schema}".orders SET amount = -1 WHERE _partition = %s AND id = 2', [FIRST])
    shop.calls.clear()
    only = dg.AssetSelection.checks_for_assets(shop.key)
    result = shop.run(asset, days=(FIRST, FIRST), selection=only)
    assert result.success
    assert shop.calls == []
    told = shop.evaluations(result.run_id)
    assert {name for (name, _), check in told.items() if not check.passed} == {"amount_possible", "note_present"}
    assert shop.publication(FIRST) == before
    assert not shop.materializations(result.run_id)
    assert not shop.warehouse.quarantined(shop.address)
    ranged = shop.run(asset, days=(FIRST, SECOND), selection=only)
    assert ranged.success
    assert set(shop.evaluations(ranged.run_id)) == {(name, day) for name in CHECKS for day in (FIRST, SECOND)}
    assert not shop.materializations(ranged.run_id)


def test_the_table_without_its_checks_is_still_judged(shop: Shop) -> None:
    asset = shop.orders()
    bare = dg.AssetSelection.assets(asset).without_checks()
    result = shop.run(asset, day=FIRST, selection=bare)
    assert result.success
    assert not shop.evaluations(result.run_id)
    shop.batches[SECOND] = orders((7, 1.0, "twice"), (7, 2.0, "twice"))
    assert not shop.run(asset, day=SECOND, selection=bare).success
    assert shop.published() == {FIRST}


def test_an_unchanged_second_run_publishes_nothing_and_keeps_the_data_version(shop: Shop) -> None:
    asset = shop.orders()
    shop.batches[FIRST] = orders((1, 5.0, "a"), (2, 6.0, "b"))
    assert shop.run(asset, day=FIRST).success
    first = shop.publication(FIRST)
    shop.batches[FIRST] = orders((2, 6.0, "b"), (1, 5.0, "a"))
    assert shop.run(asset, day=FIRST).success
    again = shop.publication(FIRST)
    assert (again.id, again.published_at) == (first.id, first.published_at)
    made = shop.materializations()
    assert [event.metadata["sluice/result"].value for event in made] == ["published", "unchanged"]
    versions = {event.tags["dagster/data_version"] for event in made if event.tags}
    assert versions == {first.content_hash}
    shop.batches[FIRST] = orders((2, 6.0, "b"), (1, 5.5, "a"))
    assert shop.run(asset, day=FIRST).success
    assert shop.publication(FIRST).id != first.id
    assert shop.publication(FIRST).content_hash != first.content_hash


@pytest.mark.parametrize("kind", ["pandas", "arrow", "batch", "duckdb"])
def test_what_a_function_may_return(shop: Shop, kind: str) -> None:
    import duckdb

    wanted = orders((1, 5.0, "é"), (2, None, None))
    with duckdb.connect() as session:
        frames = {
            "pandas": pd.DataFrame({"note": ["é", None], "amount": [5.0, None], "id": [1, 2]}),
            "arrow": wanted,
            "batch": wanted.to_batches()[0],
            "duckdb": session.sql("select * from wanted"),
        }
        shop.batches[FIRST] = frames[kind]
        result = shop.run(shop.orders(), day=FIRST)
    assert result.success, failure(result)
    assert shop.rows(FIRST) == wanted.to_pylist()


def test_nothing_returned_is_told(shop: Shop) -> None:
    @table(contract=promise(), key=[shop.schema, "orders"], partitions_def=DAYS)
    def asset(context: TableContext) -> None:
        return None

    result = shop.run(asset, day=FIRST)
    assert not result.success
    assert not shop.published()


def test_a_column_of_another_table_is_an_expectation_and_an_upstream(shop: Shop) -> None:
    shops = Contract(
        table="shops",
        columns=(Column(name="code", type=LogicalType.STRING), Column(name="open", type=LogicalType.BOOLEAN)),
    )

    @table(contract=shops, key=[shop.schema, "shops"])
    def known() -> pd.DataFrame:
        return pd.DataFrame({"code": ["a", "b"], "open": [True, False]})

    known_note = Expectation(
        name="note_known",
        type="expect_column_values_to_be_in_set",
        kwargs={"column": "note", "value_set": {"from": "shops.code"}},
        policy=Policy.QUARANTINE,
    )
    asset = shop.orders(contract=promise(expectations=(known_note,)))
    assert dg.AssetKey([shop.schema, "shops"]) in asset.asset_deps[shop.key]
    shop.batches[FIRST] = orders((1, 1.0, "a"), (2, 1.0, "z"), (3, 1.0, "b"))
    result = shop.run(asset, known, day=FIRST, selection=[asset])
    assert not result.success
    assert f"{shop.schema}.shops" in failure(result)
    assert shop.run(known).success
    assert shop.run(asset, known, day=FIRST, selection=[asset]).success
    assert [row["note"] for row in shop.rows(FIRST)] == ["a", "b"]
    (kept,) = shop.warehouse.quarantined(shop.address, FIRST)
    assert kept.payload["note"] == "z"


class Prices(dg.ConfigurableResource):  # type: ignore[type-arg]
    amount: float


def test_resources_upstreams_and_context_are_parameters(shop: Shop) -> None:
    asset = shop.orders()
    seen: list[TableContext] = []

    @table(contract=promise(table="whole"), key=[shop.schema, "whole"])
    def whole() -> pa.Table:
        return good(2, amount=1.0)

    @table(
        contract=promise(table="totals"),
        key=[shop.schema, "totals"],
        partitions_def=DAYS,
        ins={"today": shop.key},
    )
    def totals(
        told: TableContext,
        today: pd.DataFrame,
        whole: pa.Table,
        prices: Prices,
        plain: dg.ResourceParam[dict],  # type: ignore[type-arg]
    ) -> pd.DataFrame:
        seen.append(told)
        return today.assign(amount=prices.amount + plain["more"] + whole.num_rows)

    result = shop.run(
        asset,
        whole,
        totals,
        day=SECOND,
        resources={"prices": Prices(amount=40.0), "plain": {"more": 1.0}},
        # A run over a day takes tables without partitions along.
    )
    assert result.success
    assert [row["amount"] for row in shop.rows(SECOND, "totals")] == [43.0] * 3
    (told,) = seen
    assert told.partition_key == SECOND
    assert told.day.isoformat() == SECOND
    assert told.time_window is not None
    # Twenty-three hours: the clock springs forward that night.
    assert (told.time_window.end.timestamp() - told.time_window.start.timestamp()) / 3600 == 23
    assert told.run_id == result.run_id
    assert told.correlation_id == result.run_id


def test_one_cause_is_followed_through_every_record(shop: Shop) -> None:
    shop.batches[FIRST] = orders((1, 5.0, "a"), (2, -1.0, "b"), (3, 1.0, "c"))
    shop.batches[SECOND] = orders((7, 1.0, "twice"), (7, 2.0, "twice"))
    asset = shop.orders()
    cause = f"cause-{shop.schema}"
    for day in (FIRST, SECOND):
        dg.materialize(
            [asset],
            instance=shop.instance,
            partition_key=day,
            tags={"sluice/correlation_id": cause},
            resources={"warehouse": _resource(shop)},
            raise_on_error=False,
        )
    audits = shop.warehouse.audits(cause)
    assert [(audit.partition, audit.result.value) for audit in audits] == [(FIRST, "published"), (SECOND, "blocked")]
    assert audits[1].reasons == ("id_once failed: 2 of 2 rows.",)
    assert {row.correlation_id for row in shop.warehouse.quarantined(shop.address)} == {cause}


def _resource(shop: Shop) -> dg.ConfigurableResource:  # type: ignore[type-arg]
    from dagster_sluice import WarehouseResource

    return WarehouseResource(url=shop.url)


def test_what_somebody_else_published_meanwhile_is_not_overwritten(shop: Shop) -> None:
    inner: list[bool] = []

    @table(contract=promise(), key=[shop.schema, "orders"], partitions_def=DAYS)
    def asset(context: TableContext) -> pa.Table:
        if not inner:
            inner.append(True)
            assert shop.run(shop.orders(), day=FIRST).success
        return good(1, amount=99.0)

    result = shop.run(asset, day=FIRST)
    assert not result.success
    assert "was published by somebody else meanwhile" in failure(result)
    assert shop.rows(FIRST) == good().to_pylist()


def test_a_warehouse_that_does_not_answer_is_named_without_its_password(shop: Shop) -> None:
    shop.url = "postgresql://postgres:hush@127.0.0.1:1/nothing"
    result = shop.run(shop.orders(), day=FIRST)
    assert not result.success
    said = failure(result)
    assert "does not answer" in said
    assert "hush" not in said


def test_dynamic_partitions_of_any_name(shop: Shop) -> None:
    places = dg.DynamicPartitionsDefinition(name=f"places_{shop.schema}")
    keys = ["Zürich", "a'b\"c; --", "東京", " "]
    shop.instance.add_dynamic_partitions(places.name, keys)
    asset = shop.orders(partitions_def=places)
    for number, key in enumerate(keys, start=1):
        shop.batches[key] = good(number)
        assert shop.run(asset, day=key).success
    assert [len(shop.rows(key)) for key in keys] == [1, 2, 3, 4]
    assert shop.published() == set(keys)


def test_a_key_that_is_not_the_contracts_is_refused_when_declared() -> None:
    with pytest.raises(SluiceError, match="has a contract for 'orders'"):

        @table(contract=promise(), key=["s", "purchases"])
        def purchases() -> None: ...


def test_parameters_that_cannot_be_filled_are_all_listed_when_declared() -> None:
    with pytest.raises(SluiceError) as raised:

        @table(contract=promise(), ins={"absent": dg.AssetKey("x")})
        def asset(number: int, *more: pa.Table) -> None: ...

    assert len(raised.value.culprits) == 3

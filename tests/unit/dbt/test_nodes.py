"""Which nodes of a build are published: decided on values alone."""

import pytest

from dagster_sluice.dbt.nodes import nodes_of, rule


def node(name, *parents, kind="model", materialized="table", **config):
    id_ = name if "." in name else f"{kind}.shop.{name}"
    return id_, {
        "name": id_.rpartition(".")[2],
        "resource_type": kind,
        "schema": "marts",
        "alias": config.pop("alias", name),
        "config": {"materialized": materialized, **config},
        "depends_on": {"nodes": [parent if "." in parent else f"model.shop.{parent}" for parent in parents]},
    }


def verdict_of(name, *parents, attached=None, kind="test"):
    id_, made = node(name, *parents, kind=kind, materialized=kind)
    return id_, {**made, "attached_node": attached if attached is None or "." in attached else f"model.shop.{attached}"}


def manifest(*nodes, unit_tests=()):
    return {"nodes": dict(nodes), "unit_tests": dict(unit_tests)}


SHOP = [
    node("customers", "stg_customers", "orders"),
    node("orders", "only_text"),
    node("only_text", "stg_orders", materialized="ephemeral"),
    node("stg_orders", "seed.shop.raw_orders", materialized="view"),
    node("stg_customers", "source.shop.raw.customers", materialized="view"),
    node("raw_orders", kind="seed", materialized="seed"),
]


def build(*tests, unit_tests=(), standing=(), **statuses):
    """A build of the shop in which all went well, but for what is said."""
    made = manifest(*SHOP, *tests, unit_tests=unit_tests)
    nodes = nodes_of(made)
    found = dict.fromkeys(nodes, "success") | {
        next(
            id_ for id_ in [*made["nodes"], *made["unit_tests"], name] if name in (id_, id_.rpartition(".")[2])
        ): status
        for name, status in statuses.items()
    }
    ruling = rule(list(nodes.values()), found, made, standing=[f"model.shop.{name}" for name in standing])
    short = lambda id_: id_.rpartition(".")[2]  # noqa: E731
    return {short(id_) for id_ in ruling.published}, {short(id_): why for id_, why in ruling.blocked.items()}


def test_the_order_is_upstream_first_also_through_what_is_only_text():
    nodes = nodes_of(manifest(*SHOP))
    names = [node.name for node in nodes.values()]
    assert "only_text" not in names
    assert nodes["model.shop.orders"].parents == ("model.shop.stg_orders",)
    assert names.index("raw_orders") < names.index("stg_orders") < names.index("orders") < names.index("customers")


def test_nodes_that_are_no_relation_are_left_out():
    found = nodes_of(
        manifest(*SHOP, verdict_of("t", "orders"), node("hook", kind="operation"), node("a", kind="analysis"))
    )
    assert {node.name for node in found.values()} == {
        "customers",
        "orders",
        "stg_orders",
        "stg_customers",
        "raw_orders",
    }


@pytest.mark.parametrize(
    ("materialized", "config", "wanted"),
    [
        ("incremental", {}, "day"),
        ("incremental", {"meta": {"sluice": {"partition_column": "mine"}}}, "mine"),
        ("incremental", {"event_time": "at", "incremental_strategy": "microbatch"}, "at"),
        ("incremental", {"event_time": "at"}, "day"),
        ("incremental", {"meta": {"sluice": "something else"}}, "day"),
        ("table", {"event_time": "at"}, None),
        ("snapshot", {}, None),
        ("view", {"meta": {"sluice": {"partition_column": "mine"}}}, None),
    ],
)
def test_the_partition_column(materialized, config, wanted):
    made = manifest(node("x", materialized=materialized, **config))
    assert nodes_of(made, column="day")["model.shop.x"].column == wanted


def test_only_what_is_partitioned_in_batches_has_a_column_of_its_own():
    made = manifest(node("x", materialized="incremental", event_time="at"))
    assert nodes_of(made)["model.shop.x"].column is None


def test_all_is_published_when_all_went_well():
    published, blocked = build()
    assert published == {"customers", "orders", "stg_orders", "stg_customers", "raw_orders"}
    assert blocked == {}


def test_a_failing_test_blocks_its_model_and_what_is_made_of_it_only():
    published, blocked = build(verdict_of("unique", attached="orders"), unique="fail", customers="skipped")
    assert published == {"stg_orders", "stg_customers", "raw_orders"}
    assert blocked["orders"] == ("The test unique failed.",)
    assert blocked["customers"] == ("It is made of orders, which is not published.",)


def test_the_closure_goes_through_ephemeral_models():
    published, blocked = build(verdict_of("unique", attached="stg_orders"), unique="fail")
    assert published == {"stg_customers", "raw_orders"}
    assert blocked["orders"] == ("It is made of stg_orders, which is not published.",)


@pytest.mark.parametrize("status", ["pass", "warn", "skipped", "success"])
def test_a_warning_stops_nothing(status):
    assert build(verdict_of("unique", attached="orders"), unique=status)[1] == {}


@pytest.mark.parametrize(
    ("status", "what"), [("fail", "failed"), ("error", "could not run"), ("runtime error", "could not run")]
)
def test_a_test_that_cannot_run_has_not_passed(status, what):
    assert build(verdict_of("unique", attached="customers"), unique=status)[1] == {
        "customers": (f"The test unique {what}.",)
    }


def test_a_test_over_several_models_stands_against_all_of_them():
    published, _ = build(verdict_of("balanced", "stg_customers", "orders"), balanced="fail")
    assert published == {"stg_orders", "raw_orders"}


def test_a_test_that_refers_to_another_model_stands_against_its_own():
    _, blocked = build(verdict_of("related", "customers", "stg_customers", attached="customers"), related="fail")
    assert [*blocked] == ["customers"]


def test_a_unit_test_counts():
    unit = verdict_of("unit_test.shop.orders.sums", "orders", kind="unit_test")
    unit[1]["name"] = "sums"
    published, blocked = build(unit_tests=[unit], sums="fail", orders="skipped", customers="skipped")
    assert blocked["orders"] == ("The test sums failed.",)
    assert published == {"stg_orders", "stg_customers", "raw_orders"}


def test_a_test_on_an_ephemeral_model_stands_against_what_is_made_of_it():
    _, blocked = build(verdict_of("unique", attached="only_text"), unique="fail")
    assert blocked["orders"] == ("The test unique failed.",)
    assert {*blocked} == {"orders", "customers"}


def test_a_test_on_a_source_stands_against_what_is_made_of_it():
    _, blocked = build(verdict_of("not_null", "source.shop.raw.customers"), not_null="fail")
    assert {*blocked} == {"stg_customers", "customers"}


def test_a_model_that_failed_or_was_not_reached():
    made = manifest(*SHOP)
    nodes = nodes_of(made)
    ruling = rule(list(nodes.values()), {"seed.shop.raw_orders": "success", "model.shop.stg_orders": "error"}, made)
    assert ruling.published == ("seed.shop.raw_orders",)
    assert ruling.blocked["model.shop.stg_orders"] == ("dbt says 'error'.",)
    assert ruling.blocked["model.shop.customers"] == ("dbt did not come to it.",)


def test_a_model_of_which_some_batches_failed():
    assert build(orders="partial success")[1]["orders"] == ("dbt says 'partial success'.",)


def test_a_model_that_dbt_skipped_for_reasons_of_its_own():
    assert build(stg_customers="skipped")[1]["stg_customers"] == ("dbt skipped it.",)


def test_a_hook_that_fails_blocks_all():
    published, blocked = build(**{"operation.shop.shop-on-run-end-0": "error"})
    assert not published
    assert blocked["orders"] == ("The hook shop-on-run-end-0 could not run.",)


def test_what_else_was_found():
    made = manifest(*SHOP)
    nodes = nodes_of(made)
    ruling = rule(
        list(nodes.values()), dict.fromkeys(nodes, "success"), made, stopped={"model.shop.orders": ["Two words."]}
    )
    assert ruling.blocked["model.shop.orders"] == ("Two words.",)
    assert "model.shop.customers" in ruling.blocked


def test_a_view_that_readers_have_holds_back_the_tables_whose_rows_it_would_show():
    failing = verdict_of("accepted", attached="stg_orders")
    published, blocked = build(failing, accepted="fail", standing=["stg_orders"])
    assert published == {"stg_customers"}
    assert blocked["raw_orders"] == ("The view stg_orders reads it, and its test accepted failed.",)


def test_a_view_through_views():
    chain = [node("top", "middle", materialized="view"), node("middle", "base", "under", materialized="view")]
    chain += [node("base", "under"), node("under")]
    made = manifest(*chain, verdict_of("good", attached="top"))
    nodes = nodes_of(made)
    statuses = dict.fromkeys(nodes, "success") | {"test.shop.good": "fail"}
    assert rule(list(nodes.values()), statuses, made, standing=["model.shop.top"]).published == ()
    assert len(rule(list(nodes.values()), statuses, made).published) == 3

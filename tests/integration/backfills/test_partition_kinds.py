"""The gaps of real definitions of every partition kind, against what Dagster says of each partition."""

import datetime as dt
import random
from contextlib import closing

import dagster as dg
import pandas as pd
import pytest

from dagster_sluice import Column, Contract, TableContext, WarehouseResource, table
from dagster_sluice.backfills import Budget, nightly_backfill
from dagster_sluice.backfills.partitions import WHOLE, listed
from dagster_sluice.backfills.plan import Decision
from dagster_sluice.backfills.schedule import nightly_backfills
from dagster_sluice.warehouse.postgres import PostgresWarehouse

pytestmark = [
    pytest.mark.filterwarnings("ignore:Class `Multi.*PartitionMapping` is currently in beta"),
    pytest.mark.filterwarnings("ignore:Class `DimensionPartitionMapping` is currently in beta"),
]

BERLIN = "Europe/Berlin"
NOW = dt.datetime(2026, 10, 28, 10, tzinfo=dt.timezone.utc)
HOURS = dg.HourlyPartitionsDefinition("2026-10-23-00:00", timezone=BERLIN)
DAYS = dg.DailyPartitionsDefinition("2026-10-23", timezone=BERLIN)
OPEN_DAYS = dg.DailyPartitionsDefinition("2026-10-23", timezone=BERLIN, end_offset=1)
WEEKS = dg.WeeklyPartitionsDefinition("2026-10-11", timezone=BERLIN)
KEYS = ["Köln", "a b", "O'Hare", '"x"', "日本"]
PLANTS = dg.StaticPartitionsDefinition(KEYS)
SITES = dg.DynamicPartitionsDefinition(name="sites")
DAYS_PLANTS = dg.MultiPartitionsDefinition({"day": DAYS, "plant": PLANTS})
DAYS_SITES = dg.MultiPartitionsDefinition({"day": DAYS, "site": SITES})
BEFORE = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)


def made(name, definition=None, **upstream):
    """An asset of these partitions, made of assets by these mappings."""
    deps = [dg.AssetDep(one, partition_mapping=mapping) for one, mapping in upstream.items()]

    @dg.asset(name=name, partitions_def=definition, deps=deps)
    def asset() -> None: ...

    return asset


def every_kind():
    """One asset for each way of being made of others."""
    to_one = dg.MultiToSingleDimensionPartitionMapping()
    by_day = dg.MultiPartitionMapping({"day": dg.DimensionPartitionMapping("day", BEFORE)})
    return [
        made("hours", HOURS),
        made("days", DAYS, hours=None),
        made("balance", DAYS, days=None, balance=BEFORE),
        made("sliding", DAYS, days=dg.TimeWindowPartitionMapping(start_offset=-6, end_offset=0)),
        made("today", OPEN_DAYS, hours=None),
        made("weeks", WEEKS, days=None),
        made("plants", PLANTS),
        made(
            "regions",
            dg.StaticPartitionsDefinition(["EU", "AS"]),
            plants=dg.StaticPartitionMapping({"Köln": "EU", "a b": "EU", "日本": ["AS", "EU"]}),
        ),
        made("sites", SITES, plants=dg.AllPartitionMapping()),
        made("yields", DAYS_PLANTS, days=to_one),
        made("sums", PLANTS, yields=to_one),
        made("site_days", DAYS_SITES, sites=to_one),
        made("site_costs", DAYS_SITES, yields=by_day),
        made("latest", None, days=dg.LastPartitionMapping()),
        made("total", None, yields=None),
        made("rates"),
        made("converted", DAYS, days=None, rates=None),
    ]


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("sites", ["Ü", "s 2"])
        yield instance


@pytest.fixture
def planner(instance, database_url, state):
    """A function that gives a planner of assets."""
    with closing(PostgresWarehouse(database_url)) as warehouse:

        def planner(assets, **settings):
            schedule = nightly_backfill("*", name="kinds", window=None, **settings)
            definitions = dg.Definitions(
                assets=assets,
                schedules=[schedule],
                resources={"warehouse": WarehouseResource(url=database_url)},
                executor=dg.in_process_executor,
            )
            (declared,) = nightly_backfills(["kinds"])
            return declared.planner(definitions.get_repository_def(), instance, lambda _: warehouse, state)

        yield planner


class Slow:
    """The gaps, by asking Dagster for each partition."""

    def __init__(self, graph, instance):
        self.graph, self.instance = graph, instance
        self.keys = {
            key: list(listed(graph.get(key).partitions_def, instance=instance, now=NOW).keys)
            for key in graph.toposorted_asset_keys
        }
        self.made = {}

    def parents(self, key, partition):
        node = self.graph.get(key)
        for parent in node.parent_keys:
            upstream = self.graph.get(parent).partitions_def
            if upstream is None:
                yield parent, [WHOLE], False
                continue
            subset = None
            if node.partitions_def is not None:
                subset = node.partitions_def.empty_subset().with_partition_keys([partition])
            found = self.graph.get_partition_mapping(key, parent).get_upstream_mapped_partitions_result_for_partitions(
                subset, node.partitions_def, upstream, current_time=NOW, dynamic_partitions_store=self.instance
            )
            missing = bool(list(found.required_but_nonexistent_partition_keys))
            yield parent, list(map(str, found.partitions_subset.get_partition_keys())), missing

    def hopeless(self):
        lost = set()
        for key, keys in self.keys.items():
            for partition in keys:
                for parent, upstream, missing in self.parents(key, partition):
                    whole = isinstance(self.graph.get_partition_mapping(key, parent), dg.AllPartitionMapping)
                    gone = any((parent, one) in lost and (parent, one) not in self.made for one in upstream)
                    if missing or (gone and not whole):
                        lost.add((key, partition))
        return lost

    def gaps(self):
        found = {}
        for key, keys in self.keys.items():
            for partition in keys:
                own = self.made.get((key, partition))
                newest = max(
                    (self.made.get((up, one), 0) for up, some, _ in self.parents(key, partition) for one in some),
                    default=0,
                )
                if own is None:
                    found[key.to_user_string(), partition] = ("missing",)
                elif newest > own:
                    found[key.to_user_string(), partition] = ("upstream_newer",)
        lost = {(key.to_user_string(), partition) for key, partition in self.hopeless()}
        return {place: why for place, why in found.items() if place not in lost}, lost & set(found)


@pytest.mark.parametrize("seed", range(3))
def test_the_gaps_of_every_kind_are_those_that_dagster_would_tell(planner, instance, seed):
    chance = random.Random(seed)
    look = planner(every_kind(), budget=Budget(partitions=None))
    slow = Slow(look.graph, instance)
    # Not all of its hours have been yet.
    unripe = dg.AssetKey("today"), "2026-10-28"
    everything = [(key, one) for key, keys in slow.keys.items() for one in keys if (key, one) != unripe]
    for number, (key, partition) in enumerate(chance.sample(everything, len(everything) * 3 // 4), start=1):
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition or None))
        slow.made[key, partition] = number
    plan = look.draft(NOW).plan
    rows = {(row.table, row.partition): row for row in plan.rows()}
    gaps, lost = slow.gaps()
    told = {
        place: tuple(word for word in row.reasons.words if word != "upstream_planned")
        for place, row in rows.items()
        if row.decision is not Decision.UNFILLABLE
    }
    assert {place: words for place, words in told.items() if words} == gaps
    assert {place for place, row in rows.items() if row.decision is Decision.UNFILLABLE} == lost
    assert ("today", "2026-10-28") in lost
    assert {"hours", "balance", "yields", "site_costs"} <= {place[0] for place in gaps}


def contract(name):
    return Contract(table=name, schema="kinds", columns=(Column(name="id", type="integer"),))


def odd_tables():
    @table(contract=contract("plants"), partitions_def=PLANTS, code_version="1")
    def plants(context: TableContext) -> pd.DataFrame:
        return pd.DataFrame({"id": [KEYS.index(context.partition_key)]})

    @table(contract=contract("sites"), partitions_def=SITES, code_version="1")
    def sites() -> pd.DataFrame:
        return pd.DataFrame({"id": [1]})

    @table(contract=contract("yields"), partitions_def=DAYS_PLANTS, code_version="1")
    def yields() -> pd.DataFrame:
        return pd.DataFrame({"id": [2]})

    return [plants, sites, yields]


def test_tables_of_odd_keys_are_published_and_found_again(planner, instance, database_url):
    assets = odd_tables()
    look = planner(assets, budget=Budget(partitions=None))
    several = "2026-10-25|日本"
    for asset, partition in ((assets[0], "O'Hare"), (assets[0], "日本"), (assets[1], "s 2"), (assets[2], several)):
        result = dg.materialize(
            [asset],
            partition_key=partition,
            instance=instance,
            resources={"warehouse": WarehouseResource(url=database_url)},
        )
        assert result.success
    left = {}
    for row in look.draft(NOW).plan.rows():
        assert (row.reasons.words, row.decision) == (("missing",), Decision.PLANNED)
        left.setdefault(row.table, []).append(row.partition)
    assert left["kinds/plants"] == ["Köln", "a b", '"x"']
    assert left["kinds/sites"] == ["Ü"]
    assert several not in left["kinds/yields"]
    assert len(left["kinds/yields"]) == 5 * len(KEYS) - 1

"""What the links between partitions take from Dagster that it does not promise: decision 13 rests on it."""

import datetime as dt

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

NOW = dt.datetime(2026, 4, 1, tzinfo=dt.timezone.utc)
DAYS = dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-03-04")
PLANTS = dg.StaticPartitionsDefinition(["x", "y"])
BOTH = dg.MultiPartitionsDefinition({"zone": PLANTS, "day": DAYS})

pytestmark = [
    pytest.mark.filterwarnings("ignore:Class `Multi.*PartitionMapping` is currently in beta"),
    pytest.mark.filterwarnings("ignore:Class `DimensionPartitionMapping` is currently in beta"),
]


def test_a_mapping_of_dimensions_tells_its_pairs():
    (pair,) = dg.MultiToSingleDimensionPartitionMapping().get_dimension_dependencies(BOTH, DAYS)
    assert (pair.upstream_dimension_name, pair.downstream_dimension_name) == ("day", None)
    assert isinstance(pair.partition_mapping, dg.IdentityPartitionMapping)
    weeks = dg.WeeklyPartitionsDefinition("2026-03-01")
    (pair,) = dg.MultiToSingleDimensionPartitionMapping().get_dimension_dependencies(weeks, BOTH)
    assert (pair.upstream_dimension_name, pair.downstream_dimension_name) == (None, "day")
    assert isinstance(pair.partition_mapping, dg.TimeWindowPartitionMapping)
    last = dg.DimensionPartitionMapping("zone", dg.LastPartitionMapping())
    (pair,) = dg.MultiPartitionMapping({"day": last}).get_dimension_dependencies(BOTH, BOTH)
    assert (pair.upstream_dimension_name, pair.downstream_dimension_name) == ("day", "zone")


def test_no_two_dimensions_follow_one():
    twice = {name: dg.DimensionPartitionMapping("zone", dg.LastPartitionMapping()) for name in ("day", "zone")}
    with pytest.raises(dg._check.CheckError, match="downstream dimension name"):
        dg.MultiPartitionMapping(twice).get_dimension_dependencies(BOTH, BOTH)


def test_keys_of_two_dimensions_are_joined_by_the_names_order():
    assert [str(key) for key in BOTH.get_partition_keys(current_time=NOW)][:3] == [
        "2026-03-01|x",
        "2026-03-01|y",
        "2026-03-02|x",
    ]


def test_of_one_moment_the_first_list_is_kept():
    with dg.DagsterInstance.ephemeral() as instance:
        grown = dg.MultiPartitionsDefinition({"a": dg.DynamicPartitionsDefinition(name="grown"), "b": PLANTS})
        for key in ("p", "q"):
            instance.add_dynamic_partitions("grown", [key])
            found = grown.get_partition_keys(current_time=NOW, dynamic_partitions_store=instance)
            assert list(map(str, found)) == ["p|x", "p|y"]


def test_a_range_of_two_dimensions_is_a_square_and_no_stretch():
    """So a run takes no range of such partitions, unless it is one."""
    with partition_loading_context(effective_dt=NOW):
        found = BOTH.get_partition_keys_in_range(dg.PartitionKeyRange("2026-03-01|x", "2026-03-03|x"))
    assert list(map(str, found)) == ["2026-03-01|x", "2026-03-02|x", "2026-03-03|x"]


def test_a_window_has_its_start_without_its_end():
    assert DAYS.start_time_for_partition_key("2026-03-02") == DAYS.time_window_for_partition_key("2026-03-02").start


def test_an_early_hour_of_a_day_that_is_not_there_misses_nothing():
    hours = dg.HourlyPartitionsDefinition("2026-02-01-00:00")

    def missing(child, key):
        return (
            dg.TimeWindowPartitionMapping()
            .get_upstream_mapped_partitions_result_for_partitions(
                child.empty_subset().with_partition_keys([key]), child, DAYS, current_time=NOW
            )
            .required_but_nonexistent_partition_keys
        )

    assert missing(hours, "2026-02-03-05:00") == []
    assert missing(dg.DailyPartitionsDefinition("2026-02-01"), "2026-02-03") == ["2026-02-03"]

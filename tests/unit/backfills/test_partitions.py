"""Partitions as arrays say what Dagster says one by one: keys, windows, and what is made of what."""

import datetime as dt
from zoneinfo import ZoneInfo

import dagster as dg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_sluice.backfills.partitions import WHOLE, links, listed

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe"]
HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def moment(text, zone="UTC"):
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def asked(child, parent, mapping, instance, now):
    """Dagster's answer for each partition: what there is upstream, and whether something is missing."""

    def one(key):
        subset = None if key == WHOLE else child.empty_subset().with_partition_keys([key])
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(
            subset, child, parent, current_time=now, dynamic_partitions_store=instance
        )
        upstream = [str(key) for key in found.partitions_subset.get_partition_keys()]
        return sorted(upstream), bool(list(found.required_but_nonexistent_partition_keys))

    return {str(key): one(key) for key in listed(child, instance=instance, now=now).keys}


def linked(child, parent, mapping, instance, now, wanted=None):
    below, above = (listed(one, instance=instance, now=now) for one in (child, parent))
    found = links(
        below,
        above,
        name="upstream",
        mapping=mapping,
        child_definition=child,
        parent_definition=parent,
        wanted=np.arange(len(below.keys)) if wanted is None else np.array(wanted, np.int64),
        instance=instance,
        now=now,
    )
    assert len(found.offsets) == len(below.keys) + 1
    places = [found.positions(number).tolist() for number in range(len(below.keys))]
    return {
        key: (sorted(above.keys[place] for place in some if place >= 0), -1 in some)
        for key, some in zip(below.keys, places, strict=True)
    }


def compare(child, parent, mapping, instance, now):
    """Ours and Dagster's answers are the same.

    But for one: Dagster forgets that something is missing if in the time of a partition, all before the first one
    upstream, none upstream would begin (an hour of a day that is not there).
    """
    ours, theirs = linked(child, parent, mapping, instance, now), asked(child, parent, mapping, instance, now)
    below, above = (listed(one, instance=instance, now=now) for one in (child, parent))
    for key, found in theirs.items():
        early = not len(above.keys) or (
            below.timed and above.timed and below.ends[below.number[key]] <= above.starts[0]
        )
        if ours[key] != found:
            assert (ours[key], found, early) == (([], True), ([], False), True), key


class TestListed:
    def test_an_asset_without_partitions_has_one(self, instance):
        whole = listed(None, instance=instance, now=moment("2026-01-01"))
        assert (list(whole.keys), whole.timed) == ([WHOLE], False)

    @pytest.mark.parametrize(
        ("zone", "day", "hours"),
        [
            ("Europe/Berlin", "2026-03-29", 23),
            ("Europe/Berlin", "2026-10-25", 25),
            ("America/New_York", "2026-03-08", 23),
            ("America/New_York", "2026-11-01", 25),
            ("Australia/Lord_Howe", "2026-04-05", 24.5),
            ("UTC", "2026-03-29", 24),
        ],
    )
    def test_a_day_is_as_long_as_it_is(self, instance, zone, day, hours):
        days = listed(
            dg.DailyPartitionsDefinition("2026-01-01", timezone=zone), instance=instance, now=moment("2026-12-31")
        )
        number = days.number[day]
        assert (days.ends - days.starts)[number] == hours * HOUR
        assert days.starts[number] == moment(day, zone).timestamp() * 1e6
        assert (days.ends[:-1] == days.starts[1:]).all()

    @pytest.mark.parametrize(
        ("zone", "day", "count"),
        [
            ("Europe/Berlin", "2026-03-29", 23),
            ("Europe/Berlin", "2026-10-25", 25),
            ("America/New_York", "2026-11-01", 25),
        ],
    )
    def test_hours_over_a_change_of_clocks_are_each_an_hour(self, instance, zone, day, count):
        definition = dg.HourlyPartitionsDefinition(f"{day}-00:00", timezone=zone)
        hours = listed(definition, instance=instance, now=moment(day, zone) + dt.timedelta(days=1))
        assert len(hours.keys) == len(set(hours.keys)) == count
        assert (hours.ends - hours.starts == HOUR).all()
        assert (np.diff(hours.starts) == HOUR).all()

    @pytest.mark.parametrize(("offset", "last"), [(0, "2026-03-09"), (1, "2026-03-10"), (-1, "2026-03-08")])
    def test_the_offset_of_the_end_counts(self, instance, offset, last):
        definition = dg.DailyPartitionsDefinition("2026-03-01", end_offset=offset)
        assert listed(definition, instance=instance, now=moment("2026-03-10T12:00")).keys[-1] == last

    def test_a_start_within_a_window_waits_for_the_next(self, instance):
        definition = dg.WeeklyPartitionsDefinition("2026-03-04")
        assert list(listed(definition, instance=instance, now=moment("2026-03-23")).keys) == [
            "2026-03-08",
            "2026-03-15",
        ]

    def test_before_its_first_partition_there_is_none(self, instance):
        found = listed(dg.DailyPartitionsDefinition("2030-01-01"), instance=instance, now=moment("2026-01-01"))
        assert (len(found.keys), len(found.starts), len(found.column)) == (0, 0, 0)

    def test_what_was_listed_is_kept_until_a_partition_begins(self, instance):
        definition = dg.DailyPartitionsDefinition("2026-03-01", timezone="Europe/Berlin")
        first = listed(definition, instance=instance, now=moment("2026-03-10T10:00"))
        assert listed(definition, instance=instance, now=moment("2026-03-10T20:00")) is first
        assert listed(definition, instance=instance, now=moment("2026-03-11T10:00")).keys[-1] == "2026-03-10"
        assert listed(definition, instance=instance, now=moment("2026-03-10T10:00")).keys[-1] == "2026-03-09"

    def test_keys_may_be_of_any_letters(self, instance):
        keys = ["a, b", "c d", "ü|ß", "'single'", '"double"', "日本", "%s", " leading", "back\\slash", "é"]
        found = listed(dg.DynamicPartitionsDefinition(lambda _: keys), instance=instance, now=moment("2026-01-01"))
        assert [*found.keys] == found.column.to_pylist() == keys
        static = [key for key in keys if not set(key) & set("|,[]")]
        found = listed(dg.StaticPartitionsDefinition(static), instance=instance, now=moment("2026-01-01"))
        assert [found.number[key] for key in static] == list(range(len(static)))

    def test_dynamic_partitions_are_those_there_are_now(self, instance):
        definition = dg.DynamicPartitionsDefinition(name="plants")
        instance.add_dynamic_partitions("plants", ["Köln", "a b"])
        assert list(listed(definition, instance=instance, now=moment("2026-01-01")).keys) == ["Köln", "a b"]
        instance.delete_dynamic_partition("plants", "Köln")
        assert list(listed(definition, instance=instance, now=moment("2026-01-01")).keys) == ["a b"]

    @pytest.mark.parametrize("names", [("day", "plant"), ("zday", "plant")])
    def test_two_dimensions_stand_in_time_by_the_one_that_has_it(self, instance, names):
        day, plant = names
        days = dg.DailyPartitionsDefinition("2026-03-28", timezone="Europe/Berlin")
        definition = dg.MultiPartitionsDefinition({day: days, plant: dg.StaticPartitionsDefinition(["Köln", "a b"])})
        now = moment("2026-03-31")
        found = listed(definition, instance=instance, now=now)
        assert list(found.keys) == [str(key) for key in definition.get_partition_keys(current_time=now)]
        assert {type(key) for key in found.keys} == {str}
        for key in found.keys:
            window = definition.time_window_for_partition_key(key)
            assert found.starts[found.number[key]] == window.start.timestamp() * 1e6
            assert found.ends[found.number[key]] == window.end.timestamp() * 1e6

    def test_a_dynamic_dimension_grows(self, instance):
        plants = dg.DynamicPartitionsDefinition(name="growing")
        definition = dg.MultiPartitionsDefinition({"plant": plants, "kind": dg.StaticPartitionsDefinition(["x", "y"])})
        now = moment("2026-01-01")
        assert list(listed(definition, instance=instance, now=now).keys) == []
        instance.add_dynamic_partitions("growing", ["p"])
        found = listed(definition, instance=instance, now=now)
        assert (list(found.keys), found.timed) == (["x|p", "y|p"], False)


SEASONS = ["2018-10-31", "2026-03-05", "2026-03-26", "2026-10-22", "2026-10-30"]
places = st.tuples(st.sampled_from(ZONES), st.sampled_from(SEASONS))


@st.composite
def windows(draw, place):
    """A time partitions definition near a change of clocks."""
    zone, first = place
    kind = draw(st.sampled_from(["hourly", "daily", "weekly", "monthly", "half", "months", "exclusions"]))
    start = dt.datetime.fromisoformat(first) + dt.timedelta(days=draw(st.integers(-3, 3)))
    kwargs = {"timezone": zone, "end_offset": draw(st.sampled_from([0, 0, 0, 1, 2, -1]))}
    if draw(st.booleans()) and kind != "monthly":
        kwargs["end_date"] = start + dt.timedelta(days=draw(st.integers(3, 12)))
        # Beyond its end Dagster lists partitions that none of its subsets takes.
        kwargs["end_offset"] = min(kwargs["end_offset"], 0)
    if kind == "hourly":
        return dg.HourlyPartitionsDefinition(start, minute_offset=draw(st.sampled_from([0, 0, 30])), **kwargs)
    if kind == "daily":
        return dg.DailyPartitionsDefinition(start, hour_offset=draw(st.sampled_from([0, 0, 6])), **kwargs)
    if kind == "weekly":
        return dg.WeeklyPartitionsDefinition(start, day_offset=draw(st.integers(0, 6)), **kwargs)
    if kind == "monthly":
        return dg.MonthlyPartitionsDefinition(start - dt.timedelta(days=60), **kwargs)
    cron = {"half": "0 */12 * * *", "months": "30 4 1,15 * *", "exclusions": "0 0 * * *"}[kind]
    end = kwargs.pop("end_date", None)
    fmt = "%Y-%m-%d" if kind == "exclusions" else "%Y-%m-%d-%H:%M"
    exclusions = ["0 0 * * 6", "0 0 * * 0"] if kind == "exclusions" else None
    return dg.TimeWindowPartitionsDefinition(
        start=start, end=end, cron_schedule=cron, fmt=fmt, exclusions=exclusions, **kwargs
    )


def moments(place):
    return st.integers(0, 9 * 24).map(lambda hours: moment(place[1]) + dt.timedelta(hours=hours, minutes=20))


# A parameter of Dagster's mapping.
@pytest.mark.filterwarnings("ignore:Parameter `allow_nonexistent_upstream_partitions`")
class TestAgainstDagster:
    @given(st.data(), places)
    def test_keys_and_windows(self, instance, data, place):
        definition, now = data.draw(windows(place)), data.draw(moments(place))
        found = listed(definition, instance=instance, now=now)
        assert list(found.keys) == list(definition.get_partition_keys(current_time=now))
        real = [definition.time_window_for_partition_key(key) for key in found.keys]
        assert found.starts.tolist() == [round(one.start.timestamp() * 1e6) for one in real]
        assert found.ends.tolist() == [round(one.end.timestamp() * 1e6) for one in real]

    @settings(max_examples=150)
    @given(st.data(), places, st.integers(-6, 2), st.integers(-6, 2), st.booleans(), st.booleans())
    def test_time_over_time(self, instance, data, place, start, end, same, lenient):
        child, now = data.draw(windows(place)), data.draw(moments(place))
        parent = child if same else data.draw(windows(place))
        mapping = dg.TimeWindowPartitionMapping(
            start_offset=start, end_offset=end, allow_nonexistent_upstream_partitions=lenient
        )
        compare(child, parent, mapping, instance, now)


DAYS = dg.DailyPartitionsDefinition("2026-03-26", timezone="Europe/Berlin")
LATER = dg.DailyPartitionsDefinition("2026-03-28", timezone="Europe/Berlin")
HOURS = dg.HourlyPartitionsDefinition("2026-03-28-00:00", timezone="Europe/Berlin")
WEEKS = dg.WeeklyPartitionsDefinition("2026-03-15", timezone="Europe/Berlin")
PLANTS = dg.StaticPartitionsDefinition(["Köln", "a b", "O'Hare", '"x"'])
SITES = dg.StaticPartitionsDefinition(["Köln", "a b", "elsewhere"])
GROWING = dg.DynamicPartitionsDefinition(name="growing_plants")
DAYS_PLANTS = dg.MultiPartitionsDefinition({"day": DAYS, "plant": PLANTS})
PLANTS_DAYS = dg.MultiPartitionsDefinition({"a_plant": PLANTS, "day": LATER})
HOURS_PLANTS = dg.MultiPartitionsDefinition({"hour": HOURS, "plant": PLANTS})
SITES_PLANTS = dg.MultiPartitionsDefinition({"site": SITES, "plant": PLANTS})
DAYS_GROWING = dg.MultiPartitionsDefinition({"day": DAYS, "plant": GROWING})
AT = moment("2026-03-31T05:00")


def per_dimension(**mappings):
    return dg.MultiPartitionMapping(
        {
            up: dg.DimensionPartitionMapping(dimension_name=down, partition_mapping=one)
            for up, (down, one) in mappings.items()
        }
    )


IDENTITY, OVERLAP, EACH = dg.IdentityPartitionMapping(), dg.TimeWindowPartitionMapping(), dg.AllPartitionMapping()
BY_NAME = dg.StaticPartitionMapping({"Köln": ["Köln", "elsewhere"], "a b": "a b"})


@pytest.mark.filterwarnings("ignore:Class `Multi.*PartitionMapping` is currently in beta")
@pytest.mark.filterwarnings("ignore:Class `DimensionPartitionMapping` is currently in beta")
@pytest.mark.parametrize(
    ("child", "parent", "mapping"),
    [
        (DAYS, DAYS, lambda: IDENTITY),
        (DAYS, LATER, lambda: IDENTITY),
        (SITES, PLANTS, lambda: IDENTITY),
        (GROWING, GROWING, lambda: IDENTITY),
        (DAYS_PLANTS, DAYS_PLANTS, lambda: IDENTITY),
        (SITES, PLANTS, lambda: BY_NAME),
        (DAYS, DAYS, lambda: dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)),
        (DAYS, DAYS, lambda: dg.TimeWindowPartitionMapping(start_offset=-6, end_offset=0)),
        (DAYS, LATER, lambda: dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=0)),
        (HOURS, DAYS, lambda: OVERLAP),
        (DAYS, HOURS, lambda: OVERLAP),
        (WEEKS, DAYS, lambda: OVERLAP),
        (DAYS, WEEKS, lambda: OVERLAP),
        (None, DAYS, dg.LastPartitionMapping),
        (None, DAYS_PLANTS, dg.LastPartitionMapping),
        (PLANTS, DAYS, dg.LastPartitionMapping),
        (DAYS, PLANTS, lambda: dg.SpecificPartitionsPartitionMapping(["a b", '"x"'])),
        (None, DAYS, lambda: dg.SpecificPartitionsPartitionMapping(["2026-03-29"])),
        (None, DAYS, lambda: EACH),
        (PLANTS, DAYS, lambda: EACH),
        (DAYS, DAYS_PLANTS, dg.MultiToSingleDimensionPartitionMapping),
        (DAYS_PLANTS, DAYS, dg.MultiToSingleDimensionPartitionMapping),
        (WEEKS, DAYS_PLANTS, dg.MultiToSingleDimensionPartitionMapping),
        (PLANTS_DAYS, HOURS, dg.MultiToSingleDimensionPartitionMapping),
        (DAYS_PLANTS, PLANTS, dg.MultiToSingleDimensionPartitionMapping),
        (PLANTS, SITES_PLANTS, lambda: dg.MultiToSingleDimensionPartitionMapping("plant")),
        (GROWING, DAYS_GROWING, dg.MultiToSingleDimensionPartitionMapping),
        (DAYS_GROWING, GROWING, dg.MultiToSingleDimensionPartitionMapping),
        (DAYS_GROWING, DAYS, dg.MultiToSingleDimensionPartitionMapping),
        (DAYS_PLANTS, PLANTS_DAYS, lambda: per_dimension(day=("day", IDENTITY), a_plant=("plant", IDENTITY))),
        (PLANTS_DAYS, DAYS_PLANTS, lambda: per_dimension(day=("day", OVERLAP))),
        (DAYS_PLANTS, HOURS_PLANTS, lambda: per_dimension(hour=("day", OVERLAP), plant=("plant", IDENTITY))),
        (
            DAYS_PLANTS,
            DAYS_PLANTS,
            lambda: per_dimension(
                day=("day", dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)), plant=("plant", IDENTITY)
            ),
        ),
        (DAYS_PLANTS, SITES_PLANTS, lambda: per_dimension(plant=("plant", IDENTITY))),
        (SITES_PLANTS, DAYS_PLANTS, lambda: per_dimension(plant=("site", dg.LastPartitionMapping()))),
    ],
)
def test_a_mapping_is_what_dagster_says_one_by_one(instance, child, parent, mapping):
    instance.add_dynamic_partitions("growing_plants", ["p q", "Ü"])
    assert linked(child, parent, mapping(), instance, AT) == asked(child, parent, mapping(), instance, AT)


@pytest.mark.parametrize("child", [None, DAYS, PLANTS])
def test_an_upstream_asset_without_partitions_is_needed_whole(instance, child):
    found = linked(child, None, EACH, instance, AT)
    assert set(map(repr, found.values())) == {repr(([WHOLE], False))}


def test_what_would_take_asking_is_asked_only_for_what_is_wanted(instance):
    mapping = dg.StaticPartitionMapping({"Köln": "Köln", "a b": "a b"})
    assert linked(SITES, PLANTS, mapping, instance, AT, wanted=[1]) == {
        "Köln": ([], False),
        "a b": (["a b"], False),
        "elsewhere": ([], False),
    }


@pytest.mark.filterwarnings("ignore:Class `Multi.*PartitionMapping` is currently in beta")
def test_of_many_dimensions_only_what_is_wanted_is_looked_at(instance):
    mapping = dg.MultiToSingleDimensionPartitionMapping()
    every = linked(DAYS_PLANTS, DAYS, mapping, instance, AT)
    some = linked(DAYS_PLANTS, DAYS, mapping, instance, AT, wanted=[0, 5])
    chosen = {key: every[key] for number, key in enumerate(every) if number in (0, 5)}
    assert {key: found for key, found in some.items() if found[0]} == chosen


@pytest.mark.filterwarnings("ignore:Class `Multi.*PartitionMapping` is currently in beta")
@settings(max_examples=40)
@given(st.data(), places)
def test_time_within_dimensions(instance, data, place):
    child, parent = data.draw(windows(place)), data.draw(windows(place))
    now = data.draw(moments(place))
    many = dg.MultiPartitionsDefinition({"when": child, "where": SITES})
    mapping = dg.MultiToSingleDimensionPartitionMapping("when")
    for down, up in ((many, parent), (parent, many)):
        below = listed(down, instance=instance, now=now)
        if len(below.keys) < 60:
            compare(down, up, mapping, instance, now)

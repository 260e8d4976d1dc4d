"""Which partitions need work, and why."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_sluice.backfills.finder import find_gaps
from dagster_sluice.backfills.gaps import ALL_REASONS, Parent, Reason, TableFacts

DAYS = ["2013-01-01", "2013-01-02", "2013-01-03", "2013-01-04"]


def facts(table="flights.flights", keys=DAYS, **known):
    known = {name: np.array(value) if isinstance(value, list) else value for name, value in known.items()}
    return TableFacts.blank(table, keys, **known)


def found(*tables):
    return {name: {gap.partition: gap.reasons.words for gap in gaps} for name, gaps in find_gaps(tables).items()}


def test_what_was_never_published_is_missing():
    assert found(facts(published=[5, 0, 5, 0], computed=[4, 0, 4, 0]))["flights.flights"] == {
        "2013-01-02": ("missing",),
        "2013-01-04": ("missing",),
    }


def test_a_table_without_partitions_is_one_partition():
    assert found(facts(keys=[""])) == {"flights.flights": {"": ("missing",)}}


def test_a_table_with_no_partitions_yet_has_no_gap():
    assert found(facts(keys=[])) == {"flights.flights": {}}


def test_every_reason_is_told():
    gaps = found(
        facts("raw", published=[9, 9, 3, 3], computed=[9, 9, 3, 3]),
        facts(
            published=[5, 5, 5, 5],
            computed=[5, 5, 5, 5],
            failed=[True, False, False, False],
            blocked=[False, True, False, False],
            source_changed=[0, 0, 6, 5],
            code_changed=[False, False, True, False],
            requested=[False, False, False, True],
            parents=(Parent.same("raw", 4),),
        ),
    )
    assert gaps["flights.flights"] == {
        "2013-01-01": ("failed", "upstream_newer"),
        "2013-01-02": ("blocked", "upstream_newer"),
        "2013-01-03": ("late_data", "code_changed"),
        "2013-01-04": ("requested",),
    }


def test_a_reason_can_be_switched_off():
    quiet = ALL_REASONS & ~Reason.CODE_CHANGED
    assert found(facts(published=[1] * 4, computed=[1] * 4, code_changed=[True] * 4, reasons=quiet)) == {
        "flights.flights": {}
    }


def test_only_the_window_is_looked_at_but_a_request_counts_everywhere():
    gaps = found(facts(wanted=[False, False, True, False], requested=[True, False, False, False]))
    assert gaps["flights.flights"] == {"2013-01-01": ("missing", "requested"), "2013-01-03": ("missing",)}


def test_recomputing_to_the_same_content_settles_what_is_newer_upstream():
    """An unchanged republish leaves the moment of publishing, not that of computing: else it would be a gap for ever."""
    raw = facts("raw", published=[8] * 4, computed=[8] * 4)
    flights = facts(published=[5] * 4, computed=[9] * 4, parents=(Parent.same("raw", 4),))
    assert found(raw, flights)["flights.flights"] == {}


def test_a_week_is_newer_as_soon_as_one_of_its_days_is():
    raw = facts("raw", published=[1, 9, 1, 1], computed=[1, 9, 1, 1])
    weeks = facts(
        "weeks", ["w1", "w2"], published=[5, 5], computed=[5, 5], parents=(Parent.of("raw", [[0, 1], [2, 3]]),)
    )
    assert found(raw, weeks)["weeks"] == {"w1": ("upstream_newer",)}


def test_a_table_made_of_its_own_previous_partition():
    balance = facts(
        "balance", published=[5, 7, 6, 8], computed=[5, 6, 6, 8], parents=(Parent.of("balance", [[], [0], [1], [2]]),)
    )
    assert found(balance)["balance"] == {"2013-01-03": ("upstream_newer",)}


def test_what_the_source_no_longer_has_is_told_and_not_tried():
    gaps = find_gaps([facts(unfillable={0: "the source keeps 3 days"})])["flights.flights"]
    assert gaps.unfillable == {0: "the source keeps 3 days"}
    assert [gap.partition for gap in gaps] == DAYS[1:]


def test_what_stands_is_no_gap_though_its_source_is_gone():
    gaps = find_gaps([facts(published=[1] * 4, computed=[1] * 4, unfillable={0: "gone"})])["flights.flights"]
    assert (list(gaps), gaps.unfillable) == ([], {})


def test_what_is_made_of_nothing_can_never_be_filled():
    raw = facts("raw", unfillable={1: "gone"})
    flights = facts(parents=(Parent.of("raw", [[-1], [1], [2], [3]]),))
    gaps = find_gaps([raw, flights])["flights.flights"]
    assert gaps.unfillable == {
        0: "it is made of a partition of raw that does not exist",
        1: "it is made of raw [2013-01-02], which can never be filled",
    }
    assert [gap.partition for gap in gaps] == DAYS[2:]


def test_tables_come_upstream_first():
    with pytest.raises(ValueError, match="flights comes before raw"):
        find_gaps([facts(parents=(Parent.same("raw", 4),)), facts("raw")])


def test_a_misspelt_reason_is_told():
    with pytest.raises(ValueError, match="'late': no reason; there are missing, failed, blocked, late_data"):
        Reason.named(["missing", "late"])
    assert Reason.named(["missing", "requested"]) == Reason.MISSING | Reason.REQUESTED


@given(
    st.lists(st.lists(st.integers(-1, 3), max_size=4), max_size=6), st.lists(st.integers(0, 9), min_size=4, max_size=4)
)
def test_the_greatest_of_the_upstream_values(positions, values):
    parent = Parent.of("raw", positions)
    expected = [max([0, *(values[one] for one in some if one >= 0)]) for some in positions]
    assert parent.greatest(np.array(values, np.int64)).tolist() == expected

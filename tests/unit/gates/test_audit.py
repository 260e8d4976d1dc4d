"""audit(): expectations in, a verdict out. The meaning is that of Great Expectations on pandas."""

import datetime as dt
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scenario

from dagster_sluice.contracts import Contract, Expectation, Policy, Reference, Severity
from dagster_sluice.errors import ExpectationError, FrameError
from dagster_sluice.gates import audit


def expect(kind, **kwargs):
    return {"type": f"expect_{kind}", "kwargs": kwargs}


def only(frame, kind, **kwargs):
    """The one result of one expectation."""
    (result,) = audit(frame, expectations=[expect(kind, **kwargs)]).results
    return result


def failing(frame, kind, **kwargs):
    """The positions that fail one expectation."""
    return audit(frame, expectations=[expect(kind, **kwargs)]).mask.rows([0]).tolist()


def test_results_come_in_declared_order():
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    declared = [
        expect("column_values_to_be_unique", column="b"),
        expect("table_row_count_to_equal", value=3),
        expect("column_max_to_be_between", column="a", max_value=3),
        expect("column_values_to_be_between", column="a", min_value=0),
        expect("column_values_to_be_unique", column="a"),
        expect("table_column_count_to_equal", value=2),
    ] * 3
    verdict = audit(frame, expectations=declared)
    assert [result.type for result in verdict.results] == [item["type"] for item in declared]
    assert verdict.success
    assert len({result.name for result in verdict.results}) == len(declared)


def test_mappings_and_values_give_the_same_result_and_keep_their_own_words():
    frame = pd.DataFrame({"a": [1, 5, None]})
    kwargs = {"column": "a", "max_value": 3}
    verdict = audit(
        frame,
        expectations=[
            Expectation(
                name="mine",
                type="expect_column_values_to_be_between",
                kwargs=kwargs,
                severity=Severity.WARNING,
                policy=Policy.QUARANTINE,
                meta={"owner": "ö"},
            ),
            {"type": "expect_column_values_to_be_between", "kwargs": kwargs, "severity": "info", "meta": {"owner": 2}},
        ],
    )
    value, mapping = verdict.results
    assert (value.name, value.severity, value.policy, value.meta) == (
        "mine",
        Severity.WARNING,
        Policy.QUARANTINE,
        {"owner": "ö"},
    )
    assert (mapping.severity, mapping.policy, mapping.meta) == (Severity.INFO, Policy.WARN, {"owner": 2})
    for result in (value, mapping):
        assert not result.success
        assert (result.element_count, result.missing_count, result.unexpected_count) == (3, 1, 1)
        assert result.unexpected_percent == pytest.approx(50.0)
        assert result.partial_unexpected_list == (5.0,)
    assert list(verdict.mask) == [(), (0, 1), ()]


def test_a_contract_is_a_gate():
    verdict = audit(scenario.rows(), scenario.CONTRACT)
    assert [result.name for result in verdict.results] == ["key_present", "number_not_negative", "some_rows"]
    assert [result.success for result in verdict.results] == [False, False, True]
    assert verdict.mask.rows([0]).tolist() == [2]
    assert verdict.mask.rows([1]).tolist() == [9]
    assert verdict.row_count == 12
    assert verdict.seconds > 0


def test_the_verdict_does_not_depend_on_the_order_of_columns():
    assert audit(scenario.rows(), scenario.CONTRACT).mask == audit(scenario.reordered(), scenario.CONTRACT).mask


def test_names_are_unique_whatever_is_given():
    row_count = expect("table_row_count_to_equal", value=0)
    verdict = audit(
        pd.DataFrame(),
        expectations=[
            Expectation(name="table_row_count_to_equal", type="expect_table_row_count_to_equal", kwargs={"value": 0}),
            row_count,
            {**row_count, "name": "table_row_count_to_equal_2"},
            row_count,
        ],
    )
    assert len({result.name for result in verdict.results}) == 4


def test_the_mask_is_complete_where_great_expectations_stops_at_200():
    values = np.arange(300_000) % 3
    verdict = audit(
        pd.DataFrame({"a": values}),
        expectations=[
            expect("column_values_to_be_in_set", column="a", value_set=[-1]),
            expect("column_values_to_be_between", column="a", max_value=1),
        ],
    )
    assert verdict.results[0].unexpected_count == 300_000
    assert len(verdict.mask.rows([0])) == 300_000
    assert np.array_equal(verdict.mask.rows([1]), np.flatnonzero(values == 2))
    assert verdict.mask[2] == (0, 1)
    assert len(verdict.results[0].partial_unexpected_list) == 20


def test_positions_are_those_of_the_batch_whatever_the_index():
    frame = pd.DataFrame({"a": [1, 9, 1, 9]}, index=pd.Index(["x", "x", "y", "x"], name="a"))
    assert failing(frame, "column_values_to_be_between", column="a", max_value=1) == [1, 3]
    assert failing(frame.iloc[::-1], "column_values_to_be_between", column="a", max_value=1) == [0, 2]


def test_pandas_and_arrow_frames_give_the_same_verdict():
    frame = pd.DataFrame({"a": [1.0, None, 9.0], "t": pd.to_datetime(["2024-01-01", None, "2024-01-03"])})
    gate = [
        expect("column_values_to_be_between", column="a", max_value=1),
        expect("column_values_to_be_between", column="t", max_value="2024-01-02"),
    ]
    batch = pa.Table.from_pandas(frame)
    masks = [audit(given, expectations=gate).mask for given in (frame, batch, batch.to_batches()[0])]
    assert masks[0] == masks[1] == masks[2]
    assert list(masks[0]) == [(), (), (0, 1)]


def test_what_is_given_is_left_as_it_was():
    frame = pd.DataFrame({"a": [3, 1, 2]}, index=[7, 8, 9])
    before = frame.copy(deep=True)
    audit(frame, expectations=[expect("column_values_to_be_between", column="a", max_value=1)])
    pd.testing.assert_frame_equal(frame, before)


# Mistakes of the person who writes expectations


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (expect("column_values_to_be_nice", column="a"), ["expect_column_values_to_be_nice", "unknown"]),
        (expect("column_values_to_be_between", column="a", minimum=1), ["minimum", "column_values_to_be_between"]),
        (expect("column_values_to_be_between", column="a"), ["min_value and max_value"]),
        (expect("column_values_to_be_between", column=["a"], min_value=1), ["column"]),
        (expect("column_values_to_be_between", column="t", min_value="someday"), ["someday"]),
        ({"kwargs": {}}, ["expectation 0", "no type"]),
        ({"type": "expect_x", "kwargs": [1]}, ["expect_x", "kwargs"]),
        ({"type": "expect_x", "kwarg": {}}, ["'kwarg'"]),
        ({"type": "expect_x", "severity": "dire"}, ["dire"]),
        ({"type": "expect_x", "policy": "shrug"}, ["shrug"]),
        (5, ["expectation 0", "5"]),
    ],
)
def test_a_wrong_expectation_is_named(wrong, words):
    frame = pd.DataFrame({"a": [1], "t": pd.to_datetime(["2024-01-01"])})
    with pytest.raises(ExpectationError) as caught:
        audit(frame, expectations=[wrong])
    for word in words:
        assert word in str(caught.value)
    assert caught.value.culprits


def test_every_expectation_that_cannot_be_read_is_named():
    with pytest.raises(ExpectationError) as caught:
        audit(pd.DataFrame(), expectations=[{"kwargs": {}}, {"type": 1}, {"type": "expect_x", "oops": 1}])
    assert len(caught.value.culprits) == 3


def test_a_set_that_was_not_given_is_named():
    gate = [expect("column_values_to_be_in_set", column="a", value_set={"from": "other.airports.faa"})]
    with pytest.raises(ExpectationError, match=r"other\.airports\.faa"):
        audit(pd.DataFrame({"a": ["x"]}), expectations=gate)


def test_a_set_from_another_table_is_filled_in_and_not_repeated_in_the_result():
    gate = [expect("column_values_to_be_in_set", column="a", value_set={"from": "airports.faa"})]
    verdict = audit(
        pd.DataFrame({"a": ["JFK", "???", None]}),
        expectations=gate,
        references={Reference(table="airports", column="faa"): ["JFK", "EWR"]},
    )
    assert verdict.mask.rows().tolist() == [1]
    assert verdict.results[0].kwargs["value_set"] == {"from": "airports.faa"}


@pytest.mark.parametrize("given", [{}, {"gate": Contract(table="t", columns=()), "expectations": []}])
def test_either_a_gate_or_expectations(given):
    with pytest.raises(ExpectationError, match="exactly one"):
        audit(pd.DataFrame(), **given)


def test_an_unknown_engine_is_refused():
    with pytest.raises(ExpectationError, match="spark"):
        audit(pd.DataFrame(), expectations=[], engine="spark")


@pytest.mark.parametrize("frame", [None, 5, [1], {"a": [1]}, "text"])
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(FrameError, match="not a frame"):
        audit(frame, expectations=[expect("table_row_count_to_equal", value=1)])


def test_two_columns_of_one_name_are_refused():
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])
    with pytest.raises(FrameError, match=r"'a'.*2 times"):
        audit(frame, expectations=[expect("table_row_count_to_equal", value=1)])


def test_a_frame_that_arrow_cannot_carry_is_refused_in_words_that_can_be_printed():
    frame = pd.DataFrame({"a": pd.Series([scenario.LONE_SURROGATE], dtype=object)})
    with pytest.raises(FrameError) as caught:
        audit(frame, expectations=[])
    assert str(caught.value).encode()


# Batches that cannot be judged, or hold nothing to judge


def test_a_missing_column_is_a_failed_result_and_the_others_are_judged():
    verdict = audit(
        pd.DataFrame({"a": [1]}),
        expectations=[
            expect("column_values_to_be_between", column="gone", min_value=0),
            expect("column_values_to_be_between", column="a", min_value=0),
            expect("column_mean_to_be_between", column="gone", min_value=0),
        ],
    )
    assert [result.success for result in verdict.results] == [False, True, False]
    assert "gone" in verdict.results[0].error
    assert verdict.results[1].error is None
    assert verdict.results[2].error
    assert not verdict.success
    assert len(verdict.mask.rows()) == 0


def test_a_broken_regex_is_a_failed_result():
    result = only(pd.DataFrame({"a": ["x"]}), "column_values_to_match_regex", column="a", regex="[")
    assert not result.success
    assert "regular expression" in result.error


def test_an_empty_frame():
    verdict = audit(
        scenario.empty(),
        expectations=[
            expect("column_values_to_not_be_null", column="key"),
            expect("column_values_to_be_between", column="number", min_value=0),
            expect("column_mean_to_be_between", column="number", min_value=0),
            expect("table_row_count_to_be_between", min_value=1),
        ],
    )
    assert [result.success for result in verdict.results] == [True, True, False, False]
    assert verdict.row_count == len(verdict.mask) == 0
    assert json.dumps(verdict.to_gx(), allow_nan=False)


def test_a_column_of_nulls():
    for column in (pa.array([None, None], pa.int64()), pa.array([None, None], pa.string()), pa.nulls(2)):
        frame = pa.table({"a": column})
        assert only(frame, "column_values_to_be_between", column="a", min_value=0).success
        result = only(frame, "column_values_to_not_be_null", column="a")
        assert (result.success, result.unexpected_count) == (False, 2)
        assert failing(frame, "column_values_to_not_be_null", column="a") == [0, 1]


def test_nothing_promised_is_nothing_broken():
    verdict = audit(scenario.rows(), expectations=[])
    assert verdict.success
    assert (verdict.results, verdict.row_count) == ((), 12)


# Values


@pytest.mark.parametrize(
    "bound",
    [
        "2024-01-02",
        "2024-01-02T00:00:00",
        "2024-01-02T00:00:00Z",
        dt.date(2024, 1, 2),
        scenario.naive("2024-01-02"),
        dt.datetime(2024, 1, 2, tzinfo=dt.timezone.utc),
        dt.datetime(2024, 1, 1, 19, tzinfo=scenario.NEW_YORK),
        pd.Timestamp("2024-01-02"),
    ],
)
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_a_moment_is_a_bound_however_it_is_written(bound, zone):
    moments = pd.Series(pd.to_datetime(["2024-01-01T23:59:59", "2024-01-02T00:00:00", None, "2024-01-02T00:00:01"]))
    if zone:
        moments = moments.dt.tz_localize("UTC").dt.tz_convert(zone)
    frame = pd.DataFrame({"t": moments})
    assert failing(frame, "column_values_to_be_between", column="t", min_value=bound) == [0]
    assert failing(frame, "column_values_to_be_between", column="t", max_value=bound) == [3]
    assert not only(frame, "column_max_to_be_between", column="t", max_value=bound).success


@pytest.mark.parametrize("bound", ["2024-01-02", dt.date(2024, 1, 2)])
def test_a_date_is_a_bound(bound):
    frame = pa.table({"d": [dt.date(2024, 1, 1), None, dt.date(2024, 1, 2)]})
    assert failing(frame, "column_values_to_be_between", column="d", min_value=bound) == [0]


def test_the_two_halves_of_a_doubled_hour_are_two_moments():
    first, second = scenario.doubled_hour()
    frame = pa.table({"t": pa.array([first, second, first], pa.timestamp("us", tz="UTC"))})
    assert failing(frame, "column_values_to_be_unique", column="t") == [0, 2]
    assert failing(frame, "column_values_to_be_between", column="t", min_value=second) == [0, 2]


def test_integers_beyond_2_to_the_53_are_told_apart_even_beside_nulls():
    frame = pa.table({"a": pa.array([2**53, 2**53 + 1, None, 2**53 + 1, 2**63 - 1, 2**63 - 2], pa.int64())})
    assert failing(frame, "column_values_to_be_unique", column="a") == [1, 3]
    assert failing(frame, "column_values_to_be_in_set", column="a", value_set=[2**53 + 1, 2**63 - 1]) == [0, 5]


def test_nan_is_missing_like_none_and_infinity_is_not():
    frame = pa.table({"a": pa.array([float("nan"), None, float("inf"), float("-inf"), 1.0])})
    assert failing(frame, "column_values_to_not_be_null", column="a") == [0, 1]
    assert failing(frame, "column_values_to_be_between", column="a", min_value=0, max_value=2) == [2, 3]


def test_names_and_values_that_look_like_code_are_names_and_values():
    frame = pd.DataFrame({scenario.QUOTED: list(scenario.AWKWARD_TEXTS)})
    wanted = list(scenario.AWKWARD_TEXTS[1:])
    assert failing(frame, "column_values_to_be_in_set", column=scenario.QUOTED, value_set=wanted) == [0]


def test_mostly_forgives_and_the_mask_still_tells_which():
    verdict = audit(
        pd.DataFrame({"a": [1, 1, 1, 9]}),
        expectations=[expect("column_values_to_be_between", column="a", max_value=1, mostly=0.75)],
    )
    assert verdict.success
    assert verdict.mask.rows([0]).tolist() == [3]


# The shape of Great Expectations


def real_gx(frame, suite):
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("a").add_dataframe_asset("b")
    batch = asset.add_batch_definition_whole_dataframe("c").get_batch({"dataframe": frame})
    return batch.validate(gx.ExpectationSuite(name="s", expectations=suite)).to_json_dict()


def test_to_gx_has_the_shape_and_the_values_of_great_expectations():
    frame = pd.DataFrame({"a": [1.0, 5.0, None], "t": pd.to_datetime(["2024-01-01", None, "2024-01-03"])})
    declared = [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "a", "max_value": 3},
            "meta": {"n": 0},
            "severity": "warning",
        },
        {
            "type": "expect_column_max_to_be_between",
            "kwargs": {"column": "t", "max_value": scenario.naive("2024-01-02")},
            "meta": {"n": 1},
        },
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "a"}, "meta": {"n": 2}},
        {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 4}, "meta": {"n": 3}},
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "gone", "min_value": 0}, "meta": {"n": 4}},
        {
            "type": "expect_column_quantile_values_to_be_between",
            "kwargs": {"column": "a", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 9]]}},
            "meta": {"n": 5},
        },
    ]
    theirs = real_gx(frame, declared)
    ours = json.loads(json.dumps(audit(frame, expectations=declared).to_gx(), allow_nan=False))
    assert set(ours) <= set(theirs)
    assert ours["success"] is theirs["success"] is False
    assert ours["statistics"] == theirs["statistics"]
    ordered = sorted(theirs["results"], key=lambda result: result["expectation_config"]["meta"]["n"])
    for our, their in zip(ours["results"], ordered, strict=True):
        assert set(our) == set(their)
        assert our["success"] == their["success"]
        config = their["expectation_config"]
        assert our["expectation_config"]["type"] == config["type"]
        assert our["expectation_config"]["meta"] == config["meta"]
        assert our["expectation_config"]["severity"] == config["severity"]
        assert our["expectation_config"]["kwargs"].items() <= config["kwargs"].items()
        for key, value in our["result"].items():
            assert value == their["result"].get(key), (config["type"], key)


@pytest.mark.parametrize("kind", ["column_values_to_be_in_set", "column_distinct_values_to_be_in_set"])
@pytest.mark.parametrize("column", [column.name for column in scenario.COLUMNS])
def test_to_gx_is_json_whatever_the_values(kind, column):
    verdict = audit(scenario.rows(), expectations=[expect(kind, column=column, value_set=["elsewhere"])])
    text = json.dumps(verdict.to_gx(), allow_nan=False)
    assert json.loads(text)["results"][0]["success"] is False


def test_great_expectations_keeps_quiet(caplog, capfd):
    caplog.set_level("DEBUG")
    audit(scenario.rows(), scenario.CONTRACT)
    assert [record for record in caplog.records if record.name.startswith("great_expectations")] == []
    assert capfd.readouterr() == ("", "")


# Threads and processes


def test_sixteen_threads_at_once_give_the_same_verdicts_as_one():
    def judge(seed):
        values = np.random.default_rng(seed).integers(0, 100, 500)
        verdict = audit(
            pd.DataFrame({"a": values}),
            expectations=[
                expect("column_values_to_be_between", column="a", max_value=50 + seed),
                expect("column_max_to_be_between", column="a", max_value=50 + seed),
                expect("column_values_to_be_unique", column="a"),
            ],
        )
        assert np.array_equal(verdict.mask.rows([0]), np.flatnonzero(values > 50 + seed))
        return verdict.mask, verdict.results[1].observed_value

    seeds = [*range(16), *range(16)]
    alone = [judge(seed) for seed in range(16)]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(judge, seeds))
    assert together == [alone[seed] for seed in seeds]


def test_a_verdict_crosses_process_borders():
    verdict = audit(scenario.rows(), scenario.CONTRACT)
    back = pickle.loads(pickle.dumps(verdict))
    assert back.mask == verdict.mask
    assert [(r.name, r.success, r.unexpected_count) for r in back.results] == [
        (r.name, r.success, r.unexpected_count) for r in verdict.results
    ]


@pytest.mark.parametrize("engine", ["auto", "gx", "both"])
def test_a_condition_that_great_expectations_cannot_read_costs_no_other_expectation(engine):
    def among(name):
        return {"type": "comparison", "column": {"name": name}, "operator": "<", "parameter": 3}

    verdict = audit(
        pd.DataFrame({"a": [1, 2], "`b`": [1, 2]}),
        expectations=[
            expect("column_values_to_not_be_null", column="a", row_condition=among("gone")),
            expect("column_values_to_not_be_null", column="a", row_condition=among("`b`")),
            expect("column_values_to_be_of_type", column="a", type_="int", row_condition=among("gone")),
            expect("column_values_to_be_between", column="a", max_value=1),
        ],
        engine=engine,
    )

    assert "'gone' is not defined" in verdict.results[0].error
    assert None not in [result.error for result in verdict.results[:3]]
    assert (verdict.results[3].error, verdict.mask.rows([3]).tolist()) == (None, [1])

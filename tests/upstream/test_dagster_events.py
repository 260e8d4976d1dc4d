"""Dagster's events as we found them. What rests on it: ``dagster_sluice/tables/asset.py``, ``events.py``, decision 0004.

A table is audited before it is published, and a range of partitions is one run. Neither is a path that Dagster
documents for assets with checks, so each step of it is held here.
"""

import dagster as dg
import pytest
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
KEY = dg.AssetKey(["raw", "flights"])
CHECK = dg.AssetCheckKey(KEY, "promise")
RANGE = {"dagster/asset_partition_range_start": "2024-01-01", "dagster/asset_partition_range_end": "2024-01-03"}
WANTED = ["2024-01-01", "2024-01-02", "2024-01-03"]


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def table(body, *, partitioned=True):
    """An asset with one check, made as ``@table`` makes it."""
    partitions = DAYS if partitioned else None

    @dg.multi_asset(
        name="raw__flights",
        specs=[dg.AssetSpec(KEY, skippable=True, partitions_def=partitions)],
        check_specs=[dg.AssetCheckSpec("promise", asset=KEY, partitions_def=partitions)],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run() if partitioned else None,
    )
    def step(context: dg.AssetExecutionContext):
        yield from body(context)

    return step


def events_of_a_range(context):
    """What a step over a range yields: each partition's own events, then the output that says they are out."""
    for key in context.partition_keys:
        yield dg.AssetMaterialization(KEY, partition=key, tags={"dagster/data_version": f"v-{key}"})
        yield dg.AssetCheckEvaluation(
            asset_key=KEY, check_name="promise", passed=key != "2024-01-02", partition=key, metadata={}
        )
    for name in context.op_execution_context.selected_output_names:
        yield dg.Output(None, output_name=name, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})


def materialized(instance, key=KEY):
    records = instance.fetch_materializations(dg.AssetRecordsFilter(key), limit=100).records
    return sorted(record.partition_key or "" for record in records)


def evaluations(instance):
    """The check's evaluations; a step that failed leaves plans beside them."""
    found = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=100)
    return [record.evaluation for record in found if isinstance(record.evaluation, dg.AssetCheckEvaluation)]


def run(instance, *assets, tags=RANGE, **settings):
    return dg.materialize(assets, instance=instance, tags=tags, raise_on_error=False, **settings)


def test_each_partition_of_a_range_is_recorded_once_with_its_check_and_its_version(instance):
    assert run(instance, table(events_of_a_range)).success
    assert materialized(instance) == WANTED
    (first, *_) = instance.fetch_materializations(
        dg.AssetRecordsFilter(KEY, asset_partitions=["2024-01-01"]), limit=1
    ).records
    assert first.event_log_entry.dagster_event.asset_key == KEY
    assert first.asset_materialization.tags["dagster/data_version"] == "v-2024-01-01"
    found = evaluations(instance)
    told = {evaluation.partition: evaluation.passed for evaluation in found}
    assert told == {"2024-01-01": True, "2024-01-02": False, "2024-01-03": True}


def test_an_ordinary_output_would_record_every_partition_again(instance):
    """Why ``handed_on`` marks its outputs with a name that is not public."""

    def twice(context):
        for event in events_of_a_range(context):
            yield dg.Output(None, output_name=event.output_name) if isinstance(event, dg.Output) else event

    assert run(instance, table(twice)).success
    assert materialized(instance) == sorted(WANTED * 2)


@pytest.mark.parametrize("handed_on", [True, False])
def test_downstream_runs_if_and_only_if_there_is_an_output(instance, handed_on):
    """Why there must be an output at all."""
    ran = []

    def upstream(context):
        for event in events_of_a_range(context):
            if handed_on or not isinstance(event, dg.Output):
                yield event

    @dg.asset(deps=[KEY], partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def below(context: dg.AssetExecutionContext) -> None:
        ran.extend(context.partition_keys)

    assert run(instance, table(upstream), below).success
    assert ran == (WANTED if handed_on else [])


def test_what_was_recorded_before_a_failure_stays(instance):
    """Why a range may be one run: the days before a bad one are not lost."""

    def broken(context):
        for event in events_of_a_range(context):
            if isinstance(event, dg.AssetMaterialization) and event.partition == "2024-01-03":
                raise dg.Failure("bad day", allow_retries=False)
            yield event

    assert not run(instance, table(broken)).success
    assert materialized(instance) == WANTED[:2]


@pytest.mark.parametrize("partitioned", [True, False])
def test_a_check_before_a_failure_is_recorded_and_nothing_is_materialized(instance, partitioned):
    """The heart: the verdict is told, and what was published before stands."""

    def blocked(context):
        yield dg.AssetCheckResult(
            asset_key=KEY, check_name="promise", passed=False, severity=dg.AssetCheckSeverity.ERROR
        )
        raise dg.Failure("blocked", allow_retries=False)

    ran = []

    @dg.asset(
        deps=[KEY],
        partitions_def=DAYS if partitioned else None,
        backfill_policy=dg.BackfillPolicy.single_run() if partitioned else None,
    )
    def below() -> None:
        ran.append(1)

    asset = table(blocked, partitioned=partitioned)
    settings = {"tags": {}, "partition_key": "2024-01-01"} if partitioned else {"tags": {}}
    result = run(instance, asset, below, **settings)
    assert not result.success
    assert materialized(instance) == []
    assert ran == []
    (evaluation,) = evaluations(instance)
    assert evaluation.passed is False
    assert evaluation.severity is dg.AssetCheckSeverity.ERROR


def test_a_failure_that_forbids_it_is_not_retried(instance):
    """Why a block costs one attempt, whatever the table's retry policy."""
    tries = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=3))
    def stubborn() -> None:
        tries.append(1)
        raise dg.Failure("blocked", allow_retries=False)

    assert not run(instance, stubborn, tags={}).success
    assert tries == [1]


@pytest.mark.parametrize(
    ("settings", "has_key", "keys"),
    [
        ({"tags": RANGE}, False, WANTED),
        ({"tags": {}, "partition_key": "2024-01-02"}, True, ["2024-01-02"]),
        (
            {
                "tags": {
                    "dagster/asset_partition_range_start": "2024-01-02",
                    "dagster/asset_partition_range_end": "2024-01-02",
                }
            },
            None,
            ["2024-01-02"],
        ),
    ],
)
def test_how_a_step_tells_a_range_from_a_partition(instance, settings, has_key, keys):
    """Why ``in_range`` is asked as it is; a range of one may be told either way, and both ways are handled."""
    seen = []

    def look(context):
        seen.append((context.has_partition_key, list(context.partition_keys)))
        yield from events_of_a_range(context)

    run(instance, table(look), **settings)
    ((was, found),) = seen
    assert found == keys
    if has_key is not None:
        assert was is has_key


def test_a_range_is_given_to_assets_without_partitions_too(instance):
    """Why ``@table`` asks its own definition whether it is partitioned, and not the context."""
    seen = []

    @dg.asset(deps=[KEY])
    def whole(context: dg.AssetExecutionContext) -> None:
        seen.append((context.has_partition_key, context.has_partition_key_range, context.assets_def.partitions_def))

    assert run(instance, table(events_of_a_range), whole).success
    assert seen == [(False, True, None)]
    assert materialized(instance, dg.AssetKey("whole")) == [""]


def test_a_check_result_of_a_range_has_no_partition(instance):
    """Why a range yields evaluations, and not results."""

    def one_result(context):
        yield dg.AssetCheckResult(asset_key=KEY, check_name="promise", passed=True)
        yield dg.MaterializeResult(asset_key=KEY)

    assert run(instance, table(one_result)).success
    found = evaluations(instance)
    told = [evaluation.partition for evaluation in found]
    assert told == [None]


def test_checks_alone_may_be_selected(instance):
    """Why a step asks which keys are selected: with none, it judges what is published and changes nothing."""
    seen = []

    def look(context):
        seen.append((set(context.selected_asset_keys), set(context.selected_asset_check_keys)))
        yield dg.AssetCheckResult(asset_key=KEY, check_name="promise", passed=True)

    job = dg.define_asset_job("checks", selection=dg.AssetSelection.checks(CHECK))
    definitions = dg.Definitions(assets=[table(look, partitioned=False)], jobs=[job])
    assert definitions.resolve_job_def("checks").execute_in_process(instance=instance).success
    assert seen == [(set(), {CHECK})]
    assert materialized(instance) == []


def test_an_evaluation_may_name_the_materialization_it_is_about(instance):
    """Why ``check_events`` looks up the latest materialization: in a range Dagster does not."""
    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData,
    )
    from dagster_shared.record import replace

    def named(context):
        for event in events_of_a_range(context):
            if isinstance(event, dg.AssetCheckEvaluation):
                wanted = dg.AssetRecordsFilter(KEY, asset_partitions=[event.partition])
                (record,) = context.instance.fetch_materializations(wanted, limit=1).records
                target = AssetCheckEvaluationTargetMaterializationData(
                    run_id=record.run_id, storage_id=record.storage_id, timestamp=record.timestamp
                )
                yield replace(event, target_materialization_data=target)
            else:
                yield event

    assert run(instance, table(named)).success
    found = evaluations(instance)
    targets = {evaluation.target_materialization_data for evaluation in found}
    assert len(targets) == 3
    assert None not in targets


def test_no_materialization_is_seen_until_it_is_yielded(instance):
    """Why the materialization comes before its checks in ``batch_events``."""
    seen = []

    def look(context):
        yield dg.AssetMaterialization(KEY, partition="2024-01-01")
        seen.append(materialized(context.instance))
        yield from ()

    run(instance, table(look))
    assert seen == [["2024-01-01"]]

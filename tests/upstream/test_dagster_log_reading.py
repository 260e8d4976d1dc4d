"""What telling the event log to others leans on (docs/decisions/0017-openlineage.md)."""

import warnings

import dagster as dg
import pytest
import sqlalchemy as sa

from dagster_sluice.embedded import with_driver
from dagster_sluice.lineage.openlineage.reading import newest_record, records_after, records_of_run


@pytest.fixture
def instance(database_url, tmp_path):
    (tmp_path / "dagster.yaml").write_text(
        "telemetry:\n  enabled: false\n"
        f"storage:\n  postgres:\n    postgres_url: {with_driver(database_url, 'psycopg2')}\n"
    )
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


@dg.asset(check_specs=[dg.AssetCheckSpec("good", asset="first")])
def first():
    yield dg.MaterializeResult()
    yield dg.AssetCheckResult(passed=True)


@dg.asset(deps=[first])
def second():
    raise ValueError("outer") from ValueError("inner")


def ran(instance):
    return dg.materialize([first, second], instance=instance, raise_on_error=False)


def test_records_of_all_runs_come_in_order_and_page_by_page(instance) -> None:
    one, two = ran(instance), ran(instance)
    whole = records_after(instance, 0, limit=1000)
    assert {record.run_id for record in whole} == {one.run_id, two.run_id}
    numbers = [record.number for record in whole]
    assert numbers == sorted(numbers)
    assert newest_record(instance) >= numbers[-1]
    paged = []
    while page := records_after(instance, paged[-1].number if paged else 0, limit=3):
        assert len(page) <= 3
        paged += page
    assert [record.number for record in paged] == numbers


def test_what_a_step_is_to_make_and_check_is_known_with_its_step(instance) -> None:
    result = ran(instance)
    kinds = [
        (record.kind.value, record.event.step_key) for record in records_of_run(instance, result.run_id).until(10**9)
    ]
    assert kinds.index(("ASSET_MATERIALIZATION_PLANNED", "first")) < kinds.index(("STEP_START", "first"))
    assert kinds.index(("ASSET_CHECK_EVALUATION_PLANNED", "first")) < kinds.index(("STEP_START", "first"))
    assert kinds.index(("ASSET_MATERIALIZATION", "first")) < kinds.index(("STEP_SUCCESS", "first"))
    assert kinds.index(("ASSET_CHECK_EVALUATION", "first")) < kinds.index(("STEP_SUCCESS", "first"))
    assert kinds[-1] == ("PIPELINE_FAILURE", None)


def test_an_event_reported_without_a_run_has_no_run_id(instance) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization("somewhere"))
    (record,) = records_after(instance, 0, limit=10)
    assert record.run_id == ""
    assert record.event.step_key is None


def test_a_record_may_appear_after_one_with_a_higher_number(instance, database_url) -> None:
    """Why the position in the log keeps records one by one for a while."""
    ran(instance)
    engine = sa.create_engine(with_driver(database_url, "psycopg"))
    copied = (
        "INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp)"
        " SELECT 'late', event, dagster_event_type, timestamp FROM event_logs"
        " WHERE dagster_event_type = 'PIPELINE_START' LIMIT 1 RETURNING id"
    )
    with engine.connect() as slow, engine.connect() as quick:
        before = newest_record(instance)
        late = slow.execute(sa.text(copied)).scalar_one()
        soon = quick.execute(sa.text(copied)).scalar_one()
        quick.commit()
        assert before < late < soon
        assert [record.number for record in records_after(instance, before, limit=10)] == [soon]
        slow.commit()
        assert [record.number for record in records_after(instance, before, limit=10)] == [late, soon]
    engine.dispose()


def test_one_sqlite_file_for_each_run_has_no_common_order() -> None:
    from dagster_sluice.errors import SettingError

    with dg.instance_for_test() as local, pytest.raises(SettingError, match="no common order"):
        newest_record(local)


def test_reading_several_kinds_at_once_still_only_warns(instance) -> None:
    ran(instance)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = instance.event_log_storage.get_logs_for_all_runs_by_log_id(
            after_cursor=0, dagster_event_type={dg.DagsterEventType.RUN_START, dg.DagsterEventType.STEP_START}
        )
    assert len(found) == 3
    assert [one.category for one in said] == [DeprecationWarning]

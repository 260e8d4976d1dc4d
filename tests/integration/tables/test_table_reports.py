"""The report of a run: written whatever becomes of the batch, linked from what Dagster shows, never in the way."""

import html
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from shop import Shop, failure, good, orders, promise

from dagster_sluice import Contract, Policy, WarehouseResource

FIRST, SECOND, THIRD = "2026-03-07", "2026-03-08", "2026-03-09"


def text_of(page: Path) -> str:
    """What a person reads on a page, in one line."""
    body = page.read_text(encoding="utf-8").partition("<body>")[2]
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]*>", "", body)))


def linked(metadata: Any) -> Path:
    value = metadata["sluice/report"]
    assert isinstance(value, dg.PathMetadataValue)
    assert value.path is not None
    return Path(value.path)


def failed_step(result: dg.ExecuteInProcessResult) -> Any:
    (event,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    data = event.step_failure_data.user_failure_data
    assert data is not None
    return data.metadata


@pytest.fixture
def elsewhere(shop: Shop, tmp_path: Path):
    """Resources with a directory of the test's own."""

    def resources(**settings: Any) -> dict[str, Any]:
        return {"warehouse": WarehouseResource(url=shop.url, **{"reports": str(tmp_path / "reports"), **settings})}

    return resources


def test_a_materialization_links_to_its_report(shop: Shop) -> None:
    shop.batches[FIRST] = orders((1, 5.0, "hush"), (2, -5.0, "hush too"), (3, 1.0, None))
    result = shop.run(shop.orders(), day=FIRST)
    assert result.success
    (made,) = shop.materializations()
    page = linked(made.metadata)
    assert page.is_relative_to(shop.instance.storage_directory())
    assert page.name == f"{result.run_id}.html"
    text = text_of(page)
    assert "2 rows were published, and 1 kept out. 2 of 5 promises are broken." in text
    assert "amount lies between 0 and 1,000." in text
    assert "1 of 3 rows (33.3%) breaks it: -5." in text
    assert "hush" not in text
    told = shop.evaluations(result.run_id)
    assert {name for (name, _), check in told.items() if "sluice/report" in check.metadata} == {
        "amount_possible",
        "note_present",
    }
    assert linked(told["amount_possible", FIRST].metadata) == page


def test_a_blocked_batch_has_a_report_too(shop: Shop) -> None:
    shop.batches[FIRST] = orders((1, 5.0, "a"), (1, 6.0, "b"))
    result = shop.run(shop.orders(), day=FIRST)
    assert not result.success
    page = linked(failed_step(result))
    assert linked(shop.evaluations(result.run_id)["id_once", FIRST].metadata) == page
    text = text_of(page)
    assert "Not published" in text
    assert "No value of id occurs twice. 2 of 2 rows (100%) break it: 1 (2×). It stopped the publish" in text


def test_a_held_batch_says_how_to_release_it(shop: Shop) -> None:
    contract = promise()
    held = tuple(
        item if item.name != "id_once" else type(item)(**{**vars(item), "policy": Policy.HOLD})
        for item in contract.expectations
    )
    shop.batches[FIRST] = orders((1, 5.0, "a"), (1, 6.0, "b"))
    result = shop.run(shop.orders(promise(expectations=held)), day=FIRST)
    text = text_of(linked(failed_step(result)))
    assert "Waiting for a person" in text
    assert "sluice hold release" in text


def test_a_frame_that_cannot_be_judged_has_a_report_too(shop: Shop) -> None:
    shop.batches[FIRST] = good(3).drop_columns(["note"])
    result = shop.run(shop.orders(), day=FIRST)
    text = text_of(linked(failed_step(result)))
    assert "The batch could not be judged." in text
    assert "column 'note': is promised and missing." in text


def test_a_value_of_the_wrong_type_is_told(shop: Shop) -> None:
    shop.batches[FIRST] = orders((1, 5.0, "a"), (2, 5.0, "b")).set_column(0, "id", [["one", "2"]])
    shop.run(shop.orders(), day=FIRST)
    (made,) = shop.materializations()
    text = text_of(linked(made.metadata))
    assert "Each value is of the type that its column promises." in text
    assert "1 of 2 rows (50%) breaks it: id='one'" in text


def test_a_range_has_a_report_for_each_partition_and_a_list_of_them(shop: Shop, elsewhere, tmp_path) -> None:
    shop.batches[FIRST] = good(3)
    shop.batches[SECOND] = orders((1, 5.0, "a"), (1, 6.0, "b"))
    shop.batches[THIRD] = orders((1, 5.0, "a"), (2, -6.0, "b"))
    result = shop.run(shop.orders(), days=(FIRST, THIRD), resources=elsewhere())
    table = tmp_path / "reports" / f"{shop.schema}.orders"
    assert sorted(place.name for place in table.iterdir()) == sorted([FIRST, SECOND, THIRD, "_runs"])
    index = linked(failed_step(result))
    links = re.findall(r'href="([^"]*)"', index.read_text())
    assert [(index.parent / link).resolve() for link in links] == [
        table / day / f"{result.run_id}.html" for day in (FIRST, SECOND, THIRD)
    ]
    for event in shop.materializations(result.run_id):
        assert linked(event.metadata) == table / str(event.partition) / f"{result.run_id}.html"
    text = text_of(table / THIRD / f"{result.run_id}.html")
    assert "2 rows now, 2 to 3 before. Not published: 1 of the last 3." in text


def test_how_it_moved_over_earlier_runs(shop: Shop) -> None:
    asset = shop.orders()
    for number, day in enumerate((FIRST, SECOND, THIRD)):
        shop.batches[day] = orders(*((n, 5.0 if n > number else -5.0, "x") for n in range(1, 11)))
        assert shop.run(asset, day=day).success
    text = text_of(linked(shop.materializations()[-1].metadata))
    assert "Broken in 2 of the last 3. Now 20%, before 0% to 10%." in text
    shop.batches[FIRST] = good(7)
    shop.run(asset, day=FIRST)
    text = text_of(linked(shop.materializations()[-1].metadata))
    assert "Over the last 1" not in text
    assert "Broken in" not in text, "what comes after a partition is not told"


def test_a_table_without_partitions_is_told_by_its_runs(shop: Shop) -> None:
    asset = shop.orders(partitions_def=None)
    for count in (3, 5):
        shop.batches[None] = good(count)
        shop.run(asset)
    text = text_of(linked(shop.materializations()[-1].metadata))
    assert "Rows over the last 2 runs" in text
    assert "5 rows now, 3 before." in text


def test_only_the_latest_reports_of_a_partition_are_kept(shop: Shop, elsewhere, tmp_path) -> None:
    asset = shop.orders()
    runs = [shop.run(asset, day=FIRST, resources=elsewhere(reports_kept=2)).run_id for _ in range(4)]
    found = {page.stem for page in (tmp_path / "reports" / f"{shop.schema}.orders" / FIRST).iterdir()}
    assert len(found) == 2
    assert runs[-1] in found


def test_reports_on_a_web_server_are_linked_by_their_address(shop: Shop, elsewhere) -> None:
    result = shop.run(shop.orders(), day=FIRST, resources=elsewhere(reports_url="https://reports.example.org/data/"))
    (made,) = shop.materializations()
    value = made.metadata["sluice/report"]
    assert isinstance(value, dg.UrlMetadataValue)
    assert value.url == f"https://reports.example.org/data/{shop.schema}.orders/{FIRST}/{result.run_id}.html"


def test_reports_can_be_switched_off(shop: Shop, elsewhere, tmp_path) -> None:
    result = shop.run(shop.orders(), day=FIRST, resources=elsewhere(reports=None))
    assert result.success
    assert "sluice/report" not in shop.materializations()[0].metadata
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("batch", [good(), orders((1, 5.0, "a"), (1, 6.0, "b")), good().drop_columns(["note"])])
def test_a_report_that_cannot_be_written_stops_nothing(shop: Shop, elsewhere, tmp_path, batch) -> None:
    (tmp_path / "reports").write_text("a file, where a directory is wanted")
    shop.batches[FIRST] = batch
    result = shop.run(shop.orders(), day=FIRST, resources=elsewhere())
    if result.success:
        assert shop.published() == {FIRST}
    else:
        assert "Blocked at the gate" in failure(result)
        assert "sluice/report" not in failed_step(result)
    entries = [entry for entry in shop.instance.all_logs(result.run_id) if not entry.is_dagster_event]
    complaints = [entry.user_message for entry in entries if "No report of" in entry.user_message]
    assert len(complaints) == 1
    assert shop.schema in complaints[0]


def test_partitions_of_any_name_have_reports(shop: Shop) -> None:
    keys = ["a/b", "A/B", "..", "é\u202e", "<b>"]
    asset = shop.orders(
        partitions_def=dg.StaticPartitionsDefinition(keys), backfill_policy=dg.BackfillPolicy.multi_run()
    )
    for key in keys:
        shop.batches[key] = good()
        assert shop.run(asset, day=key).success
    pages = [linked(made.metadata) for made in shop.materializations()]
    assert len({str(page.parent).lower() for page in pages}) == len(keys)
    assert all(page.exists() for page in pages)


def test_a_contract_that_promises_nothing_has_a_report(shop: Shop) -> None:
    contract: Contract = promise(expectations=())
    shop.run(shop.orders(contract), day=FIRST)
    assert "The one promise is kept." in text_of(linked(shop.materializations()[0].metadata))


def test_no_value_of_a_masked_column_is_told_where_it_does_not_fit(shop: Shop) -> None:
    contract = promise(
        columns=tuple(
            column if column.name != "amount" else type(column)(**{**vars(column), "classification": "secret"})
            for column in promise().columns
        )
    )
    shop.batches[FIRST] = good(3).set_column(1, "amount", [["hush", "hush", "1"]])
    result = shop.run(shop.orders(contract), day=FIRST)
    page = linked(failed_step(result))
    assert "amount=•••" in text_of(page)
    assert "hush" not in page.read_text(encoding="utf-8")
    assert "hush" not in failure(result)

"""``WarehouseIOManager``: ordinary assets read published tables and publish their own, on a real Postgres."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import psycopg
import pyarrow as pa
import pytest
from shop import DAYS, Shop, failure, good, orders, promise

from dagster_sluice import WarehouseIOManager
from dagster_sluice.tables.content import content_hash

FIRST, SECOND, THIRD = "2026-03-07", "2026-03-08", "2026-03-09"
PROMISE = promise()
SINGLE = dg.BackfillPolicy.single_run()


class Desk:
    """A shop with an IO manager, and what an asset downstream of ``orders`` was given."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.given: list[Any] = []

    def run(self, *assets: Any, **options: Any) -> dg.ExecuteInProcessResult:
        return self.shop.run(*assets, resources={"io_manager": WarehouseIOManager(url=self.shop.url)}, **options)

    def reader(self, annotation: Any = pa.Table, *, metadata: Any = None, mapping: Any = None, **options: Any) -> Any:
        """An ordinary asset that reads ``orders``."""

        def below(rows):
            self.given.append(rows)

        below.__annotations__ = {"rows": annotation, "return": None} if annotation is not None else {"return": None}
        ins = {"rows": dg.AssetIn(key=self.shop.key, metadata=metadata, partition_mapping=mapping)}
        return dg.asset(below, key=[self.shop.schema, "below"], ins=ins, **options)

    def read(self, below: Any, **options: Any) -> Any:
        """Run it alone, and return what it was given."""
        upstream = dg.AssetSpec(self.shop.key, partitions_def=DAYS)
        result = self.run(below, upstream, selection=[below], **options)
        assert result.success, failure(result)
        return self.given.pop()

    def writer(self, *frames: Any, **options: Any) -> dg.AssetsDefinition:
        """An ordinary asset ``orders`` that returns these frames, one in each run."""
        left = list(frames)

        def orders():
            return left.pop(0)

        return dg.asset(orders, key=self.shop.key, **options)

    def rows(self, **options: Any) -> list[dict[str, Any]]:
        found = self.shop.warehouse.read(self.shop.address, **options).to_pylist()
        return sorted(found, key=lambda row: row["id"])


@pytest.fixture
def desk(shop: Shop) -> Desk:
    return Desk(shop)


@pytest.fixture
def published(desk: Desk) -> Desk:
    """With three days of orders: one row, two and three."""
    for count, day in enumerate((FIRST, SECOND, THIRD), start=1):
        desk.shop.batches[day] = good(count)
    assert desk.run(desk.shop.orders(), days=(FIRST, THIRD)).success
    return desk


def test_the_annotation_says_which_frame_an_input_is(published: Desk) -> None:
    for kind in (pa.Table, pd.DataFrame, None):
        frame = published.read(published.reader(kind, partitions_def=DAYS), day=SECOND)
        assert isinstance(frame, kind or pa.Table)
        assert list(frame if kind is pd.DataFrame else frame.column_names) == ["id", "amount", "note"]
        assert len(frame) == 2


@pytest.fixture
def polars() -> Any:
    return pytest.importorskip("polars")


def test_polars_frames_eager_and_lazy(polars: Any, published: Desk) -> None:
    for kind in (polars.DataFrame, polars.LazyFrame):
        frame = published.read(published.reader(kind, partitions_def=DAYS), day=SECOND)
        assert isinstance(frame, kind)
        assert frame.lazy().collect().columns == ["id", "amount", "note"]
    asset = published.writer(frame.lazy().collect(), partitions_def=DAYS)
    assert published.run(asset, day=FIRST).success
    assert len(published.rows(partitions=[FIRST])) == 2


def test_only_the_columns_and_the_partition_asked_for(published: Desk) -> None:
    asked = {"columns": ["note", "id"], "partition_column": True}
    frame = published.read(published.reader(pd.DataFrame, metadata=asked, partitions_def=DAYS), day=SECOND)
    assert list(frame.columns) == ["note", "id", "_partition"]
    assert set(frame["_partition"]) == {SECOND}
    assert sorted(frame["id"]) == [1, 2]


def test_a_range_comes_as_one_frame(published: Desk) -> None:
    asked = {"columns": ["id"], "partition_column": True}
    below = published.reader(metadata=asked, partitions_def=DAYS, backfill_policy=SINGLE)
    frame = published.read(below, days=(SECOND, THIRD))
    assert sorted(frame["_partition"].to_pylist()) == [SECOND] * 2 + [THIRD] * 3


def test_a_mapped_window_of_days(published: Desk) -> None:
    mapping = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=0)
    asked = {"partition_column": True}
    below = published.reader(metadata=asked, mapping=mapping, partitions_def=DAYS)
    frame = published.read(below, day=THIRD)
    assert set(frame["_partition"].to_pylist()) == {SECOND, THIRD}
    yesterday = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
    below = published.reader(metadata=asked, mapping=yesterday, partitions_def=DAYS)
    assert set(published.read(below, day=THIRD)["_partition"].to_pylist()) == {SECOND}


def test_an_asset_without_partitions_gets_all_that_are_published(published: Desk) -> None:
    below = published.reader(metadata={"partition_column": True})
    frame = published.read(below)
    every = published.reader(mapping=dg.AllPartitionMapping(), partitions_def=dg.StaticPartitionsDefinition(["a"]))
    assert published.read(every, day="a").num_rows == 6
    assert sorted(frame["_partition"].to_pylist()) == [FIRST] + [SECOND] * 2 + [THIRD] * 3


def test_a_static_mapping(desk: Desk) -> None:
    mapping = dg.StaticPartitionMapping({"north": "n", "south": "s"})
    regions = dg.StaticPartitionsDefinition(["north", "south"])
    codes = dg.StaticPartitionsDefinition(["n", "s"])

    @dg.asset(key=[desk.shop.schema, "regions"], partitions_def=regions)
    def made(context: dg.AssetExecutionContext) -> pa.Table:
        return good(1 if context.partition_key == "north" else 2)

    @dg.asset(
        partitions_def=codes,
        ins={"rows": dg.AssetIn(key=[desk.shop.schema, "regions"], partition_mapping=mapping)},
    )
    def read(rows: pa.Table) -> None:
        desk.given.append(rows)

    for region in ("north", "south"):
        assert desk.run(made, day=region).success
    assert desk.run(made, read, day="s", selection=[read]).success
    assert desk.given.pop().num_rows == 2


def test_an_upstream_without_partitions(desk: Desk) -> None:
    desk.shop.batches[None] = good(4)
    assert desk.run(desk.shop.orders(partitions_def=None)).success
    below = desk.reader(partitions_def=DAYS)
    result = desk.run(below, dg.AssetSpec(desk.shop.key), selection=[below], day=FIRST)
    assert result.success
    assert desk.given.pop().num_rows == 4


def test_a_partition_that_is_not_published(published: Desk) -> None:
    mapping = dg.TimeWindowPartitionMapping(start_offset=-2, end_offset=0)
    upstream = dg.AssetSpec(published.shop.key, partitions_def=DAYS)
    below = published.reader(mapping=mapping, partitions_def=DAYS)
    said = failure(published.run(below, upstream, selection=[below], day="2026-03-11"))
    assert f"{published.shop.address} lacks partitions that are asked for: 2026-03-10, 2026-03-11." in said
    assert "Traceback" not in said
    whole = ("2026-03-06", "2026-03-13")
    below = published.reader(partitions_def=DAYS, backfill_policy=SINGLE)
    said = failure(published.run(below, upstream, selection=[below], days=whole))
    assert "lacks partitions that are asked for: 2026-03-06, 2026-03-10, 2026-03-11" in said
    asked = {"allow_missing_partitions": True}
    below = published.reader(mapping=mapping, metadata=asked, partitions_def=DAYS)
    assert published.read(below, day="2026-03-11").num_rows == 3


def test_a_table_a_column_and_a_frame_that_are_not_there(published: Desk) -> None:
    upstream = dg.AssetSpec(published.shop.key, partitions_def=DAYS)
    below = published.reader(metadata={"columns": ["prize"]}, partitions_def=DAYS)
    said = failure(published.run(below, upstream, selection=[below], day=FIRST))
    assert "column 'prize': is not in the warehouse." in said
    below = published.reader(dict, partitions_def=DAYS)
    said = failure(published.run(below, upstream, selection=[below], day=FIRST))
    assert "which is not a frame" in said

    @dg.asset(deps=[], ins={"rows": dg.AssetIn(key=[published.shop.schema, "nothing"])})
    def reads_nothing(rows: pa.Table) -> None: ...

    nothing = dg.AssetSpec([published.shop.schema, "nothing"])
    said = failure(published.run(reads_nothing, nothing, selection=[reads_nothing]))
    assert said == f"There is no table {published.shop.schema}.nothing in the warehouse.\nMaterialize it first."


def test_a_table_that_others_wrote_by_its_column_of_days(desk: Desk) -> None:
    with psycopg.connect(desk.shop.url, autocommit=True) as session:
        session.execute(f"CREATE SCHEMA {desk.shop.schema}")
        session.execute(f"CREATE TABLE {desk.shop.schema}.orders (day date, amount numeric(10, 2))")
        session.execute(
            f"INSERT INTO {desk.shop.schema}.orders VALUES ('{FIRST}', 1.25), ('{SECOND}', 2), ('{THIRD}', 3)"
        )
    upstream = dg.AssetSpec(desk.shop.key, partitions_def=DAYS, metadata={"partition_expr": "day"})
    asked = {"columns": ["amount"], "partition_column": True}
    below = desk.reader(metadata=asked, partitions_def=DAYS, backfill_policy=SINGLE)
    assert desk.run(below, upstream, selection=[below], days=(FIRST, SECOND)).success
    assert desk.given.pop().to_pylist() == [
        {"amount": 1.25, "_partition": FIRST},
        {"amount": 2.0, "_partition": SECOND},
    ]
    whole = desk.reader(metadata={"columns": ["amount"]})
    assert desk.run(whole, upstream, selection=[whole]).success
    assert desk.given.pop().num_rows == 3


@pytest.mark.parametrize("make", [lambda rows: rows, lambda rows: rows.to_pandas()])
def test_an_ordinary_asset_publishes_what_it_returns(desk: Desk, make: Any) -> None:
    asset = desk.writer(make(good(3)), make(good(2)), make(good(2)))
    result = desk.run(asset)
    assert result.success, failure(result)
    assert desk.rows() == good(3).to_pylist()
    first = desk.shop.publication()
    assert first.run_id == result.run_id
    assert desk.run(asset).success
    assert desk.rows() == good(2).to_pylist()
    assert desk.run(asset).success
    *_, changed, unchanged = desk.shop.materializations()
    assert changed.metadata["dagster/row_count"].value == 2
    assert changed.metadata["sluice/result"].value == "published"
    assert unchanged.metadata["sluice/result"].value == "unchanged"
    assert changed.tags is not None
    assert changed.tags["dagster/data_version"] == desk.shop.publication().content_hash == content_hash(good(2))


def test_the_first_publish_fixes_the_types(desk: Desk) -> None:
    floats = pd.DataFrame({"id": [1.0, None], "amount": [1, 2], "note": [None, None]})
    halves = pd.DataFrame({"id": [1.5, None], "amount": [1, 2], "note": ["a", "b"]})
    asset = desk.writer(good(1), floats, halves)
    assert desk.run(asset).success
    assert desk.run(asset).success
    assert [row["id"] for row in desk.shop.warehouse.read(desk.shop.address).to_pylist()] == [1, None]
    said = failure(desk.run(asset))
    assert "id='1.5' is not an integer" in said
    assert desk.shop.publication().rows_published == 2


def test_the_types_that_a_frame_may_have(desk: Desk) -> None:
    frame = pa.table(
        {
            "id": pa.array([1], pa.int16()),
            "price": pa.array([Decimal("1.10")], pa.decimal128(10, 2)),
            "total": pa.array([Decimal(7)], pa.decimal128(38, 0)),
            "kind": pa.array(["a"]).dictionary_encode(),
            "at": pa.array([0], pa.timestamp("ns", tz="Europe/Berlin")),
            "local": pa.array([0], pa.timestamp("s")),
            "tags": pa.array([["x"]]),
            "detail": pa.array([{"a": 1}]),
            "nothing": pa.nulls(1),
        }
    )
    asset = desk.writer(frame, frame)
    assert desk.run(asset).success
    result = desk.run(asset)
    assert result.success, failure(result)
    assert desk.shop.warehouse.columns(desk.shop.address) == {
        "id": "bigint",
        "price": "double precision",
        "total": "bigint",
        "kind": "text",
        "at": "timestamp with time zone",
        "local": "timestamp without time zone",
        "tags": "jsonb",
        "detail": "jsonb",
        "nothing": "text",
    }
    bad = pa.table({"id": [b"raw"], "much": pa.array([Decimal("0.12345678901234567890")])})
    said = failure(desk.run(desk.writer(bad)))
    assert "column 'id': is of type binary" in said
    assert "column 'much': is of type decimal128(20, 20) and holds more digits" in said


def test_a_partition_is_replaced_by_itself(desk: Desk) -> None:
    asset = desk.writer(good(1), good(2), good(3), partitions_def=DAYS)
    for day in (FIRST, SECOND, FIRST):
        assert desk.run(asset, day=day).success
    assert len(desk.rows(partitions=[FIRST])) == 3
    assert len(desk.rows(partitions=[SECOND])) == 2
    assert desk.shop.published() == {FIRST, SECOND}


def test_a_range_in_one_run(desk: Desk) -> None:
    column = pa.concat_tables(
        [
            good(1).append_column("_partition", pa.array([FIRST])),
            good(2).append_column("_partition", pa.array([THIRD] * 2)),
        ]
    )
    asset = desk.writer(
        {FIRST: good(3), SECOND: good(3), THIRD: good(3)},
        column,
        good(1),
        {FIRST: good(1), "2026-03-12": good(1)},
        partitions_def=DAYS,
        backfill_policy=SINGLE,
    )
    result = desk.run(asset, days=(FIRST, THIRD))
    assert result.success, failure(result)
    assert desk.shop.published() == {FIRST, SECOND, THIRD}
    assert desk.shop.instance.get_materialized_partitions(desk.shop.key) == {FIRST, SECOND, THIRD}
    assert desk.run(asset, days=(FIRST, THIRD)).success
    assert [len(desk.rows(partitions=[day])) for day in (FIRST, SECOND, THIRD)] == [1, 0, 2]
    assert "its function returned one frame" in failure(desk.run(asset, days=(FIRST, THIRD)))
    said = failure(desk.run(asset, days=(FIRST, THIRD)))
    assert "partition '2026-03-12': is in what was returned and not in the run." in said
    assert f"partition '{SECOND}': is in the run and not in what was returned." in said


def test_a_contract_in_the_metadata_is_the_gate(desk: Desk) -> None:
    bad = orders((1, 5.0, "a"), (1, 6.0, "b"))
    some = orders((1, 5.0, "a"), (2, -6.0, "b"), (3, 1.0, None))
    asset = desk.writer(some, bad, metadata={"sluice/contract": "test_io_manager:PROMISE"})
    result = desk.run(asset)
    assert result.success, failure(result)
    (made,) = desk.shop.materializations()
    assert made.metadata["sluice/rows_quarantined"].value == 1
    assert made.metadata["sluice/failed_expectations"].value == "amount_possible, note_present"
    assert len(desk.shop.warehouse.quarantined(desk.shop.address)) == 1
    assert "Published in part" in Path(made.metadata["sluice/report"].value).read_text(encoding="utf-8")
    said = failure(desk.run(asset))
    assert "id_once failed: 2 of 2 rows." in said
    assert "what was published before stands" in said
    assert len(desk.rows()) == 2
    assert dg.Definitions(assets=[asset]).get_repository_def().get_all_jobs()


def test_a_contract_in_a_file_beside_the_asset(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text(
        "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nversion: 1.0.0\nstatus: active\n"
        "schema:\n- name: orders\n  properties:\n  - {name: id, logicalType: integer, unique: true}\n"
    )
    frame = pa.table({"id": [1, 1]})
    said = failure(desk.run(desk.writer(frame, metadata={"sluice/contract": file})))
    assert "failed: 2 of 2 rows." in said
    for wrong, message in {
        "no_such.yaml": "no_such.yaml",
        "shop:NOTHING": "'shop:NOTHING' names no contract",
        "no_such_module:ORDERS": "'no_such_module:ORDERS' names no contract",
    }.items():
        said = failure(desk.run(desk.writer(frame, metadata={"sluice/contract": wrong})))
        assert message in said
        assert "Traceback" not in said


def test_what_a_range_published_is_told_although_one_day_is_blocked(desk: Desk) -> None:
    frames = {FIRST: good(1), SECOND: orders((7, 1.0, "a"), (7, 2.0, "b")), THIRD: good(3)}
    asset = desk.writer(
        frames, metadata={"sluice/contract": "test_io_manager:PROMISE"}, partitions_def=DAYS, backfill_policy=SINGLE
    )
    result = desk.run(asset, days=(FIRST, THIRD))
    assert not result.success
    assert f"[{SECOND}]: id_once failed" in failure(result)
    assert desk.shop.published() == {FIRST, THIRD}
    assert desk.shop.instance.get_materialized_partitions(desk.shop.key) == {FIRST, THIRD}


def test_nothing_returned_is_not_nothing_published(desk: Desk) -> None:
    said = failure(desk.run(desk.writer(None)))
    assert f"The function of {desk.shop.address} returned nothing to publish." in said


def test_tables_and_ordinary_assets_share_an_io_manager(desk: Desk) -> None:
    below = desk.reader(pd.DataFrame, partitions_def=DAYS, backfill_policy=SINGLE)
    result = desk.run(desk.shop.orders(), below, days=(FIRST, SECOND))
    assert result.success, failure(result)
    assert len(desk.given.pop()) == 6


def test_connections_are_let_go_when_the_run_is_over(desk: Desk) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sluice'"
    with psycopg.connect(desk.shop.url, autocommit=True) as session:
        before = session.execute(count).fetchone()
        assert desk.run(desk.writer(good(1))).success
        assert session.execute(count).fetchone() == before

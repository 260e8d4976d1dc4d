"""One graph over contracts, SQL, metadata of others, and dbt."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from lineage_market import Market, market, run

from dagster_sluice import Column, Contract, table, table_from_sql
from dagster_sluice.lineage import ColumnRef, column_lineage_metadata, lineage_of, with_column_lineage
from dagster_sluice.lineage.columns import Origin
from dagster_sluice.lineage.dbt_cache import project_lineage
from dagster_sluice.lineage.dbt_manifest import lineage_of_manifest
from dagster_sluice.tables.declared import declared_tables
from dagster_sluice.tables.place import plain

FLIGHTS = Path(__file__).parents[3] / "assets" / "flights" / "dbt_project"

FILES = {
    "dbt_project.yml": """\
name: jaffle
version: '1.0.0'
profile: jaffle
vars: {cutoff: 3, jaffle: {methods: [card, cash]}}
models: {jaffle: {staging: {+schema: staging}}}
""",
    "profiles.yml": """\
jaffle:
  target: dev
  outputs:
    dev: {type: postgres, host: localhost, port: 5432, user: u, password: p, dbname: d, schema: public, threads: 1}
""",
    "seeds/raw_customers.csv": "id,first_name,last_name\n1,A,B\n",
    "models/staging/sources.yml": """\
version: 2
sources:
  - name: shop
    schema: shop
    tables:
      - name: orders
      - name: payments
        identifier: payments_v2
""",
    "macros/money.sql": """\
{% macro cents_to_dollars(column) %}{{ return(adapter.dispatch('cents_to_dollars')(column)) }}{% endmacro %}
{% macro default__cents_to_dollars(column) %}({{ column }} / 100)::numeric(16, 2){% endmacro %}
{% macro methods() %}{{ return(var('methods')) }}{% endmacro %}
""",
    "models/staging/stg_customers.sql": """\
with source as (select * from {{ ref('raw_customers') }}),
renamed as (select id as customer_id, first_name || ' ' || last_name as name from source)
select * from renamed
""",
    "models/staging/stg_orders.sql": """\
{{ config(materialized='incremental', unique_key='order_id') }}
select id as order_id, user_id as customer_id, {{ dbt.date_trunc('day', 'order_date') }} as day
from {{ source('shop', 'orders') }}
{% if is_incremental() %} where order_date > (select max(order_date) from {{ this }}) {% endif %}
""",
    "models/staging/int_payments.sql": """\
{{ config(materialized='ephemeral') }}
select order_id, payment_method, {{ cents_to_dollars('amount') }} as amount
from {{ source('shop', 'payments') }} where amount > {{ var('cutoff') }}
""",
    "models/orders.sql": """\
{% set names = methods() %}
with p as (
    select order_id,
    {% for m in names %} sum(case when payment_method = '{{ m }}' then amount else 0 end) as {{ m }}_amount, {% endfor %}
    sum(amount) as total
    from {{ ref('int_payments') }} group by 1
)
select o.*, {% for m in names %} p.{{ m }}_amount, {% endfor %} p.total as amount
from {{ ref('stg_orders') }} o left join p on p.order_id = o.order_id
""",
    "models/customers.sql": """\
select c.*, count(o.order_id) as number, sum(o.amount) as lifetime
from {{ ref('stg_customers') }} c left join {{ ref('orders') }} o using (customer_id) group by 1, 2
""",
    "models/asks_database.sql": """\
{% set found = adapter.get_relation('a', 'b', 'c') %} select {{ found }} as x from {{ ref('orders') }}
""",
    "snapshots/kept.sql": """\
{% snapshot kept %}{{ config(target_schema='snap', unique_key='customer_id', strategy='check', check_cols='all') }}
select * from {{ ref('customers') }}{% endsnapshot %}
""",
}


@pytest.fixture(scope="module")
def jaffle(tmp_path_factory):
    """A dbt project as people have them, parsed by a real dbt."""
    directory = tmp_path_factory.mktemp("jaffle")
    for name, text in FILES.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    dbt = Path(sys.executable).with_name("dbt")
    ended = subprocess.run(
        [str(dbt), "--quiet", "--no-send-anonymous-usage-stats", "parse", "--profiles-dir", "."],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return directory


def models(found):
    return {
        key.rpartition(".")[2]: {name: {".".join(one) for one in sources} for name, sources in columns.items()}
        for key, columns in found.models.items()
    }


def test_models_are_read_without_a_database_and_without_being_compiled(jaffle) -> None:
    manifest = json.loads((jaffle / "target" / "manifest.json").read_text())
    found = project_lineage(manifest, directory=jaffle, columns={})
    read = models(found)
    assert read["stg_customers"] == {
        "customer_id": {"public.raw_customers.id"},
        "name": {"public.raw_customers.first_name", "public.raw_customers.last_name"},
    }
    assert read["stg_orders"]["day"] == {"shop.orders.order_date"}
    # The ephemeral model has no table: what it is made of stands in its stead.
    assert read["orders"] == {
        "order_id": {"public_staging.stg_orders.order_id"},
        "customer_id": {"public_staging.stg_orders.customer_id"},
        "day": {"public_staging.stg_orders.day"},
        "card_amount": {"shop.payments_v2.amount", "shop.payments_v2.payment_method"},
        "cash_amount": {"shop.payments_v2.amount", "shop.payments_v2.payment_method"},
        "amount": {"shop.payments_v2.amount"},
    }
    assert read["customers"]["lifetime"] == {"public.orders.amount"}
    assert read["kept"]["lifetime"] == {"public.customers.lifetime"}
    assert "asks_database" not in read
    (problem,) = found.problems
    assert "asks the database" in problem.problem


def test_what_was_read_is_kept_until_something_changes(jaffle) -> None:
    manifest = json.loads((jaffle / "target" / "manifest.json").read_text())
    first = project_lineage(manifest, directory=jaffle, columns={})
    kept = jaffle / "target" / "sluice_column_lineage.json"
    made = kept.stat().st_mtime_ns
    assert project_lineage(manifest, directory=jaffle, columns={}) == first
    assert kept.stat().st_mtime_ns == made
    changed = json.loads(json.dumps(manifest))
    changed["nodes"]["model.jaffle.customers"]["raw_code"] = "select 1 as one"
    again = project_lineage(changed, directory=jaffle, columns={})
    assert models(again)["customers"] == {"one": set()}
    kept.write_text("{broken")
    assert project_lineage(manifest, directory=jaffle, columns={}) == first


def test_compiled_sql_stands_before_the_models_text(jaffle) -> None:
    manifest = json.loads((jaffle / "target" / "manifest.json").read_text())
    manifest["nodes"]["model.jaffle.asks_database"]["compiled_code"] = "select day as x from public.orders"
    found = lineage_of_manifest(manifest, directory=jaffle, variables={"cutoff": 3, "methods": []})
    assert models(found)["asks_database"] == {"x": {"public.orders.day"}}


@pytest.mark.filterwarnings("ignore")
def test_dbt_models_go_on_where_python_tables_end(tmp_path) -> None:
    from assets.flights.tables import TABLES
    from dagster_sluice.dbt import dbt_tables

    project = tmp_path / "project"
    shutil.copytree(FLIGHTS, project, ignore=shutil.ignore_patterns("target", "logs"))
    marts = dbt_tables(project, name="marts")
    graph = lineage_of([*TABLES, marts])
    assert graph.problems == ()
    known = graph.of_table("marts/daily_delays")
    assert known["mean_dep_delay"].sources == {ColumnRef("flights/flights", "dep_delay")}
    assert known["max_wind_speed"].sources == {ColumnRef("flights/weather", "wind_speed")}
    assert known["mean_dep_delay"].origin is Origin.DBT
    # Every column of every mart is known, and made of columns that are there.
    for name in ("daily_delays", "route_reliability", "carrier_performance"):
        columns = graph.columns[f"marts/{name}"]
        assert set(graph.of_table(f"marts/{name}")) == set(columns)
    for lineage in graph.lineages.values():
        for source in lineage.sources:
            assert source.column in graph.columns[source.table]
    with_lineage = with_column_lineage([marts])[0]
    (spec,) = [one for one in with_lineage.specs if one.key.path[-1] == "daily_delays"]
    assert isinstance(spec.metadata["dagster/column_lineage"], (dg.TableColumnLineage, dg.MetadataValue))


def test_contracts_sql_and_metadata_are_one_graph(schema, database_url) -> None:
    shop = market(schema, database_url)
    graph = lineage_of(shop.repository.assets_defs_by_key.values())
    assert {(edge.upstream, edge.downstream) for edge in graph.edges} == shop.edges
    orders = graph.of_table(f"{schema}/orders")
    assert orders["id"].sources == {ColumnRef(f"{schema}/raw_orders", "id")}
    assert orders["id"].logic == "as it is"
    assert "name" not in orders
    totals = graph.of_table(f"{schema}/totals")
    assert {name: {str(source) for source in one.sources} for name, one in totals.items()} == {
        "name": {f"{schema}.orders.name"},
        "total": {f"{schema}.orders.amount"},
        "orders": set(),
    }
    assert totals["total"].origin is Origin.SQL
    assert graph.problems == ()


def test_a_source_that_is_not_there_is_a_problem_and_no_error() -> None:
    contract = Contract(
        table="t",
        schema="s",
        columns=(
            Column(name="a", type="integer", sources=("s.up.gone", "up.there", "nonsense", "other.place.x")),
            Column(name="b", type="integer", sources=()),
        ),
    )
    up = table(contract=Contract(table="up", schema="s", columns=(Column(name="there", type="integer"),)))(lambda: None)

    @table(contract=contract)
    def t(up):
        return up

    graph = lineage_of([up, t])
    assert {str(source) for source in graph.of_table("s/t")["a"].sources} == {
        "s.up.gone",
        "s.up.there",
        "other.place.x",
    }
    assert graph.of_table("s/t")["b"].sources == frozenset()
    assert [problem.problem for problem in graph.problems] == [
        "s.up has no column gone.",
        "names no table and column; write schema.table.column.",
    ]


def test_sql_that_cannot_be_read_is_a_problem_and_no_error() -> None:
    odd = table_from_sql(
        "s.odd",
        sql="SELECT * FROM s.nowhere",
        contract=Contract(table="odd", schema="s", columns=(Column(name="a", type="integer"),)),
    )
    (problem,) = lineage_of([odd]).problems
    assert "not known" in problem.problem
    assert problem.where == "SQL of s/odd"


def test_assets_say_their_lineage_and_are_otherwise_as_they_were(schema, database_url, instance) -> None:
    shop = market(schema, database_url)
    before = [one for one in shop.defs.assets if isinstance(one, dg.AssetsDefinition)]
    after = with_column_lineage(shop.defs.assets)
    assert len(after) == len(list(shop.defs.assets))
    specs = {spec.key.path[-1]: spec for one in after if isinstance(one, dg.AssetsDefinition) for spec in one.specs}
    lineage = plain(specs["orders"].metadata["dagster/column_lineage"])
    assert lineage.deps_by_column["amount"] == [
        dg.TableColumnDep(asset_key=dg.AssetKey([schema, "raw_orders"]), column_name="amount")
    ]
    described = {
        column.name: column.description for column in specs["orders"].metadata["dagster/column_schema"].columns
    }
    assert described["amount"] == f"From {schema}.raw_orders.amount."
    assert described["name"] is None
    assert declared_tables(after).keys() == declared_tables(before).keys()
    checks = [one.check_keys for one in after if isinstance(one, dg.AssetsDefinition)]
    assert checks == [one.check_keys for one in before]
    defs = dg.Definitions(
        assets=after,
        resources=shop.defs.resources,
        asset_checks=shop.defs.asset_checks,
        executor=dg.in_process_executor,
    )
    assert run(Market(defs=defs, edges=shop.edges), instance).success
    # To say it twice is to say it once more from what is there.
    assert column_lineage_metadata(lineage_of(after), dg.AssetKey("feed")) == {}

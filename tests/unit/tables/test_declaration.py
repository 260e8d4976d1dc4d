"""@table: what a person can get wrong is told when it is declared, all of it."""

from typing import Annotated, Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from dagster_sluice import Column, Contract, Expectation, TableContext, table
from dagster_sluice.contracts import LogicalType
from dagster_sluice.errors import ContractError, TableError
from dagster_sluice.tables.inputs import address_of, needs_of

KEY = dg.AssetKey(["raw", "flights"])
CONTRACT = Contract(table="flights", schema="raw", columns=(Column(name="a", type=LogicalType.INTEGER),))


class Source(dg.ConfigurableResource):
    def fetch(self) -> int:
        return 1


def needs(function, **given):
    return needs_of(function, KEY, given)


def refused(function, **given):
    with pytest.raises(TableError) as caught:
        needs_of(function, KEY, given)
    assert "raw/flights" in str(caught.value)
    return [str(culprit) for culprit in caught.value.culprits]


def test_parameters_say_what_is_needed():
    def flights(
        context,
        source: Source,
        spare: dg.ResourceParam[str],
        planes: pd.DataFrame,
        weather: pa.Table,
        airports,
        routes: Any,
        marked: Annotated[pd.DataFrame, "by hand"],
    ):
        """All kinds of parameters."""

    found = needs(flights, planes=dg.AssetKey(["ref", "aircraft"]))
    assert found.context == "context"
    assert found.resources == ("source", "spare")
    assert [(u.parameter, u.key.to_user_string(), u.kind) for u in found.upstreams] == [
        ("planes", "ref/aircraft", "pandas"),
        ("weather", "raw/weather", "arrow"),
        ("airports", "raw/airports", "arrow"),
        ("routes", "raw/routes", "arrow"),
        ("marked", "raw/marked", "pandas"),
    ]


def test_the_context_may_have_another_name():
    def flights(batch: TableContext):
        """One parameter."""

    assert needs(flights).context == "batch"


def test_annotations_may_be_text():
    def flights(context: "TableContext", planes: "pd.DataFrame"):
        """Both are text."""

    assert needs(flights).upstreams[0].kind == "pandas"


def test_every_parameter_that_cannot_be_filled_is_named():
    def flights(first, /, limit: int, words: list[str], *args, planes: pd.DataFrame, **kwargs):
        """Most of this cannot be had."""

    told = "\n".join(refused(flights, gone=KEY))
    for name in ("first", "limit", "words", "*args", "**kwargs", "gone"):
        assert name in told
    assert "planes" not in told


def test_ins_is_for_tables():
    def flights(context, source: Source, planes):
        """A resource is no table."""

    assert any("source" in line for line in refused(flights, source=KEY))
    assert any("context" in line for line in refused(flights, context=KEY))
    assert any("planes" in line for line in refused(flights, planes="ref/planes"))


def test_an_annotation_that_cannot_be_read():
    def flights(planes: "NotImported"):  # noqa: F821 (that is the mistake)
        """Its type was imported for type checkers only."""

    assert any("NotImported" in line for line in refused(flights))


def test_where_a_table_lives():
    assert str(address_of(dg.AssetKey(["a", "b", "c"]))) == "b.c"
    assert str(address_of(dg.AssetKey(["c"]))) == "public.c"


@pytest.mark.parametrize("path", [["x" * 64, "t"], ["s", "é" * 32], ["s", "nul\0"], ["s", "\ud800"], ["sluice", "t"]])
def test_an_address_that_no_warehouse_has(path):
    with pytest.raises(TableError) as caught:
        address_of(dg.AssetKey(path))
    assert str(caught.value).encode()


# The decorator


def declare(contract=CONTRACT, **settings):
    @table(contract=contract, **settings)
    def flights(context):
        """Nobody calls it."""

    return flights


def test_an_asset_with_a_check_for_each_promise():
    promised = Contract(
        table="flights",
        schema="raw",
        description="Every flight.",
        owners=("team:ops",),
        columns=CONTRACT.columns,
        expectations=(
            Expectation(name="rows", type="expect_table_row_count_to_be_between", kwargs={"min_value": 1}),
            Expectation(
                name="known",
                type="expect_column_values_to_be_in_set",
                kwargs={"column": "a", "value_set": {"from": "ref.codes.code"}},
            ),
        ),
    )
    asset = declare(promised, deps=["other"])
    assert asset.key == KEY
    assert {check.name for check in asset.check_keys} == {"conforms", "rows", "known"}
    spec = asset.get_asset_spec()
    assert spec.description == "Every flight."
    assert spec.owners == ["team:ops"]
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == {"ref/codes", "other"}
    assert "postgres" in spec.kinds
    assert spec.metadata["dagster/column_schema"].columns[0].name == "a"


def test_the_code_version_changes_with_the_promise_and_not_with_its_words():
    def version(**changes):
        return declare(Contract(**{"table": "flights", "columns": CONTRACT.columns, **changes})).get_asset_spec()

    assert version().code_version == version(description="words", owners=("team:x",)).code_version
    assert version().code_version != version(quarantine_limit=0.1).code_version


def test_a_key_that_does_not_match_the_contract():
    with pytest.raises(TableError, match=r"raw/planes.*'flights'"):
        declare(key="raw/planes")
    assert declare(key=["deep", "raw", "flights"]).key == dg.AssetKey(["deep", "raw", "flights"])


def test_a_contract_file_that_is_not_there():
    with pytest.raises(ContractError, match=r"nowhere\.yaml"):
        declare("nowhere.yaml")


def test_every_mistake_of_a_contract_written_in_python_is_named():
    expectation = Expectation(name="x", type="expect_table_row_count_to_equal", kwargs={"value": 1})
    wrong = Contract(
        table="flights",
        columns=(*CONTRACT.columns, *CONTRACT.columns),
        expectations=(
            expectation,
            expectation,
            Expectation(name="conforms", type=expectation.type, kwargs={"value": 1}),
            Expectation(name="not a name", type=expectation.type, kwargs={"value": 1}),
        ),
        quarantine_limit=5,
    )
    with pytest.raises(TableError) as caught:
        declare(wrong)
    told = str(caught.value)
    assert len(caught.value.culprits) == 5
    for words in ("expectation 'x'", "'conforms'", "'not a name'", "column 'a'", "quarantine_limit"):
        assert words in told

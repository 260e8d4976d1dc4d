"""Reading files: which table, who owns it, and that nothing heavy is imported on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dagster_sluice.contracts
from dagster_sluice.contracts import Contract, LogicalType, load_contract, load_contracts
from dagster_sluice.contracts.catalogue import CATALOGUE, Argument, ExpectationType, Kind, short_name
from dagster_sluice.errors import ContractError, Culprit

Load = Callable[[str], Contract]
Blame = Callable[[str], list[Culprit]]
Write = Callable[[str], Path]

TWO = """\
apiVersion: v3.2.0
kind: DataContract
id: airlines
version: "2"
tags: [finance]
team:
  name: Flight Ops
  members:
    - {username: ada@example.com}
    - {username: bob}
    - {username: eve@example.com, dateOut: 2024-01-01}
servers:
  - {server: prod, type: postgres, host: db, port: 5432, database: d, schema: ops}
schema:
  - name: flights
    tags: [daily]
    customProperties:
      - {property: timezone, value: America/New_York}
      - {property: businessKey, value: [dest]}
      - {property: policyId, value: 7}
      - {property: polcy, value: strict, vendor: atlan}
    properties:
      - {name: dest, logicalType: string, physicalType: varchar(3), classification: public, tags: [code]}
      - {name: at, logicalType: timestamp, logicalTypeOptions: {timezone: false}}
      - {name: delay, logicalType: number, semanticType: measure, transformLogic: AVG(x)}
  - name: airports
    physicalName: ref.airports_v1
    customProperties: [{property: owners, value: [team:ref, "cleo@example.com"]}]
    properties:
      - {name: faa, logicalType: string}
"""


def test_a_table_of_several_is_picked_by_name(write: Write) -> None:
    path = write(TWO)
    assert [contract.table for contract in load_contracts([path])] == ["flights", "airports_v1"]
    assert load_contract(path, "airports") == load_contract(path, "airports_v1")
    with pytest.raises(ContractError, match="describes 2 tables: flights, airports"):
        load_contract(path)
    with pytest.raises(ContractError, match=r"no table `flihgts`\. Did you mean `flights`\?"):
        load_contract(path, "flihgts")


def test_what_is_said_of_a_table(write: Write) -> None:
    flights, airports = load_contracts(write(TWO))
    assert (flights.schema, airports.schema) == ("ops", "ref")
    assert flights.version == "2"
    assert flights.tags == ("finance", "daily")
    assert flights.timezone == "America/New_York"
    assert flights.quarantine_limit == 0.5
    assert flights.owners == ("team:Flight Ops", "ada@example.com")
    assert airports.owners == ("team:ref", "cleo@example.com")
    dest, at = flights.columns
    assert (dest.physical_type, dest.classification, dest.tags) == ("varchar(3)", "public", ("code",))
    assert (at.type, at.timezone) == (LogicalType.TIMESTAMP, False)


def test_a_team_may_be_a_list_as_it_was_before(load: Load) -> None:
    contract = load(
        "team: [{username: ada@example.com}]\nschema: [{name: t, properties: [{name: a, logicalType: date}]}]"
    )
    assert contract.owners == ("ada@example.com",)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("timezone", "Europe/Vena", "There is no time zone `Europe/Vena`"),
        ("timezone", "../etc/passwd", "There is no time zone"),
        ("owners", "ada", "`ada` is no owner"),
        ("owner", "ada@example.com", "Unknown custom property `owner`"),
        ("policy", "[warn]", "There is no policy"),
    ],
)
def test_a_setting_that_cannot_be(blame: Blame, name: str, value: str, problem: str) -> None:
    (culprit,) = blame(
        f"customProperties: [{{property: {name}, value: {value}}}]\n"
        "schema: [{name: t, properties: [{name: a, logicalType: date}]}]"
    )
    assert problem in culprit.problem
    assert culprit.mend


def test_editing_a_description_leaves_the_fingerprint(load: Load) -> None:
    def text(description: str, limit: int) -> str:
        return (
            f"schema: [{{name: t, description: {description}, properties: [{{name: a, logicalType: timestamp, "
            f"logicalTypeOptions: {{minimum: '20{limit}-01-01'}}}}]}}]"
        )

    before = load(text("a", 20)).fingerprint
    assert load(text("b", 20)).fingerprint == before
    assert load(text("a", 21)).fingerprint != before


def test_types_of_ones_own_can_be_registered(write: Write) -> None:
    path = write(
        """\
apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
schema:
  - name: t
    properties:
      - name: iban
        logicalType: string
        quality:
          - type: custom
            engine: greatExpectations
            implementation: {type: expect_column_values_to_be_iban, kwargs: {country: AT}}
"""
    )
    own = ExpectationType(
        name="expect_column_values_to_be_iban",
        kind=Kind.ROW,
        arguments={"column": Argument.COLUMN, "country": Argument.TEXT},
        required=frozenset({"column"}),
        marks_rows=True,
    )
    with pytest.raises(ContractError, match="no expectation `expect_column_values_to_be_iban`"):
        load_contract(path)
    (expectation,) = load_contract(path, extra_types=[own]).expectations
    assert (expectation.name, expectation.kwargs) == ("iban__iban", {"country": "AT", "column": "iban"})


def test_reading_a_contract_imports_nothing_heavy(write: Write) -> None:
    path = write(TWO)
    heavy = "pandas great_expectations dagster pyarrow duckdb pydantic open_data_contract_standard.model"
    script = (
        "import sys, dagster_sluice.contracts as c\n"
        "assert 'yaml' not in sys.modules\n"
        "assert 'open_data_contract_standard' not in sys.modules\n"
        f"c.load_contracts({str(path)!r})\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_public_names() -> None:
    assert sorted(dagster_sluice.contracts.__all__) == [
        "Column",
        "Contract",
        "Expectation",
        "LogicalType",
        "Policy",
        "Reference",
        "Severity",
        "diff_contracts",
        "expectations_from_suite",
        "load_contract",
        "load_contracts",
    ]
    assert all(hasattr(dagster_sluice.contracts, name) for name in dagster_sluice.contracts.__all__)


def test_what_is_read_is_what_the_standards_own_model_reads(write: Write) -> None:
    from open_data_contract_standard.model import OpenDataContractStandard

    text = TWO.replace("2024-01-01}", '"2024-01-01"}')
    model = OpenDataContractStandard.from_string(text)
    contracts = load_contracts(write(text))
    assert model.schema_ is not None
    for entry, contract in zip(model.schema_, contracts, strict=True):
        names = [part.name for part in entry.properties or () if part.semanticType != "measure"]
        assert names == [column.name for column in contract.columns]


def test_short_names_are_words_and_differ_within_a_column() -> None:
    rows = [name for name, kind in CATALOGUE.items() if kind.kind is Kind.ROW]
    assert len({short_name(name) for name in rows}) == len(rows) - 1  # the two length expectations share one
    assert all(short_name(name).replace("_", "a").isalnum() for name in CATALOGUE)
    assert short_name("expect_column_values_to_not_be_null") == "not_null"
    assert short_name("expect_column_mean_to_be_between") == "mean_between"


FULL = """\
apiVersion: v3.1.0
kind: DataContract
id: flights
version: 1.0.0
team: {name: ops, members: [{username: a@b.co}]}
customProperties: [{property: quarantineLimit, value: 10%}, {property: owners, value: a@b.co}]
schema:
  - name: flights
    customProperties: [{property: policy, value: hold}, {property: timezone, value: UTC}]
    relationships: [{from: flights.dest, to: airports.faa}]
    properties:
      - name: dest
        logicalType: string
        primaryKey: true
        logicalTypeOptions: {minLength: 1, maxLength: 3, pattern: '^[A-Z]+$', enum: [a]}
        quality:
          - {metric: nullValues, mustBeBetween: [1, 5], unit: percent, severity: info}
          - {metric: missingValues, arguments: {missingValues: [null, x]}, mustBeLessThan: 3}
          - {type: custom, engine: gx, implementation: "{type: expect_column_values_to_be_unique}"}
      - {name: at, logicalType: timestamp, logicalTypeOptions: {minimum: 2024-01-01, timezone: true}}
      - {name: n, logicalType: integer, primaryKey: true, logicalTypeOptions: {maximum: 0x10}}
    quality:
      - {metric: duplicateValues, mustBe: 0, arguments: {properties: [dest, n]}}
      - type: custom
        engine: greatExpectations
        implementation: |
          type: expect_column_quantile_values_to_be_between
          kwargs:
            column: n
            quantile_ranges: {quantiles: [0.5], value_ranges: [[1, 2]]}
"""
TOKENS = st.sampled_from(
    [
        *["null", "true", "-1", "0", "1e400", ".nan", "2024-01-01", "2024-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
        *["[]", "{}", "[1, 2]", "[[a]]", "{a: b}", "''", "'x'", "|\n x", "*a", "&a ", "<<: *a", "? [a]", "!!set {a}"],
        *[
            "0x" + "f" * 4000,
            "9" * 5000,
            "\t",
            "\x00",
            "\ud7ff",
            "ß",
            "%",
            ":",
            "- ",
            "#",
            '"\\ud800"',
            "~",
            "quarantine",
        ],
        *["mustBe", "metric", "quality", "value_set", "column", "name", "percent", "{from: a.b}", "{$PARAMETER: x}"],
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_text_raises_anything_but_contract_errors(tmp_path: Path, data: st.DataObject) -> None:
    text = FULL
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.one_of(TOKENS, st.text(max_size=5))) + text[end:]
    path = tmp_path / "contract.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        contracts = load_contracts(path)
    except ContractError as error:
        assert all(culprit.line and culprit.column and culprit.problem for culprit in error.culprits)  # noqa: PT017
        str(error).encode()
    else:
        for contract in contracts:
            assert contract.fingerprint
            assert len({e.name for e in contract.expectations}) == len(contract.expectations)


def spots(value: Any) -> list[tuple[Any, Any]]:
    """Every mapping and list within a value, with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [spot for key, inner in items for spot in [(value, key), *spots(inner)]]


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=4),
        st.dates(),
        st.datetimes(),
        st.just("dest"),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["from", "name", "value", "type"]), inner, max_size=2),
    ),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_value_in_any_place_raises_anything_but_contract_errors(tmp_path: Path, data: st.DataObject) -> None:
    import yaml

    root = yaml.safe_load(FULL)
    parent, key = data.draw(st.sampled_from(spots(root)))
    parent[key] = data.draw(VALUES)
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(root, allow_unicode=True), encoding="utf-8", errors="surrogatepass")
    try:
        for contract in load_contracts(path):
            assert contract.fingerprint
    except ContractError as error:
        str(error).encode()


def test_every_expectation_type_can_be_promised(write: Write) -> None:
    import yaml

    samples = {
        Argument.COLUMN: "n",
        Argument.COLUMNS: ["n", "m"],
        Argument.BOUND: 1,
        Argument.NUMBER: 1,
        Argument.COUNT: 1,
        Argument.POSITIVE: 1,
        Argument.SHARE: 0.5,
        Argument.FLAG: False,
        Argument.TEXT: "x",
        Argument.CHARACTER: "!",
        Argument.REGEX: "x",
        Argument.FORMAT: "%Y",
        Argument.TEXTS: ["x"],
        Argument.REGEXES: ["x"],
        Argument.VALUES: [1],
        Argument.PAIRS: [[1, 2]],
        Argument.MAPPING: {"a": 1},
        Argument.QUERY: "SELECT * FROM {batch}",
        Argument.QUANTILES: {"quantiles": [0.5], "value_ranges": [[1, None]]},
        Argument.ERROR: True,
        Argument.ANY_ALL: "all",
        Argument.METHOD: "std",
        Argument.IGNORE_PAIR: "neither",
        Argument.IGNORE_ROW: "never",
    }
    rules = []
    for name, kind in CATALOGUE.items():
        kwargs = {argument: samples[takes] for argument, takes in kind.arguments.items()}
        if "column_B" in kwargs:
            kwargs["column_B"] = "m"
        implementation = {"type": name, "kwargs": kwargs}
        rules.append({"type": "custom", "engine": "greatExpectations", "implementation": implementation})
    columns = [{"name": name, "logicalType": "integer"} for name in ("n", "m")]
    contract = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "all",
        "version": "1.0.0",
        "schema": [{"name": "t", "properties": columns, "quality": rules}],
    }
    loaded = load_contract(write(yaml.safe_dump(contract)))
    assert [e.type for e in loaded.expectations] == list(CATALOGUE)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_the_standards_schema_refuses_is_refused_and_what_it_takes_has_the_right_shape(
    tmp_path: Path, data: st.DataObject
) -> None:
    import jsonschema
    import yaml

    from dagster_sluice.contracts.document import read_document
    from dagster_sluice.contracts.shape import check_shape

    own = ", enum: [a]"  # a word of ours, which the standard lacks
    root = yaml.safe_load(FULL.replace(own, "").replace("2024-01-01", '"2024-01-01"'))
    places = spots(root)
    parent, key = data.draw(st.sampled_from(places))
    simple = st.sampled_from(
        [None, True, 3, -1, 2.5, "x", "a.b", "array", [], {}, [1], {"a": 1}, [{"value": 1}], "sql"]
    )
    if isinstance(parent, dict) and data.draw(st.booleans()):
        parent[data.draw(st.sampled_from(["zzz", "type", "name", "mustBe", "minimum"]))] = parent.pop(key)
    else:
        parent[key] = data.draw(simple)
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(root))
    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8"))
    if jsonschema.Draft201909Validator(schema).is_valid(root):
        document = read_document(path)
        check_shape(document)
        assert document.culprits == []
    else:
        with pytest.raises(ContractError):
            load_contracts(path)

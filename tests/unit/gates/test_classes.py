"""Expectation classes of one's own, judged by Great Expectations."""

import subprocess
import sys

import pytest

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy, Severity
from dagster_sluice.errors import ExpectationError
from dagster_sluice.gates import audit, decide


def frame():
    import pandas as pd

    return pd.DataFrame({"dest": ["SFO", "lax", None, "JFK"], "passengers": [1, 9, 3, 4]})


IATA = "own_classes:ExpectColumnValuesToBeIata"


@pytest.mark.parametrize("engine", ["auto", "gx", "both"])
def test_a_class_of_each_kind_is_judged(engine):
    verdict = audit(
        frame(),
        expectations=[
            {"class": IATA, "kwargs": {"column": "dest"}, "severity": "warning", "meta": {"owner": "ops"}},
            {"class": IATA, "kwargs": {"column": "dest", "mostly": 0.6}, "name": "most"},
            {"class": "own_classes:ExpectColumnRangeToBeBelow", "kwargs": {"column": "passengers", "limit": 5}},
            {
                "type": "expect_table_cells_to_equal",
                "class": "own_classes:ExpectTableCellsToEqual",
                "kwargs": {"cells": 8},
            },
            {"class": "own_classes:ExpectPassengersToBeFew"},
            {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 4}},
        ],
        engine=engine,
    )

    iata, most, spread, cells, few, count = verdict.results
    assert [result.success for result in verdict.results] == [False, True, False, True, False, True]
    assert (iata.type, iata.severity, iata.policy, iata.meta) == (
        "expect_column_values_to_be_iata",
        Severity.WARNING,
        Policy.WARN,
        {"owner": "ops"},
    )
    assert (iata.element_count, iata.missing_count, iata.partial_unexpected_list) == (4, 1, ("lax",))
    assert [verdict.mask.rows([index]).tolist() for index in range(6)] == [[1], [1], [], [], [1], []]
    assert (most.name, spread.observed_value, cells.observed_value, few.unexpected_count) == ("most", 8, 8, 1)
    assert {result.engine for result in verdict.results[:5]} == {"gx"}
    assert count.engine == ("gx" if engine == "gx" else "duckdb")


def test_a_contract_in_python_takes_them_and_their_rows_are_quarantined():
    iata = Expectation(
        name="dest__iata",
        type="expect_column_values_to_be_iata",
        kwargs={"column": "dest"},
        policy=Policy.QUARANTINE,
        import_path=IATA,
    )
    gate = Contract(table="flights", columns=(Column(name="dest", type=LogicalType.STRING),), expectations=(iata,))

    assert decide(audit(frame(), gate), quarantine_limit=0.5).quarantined.tolist() == [1]
    assert gate.fingerprint != Contract(table="flights", columns=gate.columns).fingerprint


def test_a_class_that_is_imported_already_needs_no_path():
    import own_classes

    assert own_classes.ExpectColumnValuesToBeIata
    verdict = audit(frame(), expectations=[{"type": "expect_column_values_to_be_iata", "kwargs": {"column": "dest"}}])
    assert verdict.mask.rows([0]).tolist() == [1]


def test_a_class_that_crashes_is_the_error_of_its_expectation_alone():
    verdict = audit(
        frame(),
        expectations=[
            {"class": "own_classes:ExpectTableToCrash"},
            {"class": IATA, "kwargs": {"column": "dest"}},
            {"class": IATA, "kwargs": {"column": "passengers"}, "name": "numbers"},
        ],
    )

    assert "of the class itself" in verdict.results[0].error
    assert verdict.results[1].error is None
    assert verdict.results[2].error is not None
    assert [result.success for result in verdict.results] == [False, False, False]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"class": "no_such_module:ExpectThis"}, "no_such_module:ExpectThis cannot be imported: ModuleNotFoundError"),
        ({"class": "own_classes:ExpectNothing"}, "own_classes has no 'ExpectNothing'"),
        ({"class": "own_classes:NoExpectation"}, "is no expectation"),
        ({"class": IATA, "type": "expect_other"}, "is registered as 'expect_column_values_to_be_iata'"),
        ({"class": IATA, "kwargs": {"column": "dest", "lenght": 3}}, "lenght"),
        ({"class": IATA}, "column"),
        ({"class": "own classes"}, "is not written as"),
        ({"class": 3}, "is not written as"),
        ({"type": "expect_what_nobody_wrote"}, "there is no 'expect_what_nobody_wrote'"),
    ],
)
def test_a_class_that_cannot_be_used_is_one_error(given, sentence):
    with pytest.raises(ExpectationError) as caught:
        audit(frame(), expectations=[given])

    assert len(caught.value.culprits) == 1
    assert sentence in str(caught.value)


def test_the_fast_engine_alone_does_not_judge_them():
    with pytest.raises(ExpectationError, match="expect_column_values_to_be_iata"):
        audit(frame(), expectations=[{"class": IATA, "kwargs": {"column": "dest"}}], engine="duckdb")


CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: flights
version: 1.0.0
status: active
schema:
  - name: flights
    properties:
      - name: dest
        logicalType: string
        quality:
          - type: custom
            engine: greatExpectations
            implementation: {{class: "{path}", kwargs: {kwargs}}}
            customProperties: [{{property: policy, value: quarantine}}]
"""


def test_a_contract_file_names_the_class(tmp_path):
    from dagster_sluice.contracts import load_contract

    file = tmp_path / "flights.yaml"
    file.write_text(CONTRACT.format(path=IATA, kwargs="{mostly: 1}"))
    contract = load_contract(file)
    (expectation,) = contract.expectations

    assert (expectation.name, expectation.import_path) == ("dest__iata", IATA)
    assert audit(frame(), contract).mask.rows([0]).tolist() == [1]


@pytest.mark.parametrize(
    ("path", "kwargs", "code", "told"),
    [
        ("mine:ExpectColumnValuesToBeIata", "{mostly: 1}", 0, "1 contract, 1 table, 1 expectation: good"),
        (
            "mine:ExpectColumnValuesToBeIata",
            "{long: 3}",
            2,
            "flights.yaml:12 (dest__iata): expect_column_values_to_be_iata: ",
        ),
        ("mine:ExpectNothing", "{}", 2, "mine has no 'ExpectNothing'."),
        ("yours:ExpectColumnValuesToBeIata", "{}", 2, "yours:ExpectColumnValuesToBeIata cannot be imported"),
        ("mine.ExpectIata", "{}", 2, "flights.yaml:14:37: `mine.ExpectIata` is no class."),
    ],
)
def test_the_check_of_a_contract_looks_the_class_up(tmp_path, path, kwargs, code, told):
    (tmp_path / "mine.py").write_text("from own_classes import ExpectColumnValuesToBeIata\n")
    (tmp_path / "flights.yaml").write_text(CONTRACT.format(path=path, kwargs=kwargs))
    done = subprocess.run(
        [sys.executable, "-m", "dagster_sluice", "contract", "check", "flights.yaml"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            "PYTHONPATH": str(__import__("pathlib").Path(__file__).parent),
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
        },
        check=False,
        timeout=120,
    )

    assert (done.returncode, told in done.stdout + done.stderr) == (code, True), done.stderr

"""Every mistake is named with its place and its mend, all of them at once."""

from __future__ import annotations

import pickle
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_sluice.contracts import Contract, load_contract, load_contracts
from dagster_sluice.errors import ContractError, Culprit

Blame = Callable[[str], list[Culprit]]
Write = Callable[[str], Path]

GOOD = """\
apiVersion: v3.1.0
kind: DataContract
id: flights
version: 1.0.0
status: active
customProperties:
  - property: quarantineLimit
    value: 10%
schema:
  - name: flights
    description: Departures
    properties:
      - name: dest
        logicalType: string
        required: true
        customProperties:
          - {property: policy, value: quarantine}
        logicalTypeOptions:
          pattern: '^[A-Z]{3}$'
        relationships:
          - {type: foreignKey, to: airports.faa}
        quality:
          - metric: invalidValues
            arguments:
              validValues: [JFK, LGA]
            mustBeLessThan: 5
            unit: percent
            severity: error
      - name: minutes
        logicalType: integer
        logicalTypeOptions: {minimum: 0, maximum: 900}
    quality:
      - metric: rowCount
        mustBeBetween: [1, 1000]
      - type: custom
        engine: greatExpectations
        implementation: |
          type: expect_column_mean_to_be_between
          kwargs:
            column: minutes
            min_value: 10
            max_value: 200
"""


def mistakes(write: Write, text: str) -> list[Culprit]:
    with pytest.raises(ContractError) as caught:
        load_contract(write(text))
    return list(caught.value.culprits)


def test_the_unspoilt_contract_loads(write: Write) -> None:
    contract = load_contract(write(GOOD))
    assert contract.quarantine_limit == 0.1
    assert len(contract.expectations) == 7


# (what stands there, what is written instead, line, column, in the problem, in the mend)
SLIPS = [
    ("apiVersion: v3.1.0", "apiVersion: v2.2.2", 1, 13, "`v2.2.2` is no version", "v3.0 to v3.2"),
    ("apiVersion: v3.1.0", "apiVersion: 3.1.0", 1, 13, "`3.1.0` is no version", "Write `v3.1.0`"),
    ("apiVersion: v3.1.0", "apiVersion: v4.0.0", 1, 13, "`v4.0.0` is no version", "v3.0 to v3.2"),
    ("kind: DataContract", "kind: DataProduct", 2, 7, "`DataProduct` is no data contract", "`DataContract`"),
    ("kind: DataContract", "tenant: x", 1, 1, "`kind` is missing", "Add `kind: DataContract`"),
    ("id: flights\n", "", 1, 1, "`id` is missing", "Add `id:`"),
    ("version: 1.0.0", "version: 1.0", 4, 10, "`version` must be a text", "Quote it"),
    ("status: active", "statuss: active", 5, 1, "Unknown key `statuss`", "`status`"),
    ("property: quarantineLimit", "property: quarantineLimt", 7, 15, "`quarantineLimt`", "`quarantineLimit`"),
    ("property: quarantineLimit", "property: quarantine_limit", 7, 15, "`quarantine_limit`", "`quarantineLimit`"),
    ("property: quarantineLimit", "propery: quarantineLimit", 7, 5, "Unknown key `propery`", "`property`"),
    ("value: 10%", "value: 1000%", 8, 12, "must be a share", "10%"),
    ("value: 10%", "value: -1", 8, 12, "must be a share", "10%"),
    ("schema:", "schemas:", 9, 1, "Unknown key `schemas`", "`schema`"),
    ("- name: flights", "- nam: flights", 10, 5, "Unknown key `nam`", "`name`"),
    ("description: Departures", "description: [a]", 11, 18, "must be a text, not a list", ""),
    ("logicalType: string", "logicalType: strng", 14, 22, "Unknown word `strng`", "`string`"),
    ("logicalType: string", "logicalType: vector", 14, 22, "type vector are not supported", "`array`"),
    ("        logicalType: string\n", "", 13, 9, "has no `logicalType`", "Add one of string"),
    ("required: true", "requird: true", 15, 9, "Unknown key `requird`", "`required`"),
    ("required: true", "required: 'yes'", 15, 19, "must be true or false", ""),
    ("property: policy,", "property: polcy,", 17, 24, "`polcy`", "`policy`"),
    ("property: policy,", "property: timezone,", 17, 24, "no effect on a column", "the contract or the table"),
    ("value: quarantine}", "value: quarntine}", 17, 39, "no policy `quarntine`", "`quarantine`"),
    ("pattern: '^[A-Z]{3}$'", "pattern: '^[A-Z{3}$'", 19, 20, "is not a regular expression", ""),
    ("pattern: '^[A-Z]{3}$'", "minimum: 3", 19, 11, "Unknown key `minimum`", ""),
    ("to: airports.faa", "to: airports", 21, 36, "airports", ""),
    ("to: airports.faa", "to: flights.dst", 21, 36, "has no column `dst`", "`dest`"),
    ("type: foreignKey", "type: foreinKey", 21, 20, "`foreinKey`", "`foreignKey`"),
    ("metric: invalidValues", "metric: invaldValues", 23, 21, "`invaldValues`", "`invalidValues`"),
    ("validValues: [JFK", "validValue: [JFK", 25, 15, "takes no argument `validValue`", "`validValues`"),
    ("[JFK, LGA]", "[JFK, 7]", 25, 34, "read as int `7`", "Quote it"),
    ("[JFK, LGA]", "[NO, LGA]", 25, 29, "read as bool `false`", "YAML reads yes, no"),
    ("[JFK, LGA]", "[]", 25, 28, "is empty", "List the values"),
    ("mustBeLessThan: 5", "mustBeLesThan: 5", 26, 13, "`mustBeLesThan`", "`mustBeLessThan`"),
    ("mustBeLessThan: 5", "mustBeLessThan: '5'", 26, 29, "must be a number", ""),
    ("mustBeLessThan: 5", "description: x", 23, 13, "compares its metric with nothing", "Add an operator"),
    ("unit: percent", "unit: percentage", 27, 19, "Unknown unit `percentage`", "`percent`"),
    ("unit: percent", "mustBe: 3", 26, 13, "in one rule", "two rules"),
    ("severity: error", "severity: eror", 28, 23, "no severity `eror`", "`error`"),
    ("- name: minutes", "- name: dest", 29, 15, "two columns `dest`", "line 13"),
    ("{minimum: 0, maximum: 900}", "{minimum: 1000, maximum: 900}", 31, 39, "No value lies between", "Swap"),
    ("{minimum: 0, maximum: 900}", "{minimum: '0', maximum: 900}", 31, 39, "must be a number", ""),
    ("{minimum: 0, maximum: 900}", "{minimum: .nan}", 31, 39, "`nan` is not a number", ""),
    ("{minimum: 0, maximum: 900}", "{minimum: 9007199254740993}", 31, 39, "double precision", "Round"),
    ("{minimum: 0, maximum: 900}", "{multipleOf: 5}", 31, 30, "nothing for `multipleOf`", "type: text"),
    ("metric: rowCount", "metric: nullValues", 33, 17, "a column's quality rules", "Move"),
    ("[1, 1000]", "[1000, 1]", 34, 24, "begins at 1000", "Swap"),
    ("[1, 1000]", "[1]", 34, 24, "too short", ""),
    ("engine: greatExpectations", "engine: greatExpectatons", 36, 17, "no engine", "`greatExpectations`"),
    ("type: expect_column_mean", "typ: expect_column_mean", 38, 11, "Unknown key `typ`", "`type`"),
    ("expect_column_mean_to", "expect_column_meen_to", 38, 17, "no expectation", "`expect_column_mean_to_be_between`"),
    ("column: minutes", "column: minute", 40, 21, "has no column `minute`", "`minutes`"),
    ("column: minutes", "colum: minutes", 40, 13, "takes no `colum`", "`column`"),
    ("min_value: 10", "minValue: 10", 41, 13, "takes no `minValue`", "calls it `min_value`"),
    ("min_value: 10", "min_value: 300", 41, 24, "No value lies between 300 and 200", "Swap"),
    ("min_value: 10", "min_value: '10'", 41, 24, "is an integer", "without quotes"),
    ("min_value: 10", "mostly: 0.9", 41, 13, "takes no `mostly`", ""),
    ("max_value: 200", "max_value: [200", 42, 24, "not valid YAML", ""),
    ("max_value: 200", "column: minutes", 42, 13, "stands twice", "line 40"),
]


@pytest.mark.parametrize(("good", "bad", "line", "column", "problem", "mend"), SLIPS, ids=[slip[1] for slip in SLIPS])
def test_a_slip_of_the_pen_is_found_where_it_stands(
    write: Write, good: str, bad: str, line: int, column: int, problem: str, mend: str
) -> None:
    assert GOOD.count(good) == 1
    found = mistakes(write, GOOD.replace(good, bad))
    here = [culprit for culprit in found if (culprit.line, culprit.column) == (line, column)]
    assert here, [str(culprit) for culprit in found]
    assert any(problem in culprit.problem and mend in culprit.mend for culprit in here), [str(c) for c in here]


def test_all_mistakes_come_at_once_in_the_order_of_the_file(write: Write) -> None:
    text = GOOD
    for good, bad in (
        ("required: true", "requird: true"),
        ("[JFK, LGA]", "[JFK, 7]"),
        ("severity: error", "severity: eror"),
        ("- name: minutes", "- name: minutes\n        unique: maybe"),
        ("min_value: 10", "minValue: 10"),
    ):
        text = text.replace(good, bad)
    assert [culprit.line for culprit in mistakes(write, text)] == [15, 25, 28, 30, 42]


@pytest.mark.parametrize(
    ("raw", "line", "column", "problem", "mend"),
    [
        (b"", 1, 1, "empty", "ODCS"),
        (b"# only a comment\n", 1, 1, "empty", "ODCS"),
        (b"kind: DataContract\n\tid: x\n", 2, 1, "not valid YAML", "no tabs"),
        (b"id: 'x\nkind: DataContract\n", 1, 5, "not valid YAML", "Close the quote"),
        (b"id: a\nkind: b\nid: c\n", 3, 1, "`id` stands twice", "first is in line 1"),
        (b"id: a: b\n", 1, 6, "not valid YAML", "Quote"),
        (b"a: 1\n---\nb: 2\n", 2, 1, "not valid YAML", "one contract to a file"),
        (b"a: &x [*x]\n", 1, 4, "contains itself", ""),
        (b"a: *nowhere\n", 1, 4, "not valid YAML", ""),
        (b"a: !!python/object:os.system x\n", 1, 4, "tag", ""),
        (b"a: 2024-13-45\n", 1, 4, "cannot be read", "Quote"),
        (b"1: x\n", 1, 1, "A key must be a text", "Quote"),
        (b"- just\n- a list\n", 1, 1, "must be a mapping", "apiVersion"),
        (b"just words\n", 1, 1, "must be a mapping", "apiVersion"),
        (b"id: x\nname: caf\xe9\n", 2, 10, "not UTF-8: byte 0xe9", "Save it as UTF-8"),
        ("id: x".encode("utf-16"), 1, 1, "UTF-16", "Save it as UTF-8"),
        (b"id: a\x07b\n", 1, 6, "U+0007", "escape"),
        (b'id: "\\ud800"\n', 1, 5, "half of a character", ""),
        (b"[" * 5000, 1, 1, "nested too deeply", ""),
        (b"dataContractSpecification: 1.1.0\nid: x\n", 1, 1, "`apiVersion` is missing", "export it to ODCS"),
    ],
)
def test_what_is_no_contract_at_all(
    tmp_path: Path, raw: bytes, line: int, column: int, problem: str, mend: str
) -> None:
    path = tmp_path / "contract.yaml"
    path.write_bytes(raw)
    with pytest.raises(ContractError) as caught:
        load_contract(path)
    found = caught.value.culprits
    assert any(
        (c.line, c.column) == (line, column) and problem in c.problem and mend in c.mend and c.file == path
        for c in found
    ), [str(c) for c in found]


def test_a_few_bytes_of_aliases_do_not_eat_the_memory(write: Write) -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    (culprit,) = mistakes(write, text)
    assert "aliases" in culprit.problem


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_path_that_is_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContractError, match=r"no such file|directory"):
        load_contract(tmp_path / name)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_contract(path).table == "flights"


@pytest.mark.parametrize(
    ("rule", "fine"),
    [
        ("{metric: rowCount, mustBe: 1, %s}", False),
        ("{metric: duplicateValues, mustBe: 0, arguments: {properties: [a, b]}, %s}", True),
        (
            (
                "{type: custom, engine: gx, implementation: {type: expect_column_sum_to_be_between, "
                "kwargs: {column: a, min_value: 1}}, %s}"
            ),
            False,
        ),
        (
            (
                "{type: custom, engine: gx, implementation: {type: expect_column_unique_value_count_to_be_between, "
                "kwargs: {column: a, min_value: 1}}, %s}"
            ),
            False,
        ),
        (
            (
                "{type: custom, engine: gx, implementation: {type: expect_column_pair_values_to_be_equal, "
                "kwargs: {column_A: a, column_B: b}}, %s}"
            ),
            True,
        ),
    ],
)
def test_only_what_marks_rows_can_be_quarantined(
    write: Write, load: Callable[[str], Contract], blame: Blame, rule: str, fine: bool
) -> None:
    text = (
        textwrap.dedent(
            """
        schema:
          - name: flights
            properties:
              - {name: a, logicalType: integer}
              - {name: b, logicalType: integer}
            quality:
        """
        )
        + "      - "
        + rule % "customProperties: [{property: policy, value: quarantine}]"
        + "\n"
    )
    if fine:
        load(text)
    else:
        (culprit,) = blame(text)
        assert "points at no rows" in culprit.problem
        assert culprit.line == 12


def test_promises_inside_a_column_are_refused(blame: Blame) -> None:
    found = blame(
        """
        schema:
          - name: flights
            properties:
              - name: address
                logicalType: object
                properties:
                  - name: zip
                    logicalType: string
                    required: true
        """
    )
    assert [(c.line, c.column) for c in found] == [(14, 13)]
    assert "inside a column cannot be checked" in found[0].problem


def test_a_rule_of_one_column_may_not_judge_another(blame: Blame) -> None:
    (culprit,) = blame(
        """
        schema:
          - name: flights
            properties:
              - name: a
                logicalType: integer
                quality:
                  - type: custom
                    engine: greatExpectations
                    implementation:
                      type: expect_column_values_to_be_unique
                      kwargs: {column: b}
              - {name: b, logicalType: integer}
        """
    )
    assert "stands under `a` but judges `b`" in culprit.problem


def test_the_standards_own_example_is_told_what_the_arguments_are_called(blame: Blame) -> None:
    found = blame(
        """
        schema:
          - name: orders
            properties: [{name: id, logicalType: integer}]
            quality:
              - type: custom
                engine: greatExpectations
                implementation: |
                  type: expect_table_row_count_to_be_between # Block
                  kwargs:                                    # passed as-is
                    minValue: 10000                          # to the tool
                    maxValue: 50000
        """
    )
    assert [(c.line, c.column) for c in found if "calls it" in c.mend] == [(15, 13), (16, 13)]


def test_several_files_are_wrong_together(tmp_path: Path) -> None:
    for name, text in (("a", GOOD.replace("required", "requird")), ("b", GOOD.replace("10%", "lots"))):
        (tmp_path / f"{name}.yaml").write_text(text)
    files = [tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml"]
    with pytest.raises(ContractError) as caught:
        load_contracts(files)
    assert {culprit.file for culprit in caught.value.culprits} == set(files)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.culprits == caught.value.culprits


def test_two_files_with_one_table_and_a_key_into_a_column_that_is_not_there(tmp_path: Path) -> None:
    airports = """\
apiVersion: v3.1.0
kind: DataContract
id: airports
version: 1.0.0
schema:
  - name: airports
    properties: [{name: code, logicalType: string}]
"""
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    (tmp_path / "c.yaml").write_text(airports)
    with pytest.raises(ContractError) as caught:
        load_contracts([tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml"])
    problems = [culprit.problem for culprit in caught.value.culprits]
    assert problems[0] == "`airports` has no column `faa`."
    assert any("has a contract already" in problem for problem in problems)

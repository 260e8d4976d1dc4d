"""A suite of Great Expectations becomes expectations as it is, or every culprit is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dagster_sluice.contracts import Policy, Severity
from dagster_sluice.contracts.catalogue import CATALOGUE, Argument, ExpectationType, Kind
from dagster_sluice.contracts.suite import expectations_from_suite, is_suite
from dagster_sluice.errors import ContractError, Culprit

# As `ExpectationSuite.to_json_dict()` of 1.24 writes it.
NEW = {
    "name": "orders",
    "id": "80e1efd4-0297-4d5a-bada-e4dd49b1596d",
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {
                "column": "fare",
                "row_condition": {
                    "column": {"name": "b"},
                    "operator": ">",
                    "parameter": 3,
                    "type": "comparison",
                },
                "min_value": 1.0,
                "max_value": 3.0,
            },
            "meta": {"k": 1},
            "notes": ["Fares are euros.", "Asked of Ada."],
            "id": "fdab24f5-0d4b-4cd2-be0c-605536d783d4",
            "severity": "warning",
        },
        {"type": "expect_column_value_lengths_to_equal", "kwargs": {"column": "code", "value": 2.0}, "meta": {}},
        {"type": "expect_column_max_to_be_between", "kwargs": {"column": "at", "max_value": "2024-01-01"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "fare", "min_value": None, "max_value": 9}},
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 3}, "description": "Some rows."},
    ],
    "meta": {"great_expectations_version": "1.24.1"},
    "notes": None,
}

OLD = {
    "data_asset_type": None,
    "expectation_suite_name": "orders",
    "ge_cloud_id": None,
    "expectations": [
        {
            "expectation_type": "expect_column_values_to_be_in_set",
            "kwargs": {
                "column": "country",
                "value_set": ["AT", "DE", "🦆"],
                "mostly": 0.95,
                "result_format": "BASIC",
                "catch_exceptions": False,
            },
            "meta": {"notes": {"format": "markdown", "content": ["Only two."]}},
        },
        {
            "expectation_type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": "país", "row_condition": 'col("a") > 3', "condition_parser": "great_expectations"},
            "meta": {},
        },
    ],
    "meta": {"great_expectations_version": "0.18.22"},
}


def put(path: Path, suite: Any, **options: Any) -> Path:
    path.write_text(suite if isinstance(suite, str) else json.dumps(suite, **options), encoding="utf-8")
    return path


def blamed(suite: Any) -> list[Culprit]:
    with pytest.raises(ContractError) as caught:
        expectations_from_suite(suite)
    return list(caught.value.culprits)


def test_a_suite_of_gx_1(tmp_path: Path) -> None:
    path = put(tmp_path / "orders.json", NEW, indent=2)
    found = expectations_from_suite(path)
    assert [e.name for e in found] == [
        "fare__between",
        "code__length",
        "at__max_between",
        "fare__between_2",
        "table__row_count",
    ]
    assert [e.type for e in found] == [entry["type"] for entry in NEW["expectations"]]
    assert [dict(e.kwargs) for e in found] == [entry["kwargs"] for entry in NEW["expectations"]]
    assert [e.severity for e in found] == [Severity.WARNING] + [Severity.CRITICAL] * 4
    assert [e.policy for e in found] == [Policy.WARN] + [Policy.BLOCK] * 4
    assert found[0].meta == {"k": 1, "notes": ["Fares are euros.", "Asked of Ada."]}
    assert [found[0].description, found[4].description] == ["Fares are euros. Asked of Ada.", "Some rows."]
    assert {e.file for e in found} == {path}
    lines = path.read_text().splitlines()
    assert all(lines[e.line - 1].strip() == "{" and e.type in lines[e.line] for e in found)


def test_a_suite_of_gx_0(tmp_path: Path) -> None:
    found = expectations_from_suite(put(tmp_path / "orders.json", OLD, indent="\t"))
    assert [e.name for e in found] == ["country__in_set", "pais__not_null"]
    assert found[0].kwargs == {"column": "country", "value_set": ["AT", "DE", "🦆"], "mostly": 0.95}
    assert found[0].description == "Only two."
    assert found[1].kwargs == OLD["expectations"][1]["kwargs"]


def test_a_mapping_or_a_list_does_as_well() -> None:
    assert expectations_from_suite(NEW["expectations"]) == expectations_from_suite(NEW)
    assert [e.file for e in expectations_from_suite(NEW)] == [None] * 5
    assert expectations_from_suite({"expectations": []}) == ()


def test_every_type_of_the_catalogue_comes_through_great_expectations_own_json() -> None:
    import great_expectations as gx
    from great_expectations.expectations.registry import get_expectation_impl
    from great_expectations.expectations.row_conditions import Column

    samples = {
        Argument.COLUMN: "n",
        Argument.COLUMNS: ["n", "m"],
        Argument.BOUND: 3,
        Argument.NUMBER: 1.5,
        Argument.COUNT: 2,
        Argument.POSITIVE: 1.5,
        Argument.SHARE: 0.5,
        Argument.FLAG: True,
        Argument.TEXT: "x",
        Argument.CHARACTER: "x",
        Argument.REGEX: "x",
        Argument.FORMAT: "%Y",
        Argument.TEXTS: ["x"],
        Argument.REGEXES: ["x"],
        Argument.VALUES: [1, "a"],
        Argument.PAIRS: [[1, 2]],
        Argument.MAPPING: {"values": ["a"], "weights": [1.0]},
        Argument.QUERY: "SELECT * FROM {batch}",
        Argument.QUANTILES: {"quantiles": [0.5], "value_ranges": [[1, None]]},
        Argument.ERROR: True,
        Argument.ANY_ALL: "all",
        Argument.METHOD: "std",
        Argument.IGNORE_PAIR: "neither",
        Argument.IGNORE_ROW: "never",
    }
    expectations = []
    for name, kind in CATALOGUE.items():
        kwargs: dict[str, Any] = {argument: samples[takes] for argument, takes in kind.arguments.items()}
        kwargs = {argument: value for argument, value in kwargs.items() if not argument.startswith("strict_")}
        kwargs |= {"column_B": "m"} if "column_B" in kwargs else {}
        kwargs |= {"unexpected_rows_query": "SELECT * FROM {batch}"} if "unexpected_rows_query" in kwargs else {}
        kwargs |= {"row_condition": Column("b") > 3} if kind.conditional else {}
        implementation: Any = get_expectation_impl(name)
        expectations.append(implementation(**kwargs, severity="info"))
    stored = gx.ExpectationSuite(name="all", expectations=expectations).to_json_dict()
    found = expectations_from_suite(json.loads(json.dumps(stored)))
    assert [e.type for e in found] == list(CATALOGUE)
    assert [dict(e.kwargs) for e in found] == [entry["kwargs"] for entry in stored["expectations"]]
    assert {e.severity for e in found} == {Severity.INFO}


def test_a_custom_type_can_be_made_known() -> None:
    entry = {"type": "expect_it", "kwargs": {"column": "a"}}
    own = ExpectationType(name="expect_it", kind=Kind.ROW, arguments={"column": Argument.COLUMN})
    assert "There is no expectation `expect_it`." in blamed([entry])[0].problem
    assert [e.type for e in expectations_from_suite([entry], extra_types=[own])] == ["expect_it"]


# (the entry, in the problem, in the mend)
WRONG: list[tuple[Any, str, str]] = [
    ({"type": "expect_column_values_to_be_uniqe", "kwargs": {"column": "a"}}, "no expectation", "to_be_unique`?"),
    ({"type": 3}, "There is no expectation `3`.", ""),
    ({"kwargs": {}}, "It names no expectation.", "Add `type`."),
    ("unique", "It must be a mapping", ""),
    ({"type": "expect_column_values_to_be_unique", "kwargs": ["a"]}, "`kwargs` must be a mapping.", ""),
    ({"type": "expect_column_values_to_be_unique"}, "needs `column`", "Add it"),
    ({"type": "expect_column_values_to_be_unique", "kwargs": {"column": "a"}, "metadata": 1}, "`metadata`", "`meta`?"),
    ({"type": "expect_column_values_to_be_unique", "kwargs": {"column": "a", "mosty": 1}}, "`mosty`", "`mostly`?"),
    ({"type": "expect_column_values_to_be_unique", "kwargs": {"column": "a", "mostly": 95}}, "from 0 to 1", "0.95"),
    ({"type": "expect_column_values_to_be_between", "kwargs": {"column": "a"}}, "promises nothing", ""),
    (
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "min_value": 3, "max_value": 1}},
        "No value lies between 3 and 1.",
        "Swap",
    ),
    (
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "min_value": [1]}},
        "`min_value` must be",
        "",
    ),
    (
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "min_value": {"$PARAMETER": "x"}}},
        "no suite parameters",
        "Write the value.",
    ),
    (
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "a", "min_value": 1, "parse_strings_as_datetimes": True},
        },
        "takes no `parse_strings_as_datetimes`",
        "",
    ),
    (
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "a"}, "severity": "dire"},
        "no severity `dire`",
        "",
    ),
    ({"type": "expect_column_values_to_be_unique", "kwargs": {"column": "a"}, "severity": 1}, "`severity` must", ""),
]


def test_every_culprit_is_named_with_its_index_and_its_place(tmp_path: Path) -> None:
    good = NEW["expectations"][0]
    path = put(
        tmp_path / "orders.json", {"name": "orders", "expectations": [good, *(e for e, _, _ in WRONG)]}, indent=2
    )
    culprits = blamed(path)
    assert [culprit.where for culprit in culprits] == [f"expectation {place + 1}" for place in range(len(WRONG))]
    lines = path.read_text().splitlines()
    for culprit, (entry, problem, mend) in zip(culprits, WRONG, strict=True):
        assert problem in culprit.problem
        assert mend in culprit.mend
        assert culprit.file == path
        assert culprit.line is not None
        assert culprit.column is not None
        assert lines[culprit.line - 1][culprit.column - 1] != " ", entry
    by_problem = {culprit.problem: culprit for culprit in culprits}
    unknown = next(culprit for problem, culprit in by_problem.items() if "`metadata`" in problem)
    assert lines[(unknown.line or 0) - 1].strip().startswith('"metadata"')


def test_a_mapping_has_no_places_but_its_index() -> None:
    [culprit] = blamed([{"type": "nope"}])
    assert (culprit.where, culprit.file, culprit.line) == ("expectation 0", None, None)
    assert str(culprit) == "expectation 0: There is no expectation `nope`."


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("", 1, 1, "The file is empty."),
        ("{\n  'a': 1}", 2, 3, "This is not valid JSON"),
        ('{"expectations": [NaN]}', 1, 1, "NaN is not JSON"),
        ('{\n "expectations": {}}', 2, 18, "`expectations` must be a list."),
        ('{"expectation": []}', 1, 1, "The suite has no `expectations`."),
        ('{"expectations": [],\n "expectations": []}', 2, 2, "stands twice"),
        ("null", 1, 1, "The file says nothing."),
        ("3", 1, 1, "must be a list"),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, text: str, line: int, column: int, problem: str) -> None:
    [culprit] = blamed(put(tmp_path / "orders.json", text))
    assert (culprit.line, culprit.column) == (line, column)
    assert problem in culprit.problem


def test_a_file_that_is_not_there_is_told_as_for_contracts(tmp_path: Path) -> None:
    assert [culprit.problem for culprit in blamed(tmp_path / "gone.json")] == ["There is no such file."]
    (tmp_path / "bytes.json").write_bytes(b'{"expectations": "\xff"}')
    assert "not UTF-8" in blamed(tmp_path / "bytes.json")[0].problem


@pytest.mark.parametrize(
    ("name", "text", "suite"),
    [
        ("a.json", '{"expectations": []}', True),
        ("a.json", '[{"type": "x"}]', True),
        ("a.json", '{"expectations": [', True),
        ("a.json", '{"apiVersion": "v3.1.0", "expectations": []}', False),
        ("a.json", '{"schema": []}', False),
        ("a.json", "[]", False),
        ("a.json", "", False),
        ("a.yaml", '{"expectations": []}', False),
    ],
)
def test_what_looks_like_a_suite(tmp_path: Path, name: str, text: str, suite: bool) -> None:
    assert is_suite(put(tmp_path / name, text)) is suite

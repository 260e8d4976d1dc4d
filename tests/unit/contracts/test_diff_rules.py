"""Each rule of the table in `dagster_sluice.contracts.diff`, and that each of them is tried and documented."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy, Severity, diff
from dagster_sluice.contracts.diff import Change, Impact, diff_contracts, diff_tables

BREAKING, COMPATIBLE, COSMETIC = Impact

RULES = {
    found[1]: Impact(found[2])
    for line in (diff.__doc__ or "").splitlines()
    if (found := re.match(r"(\S.*?)\s{2,}(breaking|compatible|cosmetic)\b", line))
}


def e(type_: str, name: str = "", policy: Policy = Policy.BLOCK, **kwargs: Any) -> Expectation:
    full = {
        "between": "expect_column_values_to_be_between",
        "in_set": "expect_column_values_to_be_in_set",
        "not_in_set": "expect_column_values_to_not_be_in_set",
        "contain": "expect_column_distinct_values_to_contain_set",
        "equal_set": "expect_column_distinct_values_to_equal_set",
        "not_null": "expect_column_values_to_not_be_null",
        "unique": "expect_column_values_to_be_unique",
        "regex": "expect_column_values_to_match_regex",
        "rows": "expect_table_row_count_to_be_between",
        "rows_equal": "expect_table_row_count_to_equal",
        "mean": "expect_column_mean_to_be_between",
        "pair": "expect_column_pair_values_a_to_be_greater_than_b",
        "compound": "expect_compound_columns_to_be_unique",
        "z": "expect_column_value_z_scores_to_be_less_than",
    }.get(type_, type_)
    return Expectation(
        name=name or f"{kwargs.get('column', 'table')}__{type_}", type=full, kwargs=kwargs, policy=policy
    )


def column(name: str, kind: LogicalType = LogicalType.INTEGER, **more: Any) -> Column:
    return Column(name=name, type=kind, **more)


BASE = Contract(
    table="orders",
    schema="shop",
    version="1.2.0",
    columns=(
        column("id"),
        column("country", LogicalType.STRING, physical_type="varchar(3)", description="ISO code."),
        column("at", LogicalType.TIMESTAMP),
        column("amount", LogicalType.NUMBER),
    ),
)


def changes(old: Contract, new: Contract) -> list[Change]:
    return list(diff_tables(old, new).changes)


def with_(*expectations: Expectation, **more: Any) -> Contract:
    return replace(BASE, expectations=expectations, **more)


def recolumned(name_: str, **more: Any) -> Contract:
    return replace(BASE, columns=tuple(replace(c, **more) if c.name == name_ else c for c in BASE.columns))


ROWS = {"type": "comparison", "column": {"name": "id"}, "operator": ">", "parameter": 3}
JUNE = dt.datetime(2024, 6, 1, tzinfo=dt.timezone.utc)

# (the rule, before, after, what is said)
CASES: list[tuple[str, Contract, Contract, str]] = [
    ("table called otherwise", BASE, replace(BASE, table="sales"), "is shop.sales now"),
    ("table called otherwise", BASE, replace(BASE, schema=None), "is orders now"),
    ("column removed or renamed", BASE, replace(BASE, columns=BASE.columns[1:]), "removed"),
    (
        "column removed or renamed",
        BASE,
        recolumned("country", name="country_code"),
        "removed country, added country_code (renamed?)",
    ),
    ("column added, required or not", BASE, replace(BASE, columns=(*BASE.columns, column("x"))), "added"),
    (
        "column added, required or not",
        BASE,
        with_(e("not_null", column="x"), columns=(*BASE.columns, column("x", required=True))),
        "added, required",
    ),
    ("logical type changed, even to a wider one", BASE, recolumned("id", type=LogicalType.NUMBER), "integer → number"),
    ("physical type changed", BASE, recolumned("country", physical_type="varchar(9)"), "varchar(3) → varchar(9)"),
    ("physical type changed", BASE, recolumned("amount", physical_type="numeric(9,2)"), "none → numeric(9,2)"),
    (
        "physical type spelt otherwise",
        BASE,
        recolumned("country", physical_type="Character  Varying( 3 )"),
        "physical type",
    ),
    ("time zone of a timestamp gained or lost", BASE, recolumned("at", timezone=False), "no time zone now"),
    ("time zone of a timestamp gained or lost", recolumned("at", timezone=False), BASE, "carry a time zone now"),
    ("``required`` dropped", with_(e("not_null", column="id")), BASE, "id is no longer required"),
    ("``required`` dropped", recolumned("id", required=True), BASE, "is no longer required"),
    ("``required`` gained", BASE, recolumned("id", required=True), "is required now"),
    ("classification gained", BASE, recolumned("id", classification="pii"), "classification none → pii"),
    ("classification dropped or changed", recolumned("id", classification="pii"), BASE, "pii → none"),
    (
        "classification dropped or changed",
        recolumned("id", classification="pii"),
        recolumned("id", classification="public"),
        "pii → public",
    ),
    ("order of columns or expectations", BASE, replace(BASE, columns=BASE.columns[::-1]), "order of columns"),
    (
        "order of columns or expectations",
        with_(e("unique", column="id"), e("rows", min_value=1)),
        with_(e("rows", min_value=1), e("unique", column="id")),
        "order of expectations",
    ),
    ("expectation removed", with_(e("unique", column="id")), BASE, "removed: unique of id"),
    ("expectation removed", with_(e("unique", column="id", policy=Policy.WARN)), BASE, "removed: unique of id"),
    ("expectation added", BASE, with_(e("unique", column="id")), "added: unique of id"),
    (
        "bound widened or removed, ``mostly`` lowered",
        with_(e("between", column="id", min_value=1, max_value=9)),
        with_(e("between", column="id", min_value=1, max_value=10)),
        "maximum 9 → 10",
    ),
    (
        "bound widened or removed, ``mostly`` lowered",
        with_(e("between", column="id", min_value=1, max_value=9)),
        with_(e("between", column="id", max_value=9)),
        "minimum 1 → none",
    ),
    (
        "bound widened or removed, ``mostly`` lowered",
        with_(e("between", column="id", min_value=1, strict_min=True)),
        with_(e("between", column="id", min_value=1)),
        "minimum 1 (excluded) → 1",
    ),
    (
        "bound widened or removed, ``mostly`` lowered",
        with_(e("between", column="at", max_value=JUNE)),
        with_(e("between", column="at", max_value=JUNE.replace(year=2025))),
        "maximum 2024-06-01T00:00:00+00:00 → 2025",
    ),
    (
        "bound widened or removed, ``mostly`` lowered",
        with_(e("rows_equal", value=3)),
        with_(e("rows", "table__rows_equal", min_value=3, max_value=4)),
        "maximum 3 → 4",
    ),
    (
        "bound widened or removed, ``mostly`` lowered",
        with_(e("not_null", column="id")),
        with_(e("not_null", column="id", mostly=0.9)),
        "mostly 1 → 0.9",
    ),
    (
        "bound tightened or added, ``mostly`` raised",
        with_(e("mean", column="id", min_value=1)),
        with_(e("mean", column="id", min_value=2, max_value=7)),
        "maximum none → 7",
    ),
    (
        "bound tightened or added, ``mostly`` raised",
        with_(e("unique", column="id", mostly=0.9)),
        with_(e("unique", column="id", mostly=1.0)),
        "mostly 0.9 → 1",
    ),
    (
        "set of allowed values enlarged",
        with_(e("in_set", column="country", value_set=["AT"])),
        with_(e("in_set", column="country", value_set=["DE", "AT"])),
        "value_set: added 'DE'",
    ),
    (
        "set of allowed values reduced",
        with_(e("in_set", column="country", value_set=["DE", "AT"])),
        with_(e("in_set", column="country", value_set=["AT"])),
        "value_set: removed 'DE'",
    ),
    (
        "set of forbidden or demanded values reduced",
        with_(e("not_in_set", column="country", value_set=["DE", "AT"])),
        with_(e("not_in_set", column="country", value_set=["AT"])),
        "removed 'DE'",
    ),
    (
        "set of forbidden or demanded values enlarged",
        with_(e("contain", column="country", value_set=["AT"])),
        with_(e("contain", column="country", value_set=["DE", "AT"])),
        "added 'DE'",
    ),
    (
        "set that lives in another table, or came from one",
        with_(e("in_set", column="country", value_set=["AT"])),
        with_(e("in_set", column="country", value_set={"from": "countries.code"})),
        "value_set ['AT'] → {'from': 'countries.code'}",
    ),
    (
        "condition added or changed",
        with_(e("unique", column="country")),
        with_(e("unique", column="country", row_condition=ROWS)),
        "only for the rows of a condition",
    ),
    (
        "condition added or changed",
        with_(e("unique", column="country", row_condition=ROWS)),
        with_(e("unique", column="country", row_condition={**ROWS, "parameter": 4})),
        "another condition",
    ),
    (
        "condition removed from a promise about each row",
        with_(e("unique", column="country", row_condition=ROWS)),
        with_(e("unique", column="country")),
        "for all rows now",
    ),
    (
        "pattern, format, query, any other argument changed",
        with_(e("regex", column="country", regex="^A")),
        with_(e("regex", column="country", regex="^[AB]")),
        "regex '^A' → '^[AB]'",
    ),
    (
        "pattern, format, query, any other argument changed",
        with_(e("equal_set", column="country", value_set=["AT"])),
        with_(e("equal_set", column="country", value_set=["AT", "DE"])),
        "added 'DE'",
    ),
    (
        "pattern, format, query, any other argument changed",
        with_(e("between", column="id", min_value=1)),
        with_(e("between", column="id", min_value=JUNE)),
        "minimum 1 → 2024",
    ),
    (
        "policy ``warn`` → any other",
        with_(e("unique", column="id", policy=Policy.WARN)),
        with_(e("unique", column="id", policy=Policy.QUARANTINE)),
        "policy warn → quarantine",
    ),
    (
        "policy any → ``block``",
        with_(e("unique", column="id", policy=Policy.QUARANTINE)),
        with_(e("unique", column="id")),
        "policy quarantine → block",
    ),
    (
        "policy otherwise",
        with_(e("unique", column="id")),
        with_(e("unique", column="id", policy=Policy.WARN)),
        "policy block → warn",
    ),
    ("quarantine limit raised", BASE, replace(BASE, quarantine_limit=0.6), "quarantine limit 0.5 → 0.6"),
    ("quarantine limit lowered", BASE, replace(BASE, quarantine_limit=0), "quarantine limit 0.5 → 0"),
    ("time zone of the table", BASE, replace(BASE, timezone="Europe/Vienna"), "time zone UTC → Europe/Vienna"),
    (
        "severity alone",
        with_(e("unique", column="id")),
        with_(replace(e("unique", column="id"), severity=Severity.WARNING)),
        "severity critical → warning",
    ),
    (
        "name of an expectation",
        with_(e("unique", column="id")),
        with_(e("unique", "id_once", column="id")),
        "name id__unique → id_once",
    ),
    ("description, owner, tag, ``meta``", BASE, replace(BASE, description="Sales."), "description"),
    ("description, owner, tag, ``meta``", BASE, replace(BASE, owners=("team:shop",)), "owners"),
    ("description, owner, tag, ``meta``", BASE, replace(BASE, tags=("a",)), "tags"),
    ("description, owner, tag, ``meta``", BASE, recolumned("id", description="Number."), "description"),
    ("description, owner, tag, ``meta``", BASE, recolumned("id", tags=("key",)), "tags"),
    (
        "description, owner, tag, ``meta``",
        with_(e("unique", column="id")),
        with_(replace(e("unique", column="id"), meta={"a": 1})),
        "meta",
    ),
]


@pytest.mark.parametrize(("rule", "old", "new", "what"), CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_a_change_has_the_impact_of_its_rule(rule: str, old: Contract, new: Contract, what: str) -> None:
    found = changes(old, new)
    assert {change.impact for change in found} == {RULES[rule]}, found
    assert any(what in change.what for change in found), found


def test_every_rule_is_tried() -> None:
    elsewhere = {"table removed", "table added"}
    assert {case[0] for case in CASES} | elsewhere == set(RULES)


def test_the_page_has_the_same_rules() -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "contracts.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+) \| (breaking|compatible|cosmetic) \|", page, re.MULTILINE))
    assert rows == {rule.replace("``", "`"): impact.value for rule, impact in RULES.items()}


def test_equal_contracts_differ_in_nothing() -> None:
    full = with_(
        e("unique", column="id"), e("rows_equal", value=3), e("z", column="id", threshold=2, double_sided=True)
    )
    assert changes(full, full) == []
    assert (
        changes(
            full,
            with_(full.expectations[0], e("rows", "table__rows_equal", min_value=3, max_value=3), full.expectations[2]),
        )
        == []
    )


def test_what_says_the_default_says_nothing() -> None:
    old = e("unique", column="id")
    assert changes(with_(old), with_(e("unique", column="id", mostly=1.0, row_condition=None))) == []


def test_a_removed_column_takes_its_own_promises_with_it_but_not_those_it_shares() -> None:
    old = with_(
        e("unique", column="id"), e("between", column="id", min_value=1), e("compound", column_list=["id", "country"])
    )
    found = changes(old, replace(BASE, columns=BASE.columns[1:]))
    assert [(change.subject, change.what) for change in found] == [
        ("column id", "removed"),
        ("expectation table__compound", "removed: unique of country, id"),
    ]


def test_an_added_column_tells_what_its_promises_do() -> None:
    new = with_(
        e("unique", column="x"),
        e("not_null", column="x", policy=Policy.QUARANTINE),
        columns=(*BASE.columns, column("x")),
    )
    [only] = changes(BASE, new)
    assert only.why == "the table's function must return it; may quarantine or block more"


def test_a_column_of_another_type_or_name_is_no_rename() -> None:
    typed = recolumned("country", name="country_code", type=LogicalType.INTEGER)
    assert sorted(change.what for change in changes(BASE, typed)) == ["added", "removed"]
    far = replace(BASE, columns=(*BASE.columns[:1], *BASE.columns[2:], column("zzz", LogicalType.STRING)))
    assert not any("renamed" in change.what for change in changes(BASE, far))


def test_two_renames_find_their_own_partners() -> None:
    old = replace(BASE, columns=(column("ship_date"), column("order_date")))
    new = replace(BASE, columns=(column("order_day"), column("ship_day")))
    assert [change.what for change in changes(old, new)] == [
        "removed ship_date, added ship_day (renamed?)",
        "removed order_date, added order_day (renamed?)",
    ]


def test_a_repeated_expectation_is_known_by_what_it_says() -> None:
    one, two = e("between", "a", column="id", min_value=1), e("between", "b", column="id", min_value=5, mostly=0.5)
    found = changes(with_(one, two), with_(replace(two, name="a")))
    assert [(change.impact, change.subject, change.what) for change in found] == [
        (BREAKING, "expectation a", "removed: between of id"),
        (COSMETIC, "expectation b", "name b → a"),
    ]


def test_a_share_of_the_rows_of_a_condition_says_nothing_of_all_rows() -> None:
    old = with_(e("in_set", column="country", value_set=["AT"], mostly=0.9, row_condition=ROWS))
    new = with_(e("in_set", column="country", value_set=["AT"], mostly=0.9))
    assert [change.impact for change in changes(old, new)] == [BREAKING]


def test_bounds_to_stay_outside_of_and_classes_of_ones_own_cannot_be_told() -> None:
    def value(**bounds: Any) -> Contract:
        kwargs = {"query": "SELECT count(*) FROM {batch}", **bounds}
        return with_(Expectation(name="n", type="expect_query_value_to_be_between", kwargs=kwargs))

    def own(path: str) -> Contract:
        return with_(Expectation(name="own", type="expect_own", kwargs={}, import_path=path))

    assert [change.impact for change in changes(value(max_value=9), value(max_value=5))] == [COMPATIBLE]
    turned = {"min_value": 1, "outside": True}
    assert [c.impact for c in changes(value(max_value=9, **turned), value(max_value=5, **turned))] == [BREAKING]
    assert [change.impact for change in changes(own("a:ExpectOwn"), own("b:ExpectOwn"))] == [BREAKING]


def test_true_is_not_one() -> None:
    old = with_(e("in_set", column="country", value_set=[1]))
    assert changes(old, with_(e("in_set", column="country", value_set=[True]))) != []


@pytest.mark.parametrize(
    ("old", "new", "announced"),
    [
        ("1.2.0", "2.0.0", True),
        ("v1", "v2", True),
        ("1.9", "10", True),
        ("1.2.0", "1.3.0", False),
        ("0.1.0", "0.2.0", False),
        ("2.0.0", "1.0.0", False),
        ("2024-01", "2025-01", True),
        ("one", "two", False),
        ("1a", "2b", False),
    ],
)
def test_a_major_version_announces_what_breaks(old: str, new: str, announced: bool) -> None:
    found = diff_tables(
        replace(with_(e("unique", column="id")), version=old), replace(BASE, version=new, description="New.")
    )
    assert [(change.impact, change.announced) for change in found.changes] == [(BREAKING, announced), (COSMETIC, False)]
    assert found.broken is not announced


def test_the_version_that_would_announce_it() -> None:
    broken = with_(e("unique", column="id"))
    assert diff_tables(broken, BASE).wanted_version == "2.0.0"
    assert diff_tables(BASE, broken).wanted_version is None
    assert diff_tables(replace(broken, version="x"), BASE).wanted_version is None


def test_tables_are_known_again_by_place_then_name_then_id() -> None:
    a, b, c, d = (replace(BASE, table=name, file=Path(f"{name}.yaml")) for name in "abcd")
    moved, called = replace(b, schema="other"), replace(c, table="cc", file=Path("cc.yaml"))
    ids = {Path("c.yaml"): "C", Path("cc.yaml"): "C"}
    found = diff_contracts([a, b, c, d], [called, moved, a, replace(d, table="e")], ids=ids)
    assert [(entry.table, [change.what for change in entry.changes], entry.broken) for entry in found] == [
        ("shop.a", [], False),
        ("shop.b", ["is other.b now"], True),
        ("shop.c", ["is shop.cc now"], True),
        ("shop.d", ["removed"], True),
        ("shop.e", ["added"], False),
    ]
    assert [change.impact for entry in found for change in entry.changes] == [BREAKING, BREAKING, BREAKING, COMPATIBLE]


def test_a_removed_table_is_announced_by_the_version_of_its_contract() -> None:
    file, ids = Path("shop.yaml"), {Path("shop.yaml"): "shop"}
    a, b = (replace(BASE, table=name, file=file) for name in "ab")
    kept = replace(a, version="2.0.0")
    assert [entry.broken for entry in diff_contracts([a, b], [kept], ids=ids)] == [False, False]
    assert [entry.broken for entry in diff_contracts([a, b], [kept])] == [False, True]


_expectations = st.lists(
    st.builds(
        lambda kind, name, low, high, policy, mostly: e(
            kind, name, policy, column="id", min_value=low, max_value=low + high, mostly=mostly
        ),
        st.sampled_from(["between", "mean"]),
        st.sampled_from("abcdef"),
        st.integers(0, 3),
        st.integers(0, 3),
        st.sampled_from(Policy),
        st.sampled_from([1, 0.5]),
    ),
    max_size=4,
    unique_by=lambda expectation: expectation.name,
)


@settings(max_examples=150, deadline=None)
@given(old=_expectations, new=_expectations)
def test_nothing_is_lost_and_every_way_back_is_told_too(old: list[Expectation], new: list[Expectation]) -> None:
    there, back = changes(with_(*old), with_(*new)), changes(with_(*new), with_(*old))
    assert (there == []) == (back == []) == (old == new)
    # What is only compatible one way has cost something, so the way back cannot be compatible as well.
    if any(change.impact is not COSMETIC for change in there):
        assert BREAKING in {change.impact for change in [*there, *back]}
    added = sum(change.what.startswith("added") for change in there)
    removed = sum(change.what.startswith("removed") for change in there)
    assert len(new) - len(old) == added - removed

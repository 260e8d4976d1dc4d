"""The page: well-formed, self-contained, and no place for what data would like to do to it."""

import itertools
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from audits import CONTRACT, MASKED, audit, kept, result
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy
from dagster_sluice.reports import compose, index_page, report_page
from dagster_sluice.warehouse import Address, Result

SAMPLES = {"amount_possible": [{"id": 1, "email": "me@example.org", "amount": -70.0}]}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a\0b",
    "\u202egnp.exe",
    "\ud800",
    "]]></style><script>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;",
    "x" * 100_000,
    "\x02b\x03",
]


def page(*results, **changes):
    history = [audit(*kept(), partition=f"2026-03-0{day}", id=day) for day in range(1, 9)]
    found = compose(
        audit(*(results or (result("amount_possible", 12), result("email_form"))), **changes),
        contract=CONTRACT,
        masked=MASKED,
        history=history,
        samples=SAMPLES,
    )
    return report_page(found)


def parsed(html):
    """The page as strict XML, which finds what a lenient reader forgives."""
    assert html.startswith("<!DOCTYPE html>\n")
    return ET.fromstring(html.removeprefix("<!DOCTYPE html>\n"))


def text_of(html):
    return "".join(parsed(html).itertext())


class Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def elements(html):
    reader = Elements()
    reader.feed(html)
    return reader.found


@pytest.mark.parametrize("outcome", list(Result))
@pytest.mark.parametrize("partition", ["2026-03-09", None])
def test_it_is_well_formed_whatever_became_of_the_batch(outcome, partition):
    root = parsed(page(result=outcome, partition=partition, reasons=("Why & so <on>.",)))
    assert root.find("head/title").text
    assert len(root.findall(".//h1")) == 1


def test_it_needs_nothing_else():
    html = page()
    assert not re.findall(r"https?://", html)
    assert "url(" not in html
    assert "@import" not in html
    for tag, attributes in elements(html):
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
        assert not set(attributes) & {"src", "href", "srcset", "action", "data", "style"}
        assert not any(name.startswith("on") for name in attributes)


def test_it_can_be_read_without_seeing_it():
    root = parsed(page())
    assert root.get("lang") == "en"
    levels = [int(element.tag[1]) for element in root.iter() if re.fullmatch(r"h[1-6]", element.tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(head.get("scope") in {"col", "row"} for head in root.iter("th"))
    for svg in root.iter("svg"):
        assert svg.get("aria-hidden") == "true" or svg.get("aria-label")
    names = {element.get("id") for element in root.iter() if element.get("id")}
    assert {section.get("aria-labelledby") for section in root.iter("section")} <= names


def test_the_verdict_comes_first_and_what_is_broken_before_what_is_kept():
    text = "".join(parsed(page(rows_published=830, rows_quarantined=12)).find("body").itertext())
    places = [text.index(part) for part in ("shop.orders", "Published in part", "Broken promises", "Kept promises")]
    assert places == sorted(places)


def test_nothing_that_data_says_becomes_markup():
    for text in HOSTILE:
        contract = Contract(
            table="orders",
            description=text,
            columns=(Column(name=text, type=LogicalType.STRING, description=text),),
            expectations=(
                Expectation(
                    name="hostile",
                    type="expect_column_values_to_be_in_set",
                    kwargs={"column": text, "value_set": [text], "row_condition": text},
                    policy=Policy.QUARANTINE,
                    description=text,
                ),
            ),
        )
        found = compose(
            audit(
                result("hostile", 1, type="expect_column_values_to_be_in_set"),
                result(text, 1, type=text, error=text),
                partition=text,
                run_id=text,
                correlation_id=text + "!",
                contract_version=text,
                reasons=(text,),
            ),
            contract=contract,
            masked=set(),
            history=[audit(result("hostile", type="expect_column_values_to_be_in_set"), partition=text + "0")],
            examples={"hostile": [text]},
            samples={"hostile": [{text: text}]},
        )
        html = report_page(found)
        parsed(html)
        parsed(index_page(text, text, [("a.html", found)]))
        tags = {tag for tag, _ in elements(html)}
        assert not tags & {"script", "img", "b"}
        assert "49" not in html
        assert not re.search("[\0\u202e\x02\x03]", html)
        assert len(html) < 60_000


@settings(max_examples=50, deadline=None)
@given(st.text(), st.text(), st.text())
def test_any_text_makes_a_page(one, two, three):
    found = compose(
        audit(result(one, 1), partition=two or None, reasons=(three,)),
        contract=CONTRACT,
        masked=MASKED,
        examples={one: [two]},
        samples={one: [{two: three}]},
    )
    parsed(report_page(found)).find("body")


def test_a_table_of_any_name():
    address = Address(schema="raw & <rare>", table='"q"')
    assert 'raw & <rare>."q"' in text_of(page(address=address))


def test_a_page_without_anything_to_tell():
    empty = compose(
        audit(result("conforms"), partition=None),
        contract=Contract(table="orders", columns=()),
        masked=set(),
    )
    assert "Published" in text_of(report_page(empty))


def test_an_index_links_to_each_report_beside_it():
    found = [compose(audit(partition=day), contract=CONTRACT, masked=MASKED) for day in ("2026-03-08", "2026-03-09")]
    html = index_page("shop.orders", "Run this-run", [(f"../{one.partition}/r.html", one) for one in found])
    parsed(html)
    links = [attributes["href"] for tag, attributes in elements(html) if tag == "a"]
    assert links == ["../2026-03-08/r.html", "../2026-03-09/r.html"]

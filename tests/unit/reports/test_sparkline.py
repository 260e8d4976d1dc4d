"""Small drawings: well-formed, with words, whatever they draw."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_sluice.reports.sparkline import SLOTS, sparkline
from dagster_sluice.reports.values import Point, Shape, Trend

points = st.builds(
    Point,
    st.sampled_from([True, False, None]),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


def trend(*drawn, shape=Shape.SHARE, **changes):
    return Trend(shape=shape, points=drawn, labels=[f"p{n}" for n in range(len(drawn))], text="Kept.", **changes)


@settings(deadline=None)
@given(
    st.sampled_from(Shape),
    st.lists(points, max_size=40),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
def test_any_trend_is_drawn_within_its_frame(shape, drawn, low, high, text):
    labels = [text] * len(drawn)
    svg = ET.fromstring(
        sparkline(Trend(shape=shape, points=tuple(drawn), labels=labels, text=text, low=low, high=high), named=True)
    )
    assert svg.get("role") == "img"
    assert svg.get("aria-label") is not None
    assert len(svg.findall("rect[@class='target']")) == min(len(drawn), SLOTS)
    for element in svg.iter():
        for name in set(element.keys()) & {"d", "x", "y", "cx", "cy", "r", "width", "height"}:
            assert not set(element.get(name)) & set("naif"), "NaN and infinity are no places"


def test_kept_and_broken_are_told_apart():
    svg = ET.fromstring(sparkline(trend(Point(True, 0.0), Point(False, 0.5), Point(None))))
    assert {path.get("class") for path in svg.iter("path")} == {"kept", "broken"}


def test_the_highest_share_has_the_full_height_and_none_a_trace():
    svg = ET.fromstring(sparkline(trend(Point(False, 0.5), Point(True, 0.0)), width=300, height=20))
    (broken,) = svg.findall("path[@class='broken']")
    (kept,) = svg.findall("path[@class='kept']")
    assert "v20.0" in broken.get("d")
    assert "v1.5" in kept.get("d")


def test_the_present_stands_at_the_right_edge():
    one = ET.fromstring(sparkline(trend(Point(True, 1.0)), width=300))
    assert one.find("path").get("d").startswith("M290.0 ")
    many = ET.fromstring(sparkline(trend(*[Point(True, 1.0)] * 60), width=300, named=True))
    assert len(many.findall("rect")) == SLOTS
    assert many.findall("rect/title")[-1].text == "p59: 100%, kept"


@pytest.mark.parametrize(
    ("shape", "point", "words"),
    [
        (Shape.SHARE, Point(False, 0.014), "p0: 1.4%, broken"),
        (Shape.VALUE, Point(True, 1234.5), "p0: 1,234.5, kept"),
        (Shape.COUNT, Point(False, 842.0), "p0: 842 rows, not published"),
        (Shape.HELD, Point(True), "p0: kept"),
        (Shape.SHARE, Point(None), "p0: not judged"),
    ],
)
def test_each_partition_tells_what_it_is(shape, point, words):
    assert ET.fromstring(sparkline(trend(point, shape=shape), named=True)).find("rect/title").text == words


def test_the_promised_range_is_a_band():
    svg = ET.fromstring(sparkline(trend(Point(True, 5.0), Point(True, 6.0), shape=Shape.VALUE, low=4.5, high=6.5)))
    (band,) = svg.findall("rect[@class='band']")
    assert 0 <= float(band.get("y")) < float(band.get("y")) + float(band.get("height")) <= 24

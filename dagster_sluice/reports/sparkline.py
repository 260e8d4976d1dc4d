"""A trend as a small inline drawing, with its words for those who cannot see it. Pure.

No colours here: the page's style sheet has them, by class, for a light and a dark page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from html import escape

from dagster_sluice.reports.text import number, percent, visible
from dagster_sluice.reports.values import Point, Shape, Trend

__all__ = ["SLOTS", "sparkline"]

_HUGE = 1e150

SLOTS = 30
"""Partitions that a drawing has room for; of more, the last are shown."""


def sparkline(trend: Trend, *, width: int = 120, height: int = 24, named: bool = False) -> str:
    """The drawing as an SVG element.

    Args:
        trend: What is drawn.
        width: In CSS pixels.
        height: In CSS pixels.
        named: Whether each partition can be pointed at; a page of a thousand drawings does without.
    """
    points = trend.points[-SLOTS:]
    labels = trend.labels[-len(points) :] if points else ()
    text = escape(visible(trend.text))
    drawn = _drawn(trend.shape, points, trend.low, trend.high, width, height)
    pointed = _targets(points, labels, trend, width, height) if named else ""
    return (
        f'<svg class="spark" role="img" aria-label="{text}" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}">{drawn}{pointed}</svg>'
    )


@lru_cache(maxsize=256)
def _drawn(
    shape: Shape, points: tuple[Point, ...], low: float | None, high: float | None, width: int, height: int
) -> str:
    """The drawing alone. Most promises are kept always, so most drawings of a page are the same."""
    if shape is Shape.VALUE:
        return _line(points, low, high, width, height)
    return (_held if shape is Shape.HELD else _shares)(points, width, height)


def _slot(position: int, points: Sequence[Point], width: int) -> float:
    """Where a point's slot begins: the present one is always at the right edge."""
    return width - (len(points) - position) * width / SLOTS


def _bar(left: float, width: int, top: float, height: float) -> str:
    return f"M{left:.1f} {top:.1f}h{width / SLOTS - 1:.1f}v{height:.1f}h-{width / SLOTS - 1:.1f}z"


def _bars(points: Sequence[Point], heights: Callable[[Point], float], width: int, height: int) -> str:
    """Bars in two paths, kept and broken."""
    kept: list[str] = []
    broken: list[str] = []
    for position, point in enumerate(points):
        if point.held is not None:
            tall = heights(point)
            bar = _bar(_slot(position, points, width), width, height - tall, tall)
            (kept if point.held else broken).append(bar)
    return _path("kept", kept) + _path("broken", broken)


def _path(kind: str, parts: Sequence[str]) -> str:
    return f'<path class="{kind}" d="{"".join(parts)}"/>' if parts else ""


def _shares(points: Sequence[Point], width: int, height: int) -> str:
    largest = max((point.size or 0 for point in points), default=0)

    def tall(point: Point) -> float:
        return 2 + (height - 2) * max(0.0, (point.size or 0) / largest) if largest and point.size else 1.5

    return _bars(points, tall, width, height)


def _held(points: Sequence[Point], width: int, height: int) -> str:
    return _bars(points, lambda point: height / 4 if point.held else height, width, height)


def _line(
    points: Sequence[Point], promised_low: float | None, promised_high: float | None, width: int, height: int
) -> str:
    sizes = [point.size for point in points if point.size is not None]
    if not sizes:
        return _held(points, width, height)
    largest = max(abs(size) for size in (*sizes, promised_low or 0, promised_high or 0))
    if largest > _HUGE:
        # Their differences would be infinite.
        small = [Point(point.held, None if point.size is None else point.size / largest) for point in points]
        return _line(small, _scaled(promised_low, largest), _scaled(promised_high, largest), width, height)
    low, high = min(sizes), max(sizes)
    for bound in (promised_low, promised_high):
        # A bound that is far away would press the line flat.
        if bound is not None and low - (high - low) <= bound <= high + (high - low):
            low, high = min(low, bound), max(high, bound)
    spread = (high - low) or 1.0

    def at(value: float) -> float:
        ratio = 0.5 if high == low else (value - low) / spread
        return 3 + (height - 6) * (1 - min(max(ratio, -0.5), 1.5))

    band = ""
    if promised_low is not None or promised_high is not None:
        top = max(0.0, at(promised_high)) if promised_high is not None else 0.0
        bottom = min(float(height), at(promised_low)) if promised_low is not None else float(height)
        if bottom > top:
            band = f'<rect class="band" x="0" y="{top:.1f}" width="{width}" height="{bottom - top:.1f}"/>'
    middle = width / SLOTS / 2
    steps, dots, jump = [], [], True
    for position, point in enumerate(points):
        if point.size is None:
            jump = True
            continue
        x, y = _slot(position, points, width) + middle, at(point.size)
        steps.append(f"{'M' if jump else 'L'}{x:.1f} {y:.1f}")
        jump = False
        if point.held is False or position == len(points) - 1:
            dots.append(
                f'<circle class="{"broken" if point.held is False else "kept"}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
            )
    return f'{band}<path class="line" d="{"".join(steps)}"/>{"".join(dots)}'


def _scaled(bound: float | None, largest: float) -> float | None:
    return None if bound is None else bound / largest


def _targets(points: Sequence[Point], labels: Sequence[str], trend: Trend, width: int, height: int) -> str:
    """An invisible bar over each point that tells what it is."""
    drawn = []
    for position, (point, label) in enumerate(zip(points, labels, strict=True)):
        left = _slot(position, points, width)
        drawn.append(
            f'<rect class="target" x="{left:.1f}" y="0" width="{width / SLOTS:.1f}" height="{height}">'
            f"<title>{escape(visible(label))}: {_told(point, trend.shape)}</title></rect>"
        )
    return "".join(drawn)


def _told(point: Point, shape: Shape) -> str:
    if point.held is None:
        return "not judged"
    if shape is Shape.COUNT:
        return f"{number(int(point.size or 0))} rows{'' if point.held else ', not published'}"
    word = "kept" if point.held else "broken"
    if point.size is None or shape is Shape.HELD:
        return word
    return f"{escape(percent(point.size) if shape is Shape.SHARE else number(point.size))}, {word}"

"""A report as one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from dagster_sluice.reports.sparkline import sparkline
from dagster_sluice.reports.strips import Strip
from dagster_sluice.reports.text import clean, prose_parts, visible
from dagster_sluice.reports.values import Report, Trend

if TYPE_CHECKING:
    import jinja2

__all__ = ["Entry", "index_page", "report_page", "strips_page", "template"]

Entry = tuple[str, Report]
"""A report in an index: its address relative to the index, and itself."""


def report_page(report: Report) -> str:
    """The report as HTML, for any browser of today, for paper, and for screen readers."""
    return _templates().get_template("report.html.j2").render(report=report)


def index_page(table: str, what: str, entries: Sequence[Entry]) -> str:
    """Several reports of one table in a list.

    Args:
        table: The table.
        what: What they have in common, such as a run.
        entries: The reports and where they are.
    """
    return _templates().get_template("index.html.j2").render(table=clean(table), what=clean(what), entries=entries)


def strips_page(title: str, sentence: str, strips: Sequence[Strip], legend: Sequence[tuple[str, str]]) -> str:
    """Tables as strips of partitions.

    Args:
        title: Of the page.
        sentence: How all of them stand.
        strips: The tables.
        legend: The tones and what they mean.
    """
    page = _templates().get_template("strips.html.j2")
    return page.render(title=clean(title), sentence=sentence, strips=strips, legend=legend)


def template(name: str) -> jinja2.Template:
    """A template for a page of its own kind: it escapes, and makes visible what would not be seen."""
    return _templates().get_template(name)


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dagster_sluice.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
        auto_reload=False,
    )
    environment.filters.update(prose=_prose, spark=_spark)
    return environment


def _finalized(value: Any) -> Any:
    """Nothing reaches a page unseen: what the templates themselves made is left, all other text is made visible."""
    return visible(value) if type(value) is str else value


def _prose(sentence: str) -> Any:
    """A sentence with its names set apart. Each name is isolated, so that its script cannot turn its surroundings."""
    from markupsafe import Markup, escape

    parts = []
    for is_name, text in prose_parts(sentence):
        shown = escape(visible(text))
        parts.append(Markup("<code><bdi>%s</bdi></code>") % shown if is_name else shown)
    return Markup("").join(parts)


def _spark(trend: Trend, width: int = 120, height: int = 24, named: bool = False) -> Any:
    from markupsafe import Markup

    return Markup(sparkline(trend, width=width, height=height, named=named))  # noqa: S704 (it escapes its texts)

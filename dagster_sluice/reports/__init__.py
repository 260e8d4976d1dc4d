"""Reports: what was promised, what was found and what became of it, on one page for people who have no tools."""

from __future__ import annotations

from dagster_sluice.reports.compose import compose
from dagster_sluice.reports.page import index_page, report_page
from dagster_sluice.reports.values import Report

__all__ = ["Report", "compose", "index_page", "report_page"]

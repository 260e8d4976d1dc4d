"""The fast engine: every expectation for which identity with Great Expectations on pandas is proven.

Row conditions are judged in one DuckDB scan; what a float's order of summation, a hash or a sort would make differ is
computed by the very pandas call that Great Expectations makes. ``docs/why/engines.md`` lists what it serves.
"""

from __future__ import annotations

from dagster_sluice.gates.duckdb.engine import Judgement, judge

__all__ = ["Judgement", "judge"]

"""The fast engine: which expectations it judges, and their results."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dagster_sluice.contracts import Expectation
from dagster_sluice.gates.duckdb.aggregates import TABLE_RULES
from dagster_sluice.gates.duckdb.arguments import Arguments
from dagster_sluice.gates.duckdb.columns import NotEligible, Source, open_source
from dagster_sluice.gates.duckdb.conditions import filtered, query_columns, query_text
from dagster_sluice.gates.duckdb.dtypes import TYPE_RULES
from dagster_sluice.gates.duckdb.records import RECORD_RULES
from dagster_sluice.gates.duckdb.results import LISTED, mapped, mostly_holds, result
from dagster_sluice.gates.duckdb.rows import COLUMN_RULES
from dagster_sluice.gates.duckdb.rules import RowRule, Rule, Shape, Sql, TableRule
from dagster_sluice.gates.duckdb.scan import Scan
from dagster_sluice.gates.verdict import ExpectationResult

__all__ = ["RULES", "Judgement", "judge"]

RULES: Mapping[str, Any] = {**COLUMN_RULES, **RECORD_RULES, **TABLE_RULES, **TYPE_RULES}
"""How each expectation that the fast engine knows is compiled."""

Rows = npt.NDArray[np.int64]
Resolved: TypeAlias = Sequence[tuple[Expectation, Mapping[str, Any]]]


@dataclass(kw_only=True)
class Judgement:
    """What the fast engine found, and what it leaves.

    Attributes:
        row_count: Rows in the frame.
        results: By the expectation's index.
        failing: For each expectation with failing rows, by its index, their positions, ascending.
        left: Why each of the others is left to Great Expectations, by its index.
    """

    row_count: int
    results: dict[int, ExpectationResult] = field(default_factory=dict)
    failing: dict[int, Rows] = field(default_factory=dict)
    left: dict[int, str] = field(default_factory=dict)


def judge(frame: Any, resolved: Resolved) -> Judgement:
    """Judge a frame by those expectations for which this engine is proven identical.

    Args:
        frame: As for ``audit``.
        resolved: Each expectation with the arguments to judge by.

    Raises:
        FrameError: The frame cannot be judged at all.
    """
    source = open_source(frame)
    judgement = Judgement(row_count=source.rows)
    by_condition: dict[str | None, list[int]] = {}
    for index, (_, kwargs) in enumerate(resolved):
        try:
            by_condition.setdefault(query_text(kwargs), []).append(index)
        except NotEligible as reason:
            judgement.left[index] = str(reason)
    for condition, indices in by_condition.items():
        rows: Rows | None = None
        judged = source
        if condition is not None:
            try:
                judged, rows = filtered(source, condition, query_columns(resolved[indices[0]][1]))
            except Exception as failure:  # noqa: BLE001 (whatever it is, Great Expectations judges)
                judgement.left.update(dict.fromkeys(indices, f"its condition on rows fails: {failure}"))
                continue
        run = _Run(judged, resolved, judgement, rows)
        run.finish({index: rule for index in indices if (rule := _compiled(index, resolved, judged, judgement))})
    return judgement


def _compiled(index: int, resolved: Resolved, source: Source, judgement: Judgement) -> Rule | None:
    expectation, kwargs = resolved[index]
    if expectation.type not in RULES or expectation.import_path is not None:
        judgement.left[index] = "no proof of identity exists for this type"
        return None
    try:
        rule: Rule = RULES[expectation.type](Arguments(expectation.type, kwargs, source))
    except NotEligible as reason:
        judgement.left[index] = str(reason)
    except Exception as failure:  # noqa: BLE001 (as above)
        judgement.left[index] = f"it could not be compiled: {failure}"
    else:
        return rule
    return None


class _Run:
    def __init__(self, source: Source, resolved: Resolved, judgement: Judgement, rows: Rows | None) -> None:
        """Judge a frame, whose rows are those at ``rows`` of the frame that is audited (all, if ``None``)."""
        self._source = source
        self._scan = Scan(source)
        self._resolved = resolved
        self._judgement = judgement
        self._rows = rows

    def finish(self, rules: Mapping[int, Rule]) -> None:
        in_scan: dict[int, RowRule] = {}
        for index, rule in rules.items():
            started = time.perf_counter()
            if isinstance(rule, RowRule) and isinstance(rule.unexpected, Sql):
                in_scan[index] = rule
                continue
            try:
                if isinstance(rule, TableRule):
                    success, found = rule.compute()
                    self._keep(index, success=success, found=found, started=started)
                else:
                    self._computed(index, rule, started)
            except Exception as failure:  # noqa: BLE001 (one expectation must not cost the others)
                self._judgement.left[index] = f"it could not be computed: {failure}"
        self._scanned(in_scan)

    def _computed(self, index: int, rule: RowRule, started: float) -> None:
        if isinstance(rule.unexpected, Sql):
            raise TypeError("the condition belongs into the scan")
        rows = np.flatnonzero(rule.unexpected(self._scan))
        judged = rule.judged
        if isinstance(judged, Sql):
            judged = self._scan.counts([judged])[0]
        self._row_result(index, rule, judged, rows, started)

    def _scanned(self, rules: Mapping[int, RowRule]) -> None:
        started = time.perf_counter()
        counted = self._counted(rules)
        failed = [index for index, (unexpected, _) in counted.items() if unexpected]
        marked = self._marked({index: rules[index] for index in failed})
        for index, (unexpected, judged) in counted.items():
            rows = marked.get(index, np.empty(0, dtype=np.int64))
            if len(rows) != unexpected:
                self._judgement.left[index] = f"{unexpected} rows were counted and {len(rows)} marked"
                continue
            try:
                self._row_result(index, rules[index], judged, rows, started)
            except Exception as failure:  # noqa: BLE001 (as above)
                self._judgement.left[index] = f"its failing values could not be listed: {failure}"

    def _counted(self, rules: Mapping[int, RowRule]) -> dict[int, tuple[int, int | None]]:
        """Unexpected and judged rows of each rule, in one scan; one by one if that scan fails."""
        asked: dict[int, list[Sql]] = {}
        for index, rule in rules.items():
            asked[index] = [sql for sql in (rule.unexpected, rule.judged) if isinstance(sql, Sql)]
        try:
            numbers = iter(self._scan.counts([sql for group in asked.values() for sql in group]))
            given = {index: [next(numbers) for _ in group] for index, group in asked.items()}
        except Exception:  # noqa: BLE001 (one bad expression poisons the whole statement)
            given = {}
            for index, group in asked.items():
                try:
                    given[index] = self._scan.counts(group)
                except Exception as failure:  # noqa: BLE001 (this is the one)
                    self._judgement.left[index] = f"DuckDB cannot judge it: {failure}"
        found: dict[int, tuple[int, int | None]] = {}
        for index, found_numbers in given.items():
            judged = rules[index].judged
            found[index] = (found_numbers[0], found_numbers[1] if isinstance(judged, Sql) else judged)
        return found

    def _marked(self, rules: Mapping[int, RowRule]) -> dict[int, Rows]:
        conditions = {index: rule.unexpected for index, rule in rules.items() if isinstance(rule.unexpected, Sql)}
        flags = self._scan.marks(list(conditions.values()))
        return {index: np.flatnonzero(marks) for index, marks in zip(conditions, flags, strict=True)}

    def _row_result(self, index: int, rule: RowRule, judged: int | None, rows: Rows, started: float) -> None:
        values = self._values(rule, rows[:LISTED])
        found = mapped(rows=self._source.rows, judged=judged, unexpected=len(rows), values=values)
        success = mostly_holds(self._source.rows if judged is None else judged, len(rows), rule.mostly)
        self._keep(index, success=success, found=found, started=started)
        if len(rows):
            self._judgement.failing[index] = rows if self._rows is None else self._rows[rows]

    def _values(self, rule: RowRule, rows: Rows) -> list[Any]:
        if not len(rows):
            return []
        picked = self._source.take(rule.columns, rows)
        if rule.shape is Shape.COLUMN:
            return list(picked[rule.columns[0]])
        if rule.shape is Shape.PAIR:
            left, right = rule.columns
            return list(zip(picked[left].values, picked[right].values, strict=True))
        return picked.to_dict("records")

    def _keep(self, index: int, *, success: bool, found: Mapping[str, Any], started: float) -> None:
        expectation, kwargs = self._resolved[index]
        seconds = time.perf_counter() - started
        self._judgement.results[index] = result(expectation, kwargs, success=success, found=found, seconds=seconds)

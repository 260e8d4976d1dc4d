"""The one way into the gate: ``audit``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

from dagster_sluice.contracts import Contract, Expectation, Policy, Reference, Severity
from dagster_sluice.contracts.own import HISTORICAL, IN_SQL, type_of_class
from dagster_sluice.errors import Culprit, ExpectationError, FrameError
from dagster_sluice.gates.mask import RowMask
from dagster_sluice.gates.past import PastAudit
from dagster_sluice.gates.verdict import ExpectationResult, Verdict

__all__ = ["Engine", "audit", "resolve"]

Engine = Literal["auto", "duckdb", "gx", "both"]
_Resolved: TypeAlias = Sequence[tuple[Expectation, Mapping[str, Any]]]
_Judged: TypeAlias = tuple[tuple[ExpectationResult, ...], RowMask, int]


def audit(
    frame: Any,
    gate: Contract | None = None,
    *,
    expectations: Sequence[Expectation | Mapping[str, Any]] | None = None,
    engine: Engine = "auto",
    references: Mapping[Reference, Sequence[Any]] | None = None,
    history: Sequence[PastAudit] | None = None,
) -> Verdict:
    """Judge a frame by a gate. Pure: nothing is read or written but the arguments.

    Args:
        frame: rows × columns, as pandas, Polars, Arrow, anything with ``__arrow_c_stream__``, or the path of a Parquet
            file. A pandas frame is judged as it is, every other one as the pandas frame it converts to.
        gate: A contract, whose expectations are judged.
        expectations: Or the expectations themselves: `Expectation` values, or mappings as GX writes them
            (``{"type": ..., "kwargs": {...}, "severity": ..., "meta": {...}}``), with ``"class": "my.module:Class"``
            for one of your own.
        engine: ``"auto"`` judges by the fast engine what it is proven to judge as Great Expectations on pandas does,
            and the rest by Great Expectations; ``"duckdb"`` is the fast engine alone; ``"gx"`` is Great Expectations
            itself; ``"both"`` judges by both and compares. What is in SQL or about past audits is judged without
            Great Expectations, so nothing is compared; ``"gx"`` refuses it.
        references: The values of the sets that live in other tables (``{"from": "airports.faa"}``).
        history: Past audits of the same table, oldest first, for the expectations that are about them; without any,
            those pass and say so.

    Returns:
        One result per expectation in declared order, and the complete row mask.

    Raises:
        ExpectationError: An expectation is unknown, has wrong arguments or bad SQL, names a set that was not given, or
            is not judged by the one engine asked for.
        EngineDisagreement: With ``engine="both"``, the engines differ.
        FrameError: The frame cannot be judged at all, for instance because two columns share a name.
    """
    if (gate is None) == (expectations is None):
        raise ExpectationError("audit() takes either a gate or expectations.", mend="Give exactly one of the two.")
    if engine not in get_args(Engine):
        raise ExpectationError(f"There is no engine {engine!r}.", mend='Use "auto", "duckdb", "gx" or "both".')
    declared = list(gate.expectations) if gate is not None else _declared(expectations or ())
    resolved = resolve(declared, references or {})
    timezone = gate.timezone if gate is not None else "UTC"
    started = time.perf_counter()
    results, mask, row_count = (
        _judge(frame, resolved, engine, timezone, history) if declared else _nothing_promised(frame)
    )
    return Verdict(results=results, mask=mask, row_count=row_count, seconds=time.perf_counter() - started)


def _judge(
    frame: Any, resolved: _Resolved, engine: Engine, timezone: str, history: Sequence[PastAudit] | None
) -> _Judged:
    """Judge what Great Expectations has a meaning for by the engines, and the rest by who alone knows it."""
    alone = {
        index: "is in SQL, which it has not on pandas." if item.type in IN_SQL else "is about past audits."
        for index, (item, _) in enumerate(resolved)
        if item.type in IN_SQL | HISTORICAL
    }
    if not alone:
        return _by_engine(frame, resolved, engine)
    if engine == "gx":
        raise ExpectationError(
            "Great Expectations does not judge every expectation.",
            culprits=[
                Culprit(where=f"{resolved[index][0].name} ({resolved[index][0].type})", problem=reason)
                for index, reason in alone.items()
            ],
            mend='Use engine="auto" or "both", which judge these without it.',
        )
    from dagster_sluice.gates import past, sql

    statements, historical = sql.read(resolved), past.read(resolved)
    results, failing, rows = sql.judge(frame, resolved, statements, timezone) if statements else ({}, {}, 0)
    if historical:
        batch = past.batch_of(frame)
        rows = batch.rows
        results |= {index: past.judge(batch, *resolved[index], history) for index in historical}
    others = [index for index in range(len(resolved)) if index not in results]
    if others:
        found, mask, rows = _by_engine(frame, [resolved[index] for index in others], engine)
        results |= dict(zip(others, found, strict=True))
        failing |= {index: mask.rows([position]) for position, index in enumerate(others)}
    return tuple(results[index] for index in range(len(resolved))), RowMask(rows, failing), rows


def _by_engine(frame: Any, resolved: _Resolved, engine: Engine) -> _Judged:
    if engine == "gx":
        return _by_gx(frame, resolved)
    from dagster_sluice.gates.duckdb import judge

    found = judge(frame, resolved)
    if engine == "duckdb" and found.left:
        raise ExpectationError(
            "The fast engine does not judge every expectation.",
            culprits=[
                Culprit(where=f"{resolved[index][0].name} ({resolved[index][0].type})", problem=f"{reason}.")
                for index, reason in sorted(found.left.items())
            ],
            mend='Use engine="auto", which leaves these to Great Expectations.',
        )
    results, failing = dict(found.results), dict(found.failing)
    asked = sorted(found.left) if engine == "auto" else range(len(resolved)) if engine == "both" else ()
    theirs = _by_gx(frame, [resolved[index] for index in asked]) if asked else None
    for position, index in enumerate(asked):
        if theirs is not None and index in found.left:
            results[index] = theirs[0][position]
            failing[index] = theirs[1].rows([position])
    mask = RowMask(found.row_count, failing)
    merged = tuple(results[index] for index in range(len(resolved)))
    if engine == "both" and theirs is not None:
        from dagster_sluice.gates.agreement import demand_agreement

        demand_agreement(merged, mask, theirs[0], theirs[1])
    return merged, mask, found.row_count


def _by_gx(frame: Any, resolved: _Resolved) -> _Judged:
    from dagster_sluice.gates import gx

    try:
        return gx.judge(frame, resolved)
    except UnicodeEncodeError as failure:
        raise FrameError(
            "The frame holds text that cannot be encoded.",
            culprits=[Culprit(problem=f"{failure}.")],
            mend="Replace its lone surrogates, for instance with .encode(errors='replace').",
        ) from failure


def _nothing_promised(frame: Any) -> tuple[tuple[ExpectationResult, ...], RowMask, int]:
    from dagster_sluice.gates.frames import as_arrow

    rows = as_arrow(frame).num_rows
    return (), RowMask(rows, {}), rows


def _declared(expectations: Sequence[Expectation | Mapping[str, Any]]) -> list[Expectation]:
    declared: list[Expectation] = []
    culprits: list[Culprit] = []
    taken = {given.name for given in expectations if isinstance(given, Expectation)}
    for position, given in enumerate(expectations):
        if isinstance(given, Expectation):
            declared.append(given)
            continue
        if not isinstance(given, Mapping):
            problem = f"is {given!r}, neither an Expectation nor a mapping."
            culprits.append(Culprit(where=f"expectation {position}", problem=problem))
            continue
        unknown = set(given) - {
            "type",
            "kwargs",
            "severity",
            "meta",
            "policy",
            "name",
            "description",
            "id",
            "notes",
            "class",
        }
        import_path = given.get("class")
        own = type_of_class(import_path) if isinstance(import_path, str) else None
        if import_path is not None and own is None:
            problem = f"its class {import_path!r} is not written as `my.module:ExpectSomething`."
            culprits.append(Culprit(where=f"expectation {position}", problem=problem))
            continue
        kind = given.get("type") or own
        if not isinstance(kind, str) or unknown:
            problem = f"unknown keys {sorted(unknown)}." if unknown else "has no type."
            culprits.append(Culprit(where=f"expectation {position}", problem=problem))
            continue
        mappings = {key: given.get(key) or {} for key in ("kwargs", "meta")}
        wrong = [key for key, value in mappings.items() if not isinstance(value, Mapping)]
        if wrong:
            where = f"expectation {position} ({kind})"
            culprits.extend(Culprit(where=where, problem=f"its {key} are not a mapping.") for key in wrong)
            continue
        name = _unique(str(given.get("name") or kind.removeprefix("expect_")), taken)
        try:
            severity = Severity(given.get("severity") or "critical")
            policy = Policy(given.get("policy") or ("block" if severity is Severity.CRITICAL else "warn"))
        except ValueError as failure:
            culprits.append(Culprit(where=f"expectation {position} ({kind})", problem=f"{failure}."))
            continue
        declared.append(
            Expectation(
                name=name,
                type=kind,
                kwargs=dict(mappings["kwargs"]),
                severity=severity,
                policy=policy,
                meta=dict(mappings["meta"]),
                import_path=import_path,
            )
        )
    if culprits:
        raise ExpectationError("These expectations cannot be read.", culprits=culprits)
    return declared


def _unique(name: str, taken: set[str]) -> str:
    """The name, with a number behind it if it is taken; from then on it is."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def resolve(
    declared: Sequence[Expectation], references: Mapping[Reference, Sequence[Any]]
) -> list[tuple[Expectation, dict[str, Any]]]:
    """Each expectation with the arguments to judge by: sets from other tables filled in.

    Raises:
        ExpectationError: Some of those sets were not given.
    """
    resolved = []
    culprits = []
    for expectation in declared:
        kwargs = dict(expectation.kwargs)
        for argument, reference in expectation.references().items():
            if reference in references:
                kwargs[argument] = list(references[reference])
            else:
                culprits.append(
                    Culprit(
                        where=expectation.name,
                        problem=f"the set {reference.table}.{reference.column} was not given.",
                        mend="Pass it in `references`, or publish that table first.",
                    )
                )
        resolved.append((expectation, kwargs))
    if culprits:
        raise ExpectationError("Sets from other tables are missing.", culprits=culprits)
    return resolved

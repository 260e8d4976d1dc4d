"""An audit, as the warehouse remembers it, made into a report that a person can read. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from dagster_sluice.contracts import Contract, Expectation, Policy
from dagster_sluice.contracts.catalogue import Kind
from dagster_sluice.contracts.own import TYPES
from dagster_sluice.reports.findings import Found, found_in_words, trend_of
from dagster_sluice.reports.samples import sample_of
from dagster_sluice.reports.sentences import CONFORMS, columns_named, promise, scope
from dagster_sluice.reports.sparkline import SLOTS
from dagster_sluice.reports.text import clean, count, percent
from dagster_sluice.reports.values import Column, Figure, Point, Promise, Report, Sample, Shape, Tone, Trend
from dagster_sluice.reports.verdicts import CONSEQUENCES, verdict_of
from dagster_sluice.warehouse import AuditDetail, Result

__all__ = ["SAMPLED", "compose"]

SAMPLED = 50
"""So many broken promises are shown with sample rows; a page with more would be too large to open."""

_GRAVITY = [policy.value for policy in (Policy.BLOCK, Policy.HOLD, Policy.QUARANTINE, Policy.WARN)]
_PAIRED = frozenset({Kind.ROW, Kind.PAIR, Kind.MULTICOLUMN, Kind.AGGREGATE})
_LONGEST_SENTENCE = 600


def compose(
    audit: AuditDetail,
    *,
    contract: Contract | None,
    masked: Collection[str],
    history: Sequence[AuditDetail] = (),
    examples: Mapping[str, Sequence[Any]] | None = None,
    samples: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> Report:
    """Make a report of an audit.

    Args:
        audit: What was found, and what became of it.
        contract: What was promised. Without it nobody knows what is personal, and no value is shown.
        masked: The columns whose values may not be shown.
        history: Audits of the partitions before, in order; this one may be among them.
        examples: Some values that break a promise, by name of its expectation. Those of ``conforms`` are of any column,
            and come masked.
        samples: Some rows that break a promise, by name: column → value in JSON's types.
    """
    before = [past for past in history if not _same(past, audit)][1 - SLOTS :]
    earlier = [{str(result.get("name")): result for result in past.results} for past in before]
    zone = ZoneInfo(contract.timezone) if contract else dt.timezone.utc
    labels = [_label(past, zone) for past in (*before, audit)]
    promised = {expectation.name: expectation for expectation in contract.expectations} if contract else {}
    results = [Found.of(result) for result in audit.results]
    promises = []
    sampled = 0
    for found, result in zip(results, audit.results, strict=True):
        expectation = promised.get(found.name)
        if expectation is not None and expectation.type != found.type:
            expectation = None
        kwargs = expectation.kwargs if expectation is not None else {}
        shown = contract is not None and _may_be_shown(found, kwargs, masked)
        rows = (samples or {}).get(found.name, ()) if contract is not None and sampled < SAMPLED else ()
        sample = None
        if rows and not found.success:
            sampled += 1
            sample = sample_of(rows, columns_named(kwargs), masked, found.failing)
        promises.append(
            _promise(
                found,
                expectation,
                audit,
                found_in_words(found, (examples or {}).get(found.name, ()), shown=shown),
                trend_of(found, result, earlier, labels, kwargs, shown=shown),
                sample,
            )
        )
    gravity = {policy: place for place, policy in enumerate(_GRAVITY)}
    ordered = sorted(zip(results, promises, strict=True), key=lambda pair: gravity.get(pair[0].policy, len(_GRAVITY)))
    broken = [item for _, item in ordered if item.broken]
    tone, verdict, sentence = verdict_of(audit, len(broken), len(promises))
    return Report(
        table=clean(str(audit.address)),
        partition=clean(audit.partition) if audit.partition is not None else None,
        purpose=clean(contract.description, _LONGEST_SENTENCE) if contract else "",
        tone=tone,
        verdict=verdict,
        sentence=sentence,
        reasons=_reasons(audit, broken),
        figures=_figures(audit, len(broken), len(promises)),
        rows=_rows(before, audit, labels),
        broken=tuple(broken),
        kept=tuple(item for item in promises if not item.broken),
        columns=_columns(contract, masked),
        facts=_facts(audit, zone),
        notes=_notes(audit, contract, masked, broken),
        judged_at=audit.judged_at.astimezone(zone),
        steps="runs" if audit.partition is None else "partitions",
    )


def _label(audit: AuditDetail, zone: dt.tzinfo) -> str:
    """What one audit is called in a trend: its partition, or its moment."""
    if audit.partition is not None:
        return clean(audit.partition, 60)
    return f"{audit.judged_at.astimezone(zone):%Y-%m-%d %H:%M}"


def _same(past: AuditDetail, audit: AuditDetail) -> bool:
    if audit.partition is not None:
        return past.partition == audit.partition
    return past.run_id == audit.run_id or past.judged_at > audit.judged_at


def _may_be_shown(found: Found, kwargs: Mapping[str, Any], masked: Collection[str]) -> bool:
    """Whether values of an expectation may be told: not if it is about a masked column, or nobody can tell."""
    if not masked or found.type == CONFORMS:
        return True
    kind = TYPES.get(found.type)
    if kind is None or not kwargs or "row_condition" in kwargs:
        return False
    counts = kind.kind is Kind.TABLE and found.type.startswith(("expect_table_row_count", "expect_table_column_count"))
    return counts or (kind.kind in _PAIRED and not set(columns_named(kwargs)) & set(masked))


def _promise(
    found: Found,
    expectation: Expectation | None,
    audit: AuditDetail,
    found_text: str,
    trend: Trend | None,
    sample: Sample | None,
) -> Promise:
    exactly = _sentence(promise(found.type, expectation.kwargs if expectation is not None else None))
    written = clean(expectation.description.strip(), _LONGEST_SENTENCE) if expectation is not None else ""
    tone, label_, kept, broken, nothing = CONSEQUENCES.get(found.policy, CONSEQUENCES["warn"])
    stopped = audit.result not in (Result.PUBLISHED, Result.UNCHANGED)
    consequence = kept if found.success else nothing if stopped else broken
    if found.policy == Policy.QUARANTINE.value and any(
        reason.split(" ", 1)[0] == found.name for reason in audit.reasons
    ):
        consequence = "Which rows break it is not known, so none can be kept out: it stopped the publish."
    return Promise(
        name=clean(found.name, 80),
        says=written or exactly,
        exactly=exactly if written else "",
        scope=scope(expectation.kwargs) if expectation is not None else "",
        found=found_text,
        broken=not found.success,
        tone=Tone.GOOD if found.success else tone,
        breach=tone,
        label=label_,
        consequence=consequence,
        trend=trend,
        sample=sample,
    )


def _sentence(text: str) -> str:
    # A name keeps the case it has.
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _reasons(audit: AuditDetail, broken: Sequence[Promise]) -> tuple[str, ...]:
    """Why, without what is told below of the broken promises by themselves: they begin with a promise's name."""
    below = {item.name for item in broken}
    return tuple(clean(reason, _LONGEST_SENTENCE) for reason in audit.reasons if reason.split(" ", 1)[0] not in below)


def _figures(audit: AuditDetail, broken: int, promises: int) -> tuple[Figure, ...]:
    if not audit.results:
        return ()
    kept_out = audit.rows_quarantined
    waits = audit.result is Result.HELD
    share = f"{percent(kept_out / audit.rows_in)} of the rows that came" if kept_out and audit.rows_in else ""
    return (
        Figure(label="Rows that came", value=f"{audit.rows_in:,}"),
        Figure(
            label="Rows that wait" if waits else "Rows published",
            value=f"{audit.rows_in if waits else audit.rows_published:,}",
            note="the same as before" if audit.result is Result.UNCHANGED else "",
            tone=Tone.WAIT if waits else None if audit.rows_published or not audit.rows_in else Tone.BAD,
        ),
        Figure(label="Rows kept out", value=f"{kept_out:,}", note=share, tone=Tone.WARN if kept_out else None),
        Figure(
            label="Promises kept",
            value=f"{promises - broken:,}",
            note=f"of {promises:,}",
            tone=(Tone.WARN if audit.result in (Result.PUBLISHED, Result.UNCHANGED) else Tone.BAD) if broken else None,
        ),
    )


def _rows(before: Sequence[AuditDetail], audit: AuditDetail, labels: Sequence[str]) -> Trend | None:
    if not before:
        return None
    points = tuple(
        Point(past.result in (Result.PUBLISHED, Result.UNCHANGED), float(past.rows_in)) for past in (*before, audit)
    )
    sizes = [past.rows_in for past in before]
    low, high = f"{min(sizes):,}", f"{max(sizes):,}"
    text = f"{count(audit.rows_in, 'row')} now, {low if low == high else f'{low} to {high}'} before."
    stopped = sum(not point.held for point in points)
    if stopped:
        text += f" Not published: {stopped} of the last {len(points)}."
    return Trend(shape=Shape.COUNT, points=points, labels=labels, text=text)


def _columns(contract: Contract | None, masked: Collection[str]) -> tuple[Column, ...]:
    if contract is None:
        return ()
    return tuple(
        Column(
            name=clean(column.name, 80),
            type=column.type.value,
            description=clean(column.description, _LONGEST_SENTENCE),
            required=column.required,
            masked=column.name in masked,
        )
        for column in contract.columns
    )


def _facts(audit: AuditDetail, zone: dt.tzinfo) -> tuple[tuple[str, str], ...]:
    facts = [
        ("Judged", _moment(audit.judged_at.astimezone(zone))),
        ("Contract version", clean(audit.contract_version, 60)),
        ("Run", clean(audit.run_id, 80)),
        ("Cause", clean(audit.correlation_id, 80) if audit.correlation_id != audit.run_id else ""),
        ("Publication", str(audit.publication) if audit.publication is not None else ""),
        ("Took", f"{audit.seconds:.1f} s"),
    ]
    return tuple((what, value) for what, value in facts if value)


def _moment(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} {at.tzname() or ''}".strip()


def _notes(
    audit: AuditDetail, contract: Contract | None, masked: Collection[str], broken: Sequence[Promise]
) -> tuple[str, ...]:
    notes = []
    if contract is None:
        notes.append("The contract is not at hand. So promises are told by their names, and no value is shown.")
    elif contract.fingerprint != audit.contract_fingerprint:
        notes.append("The contract has changed since; promises are told as it has them now.")
    if masked and contract is not None:
        notes.append("Values of columns that the contract classifies as personal or secret are masked: •••.")
    if not audit.results:
        notes.append("Nothing could be judged, so nothing is known of the single promises.")
    if sum(item.sample is not None for item in broken) >= SAMPLED:
        notes.append(f"Sample rows are shown for the first {SAMPLED} broken promises that have them.")
    return tuple(notes)

"""Audits as a warehouse remembers them, for reports to be made of."""

import datetime as dt

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy
from dagster_sluice.warehouse import Address, AuditDetail, Result

NOON = dt.datetime(2026, 3, 9, 12, tzinfo=dt.timezone.utc)
CONTRACT = Contract(
    table="orders",
    version="1.2.0",
    description="What was ordered.",
    timezone="America/New_York",
    columns=(
        Column(name="id", type=LogicalType.INTEGER, required=True, description="Number of the order."),
        Column(name="email", type=LogicalType.STRING, classification="pii"),
        Column(name="amount", type=LogicalType.NUMBER),
    ),
    expectations=(
        Expectation(
            name="amount_possible",
            type="expect_column_values_to_be_between",
            kwargs={"column": "amount", "min_value": -60, "max_value": 1500},
            policy=Policy.QUARANTINE,
        ),
        Expectation(
            name="email_form",
            type="expect_column_values_to_match_regex",
            kwargs={"column": "email", "regex": "@"},
            policy=Policy.WARN,
        ),
        Expectation(
            name="id_once",
            type="expect_column_values_to_be_unique",
            kwargs={"column": "id"},
            policy=Policy.BLOCK,
            description="An order is there once.",
        ),
        Expectation(
            name="plausible",
            type="expect_table_row_count_to_be_between",
            kwargs={"min_value": 100, "max_value": 2000},
            policy=Policy.WARN,
        ),
    ),
)
MASKED = {"email"}


def result(name, failing=0, *, rows=842, missing=0, **changes):
    """What an audit found of one expectation of `CONTRACT`."""
    found = {
        "name": name,
        "type": next((e.type for e in CONTRACT.expectations if e.name == name), name),
        "success": not failing,
        "policy": next((e.policy.value for e in CONTRACT.expectations if e.name == name), "quarantine"),
        "severity": "critical",
        "element_count": rows,
        "missing_count": missing,
        "unexpected_count": failing,
        "observed_value": None,
        "engine": "duckdb",
        "error": None,
    }
    return {**found, **changes}


def counted(observed, *, success=True):
    return result("plausible", rows=None, missing=None, failing=None, success=success, observed_value=observed)


def kept():
    return (result("conforms"), result("amount_possible"), result("email_form"), result("id_once"), counted(842))


def audit(*results, **changes):
    found = {
        "address": Address(schema="shop", table="orders"),
        "partition": "2026-03-09",
        "result": Result.PUBLISHED,
        "rows_in": 842,
        "rows_published": 842,
        "rows_quarantined": 0,
        "passed": 0,
        "warned": 0,
        "failed": 0,
        "seconds": 0.25,
        "judged_at": NOON,
        "id": 7,
        "run_id": "this-run",
        "correlation_id": "this-cause",
        "contract_version": "1.2.0",
        "contract_fingerprint": CONTRACT.fingerprint,
        "publication": 3,
        "results": results or kept(),
    }
    return AuditDetail(**{**found, **changes})

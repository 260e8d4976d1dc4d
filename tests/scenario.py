"""One awkward batch, shared by the tests, so that no test is written for tidy data only.

Nulls, NaN next to None, infinities, integers that float64 cannot hold, a doubled hour, equal rows, text that looks
like SQL, names that need quoting, and text that no database takes.
"""

import datetime as dt
from zoneinfo import ZoneInfo

import pyarrow as pa

from dagster_sluice.contracts import Column, Contract, Expectation, LogicalType, Policy, Severity

NEW_YORK = ZoneInfo("America/New_York")
QUOTED = 'we"ird; DROP TABLE "x"; --'
"""A column whose name needs quoting."""

AWKWARD_TEXTS = (
    "",
    " ",
    "plain",
    "'); DROP TABLE flights; --",
    'say "hi"',
    "back\\slash",
    "%s %(name)s {target} $1 ?",
    "Größe",
    "łódź",
    "e\u0301 is not \u00e9",
    "日本語",
    "🦆👩‍👩‍👧",
    "\u202eright to left",
    "tab\tnewline\nreturn\r",
    "null",
    "NaN",
    "\\N",
)
"""Texts that every part must carry unchanged."""

WITH_NUL = "a\0b"
"""Arrow carries it; no database takes it in text."""

LONE_SURROGATE = "a\ud800b"
"""Python carries it; nothing that is encoded does."""

AWKWARD_KEYS = (
    "2024-03-10",
    "a,b",
    "a b",
    " ",
    "",
    "'; DROP TABLE x; --",
    'a"b',
    "a|b",
    "日本|🦆",
    "%s",
    "{target}",
    "null",
    "x" * 500,
)
"""Partition keys."""

AWKWARD_NAMES = (
    QUOTED,
    "select",
    "a b",
    "A",
    "a",
    "größe",
    "🦆",
    "%s",
    "{columns}",
    ":name",
    "$1",
    "back\\slash",
    "x" * 63,
)
"""Names of columns, schemas and tables."""

AWKWARD_INTEGERS = (0, -1, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63))
AWKWARD_NUMBERS = (0.0, -0.0, 0.1, 1e308, 5e-324, float("inf"), float("-inf"), float("nan"))


def naive(text: str) -> dt.datetime:
    """A moment without a time zone, which is what some tests are about."""
    return dt.datetime.fromisoformat(text)


def doubled_hour() -> tuple[dt.datetime, dt.datetime]:
    """01:30 New York on the night the clocks go back: one local time, two moments."""
    local = dt.datetime(2024, 11, 3, 1, 30, tzinfo=NEW_YORK)
    first, second = local.replace(fold=0), local.replace(fold=1)
    return first.astimezone(dt.timezone.utc), second.astimezone(dt.timezone.utc)


COLUMNS = (
    Column(name="key", type=LogicalType.STRING),
    Column(name="text", type=LogicalType.STRING),
    Column(name="big", type=LogicalType.INTEGER),
    Column(name="number", type=LogicalType.NUMBER),
    Column(name="flag", type=LogicalType.BOOLEAN),
    Column(name="day", type=LogicalType.DATE),
    Column(name="moment", type=LogicalType.TIMESTAMP),
    Column(name="local", type=LogicalType.TIMESTAMP, timezone=False),
    Column(name="clock", type=LogicalType.TIME),
    Column(name="object", type=LogicalType.OBJECT),
    Column(name="array", type=LogicalType.ARRAY),
    Column(name=QUOTED, type=LogicalType.STRING, classification="pii"),
)

CONTRACT = Contract(
    table="awkward",
    schema="tests",
    version="1.2.3",
    columns=COLUMNS,
    expectations=(
        Expectation(
            name="key_present",
            type="expect_column_values_to_not_be_null",
            kwargs={"column": "key"},
            policy=Policy.QUARANTINE,
        ),
        Expectation(
            name="number_not_negative",
            type="expect_column_values_to_be_between",
            kwargs={"column": "number", "min_value": 0},
            severity=Severity.WARNING,
            policy=Policy.WARN,
        ),
        Expectation(
            name="some_rows",
            type="expect_table_row_count_to_be_between",
            kwargs={"min_value": 1},
        ),
    ),
    quarantine_limit=0.5,
)


def rows() -> pa.Table:
    """The batch in its contract's types: 12 rows × 12 columns. Rows 0 and 1 are equal; row 2 has no key."""
    first, second = doubled_hour()
    count = 12
    keys = ["same", "same", None, "a,b", "Größe", "🦆", "'; DROP TABLE x; --", "", " ", "NULL", "nan", "z"]
    texts = ["same", "same", *AWKWARD_TEXTS[: count - 2]]
    bigs = [1, 1, None, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 0, None, 7, 7]
    numbers = [0.5, 0.5, None, *AWKWARD_NUMBERS, 2.0]
    days = [dt.date(2024, 3, 10)] * 2 + [None, dt.date(1, 1, 1), dt.date(9999, 12, 31)] + [dt.date(2024, 2, 29)] * 7
    moments = [first, first, None, first, second, dt.datetime(1, 1, 1, tzinfo=dt.timezone.utc), *[second] * 6]
    values = {
        "key": keys,
        "text": texts,
        "big": bigs,
        "number": numbers,
        "flag": [True, True, None, *[False] * 9],
        "day": days,
        "moment": moments,
        "local": [None if moment is None else moment.replace(tzinfo=None) for moment in moments],
        "clock": [dt.time(0), dt.time(0), None, dt.time(23, 59, 59, 999_999), *[dt.time(12)] * 8],
        "object": ['{"a": 1}', '{"a": 1}', None, '{"🦆": [null, "x"]}', *["{}"] * 8],
        "array": ["[1]", "[1]", None, "[[], {}]", *["[]"] * 8],
        QUOTED: ["x", "x", None, *["'\"; --"] * 9],
    }
    return pa.table({name: pa.array(column, kind) for (name, column), kind in zip(values.items(), _KINDS, strict=True)})


_KINDS = (
    pa.string(),
    pa.string(),
    pa.int64(),
    pa.float64(),
    pa.bool_(),
    pa.date32(),
    pa.timestamp("us", tz="UTC"),
    pa.timestamp("us"),
    pa.time64("us"),
    pa.string(),
    pa.string(),
    pa.string(),
)


def reordered() -> pa.Table:
    """The same batch with its columns the other way round."""
    return rows().select([column.name for column in reversed(COLUMNS)])


def empty() -> pa.Table:
    """A partition without rows."""
    return rows().slice(0, 0)

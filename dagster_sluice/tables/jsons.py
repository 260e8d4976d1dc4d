"""JSON in one spelling: that in which Postgres gives its ``jsonb`` back. Pure.

So that the text which was audited is the text which readers get: keys by length, then by bytes; one blank after comma
and colon; numbers without exponents.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from dagster_sluice.tables.payload import jsonable

__all__ = ["canonical_json"]

# What a numeric of Postgres holds before and after the point (manual, table 8.2).
_BEFORE, _AFTER = 131_072, 16_383


def canonical_json(value: Any, wanted: type, *, text: bool) -> str:
    """A value as JSON of one kind.

    Args:
        value: The text of it, or a value that JSON has a form for.
        wanted: ``dict`` or ``list``.
        text: Whether it is text that is to be read.

    Raises:
        ValueError: It is no JSON, or not one that a database keeps as it is: NUL, a lone surrogate, a key that stands
            twice, a number out of reach.
        TypeError: It is JSON of another kind.
    """
    try:
        found = _read(value) if text else jsonable(value)
        if not isinstance(found, wanted):
            raise TypeError(f"it is JSON of another kind, {type(found).__name__}")
        return _written(found)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _read(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant, parse_float=Decimal, object_pairs_hook=_once)


def _no_constant(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it has the key {next(name for name in names if names.count(name) > 1)!r} more than once")
    return found


def _written(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, (float, Decimal)):
        return _number(Decimal(repr(value)) if isinstance(value, float) else value)
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    keys = sorted(
        value, key=lambda key: (len(key.encode("utf-8", "surrogatepass")), key.encode("utf-8", "surrogatepass"))
    )
    return f"{{{', '.join(f'{_text(key)}: {_written(value[key])}' for key in keys)}}}"


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("it has a NUL, which no database takes in text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("it has a lone surrogate, which is no Unicode text") from None
    return json.dumps(value, ensure_ascii=False)


def _number(value: Decimal) -> str:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or value.adjusted() >= _BEFORE or -exponent > _AFTER:
        raise ValueError("it has a number out of reach")
    return format(value or abs(value), "f")

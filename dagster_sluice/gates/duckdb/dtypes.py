"""Expectations on the type of a column.

A port of ``_validate_pandas`` of the three expectations in Great Expectations 1.24. Where a column is of type object
they look at each value; such columns are left to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from dagster_sluice.gates.duckdb.arguments import Arguments
from dagster_sluice.gates.duckdb.columns import NotEligible
from dagster_sluice.gates.duckdb.rules import TableRule

__all__ = ["TYPE_RULES"]

_NATIVE: dict[str, type] = {
    "none": type(None),
    "bool": bool,
    "int": int,
    "long": int,
    "float": float,
    "bytes": bytes,
    "complex": complex,
    "str": str,
    "string_types": str,
    "list": list,
    "dict": dict,
}


def _dtype(arguments: Arguments) -> Any:
    dtype = arguments.column().dtype
    if getattr(dtype.type, "__name__", "") == "object_":
        raise NotEligible("the types of the values of an object column are left to Great Expectations")
    # Without a value of each row judged, there is nothing for `mostly` to count; it is checked all the same.
    arguments.mostly()
    return dtype


def _meant(name: str, *, instances: bool) -> list[Any]:
    """All that a name may mean, in numpy, pandas and Python."""
    found: list[Any] = []
    try:
        found.append(np.dtype(name).type)
        if instances:
            found.append(np.dtype(name))
    except TypeError:
        for home in (pd, pd.core.dtypes.dtypes):  # type: ignore[attr-defined]
            kind = getattr(home, name, None)
            if isinstance(kind, type):
                found.append(kind)
                if instances and home is pd:
                    found.extend(_instance(kind))
    if name.lower() in _NATIVE:
        found.append(_NATIVE[name.lower()])
    return found


def _instance(kind: type) -> list[Any]:
    try:
        made = kind()
    except TypeError:
        return []
    return [made] if isinstance(made, pd.api.extensions.ExtensionDtype) else []


def _of_type(arguments: Arguments) -> TableRule:
    dtype = _dtype(arguments)
    wanted = _meant(arguments.text("type_"), instances=False)
    return TableRule(compute=lambda: (dtype.type in wanted, {"observed_value": dtype.type.__name__}))


def _in_type_list(arguments: Arguments) -> TableRule:
    dtype = _dtype(arguments)
    names = arguments.values("type_list")
    if not all(type(name) is str for name in names):
        raise NotEligible("`type_list` holds something that is no text")
    wanted = [kind for name in names for kind in _meant(name, instances=True)]
    success = dtype in wanted
    return TableRule(compute=lambda: (success, {"observed_value": dtype.type.__name__}))


def _type_to_be(arguments: Arguments) -> TableRule:
    dtype = arguments.column().dtype
    name = arguments.text("type_")
    try:
        parsed: Any = pd.api.types.pandas_dtype(name)
    except Exception as failure:
        raise NotEligible(f"{name!r} is no type to pandas") from failure

    def compute() -> tuple[bool, dict[str, Any]]:
        if isinstance(parsed, np.dtype) and parsed.kind in "mM" and np.datetime_data(parsed)[0] == "generic":
            success = isinstance(dtype, np.dtype) and dtype.kind == parsed.kind
        elif isinstance(dtype, pd.StringDtype) and isinstance(parsed, pd.StringDtype):
            success = str(dtype) == str(parsed)
        else:
            success = dtype in (parsed, name)
        return success, {"observed_value": str(dtype)}

    return TableRule(compute=compute)


TYPE_RULES: dict[str, Callable[[Arguments], TableRule]] = {
    "expect_column_type_to_be": _type_to_be,
    "expect_column_values_to_be_in_type_list": _in_type_list,
    "expect_column_values_to_be_of_type": _of_type,
}
"""How each expectation on a column's type is compiled."""

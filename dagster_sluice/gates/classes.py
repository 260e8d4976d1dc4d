"""Expectation classes of somebody's own, found where they say they are."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from dagster_sluice.contracts import Expectation
from dagster_sluice.errors import Culprit, ExpectationError

__all__ = ["import_class", "unusable"]


def import_class(expectation: Expectation) -> Any:
    """The class at ``import_path``, registered with Great Expectations.

    Raises:
        ExpectationError: It cannot be imported, is no expectation, or another class goes by its name.
    """
    path = str(expectation.import_path)
    module_name, _, name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as failure:
        said = str(failure).strip().splitlines() or [""]
        mend = "Install it, or put it where Python finds it." if isinstance(failure, ModuleNotFoundError) else ""
        problem = f"{path} cannot be imported: {type(failure).__name__}: {said[0].rstrip('.')}."
        raise _error(expectation, problem, mend) from failure
    found = getattr(module, name, None)
    if found is None:
        raise _error(expectation, f"{module_name} has no {name!r}.")
    from great_expectations.expectations.expectation import Expectation as Base
    from great_expectations.expectations.registry import get_expectation_impl

    if not (isinstance(found, type) and issubclass(found, Base)):
        raise _error(expectation, f"{path} is no expectation.", "Derive it from a class of Great Expectations.")
    if found.expectation_type != expectation.type:
        raise _error(expectation, f"{path} is registered as {found.expectation_type!r}, not {expectation.type!r}.")
    registered: Any = get_expectation_impl(expectation.type)
    if registered is not found:
        other = f"{registered.__module__}:{registered.__name__}"
        raise _error(expectation, f"{path} goes by the name of {other}.", "Rename one of the two classes.")
    return found


def unusable(expectations: Iterable[Expectation]) -> list[Culprit]:
    """What is wrong with those expectations that are classes of somebody's own; imports their modules."""
    import pandas as pd

    from dagster_sluice.gates.gx import check_arguments

    culprits: list[Culprit] = []
    for expectation in expectations:
        if expectation.import_path is None:
            continue
        try:
            check_arguments(expectation, pd.DataFrame())
        except ExpectationError as failure:
            culprits.extend(failure.culprits)
    return culprits


def _error(expectation: Expectation, problem: str, mend: str = "") -> ExpectationError:
    return ExpectationError(
        "An expectation's class cannot be used.",
        culprits=[
            Culprit(where=expectation.name, file=expectation.file, line=expectation.line, problem=problem, mend=mend)
        ],
    )

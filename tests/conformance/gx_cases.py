"""The cases in Great Expectations' own tests, taken out of its source distribution.

Its files are never part of this repository: ``make conformance`` downloads the distribution from the package index. Its
test modules are loaded with their test helpers replaced by stand-ins; each test function is called with a batch that
notes what it is asked to validate, on pandas, and answers as Great Expectations does. What a test asserts about other
databases does not matter here, so its failures are passed over: only the questions are of interest.
"""

import importlib
import inspect
import itertools
import sys
import types
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from _pytest.mark import MarkGenerator

_INTEGRATION = "tests.integration.data_sources_and_expectations"
_REAL = {
    "execution_engine_kind",
    "gallery_expectation_cases",
    "gallery_expectation_case_table",
    "test_expectation_conditions",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One question: a frame and an expectation on it."""

    origin: str
    frame: pd.DataFrame
    type: str
    kwargs: dict[str, Any]


class _Anything(type):
    """A stand-in for whatever a test module imports from its helpers."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return cls

    def __iter__(cls):
        return iter(())

    def __add__(cls, other):
        return other

    def __radd__(cls, other):
        return other

    def __or__(cls, other):
        return cls

    def __getitem__(cls, _):
        return cls

    def __len__(cls):
        return 0


class Anything(metaclass=_Anything):
    """An instance of it is the class itself."""

    def __new__(cls, *_, **__):
        return cls


def _for_data_sources(*_, data=None, **__):
    def decorate(function):
        function.judged_frame = data
        return function

    return decorate


class _Finder(MetaPathFinder, Loader):
    """Finds the wanted modules in the distribution and a stand-in for every other one below ``tests``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "tests" and not fullname.startswith("tests."):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module):
        last = module.__name__.rpartition(".")[2]
        file = self._root.joinpath(*module.__name__.split(".")).with_suffix(".py")
        if file.exists() and (last in _REAL or module.__name__.startswith(f"{_INTEGRATION}.expectations.")):
            module.__file__ = str(file)
            exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), module.__dict__)
        elif last == "conftest":
            module.parameterize_batch_for_data_sources = _for_data_sources
            module.__getattr__ = lambda _: _for_data_sources
        else:
            module.__getattr__ = _stand_in


def _stand_in(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Anything


class _Batch:
    """A pandas batch that notes what it is asked."""

    def __init__(self, frame, origin, noted):
        self._frame, self._origin, self._noted = frame, origin, noted

    def validate(self, expect, **kwargs):
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        given = kwargs.get("expectation_parameters") or {}
        wanted = getattr(expect, "expectations", None) or [expect]
        for expectation in wanted:
            configuration = expectation.configuration
            arguments = {name: _given(value, given) for name, value in configuration.kwargs.items()}
            self._noted.append(Case(origin=self._origin, frame=self._frame, type=configuration.type, kwargs=arguments))
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
        batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": self._frame})
        return batch.validate(expect, **kwargs)


def _given(value, parameters):
    """An argument, with what a suite parameter stands for."""
    return parameters.get(value["$PARAMETER"]) if isinstance(value, dict) and set(value) == {"$PARAMETER"} else value


def gx_cases(root: Path) -> list[Case]:
    """Every case in the unpacked distribution at ``root``."""
    replaced = {name: module for name, module in sys.modules.items() if name == "tests" or name.startswith("tests.")}
    for name in replaced:
        del sys.modules[name]
    finder = _Finder(root)
    sys.meta_path.insert(0, finder)
    # Its marks are not registered here, which pytest would refuse.
    strict, pytest.mark = pytest.mark, MarkGenerator(_ispytest=True)
    noted: list[Case] = []
    try:
        folder = root.joinpath(*_INTEGRATION.split("."), "expectations")
        for file in [*sorted(folder.glob("test_*.py")), folder.parent / "test_expectation_conditions.py"]:
            package = f"{_INTEGRATION}.expectations" if file.parent == folder else _INTEGRATION
            try:
                module = importlib.import_module(f"{package}.{file.stem}")
            except Exception as failure:  # noqa: BLE001 (a module for another database)
                print(f"{file.stem} cannot be loaded: {failure!r}")
                continue
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if getattr(function, "judged_frame", None) is not None:
                    _call(function, f"{file.stem}.{name}", noted)
        _gallery(noted)
    finally:
        pytest.mark = strict
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name == "tests" or name.startswith("tests.")]:
            del sys.modules[name]
        sys.modules.update(replaced)
    return noted


def _gallery(noted):
    data = importlib.import_module(f"{_INTEGRATION}.gallery_expectation_cases").GALLERY_FIXTURE_DATA
    table = importlib.import_module(f"{_INTEGRATION}.gallery_expectation_case_table").GALLERY_CASES
    for case in table:
        for expectation in (case.passing, case.failing):
            configuration = expectation.configuration
            noted.append(
                Case(
                    origin=f"gallery.{case.key}", frame=data, type=configuration.type, kwargs=dict(configuration.kwargs)
                )
            )


def _call(function, origin, noted):
    marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    for chosen in itertools.product(*(_sets(mark) for mark in marks)):
        arguments = {name: value for values in chosen for name, value in values.items()}
        for name in inspect.signature(function).parameters:
            if name == "batch_for_datasource":
                arguments[name] = _Batch(function.judged_frame, origin, noted)
            elif name not in arguments:
                arguments[name] = Anything
        try:
            function(**arguments)
        except BaseException as failure:
            if isinstance(failure, KeyboardInterrupt):
                raise


def _sets(mark):
    names = mark.args[0]
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    for item in mark.args[1]:
        values = getattr(item, "values", item)
        values = values() if callable(values) else values
        if len(names) == 1 and not hasattr(item, "marks"):
            values = (item,)
        yield dict(zip(names, values, strict=False))

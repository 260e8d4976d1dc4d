"""The code location of the project in the current directory, loaded in this process.

Dagster has no public way to load a workspace's definitions without a server; the private names it takes are used here
and nowhere else, and pinned in ``tests/upstream/test_dagster_location.py``.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_sluice.errors import Culprit, SettingError, SluiceError

__all__ = ["Location", "load_location"]


@dataclass(frozen=True, kw_only=True)
class Location:
    """A loaded code location.

    Attributes:
        name: As the UI shows it.
        directory: The project's directory.
        repository: Everything it defines.
        pointer: Where another process loads it from.
        origin: How a Dagster server would load it.
    """

    name: str
    directory: Path
    repository: dg.RepositoryDefinition
    pointer: Any
    origin: Any


def load_location(directory: Path) -> Location:
    """Load the project: ``workspace.yaml``, or ``[tool.dg.project]`` of ``pyproject.toml``.

    Raises:
        SettingError: There is neither, they are wrong, or they name more than one code location.
        SluiceError: The project's own code raises while it is loaded.
    """
    origins = _origins(directory)
    if len(origins) != 1:
        raise SettingError(
            f"The workspace has {len(origins)} code locations; sluice works on one.",
            culprits=[Culprit(file=directory / "workspace.yaml", problem="names them.")],
            mend="Run it in the directory of one project.",
        )
    origin = origins[0]
    target = origin.loadable_target_origin
    pointer = _pointer(target, directory)
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    try:
        repository = ReconstructableRepository(pointer).get_definition()
    except SluiceError:
        raise
    except Exception as failure:
        raise _told(failure, directory) from failure
    return Location(
        name=origin.location_name, directory=directory, repository=repository, pointer=pointer, origin=origin
    )


def _origins(directory: Path) -> list[Any]:
    from dagster import DagsterError
    from dagster._check import CheckError
    from dagster._core.workspace.load_target import PyProjectFileTarget, WorkspaceFileTarget

    workspace = directory / "workspace.yaml"
    pyproject = directory / "pyproject.toml"
    try:
        if workspace.is_file():
            return list(WorkspaceFileTarget(paths=[str(workspace)]).create_origins())
        if pyproject.is_file():
            return list(PyProjectFileTarget(path=str(pyproject)).create_origins())
    except (DagsterError, CheckError, ValueError, OSError) as failure:
        raise SettingError(
            "The workspace cannot be read.",
            culprits=[Culprit(file=workspace if workspace.is_file() else pyproject, problem=_first_line(failure))],
        ) from failure
    except Exception as failure:
        import yaml

        if not isinstance(failure, yaml.YAMLError):
            raise
        mark = getattr(failure, "problem_mark", None)
        culprit = Culprit(file=workspace, line=mark.line + 1 if mark else None, problem=_first_line(failure))
        raise SettingError("The workspace cannot be read.", culprits=[culprit]) from failure
    raise SettingError(
        "There is no Dagster project here.",
        culprits=[Culprit(file=directory, problem="holds neither workspace.yaml nor a pyproject.toml for dg.")],
        mend="Run sluice in the project's directory.",
    )


def _pointer(target: Any, directory: Path) -> Any:
    from dagster._core.code_pointer import CodePointer
    from dagster._grpc.utils import get_loadable_targets

    working = target.working_directory or str(directory)
    if working not in sys.path:
        sys.path.insert(0, working)
    try:
        targets = get_loadable_targets(
            python_file=target.python_file,
            module_name=target.module_name,
            package_name=target.package_name,
            autoload_defs_module_name=target.autoload_defs_module_name,
            working_directory=working,
            attribute=target.attribute,
            resolve_lazy_defs=True,
        )
    except SluiceError:
        raise
    except Exception as failure:
        _complain_of_absent(failure, target, directory)
        raise _told(failure, directory) from failure
    attribute = targets[0].attribute
    if target.python_file:
        return CodePointer.from_python_file(target.python_file, attribute, working)
    if target.package_name:
        return CodePointer.from_python_package(target.package_name, attribute, working)
    return CodePointer.from_module(target.module_name or target.autoload_defs_module_name, attribute, working)


def _complain_of_absent(failure: BaseException, target: Any, directory: Path) -> None:
    """Raise `SettingError` if the module or file that the workspace names is not there."""
    named = target.python_file or target.module_name or target.package_name or target.autoload_defs_module_name
    cause: BaseException | None = failure
    while cause is not None:
        absent = cause.name if isinstance(cause, ModuleNotFoundError) else None
        if (absent and f"{named}.".startswith(f"{absent}.")) or (
            target.python_file and isinstance(cause, FileNotFoundError)
        ):
            workspace = directory / "workspace.yaml"
            file = workspace if workspace.is_file() else directory / "pyproject.toml"
            raise SettingError(
                "The workspace names what is not there.",
                culprits=[Culprit(file=file, problem=f"{named} cannot be found.")],
                mend="Correct the name, or run sluice in the project's directory.",
            ) from failure
        cause = cause.__cause__ or cause.__context__


def _told(failure: BaseException, directory: Path) -> SluiceError:
    """The project's own error in one piece: ours as it is, any other with the line of the project that raised."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, SluiceError):
            return cause
        failure, cause = cause, cause.__cause__ or cause.__context__
    place = None
    trace = failure.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(directory) and "site-packages" not in file.parts:
            place = (file, trace.tb_lineno)
        trace = trace.tb_next
    return SluiceError(
        "The project cannot be loaded.",
        culprits=[
            Culprit(
                file=place[0] if place else directory,
                line=place[1] if place else None,
                problem=f"{type(failure).__name__}: {_first_line(failure)}",
            )
        ],
        mend="Correct it; `dagster definitions validate` tells more.",
    )


def _first_line(failure: BaseException) -> str:
    return next((line.strip() for line in str(failure).splitlines() if line.strip()), type(failure).__name__)

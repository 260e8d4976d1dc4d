"""The SQL of a dbt model from its manifest alone: no database, no dbt, no compiling.

A manifest that ``dbt parse`` has made has no compiled SQL, and ``dbt compile`` asks a database for every model that is
incremental. What column lineage needs is less: the SELECT of a full build, which follows from the model's text and the
macros, both of which stand in the manifest. A model whose text does depend on what is in a database is refused.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError

from dagster_sluice.lineage.select import Unreadable

__all__ = ["Renderer", "relation"]

EPHEMERAL = "__dbt__cte__"
"""dbt's own prefix for the name under which an ephemeral model is put into the model that reads it."""


class _Returned(Exception):  # noqa: N818 (dbt's `return`, by which a macro gives a value)
    def __init__(self, value: Any) -> None:
        self.value = value


class Renderer:
    """Renders the models of one manifest as a full build would have them.

    Args:
        manifest: dbt's manifest, as JSON has it.
        variables: The project's ``vars``.
        environment: What ``env_var`` reads.
    """

    def __init__(
        self, manifest: Mapping[str, Any], *, variables: Mapping[str, Any], environment: Mapping[str, str]
    ) -> None:
        self._manifest = manifest
        self._environment = environment
        self._variables = variables
        self._project = manifest["metadata"].get("project_name") or ""
        self._adapter = manifest["metadata"].get("adapter_type") or "postgres"
        self._jinja = Environment(  # noqa: S701 (it is SQL, not HTML)
            undefined=StrictUndefined, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"]
        )
        self._macros: dict[tuple[str, str], Mapping[str, Any]] = {
            (macro["package_name"], macro["name"]): macro for macro in manifest.get("macros", {}).values()
        }
        self._globals = self._world()

    def sql(self, node: Mapping[str, Any]) -> str:
        """The SELECT of a model or snapshot.

        Raises:
            Unreadable: It cannot be told without a database.
        """
        settings = node.get("config", {})

        def config(*_: Any, **__: Any) -> str:
            return ""

        config.get = lambda name, default=None, **_: settings.get(name, default)  # type: ignore[attr-defined]
        config.require = lambda name, **_: settings.get(name)  # type: ignore[attr-defined]
        own = {
            "config": config,
            "this": relation(node),
            "model": node,
            "ref": functools.partial(self._ref, node),
            "source": self._source,
        }
        try:
            return str(self._jinja.from_string(node["raw_code"], globals={**self._globals, **own}).render())
        except (TemplateError, TypeError, AttributeError, KeyError, ValueError, _Returned) as failure:
            raise Unreadable(f"its text cannot be rendered without dbt: {failure}.") from failure

    def _world(self) -> dict[str, Any]:
        world: dict[str, Any] = {}
        packages: dict[str, dict[str, Any]] = {}
        # Nearest last: the project's own macro stands before that of a package, and that before dbt's.
        for package, name in sorted(self._macros, key=lambda place: self._nearness(place[0])):
            called = self._macro(package, name)
            world[name] = called
            packages.setdefault(package, {})[name] = called
        world |= {package: SimpleNamespace(**macros) for package, macros in packages.items() if package not in world}
        world |= {
            "adapter": _Adapter(self._dispatch),
            "env_var": self._env_var,
            "var": self._var,
            "execute": False,
            "is_incremental": lambda: False,
            "should_full_refresh": lambda: False,
            "return": _return,
            "log": _nothing,
            "print": _nothing,
            "run_started_at": None,
            "project_name": self._project,
            "dbt_version": self._manifest["metadata"].get("dbt_version", ""),
            "target": SimpleNamespace(
                name="", schema="", database="", type=self._adapter, profile_name="", threads=1, dataset="", project=""
            ),
            "flags": SimpleNamespace(FULL_REFRESH=True, WHICH="compile"),
            "exceptions": SimpleNamespace(raise_compiler_error=_refuse, warn=_nothing),
            "modules": _modules(),
            "tojson": lambda value, default=None, **_: json.dumps(value, default=str) or default,
            "fromjson": lambda text, default=None: json.loads(text) if text else default,
            "set": lambda values, default=None: set(values) if values is not None else default,
            "zip": lambda *values, **_: list(zip(*values, strict=False)),
        }
        world["builtins"] = {"ref": self._refer, "source": self._source, "config": _nothing}
        return world

    def _nearness(self, package: str) -> int:
        if package == self._project:
            return 3
        return {"dbt": 0, f"dbt_{self._adapter}": 1}.get(package, 2)

    def _macro(self, package: str, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            template = self._jinja.from_string(self._macros[package, name]["macro_sql"], globals=self._globals)
            try:
                return getattr(template.module, name)(*args, **kwargs)
            except _Returned as returned:
                return returned.value

        return call

    def _dispatch(self, name: str, *_: Any, **__: Any) -> Callable[..., Any]:
        for prefix in (self._adapter, "default"):
            found = self._globals.get(f"{prefix}__{name}")
            if found is not None:
                return found  # type: ignore[no-any-return]
        raise TypeError(f"there is no macro {name} for {self._adapter}")

    def _ref(self, node: Mapping[str, Any], *words: str, version: Any = None, v: Any = None) -> str:
        name, package = words[-1], words[0] if len(words) > 1 else None
        wanted = version if version is not None else v
        nodes = [self._manifest["nodes"].get(key) for key in node.get("depends_on", {}).get("nodes", ())]
        for other in (*filter(None, nodes), *self._manifest["nodes"].values()):
            if other["name"] != name or other["resource_type"] not in ("model", "seed", "snapshot"):
                continue
            if package in (None, other["package_name"]) and (
                wanted is None or str(other.get("version")) == str(wanted)
            ):
                return relation(other)
        raise TypeError(f"there is no model {name}")

    def _refer(self, *words: str, **options: Any) -> str:
        return self._ref({}, *words, **options)

    def _source(self, source: str, name: str) -> str:
        for other in self._manifest["sources"].values():
            if other["source_name"] == source and other["name"] == name:
                return relation(other)
        raise TypeError(f"there is no source {source}.{name}")

    def _env_var(self, name: str, default: str | None = None) -> str:
        return self._environment.get(name, default if default is not None else "0")

    def _var(self, name: str, default: Any = None) -> Any:
        return self._variables.get(name, default)


def relation(node: Mapping[str, Any]) -> str:
    """A model, seed, snapshot or source as SQL names it, without its database."""
    if node.get("config", {}).get("materialized") == "ephemeral":
        return f'"{EPHEMERAL}{node["name"]}"'
    parts = (node["schema"], node.get("identifier") or node.get("alias") or node["name"])
    return ".".join('"{}"'.format(str(part).replace('"', '""')) for part in parts)


class _Adapter:
    """dbt's adapter without a database behind it."""

    def __init__(self, dispatch: Callable[..., Any]) -> None:
        self.dispatch = dispatch

    def quote(self, name: str) -> str:
        return f'"{name}"'

    def __getattr__(self, name: str) -> Any:
        raise TypeError(f"adapter.{name} asks the database")


def _return(value: Any = None) -> Any:
    raise _Returned(value)


def _refuse(message: str = "") -> Any:
    raise TypeError(str(message))


def _nothing(*_: Any, **__: Any) -> str:
    return ""


def _modules() -> Any:
    import datetime
    import itertools
    import re

    return SimpleNamespace(datetime=datetime, itertools=itertools, re=re)

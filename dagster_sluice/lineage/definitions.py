"""The lineage of what a code location defines: contracts, SELECTs and dbt models in one graph."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_sluice.contracts import Contract
from dagster_sluice.errors import Culprit
from dagster_sluice.lineage.columns import ColumnLineage, ColumnRef, LineageGraph, Origin, TableEdge
from dagster_sluice.lineage.select import Place, Unreadable, sources_of_select
from dagster_sluice.tables.declared import declared_tables
from dagster_sluice.tables.place import plain, table_of
from dagster_sluice.tables.step import Step
from dagster_sluice.warehouse.selects import Select

__all__ = ["lineage_of", "select_of", "specs_of", "step_of", "table_name"]

_DIALECTS = ("postgres", "duckdb")
_MANIFEST, _UNIQUE_ID, _PROJECT = "dagster_dbt/manifest", "dagster_dbt/unique_id", "dagster_dbt/project"


def table_name(key: dg.AssetKey) -> str:
    """An asset as the lineage names it."""
    return "/".join(key.path)


def specs_of(definitions: Iterable[Any]) -> Iterator[tuple[dg.AssetSpec, Any]]:
    """Each asset with the definition it comes from; what defines no asset is passed over."""
    for definition in definitions:
        if isinstance(definition, dg.AssetSpec):
            yield definition, definition
        elif isinstance(definition, dg.AssetsDefinition):
            for spec in definition.specs:
                yield spec, definition


def step_of(definition: Any) -> Step | None:
    """What a ``@table`` runs."""
    if not isinstance(definition, dg.AssetsDefinition) or not definition.is_executable:
        return None
    function = getattr(getattr(definition.node_def, "compute_fn", None), "decorated_fn", None)
    return next((held for held in _held(function) if isinstance(held, Step)), None)


def select_of(step: Step) -> Select | None:
    """The SELECT of a `table_from_sql`."""
    return next((held for held in _held(step.function) if isinstance(held, Select)), None)


def _held(function: Any) -> Iterator[Any]:
    """What a function made by ours holds on to."""
    for cell in getattr(function, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue


def lineage_of(definitions: Iterable[Any]) -> LineageGraph:
    """The columns of all tables, and what they are made of.

    Of several sources for one column the first of these counts: the contract, the metadata ``dagster/column_lineage``
    that is on the asset already, the SQL. What cannot be read is among the graph's problems and no error.

    Args:
        definitions: Assets of any kind: ``@table``, `table_from_sql`, `dbt_tables`, plain ``@asset``, `AssetSpec`.
    """
    return _Reading(list(definitions)).graph()


class _Reading:
    """One reading of a code location."""

    def __init__(self, definitions: Sequence[Any]) -> None:
        self._specs = {spec.key: (spec, definition) for spec, definition in specs_of(definitions)}
        self._contracts: dict[dg.AssetKey, Contract] = {
            declared.key: declared.contract for declared in declared_tables(definitions).values()
        }
        self._places: dict[Place, str] = {}
        self._columns: dict[str, tuple[str, ...]] = {}
        self._lineages: dict[ColumnRef, ColumnLineage] = {}
        self._problems: list[Culprit] = []

    def graph(self) -> LineageGraph:
        for key, (spec, _) in self._specs.items():
            address = table_of(key, spec.metadata)
            self._places.setdefault((address.schema, address.table), table_name(key))
            for dependency in spec.deps:
                path = dependency.asset_key.path
                self._places.setdefault((path[-2] if len(path) > 1 else "public", path[-1]), "/".join(path))
        for key, (spec, _) in self._specs.items():
            contract = self._contracts.get(key)
            names = [column.name for column in contract.columns] if contract else _schema_columns(spec)
            if names:
                self._columns[table_name(key)] = tuple(names)
        for key, contract in self._contracts.items():
            self._of_contract(key, contract)
        for spec, _ in self._specs.values():
            self._of_metadata(spec)
        self._of_dbt()
        for key, (_, definition) in self._specs.items():
            self._of_select(key, definition)
        return LineageGraph(
            columns=self._columns,
            lineages=self._lineages,
            edges=frozenset(
                TableEdge(upstream=table_name(dependency.asset_key), downstream=table_name(key))
                for key, (spec, _) in self._specs.items()
                for dependency in spec.deps
            ),
            problems=tuple(self._problems),
        )

    def _add(self, target: ColumnRef, sources: Iterable[ColumnRef], origin: Origin, logic: str = "") -> None:
        known = ColumnLineage(column=target, sources=frozenset(sources), origin=origin, logic=logic)
        self._lineages.setdefault(target, known)

    def _of_contract(self, key: dg.AssetKey, contract: Contract) -> None:
        for column in contract.columns:
            if column.sources is None:
                continue
            sources = []
            for text in column.sources:
                source = self._named(text, key)
                where = f"{contract.table}.{column.name}: source {text!r}"
                if source is None:
                    problem = "names no table and column; write schema.table.column."
                    self._problems.append(Culprit(file=contract.file, where=where, problem=problem))
                    continue
                known = self._columns.get(source.table)
                if known and source.column not in known:
                    problem = f"{source.table.replace('/', '.')} has no column {source.column}."
                    self._problems.append(Culprit(file=contract.file, where=where, problem=problem))
                sources.append(source)
            self._add(ColumnRef(table_name(key), column.name), sources, Origin.CONTRACT, column.logic)

    def _named(self, text: str, key: dg.AssetKey) -> ColumnRef | None:
        """The column that a contract names: ``schema.table.column``, or ``table.column`` beside this table."""
        *path, column = text.replace("/", ".").split(".")
        if not path or not all((*path, column)):
            return None
        if "/".join(path) in self._columns:
            return ColumnRef("/".join(path), column)
        schema = path[-2] if len(path) > 1 else (key.path[-2] if len(key.path) > 1 else "public")
        found = self._places.get((schema, path[-1]))
        if found is None and len(path) == 1:
            upstream = [dependency.asset_key for dependency in self._specs[key][0].deps]
            found = next((table_name(other) for other in upstream if other.path[-1] == path[0]), None)
        return ColumnRef(found or "/".join(path if len(path) > 1 else [schema, *path]), column)

    def _of_metadata(self, spec: dg.AssetSpec) -> None:
        given = plain(spec.metadata.get("dagster/column_lineage"))
        if not isinstance(given, dg.TableColumnLineage):
            return
        for name, sources in given.deps_by_column.items():
            refs = [ColumnRef(table_name(source.asset_key), source.column_name) for source in sources]
            self._add(ColumnRef(table_name(spec.key), name), refs, Origin.METADATA)

    def _of_select(self, key: dg.AssetKey, definition: Any) -> None:
        step = step_of(definition)
        select = select_of(step) if step is not None else None
        if select is None:
            return
        text = select.bound(lambda _, __: "NULL")
        problem = ""
        for dialect in _DIALECTS:
            try:
                read = sources_of_select(text, dialect=dialect, tables=self._known())
            except Unreadable as failure:
                problem = problem or str(failure)
                continue
            for name, sources in read.columns.items():
                if name in self._columns.get(table_name(key), (name,)):
                    refs = [self._placed(place) for place in sources]
                    self._add(ColumnRef(table_name(key), name), refs, Origin.SQL)
            return
        self._problems.append(Culprit(where=f"SQL of {select.label}", problem=problem, file=select.file))

    def _of_dbt(self) -> None:
        from dagster_sluice.lineage.dbt_cache import project_lineage

        manifests: dict[int, tuple[Mapping[str, Any], Path | None, dict[str, dg.AssetKey]]] = {}
        for key, (spec, _) in self._specs.items():
            held = getattr(spec.metadata.get(_MANIFEST), "manifest", None)
            unique_id = plain(spec.metadata.get(_UNIQUE_ID))
            if not isinstance(held, Mapping) or not isinstance(unique_id, str):
                continue
            project = getattr(spec.metadata.get(_PROJECT), "project_dir", None)
            entry = manifests.setdefault(id(held), (held, Path(project) if project else None, {}))
            entry[2][unique_id] = key
        known = {place: names for place, names in self._known().items() if place[0]}
        read_projects: dict[tuple[Path | None, str], Any] = {}
        for manifest, directory, models in manifests.values():
            own = {(key.path[-2] if len(key.path) > 1 else "", key.path[-1]) for key in models.values()}
            mark = (directory, str(manifest["metadata"].get("invocation_id")))
            if mark not in read_projects:
                outside = {place: names for place, names in known.items() if place not in own}
                read_projects[mark] = project_lineage(
                    manifest, directory=directory, columns=self._outside(outside, manifest)
                )
                self._problems.extend(read_projects[mark].problems)
            found = read_projects[mark]
            for unique_id, key in models.items():
                place = found.places.get(unique_id)
                if place is not None:
                    self._places[place] = table_name(key)
                    if place in found.columns:
                        self._columns[table_name(key)] = found.columns[place]
        for manifest, directory, models in manifests.values():
            found = read_projects[directory, str(manifest["metadata"].get("invocation_id"))]
            for unique_id, key in models.items():
                for name, sources in found.models.get(unique_id, {}).items():
                    refs = [self._placed(source) for source in sources]
                    self._add(ColumnRef(table_name(key), name), refs, Origin.DBT)

    @staticmethod
    def _outside(known: Mapping[Place, Sequence[str]], manifest: Mapping[str, Any]) -> dict[Place, Sequence[str]]:
        """What a project reads and does not build: so that a change of a table it does not know makes nothing stale."""
        built = {
            (node["schema"], node.get("alias") or node["name"])
            for node in manifest["nodes"].values()
            if node["resource_type"] in ("model", "seed", "snapshot")
        }
        read = {(node["schema"], node.get("identifier") or node["name"]) for node in manifest["sources"].values()}
        return {place: names for place, names in known.items() if place in read - built}

    def _known(self) -> dict[Place, tuple[str, ...]]:
        """The columns of tables by where they are; by name alone too, where only one has that name."""
        known = {place: self._columns[name] for place, name in self._places.items() if name in self._columns}
        names = [table for _, table in known]
        return known | {("", place[1]): columns for place, columns in known.items() if names.count(place[1]) == 1}

    def _placed(self, source: tuple[str, str, str]) -> ColumnRef:
        schema, table, column = source
        named = self._places.get((schema or "public", table))
        if named is None and not schema:
            fitting = [name for (_, other), name in self._places.items() if other == table]
            named = fitting[0] if len(fitting) == 1 else None
        return ColumnRef(named or "/".join(part for part in (schema, table) if part), column)


def _schema_columns(spec: dg.AssetSpec) -> list[str]:
    schema = plain(spec.metadata.get("dagster/column_schema"))
    return [column.name for column in schema.columns] if isinstance(schema, dg.TableSchema) else []

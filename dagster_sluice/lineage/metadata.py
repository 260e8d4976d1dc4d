"""Column lineage as Dagster's metadata, for the UI and for whoever asks Dagster.

``dagster/column_lineage`` is what Dagster has for it: its API gives it out, and Dagster+ draws it. The open-source UI
keeps it and shows nothing of it; so the columns' descriptions, which it does show, say the same in words.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from dagster_sluice.lineage.columns import ColumnLineage, LineageGraph
from dagster_sluice.lineage.definitions import lineage_of, table_name
from dagster_sluice.tables.place import plain

__all__ = ["column_lineage_metadata", "with_column_lineage"]

_SHOWN = 4


def with_column_lineage(definitions: Iterable[Any]) -> list[Any]:
    """The same assets, each with the lineage of its columns.

    To be called with all assets of a code location together: the columns of one are those of the next.

        defs = dg.Definitions(assets=with_column_lineage([*TABLES, *MARTS]))

    Args:
        definitions: Assets of any kind; what is no asset comes back as it is.
    """
    given = list(definitions)
    graph = lineage_of(given)

    def extend(spec: dg.AssetSpec) -> dg.AssetSpec:
        found = column_lineage_metadata(graph, spec.key, plain(spec.metadata.get("dagster/column_schema")))
        return spec.merge_attributes(metadata=found) if found else spec

    done: list[Any] = []
    for definition in given:
        if isinstance(definition, dg.AssetSpec):
            done.append(extend(definition))
        elif isinstance(definition, dg.AssetsDefinition) and definition.keys:
            done.append(definition.map_asset_specs(extend))
        else:
            done.append(definition)
    return done


def column_lineage_metadata(
    graph: LineageGraph, key: dg.AssetKey, schema: dg.TableSchema | None = None
) -> dict[str, Any]:
    """The metadata of one asset; empty where nothing is known.

    Args:
        graph: As of `lineage_of`.
        key: The asset.
        schema: Its ``dagster/column_schema``, whose descriptions are to say where columns come from.
    """
    known = graph.of_table(table_name(key))
    if not known:
        return {}
    found: dict[str, Any] = {
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                name: [
                    dg.TableColumnDep(asset_key=dg.AssetKey(source.table.split("/")), column_name=source.column)
                    for source in sorted(lineage.sources)
                ]
                for name, lineage in known.items()
            }
        )
    }
    if isinstance(schema, dg.TableSchema):
        columns = [
            dg.TableColumn(
                name=column.name,
                type=column.type,
                description=_described(column.description, known.get(column.name)),
                constraints=column.constraints,
                tags=column.tags,
            )
            for column in schema.columns
        ]
        found["dagster/column_schema"] = dg.TableSchema(columns=columns, constraints=schema.constraints)
    return found


def _described(description: str | None, lineage: ColumnLineage | None) -> str | None:
    if lineage is None or not lineage.sources:
        return description
    words = _names([str(source) for source in sorted(lineage.sources)])
    said = f"From {words}."
    return f"{description.rstrip()} {said}" if description and description.strip() else said


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"

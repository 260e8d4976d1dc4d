"""The nodes of a dbt project, and which of a build may be published. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["BUILT", "Node", "Ruling", "nodes_of", "rule"]

BUILT = ("model", "seed", "snapshot")
"""The kinds of node that end as a relation."""

# Not "partial success": then batches of a microbatch model failed.
_PASSED = ("pass", "success", "warn", "no-op", "reused")
_KEPT = ("incremental", "snapshot")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A model, seed or snapshot.

    Attributes:
        id: dbt's unique id.
        name: As a person writes it.
        schema: Where it is published.
        alias: Its relation there.
        materialized: dbt's word for how it is built.
        column: The column whose values say to which partition a row belongs; ``None`` if nobody says it.
        parents: The nodes that it refers to, also through ephemeral ones.
        grants: Whether the project says who may read it; then nobody else may.
    """

    id: str
    name: str
    schema: str
    alias: str
    materialized: str
    column: str | None = None
    parents: tuple[str, ...] = ()
    grants: bool = False

    @property
    def grows(self) -> bool:
        """Whether a build changes what is there, instead of making it anew."""
        return self.materialized in _KEPT


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """Which nodes of a build are published, and why the others are not.

    Attributes:
        published: Their ids, upstream first.
        blocked: Why, by id, of each of the others.
    """

    published: tuple[str, ...]
    blocked: Mapping[str, tuple[str, ...]]


def nodes_of(manifest: Mapping[str, Any], *, column: str | None = None) -> dict[str, Node]:
    """The nodes of a manifest that end as a relation, by their ids, upstream first.

    The partition column of an incremental model is what its meta says under ``sluice: partition_column``, or, if dbt
    builds it in batches of time, its ``event_time``, or ``column``. Other models have none, snapshots among them: a row of
    theirs changes long after its day. Nor is the ``event_time`` of another model taken for one: it may look up in what is
    published how far it has come, and must then see all of it.

    Args:
        manifest: dbt's, version 12.
        column: The partition column of incremental models that do not say it.
    """
    found = {}
    for id_, node in manifest["nodes"].items():
        config = node.get("config") or {}
        materialized = config.get("materialized") or ""
        if node["resource_type"] not in BUILT or materialized == "ephemeral":
            continue
        found[id_] = Node(
            id=id_,
            name=node["name"],
            schema=node["schema"],
            alias=node.get("alias") or node["name"],
            materialized=materialized,
            column=_column(node, config, column) if materialized == "incremental" else None,
            parents=tuple(dict.fromkeys(_relations_above(manifest, id_))),
            grants=bool(config.get("grants")),
        )
    return {id_: found[id_] for id_ in _in_order(found)}


def _column(node: Mapping[str, Any], config: Mapping[str, Any], default: str | None) -> str | None:
    meta = {**(node.get("meta") or {}), **(config.get("meta") or {})}.get("sluice")
    said = meta.get("partition_column") if isinstance(meta, Mapping) else None
    in_batches = config.get("incremental_strategy") == "microbatch"
    return said or (config.get("event_time") if in_batches else None) or default


def _relations_above(manifest: Mapping[str, Any], id_: str) -> Iterator[str]:
    """The relations that a node reads, also through models that are only text."""
    for parent in manifest["nodes"][id_].get("depends_on", {}).get("nodes", ()):
        node = manifest["nodes"].get(parent)
        if node is None:
            continue
        if _is_ephemeral(manifest, parent):
            yield from _relations_above(manifest, parent)
        else:
            yield parent


def _in_order(nodes: Mapping[str, Node]) -> list[str]:
    done: dict[str, None] = {}

    def visit(id_: str) -> None:
        if id_ in done or id_ not in nodes:
            return
        for parent in nodes[id_].parents:
            visit(parent)
        done[id_] = None

    for id_ in nodes:
        visit(id_)
    return list(done)


def rule(
    nodes: Sequence[Node],
    statuses: Mapping[str, str],
    manifest: Mapping[str, Any],
    *,
    stopped: Mapping[str, Collection[str]] | None = None,
    standing: Collection[str] = (),
) -> Ruling:
    """Decide which nodes of a build are published.

    A node is, if dbt built it, every test on it passed or is one that only warns, and everything of the same build that
    it is made of is published too. A failing test on what is no relation of the build (an ephemeral model, a source)
    stands against what is made of that. A failing test on a view that readers have stands against the tables of the
    build that it reads: the view would show what failed. A hook of the project that fails stands against all.

    Args:
        nodes: Those of the build, upstream first.
        statuses: What dbt says of each node and test that it came to.
        manifest: dbt's.
        stopped: What else was found against a node, by id.
        standing: The nodes that are published as views now.
    """
    blocked: dict[str, list[str]] = {}
    skipped = set()
    for node in nodes:
        status = statuses.get(node.id)
        if status is None:
            blocked.setdefault(node.id, []).append("dbt did not come to it.")
        elif status == "skipped":
            skipped.add(node.id)
        elif status not in _PASSED:
            blocked.setdefault(node.id, []).append(f"dbt says {status!r}.")
        for word in (stopped or {}).get(node.id, ()):
            blocked.setdefault(node.id, []).append(word)
    for id_, word in _against(nodes, statuses, manifest, standing):
        if word not in blocked.setdefault(id_, []):
            blocked[id_].append(word)
    published = []
    for node in nodes:
        above = [parent for parent in node.parents if parent in blocked]
        if above and node.id not in blocked:
            names = ", ".join(sorted(parent.rpartition(".")[2] for parent in above))
            blocked[node.id] = [f"It is made of {names}, which is not published."]
        if node.id in skipped and node.id not in blocked:
            blocked[node.id] = ["dbt skipped it."]
        if node.id not in blocked:
            published.append(node.id)
    return Ruling(published=tuple(published), blocked={id_: tuple(why) for id_, why in blocked.items()})


def _against(
    nodes: Sequence[Node], statuses: Mapping[str, str], manifest: Mapping[str, Any], standing: Collection[str]
) -> Iterator[tuple[str, str]]:
    """What failing tests and hooks say against nodes: the node's id, and the words."""
    known = {node.id: node for node in nodes}
    for id_, status in statuses.items():
        if status in (*_PASSED, "skipped"):
            continue
        found = manifest["nodes"].get(id_) or manifest.get("unit_tests", {}).get(id_)
        what = "could not run" if status in ("error", "runtime error") else "failed"
        if found is None or found["resource_type"] == "operation":
            if id_.startswith("operation."):
                yield from ((node.id, f"The hook {id_.rpartition('.')[2]} {what}.") for node in nodes)
        elif found["resource_type"] in ("test", "unit_test"):
            words = f"The test {found['name']} {what}."
            for judged in _judged(found, manifest, known):
                yield judged, words
                if judged in standing:
                    why = f"The view {known[judged].name} reads it, and its test {found['name']} {what}."
                    yield from ((id_, why) for id_ in _shown_by(judged, known))


def _shown_by(view: str, known: Mapping[str, Node]) -> Iterator[str]:
    """What a view shows the rows of: all of the build that it reads, as far as the first tables."""
    for parent in known[view].parents:
        if parent in known:
            yield parent
            if known[parent].materialized == "view":
                yield from _shown_by(parent, known)


def _judged(test: Mapping[str, Any], manifest: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """The nodes of the build that a test is about: the one that it stands at, or else all that it reads."""
    attached = test.get("attached_node")
    read = [attached] if attached is not None else list(test.get("depends_on", {}).get("nodes", ()))
    return [id_ for id_ in read if id_ in known] or [
        id_ for id_ in sorted(known) if any(_reads(manifest, id_, other) for other in read)
    ]


def _reads(manifest: Mapping[str, Any], id_: str, other: str) -> bool:
    """Whether a node reads another that is no relation of dbt's, through ephemeral models or not."""
    if other in manifest["nodes"] and not _is_ephemeral(manifest, other):
        return False
    above = manifest["nodes"][id_].get("depends_on", {}).get("nodes", ())
    return other in above or any(
        _is_ephemeral(manifest, parent) and _reads(manifest, parent, other) for parent in above
    )


def _is_ephemeral(manifest: Mapping[str, Any], id_: str) -> bool:
    node = manifest["nodes"].get(id_) or {}
    return bool((node.get("config") or {}).get("materialized") == "ephemeral")
